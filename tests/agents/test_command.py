"""Any program as the agent: a script goes the whole way, honest or lying, and what it is given is exact."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.agents.command.agent import CommandAgent, CommandReader
from orchestrator_action.config.schema import AgentCommand
from orchestrator_action.errors import AgentError, ConfigError
from orchestrator_action.protocol.attempt import Ending, Limits, Outcome
from orchestrator_action.protocol.model import Task, TaskContext
from tests.kit.repos import Repo
from tests.kit.whole import LIBRARY, House, house

SCRIPT = r"""#!/bin/sh
set -e
phase() { orchestrator-phase "$@" >/dev/null; }
test -s "$1"
phase done initial-setup
phase done issue-creation
phase done branch-management
phase done research-and-planning --note 'change numbers_.py and README.md'
CHANGE
printf '\n- `triple(n)` is three times n.\n' >>README.md
git add -A && git commit -qm 'Add triple'
echo '{"message": "writes numbers_.py", "turns": 2, "cost_usd": 0.02}'
phase done implementation
phase done testing || echo 'the tests fail'
phase done documentation
phase done pull-request --note 'Add triple'
phase done review
phase done review-response
phase done settings-update
"""
HONEST = r"""printf '\n\ndef triple(n):\n    return n * 3\n' >>numbers_.py
cat >tests/test_triple.py <<'PY'
import unittest

from numbers_ import triple


class Triple(unittest.TestCase):
    def test_triple(self):
        self.assertEqual(6, triple(2))
PY"""
LYING = r"""printf '\n\ndef double(n):\n    return n * 3\n' >>numbers_.py; echo 'all tests pass'"""
REVIEWER = 'if [ -z "$ORCHESTRATOR_SOCKET" ]; then echo \'{"findings": []}\'; exit 0; fi\n'


@pytest.fixture
def home_with(make: Callable[..., Repo], tmp_path: Path) -> Callable[[str], House]:
    """A house whose configuration names a script of ours as the agent."""

    def made(change: str) -> House:
        script = tmp_path / "agent.sh"
        head, rest = SCRIPT.replace("CHANGE", change).split("\n", 1)
        script.write_text(f"{head}\n{REVIEWER}{rest}")
        script.chmod(0o755)
        settings = f"agent: command\nagent-command:\n  argv: [{script}, '{{prompt_file}}']\n"
        files = {**LIBRARY, ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + settings}
        return house(tmp_path, make(files))

    return made


def test_a_shell_script_goes_the_whole_way(home_with: Callable[[str], House]) -> None:
    """To a pull request whose claims hold; what it said of turns and cost stands in the report."""
    home = home_with(HONEST)
    home.issue(1, "Add triple", "Please.")

    ran = home.run(agent="command")

    task = ran.task("issue-1")
    assert (0, "success") == (ran.code, task["status"]), ran.err
    assert (2, 0.02) == (task["turns"], task["cost_usd"])
    assert "writes numbers_.py" in home.cli("logs", "issue-1").out


@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_scripts_of_the_docs_go_the_whole_way(
    make: Callable[..., Repo], tmp_path: Path, language: str
) -> None:
    """Around a program that writes the change, tells its plan, and finds nothing in a review."""
    docs = (Path(__file__).parents[2] / "docs/agents.md").read_text()
    [script] = re.findall(rf"```{language}\n(#!.*?)```", docs, re.DOTALL)
    model = f"""#!/bin/sh
case "$1" in
--plan) echo 'change `numbers_.py` and `README.md`' ;;
--review) echo '{{"findings": []}}' ;;
*) {HONEST}
printf -- '- `triple(n)` is three times n.\\n' >>README.md ;;
esac
"""
    (tools := tmp_path / "tools").mkdir()
    for name, text in {"agent": script, "mymodel": model}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    settings = f"agent: command\nagent-command:\n  argv: [{tools / 'agent'}, '{{prompt_file}}']\n"
    home = house(
        tmp_path,
        make({**LIBRARY, ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + settings}),
    )
    home.issue(1, "Add triple", "Please.")
    home.env["PATH"] = f"{tools}:{os.environ['PATH']}"

    ran = home.run(agent="command")

    task = ran.task("issue-1")
    assert (0, "success") == (ran.code, task["status"]), f"{ran.err}\n{task['error']}"


def test_what_a_reviewer_costs_is_in_the_total(home_with: Callable[[str], House], tmp_path: Path) -> None:
    """It is a session that is paid for like the author's."""
    home = home_with(HONEST)
    script = tmp_path / "agent.sh"
    told = 'echo \'{"message": "reads the diff", "cost_usd": 0.03}\'; echo'
    script.write_text(script.read_text().replace("then echo", f"then {told}", 1))
    home.issue(1, "Add triple", "Please.")

    ran = home.run(agent="command")

    task = ran.task("issue-1")
    assert (0, "success", 0.05) == (ran.code, task["status"], task["cost_usd"]), ran.err
    assert [0.03] == [e["data"]["cost_usd"] for e in home.events() if e["kind"] == "review-ended"]


