"""The Claude Code CLI as an agent, with the plugin that makes `/agent:workflow-manager` real.

The argv is exact and never goes through a shell. Two parts of it carry the safety of a session:
`--setting-sources user` with a configuration directory of our own, because a checkout's
`.claude/settings.json` and `.mcp.json` otherwise run commands and can send the API key elsewhere; and
an environment from `agent_environment`, because the session's tools see all of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.agents.base import ReviewRequest, check_program
from orchestrator_action.agents.claude import review as claude_review
from orchestrator_action.agents.claude import words
from orchestrator_action.agents.claude.stream import ClaudeReader
from orchestrator_action.agents.environment import agent_environment, command_environment
from orchestrator_action.agents.hosts import hosts_named
from orchestrator_action.agents.review import prompt as review_prompt
from orchestrator_action.errors import AgentError
from orchestrator_action.protocol.attempt import Command, Outcome
from orchestrator_action.protocol.model import TaskContext
from orchestrator_action.sandbox.start import run_to_end

PLUGIN = Path(__file__).resolve().parent / "plugin"
SLASH_COMMAND = "agent:workflow-manager"
_SESSIONS = uuid.UUID("5f0c9a8e-6c1d-4b53-9d0e-0a6f3f0f6a11")
"""Namespace of session ids for contexts that bring none."""

DEFAULTS = {
    "CLAUDE_CODE_MAX_RETRIES": "3",  # the CLI's own 10 take three minutes, a refused key included
    "CLAUDE_CODE_STOP_HOOK_BLOCK_CAP": "50",  # the broker counts reminders; the CLI must not count lower
    "BASH_DEFAULT_TIMEOUT_MS": "180000",  # `orchestrator-phase done testing` answers within 90 s
    "BASH_MAX_TIMEOUT_MS": "900000",
}
"""What a session gets unless the caller's environment says otherwise."""

FIXED = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",  # a session of ours learns nothing for the next
    "CLAUDE_CODE_DISABLE_CRON": "1",  # nothing of a session may outlive it
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1",  # an `@/path` in a task's text is text
}

LONGEST_PROJECT = 200
"""Characters of a folder of the CLI's sessions that is named after a tree; it cuts longer ones in a way of its own."""

_MODEL = re.compile(r"(ANTHROPIC|CLAUDE_CODE|DISABLE|BASH_DEFAULT|BASH_MAX|MCP|MAX)_\w+|API_TIMEOUT_MS")
_BEDROCK = re.compile(r"AWS_\w+")
_VERTEX = re.compile(
    r"CLOUD_ML_REGION | GOOGLE_(APPLICATION_CREDENTIALS|CLOUD_\w+) | GCLOUD_PROJECT | VERTEX_\w+", re.VERBOSE
)
_OUTER_SESSION = re.compile(
    r"CLAUDE_CODE_(SESSION\w*|CHILD_\w+|MESSAGING_\w+|ENTRYPOINT|EXECPATH|SSE_PORT|PARENT\w*|REMOTE\w*)"
)
"""Set by a Claude Code session around us; a session of ours is not its child."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeAgent:
    """Claude Code in print mode. Turns and money are limited by the context, unless set here."""

    executable: str = "claude"
    plugin: Path = PLUGIN
    max_turns: int | None = None
    max_budget_usd: float | None = None
    args: tuple[str, ...] = ()
    """Further arguments, such as `--model NAME`."""
    env_names: tuple[str, ...] = ()
    """Names of further environment variables a session may see."""
    review_turns: int = 30

    @property
    def name(self) -> str:
        """As in `--agent`."""
        return "claude"

    @property
    def announces_start(self) -> bool:
        """The init event comes within a second, so that a start-up deadline makes sense."""
        return True

    @property
    def resumes(self) -> bool:
        """A session can be taken up again by its id, in the same configuration directory."""
        return True

    def check(self) -> None:
        """Raise AgentError, with a hint, when the CLI or the plugin is not there."""
        how = "npm install -g @anthropic-ai/claude-code, or choose another with --agent"
        check_program(self.executable, how)
        if not (self.plugin / ".claude-plugin" / "plugin.json").is_file():
            raise AgentError(f"the plugin is missing at {self.plugin}", hint="reinstall orchestrator-action")

    def version(self) -> str:
        """The CLI's version, such as `2.1.330`; an empty string when unknown."""
        try:
            done = run_to_end(
                [self.executable, "--version"], env=command_environment(os.environ), timeout_s=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.split(" ")[0].strip() if done.returncode == 0 else ""

    def command(self, context: TaskContext, *, env: Mapping[str, str], private: Path) -> Command:
        """The exact process for one attempt.

        A resumed session is only found in the configuration directory it was made in: give the same
        `private` to every attempt of a task that resumes another.
        """
        config = _private_dir(private / "claude")
        notes = _private_dir(private / "notes")
        return Command(
            argv=self._argv(context, _fresh_session(context, config)),
            cwd=context.worktree_path,
            env={**self._environment(env, config), "ORCHESTRATOR_NOTES": str(notes)},
        )

    def adopt_session(self, session: str, earlier: Path, private: Path, cwd: str) -> bool:
        """Copy the session's file to where the CLI looks for it from `cwd`."""
        kept = next((earlier / "claude" / "projects").glob(f"*/{session}.jsonl"), None)
        name = re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath(cwd))
        if kept is None or kept.is_symlink() or not kept.is_file() or len(name) > LONGEST_PROJECT:
            return False
        folder = _private_dir(_private_dir(private / "claude") / "projects" / name)
        shutil.copyfile(kept, folder / kept.name)
        return True

    def hosts(self, env: Mapping[str, str]) -> tuple[str, ...]:
        """Anthropic's, or where the environment says that the model is."""
        return model_hosts(env)

    def reader(self) -> ClaudeReader:
        """A fresh reader for one attempt."""
        return ClaudeReader(SLASH_COMMAND)

    def words_of(self, line: bytes) -> str:
        """A tool call, a text or the closing words of the stream, in words."""
        return words.claude_words(line)

    def review_command(self, request: ReviewRequest, *, env: Mapping[str, str], private: Path) -> Command:
        """The process of a review: a session of its own, which can only read.

        It gets copies of diff, task and plan, and neither the broker's socket nor the author's session.
        """
        config = _private_dir(private / "claude-review")
        folder = _private_dir(private / "review")
        chosen = self._environment(env, config)
        return Command(
            argv=claude_review.argv(
                self.executable,
                review_prompt(request, folder),
                folder,
                session=request.session_id,
                turns=self.review_turns,
                more=self.args,
            ),
            cwd=request.worktree_path,
            env={
                **{name: value for name, value in chosen.items() if not name.startswith("ORCHESTRATOR_")},
                "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",  # an `@/path` in a diff is text, on older CLIs too
            },
        )

    def review_findings(self, request: ReviewRequest, log: Path, outcome: Outcome) -> str:
        """The reviewer's raw JSON answer, taken from its log; may be malformed.

        Raises AgentError when the review did not take place.
        """
        return claude_review.review_findings_in(request, log, outcome)

    def _argv(self, context: TaskContext, session: str) -> tuple[str, ...]:
        resumed = context.resume_session
        turns = context.limits.max_turns if self.max_turns is None else self.max_turns
        budget = context.limits.max_budget_usd if self.max_budget_usd is None else self.max_budget_usd
        return (
            self.executable,
            "-p",
            context.message if resumed and context.message else f"/{SLASH_COMMAND} {context.path}",
            "--plugin-dir",
            str(self.plugin),
            "--dangerously-skip-permissions",
            "--verbose",
            *([f"--max-turns={turns}"] if turns > 0 else []),
            "--output-format=stream-json",
            "--setting-sources",
            "user",
            *(["--resume", resumed] if resumed else ["--session-id", session]),
            *(["--max-budget-usd", f"{budget:g}"] if budget > 0 else []),
            *self.args,
        )

    def _environment(self, env: Mapping[str, str], config: Path) -> dict[str, str]:
        chosen = {
            **DEFAULTS,
            **agent_environment(env, extra=(*model_variables(env), *self.env_names)),
            **FIXED,
            "CLAUDE_CONFIG_DIR": str(config),
            "CLAUDE_CODE_TMPDIR": str(_private_dir(config / "tmp")),  # else in /tmp, and never removed
        }
        if os.geteuid() == 0:
            chosen["IS_SANDBOX"] = "1"  # without it the CLI refuses root; said in the documentation
        else:
            chosen.pop("IS_SANDBOX", None)
        return chosen


