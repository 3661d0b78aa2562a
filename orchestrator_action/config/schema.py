"""What can be configured, with its defaults. The same names as the flags and `.github/orchestrator.yml`.

Plain values; `load` fills them from YAML, environment and flags and reports every fault at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator_action.protocol.model import Demand

CONFIG_PATH = ".github/orchestrator.yml"
NEAR_MISS = ".github/orchestrator.yaml"
"""What is not read, although somebody may have meant it to be."""
DEFAULT_LABEL = "orchestrate"
LABEL_RUNNING = "orchestrate:running"
LABEL_DONE = "orchestrate:done"
LABEL_FAILED = "orchestrate:failed"
LABEL_DECLINED = "orchestrate:declined"
LABEL_AGENT = "orchestrate-agent:"
"""With an agent's name behind it, or NAME:MODEL, beside the label that asks: who is to work on this issue."""
END_LABELS = {"done": LABEL_DONE, "failed": LABEL_FAILED, "declined": LABEL_DECLINED}
"""By the word for how a task ended, as the lease in our comment has it."""
STATE_LABELS = (LABEL_RUNNING, *END_LABELS.values())
LABEL_HIGH = "orchestrate-priority:high"
LABEL_LOW = "orchestrate-priority:low"
BRANCH_PREFIX = "orchestrator/"
CHECK_NAME = "orchestrator"
REF_PREFIX = "refs/orchestrator/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLimits:
    """The largest change that may be proposed; 0 switches a limit off."""

    files: int = 300
    lines: int = 20_000
    bytes_per_file: int = 5 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCommand:
    """One command that tests the repository."""

    __test__ = False

    command: str
    timeout: float | None = None
    """Seconds, 0 for no limit; in YAML also `5m`. Left out: `test-timeout`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One check of the pre-push hook, run at exactly the pushed commit."""

    name: str
    command: str
    timeout: float = 300.0
    """Seconds; in YAML also `5m`."""
    inputs: tuple[str, ...] = ()
    """Path patterns that decide whether a remembered pass still counts; empty means the whole tree."""
    link: tuple[str, ...] = ()
    """Untracked paths of the checkout linked into the slot, such as node_modules."""
    env: tuple[str, ...] = ()
    """Names of environment variables the gate may see although they look like secrets."""
    key: Literal["auto", "tree", "commit"] = "auto"
    """What a pass is remembered for. `auto`: the commit when the command asks git, else the tree."""
    cache: float | None = None
    """How long a remembered pass counts, in seconds; 0 (in YAML also `off`): not at all; left out: for ever."""
    only: tuple[str, ...] = ()
    """Patterns of branches, of refs (`refs/tags/*`) and of remotes (`remote:NAME`) this gate is for; empty: all."""
    skip: tuple[str, ...] = ()
    """The same, for what this gate is not run for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRules:
    """What holds for a push to certain remotes instead, such as one's own fork."""

    match: str
    """A remote's name or URL, with `*` for anything."""
    protected_branches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCommand:
    """Any program as the agent `command`, or one that speaks the Agent Client Protocol as `acp`.

    In each argument `{prompt}`, `{prompt_file}`, `{context}` and `{model}` are replaced; no shell sees them.
    """

    argv: tuple[str, ...] = ()
    """The program and its arguments."""
    stdin: Literal["none", "prompt"] = "none"
    """`prompt`: the prompt comes on its standard input."""
    env: tuple[str, ...] = ()
    """Names of the variables it may see, such as the key of its model; named with its address the key stays ours."""
    model: str = ""
    """What stands for `{model}`."""
    version: tuple[str, ...] = ()
    """A command that prints its version; `doctor` runs it."""
    install: str = ""
    """How it is installed: said when it is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """What a model costs, in US dollars for a million tokens."""

    model: str
    """As requests name it."""
    input: float
    output: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HookConfig:
    """The pre-push hook."""

    protected_branches: tuple[str, ...] = ("main", "master", "release/*")
    remotes: tuple[RemoteRules, ...] = ()
    """The first that matches replaces `protected-branches`."""
    other_refs: Literal["judge", "allow", "refuse"] = "judge"
    """Refs that are neither branches nor tags. `judge`: by the gates; notes and our audit trails go as they are."""
    gates: tuple[Gate, ...] = ()
    timeout: float = 600.0
    """Seconds for all gates of one push together."""
    jobs: int = 0
    """How many gates run at the same time, in the order written; 0 means all."""
    fail_fast: bool = False
    """Whether the first gate that fails ends the others."""
    clean: bool = True
    """False: what gates built and git ignores is kept for the next push, while the lock files stay the same."""
    setup: bool = False
    """Whether the gates' tree is set up first, like the trees of a run: by `setup`, else as detected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFinish:
    """Who gets the report when a run has ended. A failure here is named, and changes nothing of how the run ended."""

    command: str = ""
    """A shell command in a clean checkout of the base; the file that `$ORCHESTRATOR_REPORT` names has the report."""
    webhook: str = ""
    """An address that the report is posted to as JSON; `$NAME` stands for the variable that holds it."""
    env: tuple[str, ...] = ()
    """Names of environment variables that the command may see."""
    timeout: float = 60.0
    """Seconds for each of the two, all tries of the webhook together; in YAML also `5m`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """What the walls let through beside what is always let through. Paths may begin with `~`."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    """Names of environment variables that the repository's commands may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a repository or a caller can set. Durations are seconds."""

    label: str = DEFAULT_LABEL
    """Open issues with this label are worked on."""
    agent: str = "claude"
    """The agent, by its name in docs/agents.md; with a model of its own as NAME:MODEL."""
    agent_model: str = ""
    """The model of this agent; empty: its own choice."""
    agent_fallback: tuple[str, ...] = ()
    """Agents that take over, in this order, when the vendor of the one before is out of quota or stays overloaded."""
    candidates: tuple[str, ...] = ("1",)
    """Agents that try each task side by side, of which the best one counts: how many, or names as [codex, gemini]."""
    max_parallel: int = 4
    """How many tasks run at the same time; of a task with candidates each of them counts."""
    timeout: float = 2700.0
    """Wall-clock limit of a task; 0 means none."""
    run_timeout: float = 0.0
    """Wall-clock limit of the whole run; 0 means none."""
    max_turns: int = 50
    """Turns of a task's agent; 0 is no limit."""
    max_budget_usd: float = 0.0
    """What an agent may spend on one task, in US dollars; 0 means no limit."""
    max_run_usd: float = 0.0
    """What a run may spend, reviewers included; at the limit nothing new starts. 0 means none."""
    max_day_usd: float = 0.0
    """What all runs of a day (UTC) may spend, by the trails on the remote. 0 means none."""
    ready: Literal["never", "verified"] = "never"
    """Whether a pull request that is verified without exceptions stops being a draft."""
    base_branch: str = ""
    """Branch to start from and to propose to; empty: the remote's default branch."""
    test: tuple[TestCommand, ...] = ()
    """Test commands; empty means detected."""
    test_timeout: float = 1800.0
    """Time limit of each test command that names none of its own; 0 means none."""
    base: Literal["beside", "before"] = "beside"
    """Whether the suite at the base goes on beside the agents, or has to end before the first one starts."""
    base_wait: float = 180.0
    """How long agents wait at most for a first test to end at the base."""
    test_repeats: int = 3
    """How often changed and new tests have to pass in a row; 1 repeats nothing."""
    proof: Literal["required", "reported", "off"] = "reported"
    """Whether a change has to come with a test that fails without it."""
    integration: Literal["merge", "test", "off"] = "merge"
    """Whether the verified branches of a run are tried together: merged in memory, and tested as one tree, or not."""
    docs: tuple[str, ...] = ("README*", "docs/**", "doc/**", "CHANGELOG*", "**/*.md", "**/*.rst")
    """Patterns of the paths that count as documentation."""
    protected: tuple[str, ...] = (
        ".github/workflows/**",
        ".github/actions/**",
        ".github/orchestrator.yml",
        "**/CODEOWNERS",
        ".claude/settings.json",
        ".mcp.json",
    )
    """Patterns of the paths that no agent may change."""
    phases: Mapping[str, Demand] = field(default_factory=dict)
    """What is asked of each phase, by its id; only what differs from the default."""
    size: SizeLimits = SizeLimits()
    """The largest change that may be proposed."""
    setup: tuple[str, ...] = ()
    """Commands that make a tree ready for its tests; empty means detected."""
    setup_env: tuple[str, ...] = ()
    """Names of variables that set-up gets where the dependencies are the base's: keys of private registries."""
    test_env: tuple[str, ...] = ()
    """Names of environment variables that the repository's own commands get, tests above all."""
    teardown: tuple[str, ...] = ()
    """Commands that run once in each tree, when its task is over."""
    setup_timeout: float = 900.0
    """Time limit of each command of `setup` and `teardown`."""
    reminders: int = 3
    """How often an agent that ends early is sent back with what is open."""
    reviewers: tuple[str, ...] = ()
    """Agents that review, each in a session of its own; empty means the kind that did the work."""
    review_rounds: int = 2
    """How many heads of a task are reviewed before a person has to."""
    trees: str = ""
    """Folder for the trees of tasks and gates, an absolute path; empty: the runner's own, else one in `/var/tmp`."""
    follow_ups: int = 5
    """How often people may have a pull request changed by what they write on it; 0 switches that off."""
    retries: int = 2
    """Further attempts after a transient failure."""
    agent_args: tuple[str, ...] = ()
    """Further arguments of the agent's command."""
    agent_command: AgentCommand = AgentCommand()
    """The program that the agent `command` or `acp` starts."""
    key_proxy: Literal["auto", "off"] = "auto"
    """Whether an agent's key stays in our process, which adds it to each request, wherever its agent can be pointed."""
    prices: tuple[ModelPrice, ...] = ()
    """Of models: with them the money of every agent is counted by its requests, and limited to the request."""
    agent_env: tuple[str, ...] = ()
    """Names of further environment variables the agent may see."""
    allowed_bots: tuple[str, ...] = ()
    """Logins of the bots whose label counts."""
    edited_after_label: Literal["refuse", "ask", "allow"] = "refuse"
    """What becomes of an issue that was edited after its label was set."""
    ci_workflow: str = ""
    """File name of a workflow to start on each proposed branch, where the token's pushes start none."""
    on_finish: OnFinish = OnFinish()
    """Who gets the report when a run has ended: a command, a webhook."""
    hook: HookConfig = HookConfig()
    """The pre-push hook."""
    isolation: Literal["required", "auto", "off"] = "auto"
    """Walls around agents, reviewers and the repository's commands: as high as they hold here, or no run."""
    sandbox: SandboxConfig = SandboxConfig()
    """What the walls let through besides."""
    egress: tuple[str, ...] | None = None
    """The hosts agents and reviewers reach beside their model's: `host`, `*.host` or `host:port`; left out: any."""
    network: tuple[Literal["agents", "setup", "tests", "gates"], ...] = ("agents", "setup", "tests", "gates")
    """Who keeps the network where the walls can take it; agents includes reviewers, setup teardown; models stay."""

    def test_timeout_of(self, command: str) -> float:
        """How long this test command may take, in seconds; 0 is without limit."""
        own = [t.timeout for t in self.test if t.command == command and t.timeout is not None]
        return own[0] if own else self.test_timeout