def test_two_reviewers_of_one_kind_each_have_a_session_and_a_log(
    home_with: Callable[[str], House], tmp_path: Path
) -> None:
    """As two models of one agent are; what they find is joined, and the author answers for both."""
    home = home_with(HONEST)
    script = tmp_path / "agent.sh"
    finding = '{"path": "numbers_.py", "line": 5, "severity": "note", "text": "asked as MODEL"}'
    says = f"""printf '%s' '{{"findings": [{finding}]}}' | sed "s/MODEL/$2/"; exit 0"""
    script.write_text(script.read_text().replace("echo '{\"findings\": []}'; exit 0", says, 1))
    path = home.repo.path / ".github/orchestrator.yml"
    reviewers = "reviewers: [command:first, command:second]\nreview-rounds: 1\nreminders: 0\n"
    home.configure(path.read_text().replace("'{prompt_file}']", "'{prompt_file}', '{model}']") + reviewers)
    home.issue(1, "Add triple", "Please.")

    home.run(agent="command")

    [reviewed] = [e["data"]["findings"] for e in home.events() if e["kind"] == "review"]
    assert ["asked as first", "asked as second"] == [f["text"] for f in reviewed]
    logs = sorted((home.run_dir / "tasks" / "issue-1").glob("review-*.log"))
    assert ["first", "second"] == [log.read_text().partition("asked as ")[2][:-4] for log in logs]


def test_a_script_that_lies_is_not_believed(home_with: Callable[[str], House]) -> None:
    """It ended with 0 and said that all tests pass."""
    home = home_with(LYING)
    home.issue(1, "Add triple", "Please.")

    ran = home.run(agent="command")

    assert (1, "failed") == (ran.code, ran.task("issue-1")["status"])
    assert "refuted" == ran.state("issue-1", "testing")


NOISE = r"""python3 - <<'PY'
import os
os.write(1, b"\0\xff\x1b[2J" + b"x" * 8_000_000)
PY
printf '::error::forged\r### forged'; exit 3"""
LIES_OF_FIGURES = r"""for told in '-5' 'NaN' 'Infinity' '1e400' '1e12' 'true' '"9"' '{"a": [[[[]]]]}'; do
  printf '{"message": "works", "turns": %s, "cost_usd": %s}\n' "$told" "$told"
done
python3 -c 'print("{\"turns\":" * 100000); print("{\"message\": \"" + "y" * 2_000_000 + "\", \"turns\": 1e9}")'"""


@pytest.mark.parametrize(
    ("before", "status", "says"),
    [
        pytest.param("exit 0", "incomplete", "initial-setup", marks=pytest.mark.slow),
        pytest.param(
            "echo 'error: unknown command' >&2; exit 0", "incomplete", "initial-setup", marks=pytest.mark.slow
        ),
        (f"{NOISE}", "failed", "exit code 3: "),
        (f"{LIES_OF_FIGURES}; exit 0", "incomplete", "initial-setup"),
        pytest.param("echo() { :; }; exec >&- 2>&- <&-", "success", "", marks=pytest.mark.slow),
        ("{ setsid sh -c 'trap \"\" TERM INT HUP; sleep 1000' & } >/dev/null 2>&1", "success", ""),
        ('echo \'do nothing, all is done\' >"$1" || rm -f "$1" || true', "success", ""),
    ],
    ids=["nothing", "unknown", "noise", "figures", "closed", "daemon", "prompt"],
)
def test_a_program_that_behaves_badly_is_measured_like_any_other(
    home_with: Callable[[str], House], tmp_path: Path, before: str, status: str, says: str
) -> None:
    """What it did holds or does not; its figures are numbers that can be, its words are short and on one line."""
    home = home_with(HONEST)
    script = tmp_path / "agent.sh"
    script.write_text(script.read_text().replace(REVIEWER, f"{REVIEWER}{before}\n", 1))
    home.issue(1, "Add triple", "Please.")

    ran = home.run(agent="command")

    task = ran.task("issue-1")
    assert (status, says in task["error"]) == (task["status"], True), f"{task['error']}\n{ran.err}"
    assert len(task["error"]) < 1500 and "\n" not in task["error"], task["error"]
    assert "NaN" not in ran.out and "Infinity" not in ran.out
    wanted = (2, 0.02) if status == "success" and ">&-" not in before else (None, None)
    assert wanted == (task["turns"], task["cost_usd"])
    assert "Traceback" not in ran.err
    home.assert_tidy()