def model_variables(env: Mapping[str, str]) -> set[str]:
    """The names in `env` of keys, addresses and settings of this agent's model; a cloud's where the model is there."""
    patterns = [_MODEL]
    if env.get("CLAUDE_CODE_USE_BEDROCK"):
        patterns.append(_BEDROCK)
    if env.get("CLAUDE_CODE_USE_VERTEX"):
        patterns.append(_VERTEX)
    return {n for n in env if any(p.fullmatch(n) for p in patterns) and not _OUTER_SESSION.fullmatch(n)}


def model_hosts(env: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts of the model that this environment chooses; an address that it names comes before the usual one.

    Source: code.claude.com/docs, "Enterprise network configuration".
    """
    if env.get("CLAUDE_CODE_USE_BEDROCK"):
        region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
        usual = tuple(f"{name}.{region}.amazonaws.com" for name in ("bedrock-runtime", "bedrock", "sts"))
        return hosts_named(env, ["ANTHROPIC_BEDROCK_BASE_URL"]) or usual
    if env.get("CLAUDE_CODE_USE_VERTEX"):
        region = env.get("CLOUD_ML_REGION", "global")
        usual = (f"{'' if region == 'global' else f'{region}-'}aiplatform.googleapis.com",)
        return (*(hosts_named(env, ["ANTHROPIC_VERTEX_BASE_URL"]) or usual), "oauth2.googleapis.com")
    if env.get("CLAUDE_CODE_USE_FOUNDRY"):
        named = hosts_named(env, ["ANTHROPIC_FOUNDRY_BASE_URL"])
        return named or (f"{env.get('ANTHROPIC_FOUNDRY_RESOURCE', 'unnamed')}.services.ai.azure.com",)
    return hosts_named(env, ["ANTHROPIC_BASE_URL"]) or ("api.anthropic.com",)


def _fresh_session(context: TaskContext, config: Path) -> str:
    """The session's id: the context's, unless that was begun before: the CLI refuses to begin it twice."""
    chosen, again = context.session_id or str(uuid.uuid5(_SESSIONS, f"{context.run_id}/{context.task.id}")), 0
    session = chosen
    while any(config.glob(f"projects/*/{session}.jsonl")):
        again += 1
        session = str(uuid.uuid5(_SESSIONS, f"{chosen}/{again}"))
    return session


def _private_dir(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