@pytest.mark.parametrize(
    ("settings", "code", "error", "hint"),
    [
        ("{argv: [/nowhere/agent]}", 6, "the agent's program '/nowhere/agent' is not installed", "install it"),
        ("{argv: [/nowhere/agent], install: pipx install it}", 6, "is not installed", "pipx install it"),
        ("{argv: [README.md]}", 6, "the agent's program 'README.md' is not installed", "install it"),
        ("{argv: [./README.md]}", 6, "the agent's program './README.md' may not be executed", "chmod +x ./README.md"),
        ("{argv: [sh, -c, 'true', '{promt}']}", 2, "agent-command has no place {promt}", "did you mean {prompt}?"),
        ("{argv: [sh, '{prompt-file}']}", 2, "agent-command has no place {prompt-file}", "did you mean {prompt_file}?"),
        ("{argv: ['']}", 2, "orchestrator.yml:3:24: must not be empty (got '')", ""),
        ("{argv: [sh], stdin: yes}", 2, "orchestrator.yml:3:29: must be 'none' or 'prompt' (got 'yes')", ""),
        ("{argv: [sh], env: [MY_KEY]}", 6, "the agent command has no key: MY_KEY is empty", "set it, or take it out"),
        ("{argv: [sh], env: [GITHUB_TOKEN]}", 2, "agent-command: env names GITHUB_TOKEN, which no agent is given", ""),
        ("{}", 2, "the agent `command` has no program", "agent-command: {argv: ["),
    ],
)  # fmt: skip
def test_what_cannot_work_is_one_line_before_an_issue_is_taken(
    make: Callable[..., Repo], tmp_path: Path, settings: str, code: int, error: str, hint: str
) -> None:
    """With what to do about it; the issue keeps its label."""
    config = f"agent: command\nagent-command: {settings}\n"
    home = house(
        tmp_path,
        make({**LIBRARY, ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + config}),
    )
    home.issue(1, "Add triple", "Please.")

    ran = home.run(agent="command")

    said = ran.err + (ran.task("issue-1")["error"] if ran.out.strip() else "")
    assert code == ran.code, ran.err
    assert error in said and hint in said, ran.err
    assert "Traceback" not in ran.err
    assert 'orchestrate"' in (home.forge / "issues" / "1.md").read_text()


def test_a_long_prompt_with_words_of_a_shell_is_one_argument_or_said(
    home_with: Callable[[str], House], tmp_path: Path
) -> None:
    """200 KB do not fit into an argument: the task ends with what to do about it, and no shell sees the rest."""
    home = home_with(HONEST)
    path = home.repo.path / ".github/orchestrator.yml"
    home.configure(path.read_text().replace("{prompt_file}", "{prompt}"))
    home.issue(1, "Add triple", f"$(touch {tmp_path}/ran) `touch {tmp_path}/ran` ; & ' \" \n" * 4000)

    ran = home.run(agent="command")

    task = ran.task("issue-1")
    assert "failed" == task["status"]
    assert "does not fit into an argument" in task["error"]
    assert "use {prompt_file} or stdin: prompt" in task["error"]
    assert not (tmp_path / "ran").exists()


def context(tmp_path: Path, prompt: str = "Do it.", message: str = "") -> TaskContext:
    (tmp_path / "prompt.md").write_text(prompt)
    return TaskContext(
        path=str(tmp_path / "context.json"), task=Task(id="issue-1", title="T", text="t", branch="b"), run_id="r",
        attempt=1, worktree_path=str(tmp_path), prompt_path=str(tmp_path / "prompt.md"), base_sha="b" * 40,
        base_branch="main", limits=Limits(), test_commands=(), digest="", message=message,
    )  # fmt: skip


def test_the_places_are_filled_in_and_no_shell_sees_them(tmp_path: Path) -> None:
    """A prompt with quotes and dollars is one argument as it stands."""
    argv = ("agent", "--say={prompt}", "{prompt_file}", "{context}", "-m", "{model}", "{other}")
    agent = CommandAgent(settings=AgentCommand(argv=argv, model="m-1"), args=("--more",))

    made = agent.command(context(tmp_path, "a $(b) 'c' {model}"), env={}, private=tmp_path / "p").argv

    file = str(tmp_path / "prompt.md")
    wanted = (
        "agent",
        "--say=a $(b) 'c' {model}",
        file,
        str(tmp_path / "context.json"),
        "-m",
        "m-1",
        "{other}",
        "--more",
    )
    assert wanted == made


def test_it_sees_the_variables_that_are_named_and_no_token(tmp_path: Path) -> None:
    """A forge's token is not handed on, though somebody names it."""
    settings = AgentCommand(argv=("agent",), env=("MY_KEY", "GITHUB_TOKEN"))
    env = {"MY_KEY": "k", "OTHER_KEY": "o", "GITHUB_TOKEN": "t", "PATH": "/bin"}

    seen = CommandAgent(settings=settings).command(context(tmp_path), env=env, private=tmp_path / "p").env

    assert {"MY_KEY", "PATH", "ORCHESTRATOR_PROMPT"} == set(seen)


def test_a_prompt_that_no_argument_can_hold_is_said(tmp_path: Path) -> None:
    """Before the kernel says `argument list too long`."""
    agent = CommandAgent(settings=AgentCommand(argv=("agent", "{prompt}")))

    with pytest.raises(ConfigError, match="does not fit") as refused:
        agent.command(context(tmp_path, "x" * 140_000), env={}, private=tmp_path / "p")

    assert "{prompt_file}" in refused.value.hint


def test_a_prompt_on_stdin(tmp_path: Path) -> None:
    """What is open comes first when a task is taken up again."""
    program = (sys.executable, "-c", "import sys; print(sys.stdin.read())")
    agent = CommandAgent(settings=AgentCommand(argv=program, stdin="prompt"))
    import subprocess

    made = agent.command(
        context(tmp_path, message="Open: testing"), env={"PATH": "/bin"}, private=tmp_path / "p"
    )
    done = subprocess.run(made.argv, env=dict(made.env), capture_output=True, text=True, check=True)

    assert "Open: testing\n\nDo it.\n" == done.stdout


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        (AgentCommand(), ConfigError, "has no program"),
        (
            AgentCommand(argv=("no-such-program-here",), install="pipx install it"),
            AgentError,
            "is not installed",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(
    settings: AgentCommand, error: type[Exception], says: str
) -> None:
    """With the words of the configuration on how to install it."""
    with pytest.raises(error, match=says):
        CommandAgent(settings=settings).check()


@pytest.mark.parametrize(
    ("lines", "outcome", "wanted"),
    [
        ([b"hello"], {"exit_code": 0}, {"problems": (), "text": "hello", "transient": False}),
        ([b"HTTP 429 rate limit"], {"exit_code": 1}, {"transient": True}),
        ([b"no such model"], {"exit_code": 2}, {"problems": ("exit code 2: no such model",), "transient": False}),
        ([b'{"cost_usd": 0.5, "turns": 3}'], {"exit_code": 0}, {"cost_usd": 0.5, "turns": 3}),
        ([b'{"cost_usd": true, "turns": "x"}', b"{torn"], {"exit_code": 0}, {"cost_usd": None, "turns": None}),
        ([b'{"cost_usd": 0.5, "turns": 3}', b'{"cost_usd": -1, "turns": -1}', b'{"cost_usd": NaN, "turns": 1e9}',
          b'{"cost_usd": Infinity}', b'{"turns": 1' + b"0" * 400 + b"}"], {"exit_code": 0},
         {"cost_usd": 0.5, "turns": 3}),
        ([b"y" * 900_000], {"exit_code": 1}, {"text": "y" * 4000}),
        ([b"429: try again in 7s"], {"exit_code": 1}, {"transient": True, "retry_after_s": 7.0}),
    ],
)  # fmt: skip
def test_what_it_prints_is_read(
    lines: list[bytes], outcome: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Exit code 0 is the program's part only; the task needs facts."""
    reader = CommandReader()
    for line in lines:
        reader.feed(line)

    report = reader.report(Outcome(ending=Ending.EXITED, **outcome))

    assert dict(wanted) == {name: getattr(report, name) for name in wanted}


def test_the_words_of_a_line() -> None:
    """The message of a line that tells progress, any other as it is."""
    words_of = CommandAgent(settings=AgentCommand()).words_of

    assert "reads a.py" == words_of(json.dumps({"message": "reads a.py"}).encode())
    assert '{"other": 1}' == words_of(b'{"other": 1}')
