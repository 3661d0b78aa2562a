"""Whole runs with the real CLIs of other agents: an honest session is verified, a lying one is refuted."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from orchestrator_action.protocol.phases import IDS
from tests.conftest import NPM, need
from tests.kit.headless import KEY, PLAYED, SPEAKING_ACP, cli_env
from tests.kit.messages_api import Fault, MessagesApi, Say, Script, bash, by_session, messages_api, steps
from tests.kit.repos import Repo
from tests.kit.whole import LIBRARY, House, Ran, house

pytestmark = [pytest.mark.npm, pytest.mark.slow, pytest.mark.timeout(300)]

TEST = r"""cat >tests/test_triple.py <<'PY'
import unittest

from numbers_ import triple


class Triple(unittest.TestCase):
    def test_triple(self):
        self.assertEqual(6, triple(2))
PY"""
HONEST = r"printf '\n\ndef triple(n):\n    return n * 3\n' >>numbers_.py"
LYING = r"printf '\n\ndef triple(n):\n    return n * 3\n\n\ndef double(n):\n    return n * 3\n' >>numbers_.py"

SKIPPING = (
    LYING
    + r"; sed -i 's/    def test_double/    @unittest.skip(\"flaky\")\n    def test_double/' tests/test_numbers.py"
)
LONGER = r"printf '\n\ndef triple(n):\n    doubled = n + n\n    more = n + doubled\n    return more\n' >>numbers_.py"


def claim(phase: str, more: str = "") -> Say:
    return bash(f"orchestrator-phase done {phase} {more}".strip())


def session(change: str, last: Say = Say("All tests pass. Everything is done.")) -> Script:  # noqa: B008
    """All eleven phases, whatever the answers were."""
    commit = (
        r"printf '\n- `triple(n)` is three times n.\n' >>README.md; git add -A && git commit -qm 'Add triple'"
    )
    return steps(
        claim("initial-setup"), claim("issue-creation"), claim("branch-management"),
        claim("research-and-planning", "--note 'change `numbers_.py` and `README.md`'"),
        bash(f"{change}\n{TEST}\n{commit}"), claim("implementation"), claim("testing"), claim("documentation"),
        claim("pull-request", "--note 'Add triple'"), claim("review"), claim("review-response"),
        claim("settings-update"), last,
    )  # fmt: skip


WITH_ACP = "acp-opencode"
"""One program that speaks ACP goes the whole way, too."""


@pytest.fixture(params=[*PLAYED, WITH_ACP])
def play(
    request: pytest.FixtureRequest, make: Callable[..., Repo], tmp_path: Path
) -> Iterator[Callable[..., tuple[Ran, House, MessagesApi]]]:
    """Run one issue with an agent's real CLI against a script."""
    played = (PLAYED | SPEAKING_ACP)[request.param]
    program = need(NPM / played.program, f"the {request.param} CLI")
    name = "acp" if played.acp else request.param
    (tmp_path / "h").mkdir()
    settings = f"agent: {name}\nagent-args: {list(played.args)}\nretries: 0\nreminders: 0\n"
    if played.acp:
        started = {"argv": [str(program), *played.acp], "env": list(played.address(""))}
        settings += f"agent-command: {json.dumps(started)}\n"
    settings += "prices: [{model: scripted, input: 1, output: 5}]\n"
    files = {**LIBRARY, ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + settings}
    home = house(tmp_path, make(files))
    home.issue(1, "Add triple", "Please add `triple(n)`.")

    def run(author: Script, *faults: Fault, more: Sequence[str] = ()) -> tuple[Ran, House, MessagesApi]:
        reviewer = steps(Say('{"findings": []}'))
        with messages_api(
            by_session(("You review one change", reviewer), ("", author)), faults=faults
        ) as api:
            home.env = {**cli_env(tmp_path / "h", program.parent), **played.address(api.url)}
            way = ("run", "--forge", f"local:{home.forge}", "--agent", name, "--json", *more)
            return (
                home.cli(*way, timeout=280),
                home,
                api,
            )  # a CLI's own start takes seconds where cores are few

    yield run
    home.assert_tidy()


def test_an_honest_session_is_verified(play: Callable[..., tuple[Ran, House, MessagesApi]]) -> None:
    """Within the walls all eleven phases hold, the review is of the same make, and the key is in no file of the run."""
    need(shutil.which("bwrap"), "bubblewrap")
    ran, home, api = play(session(HONEST))

    task = ran.task("issue-1")
    log = (home.run_dir / "tasks" / "issue-1" / "agent.log").read_text()
    assert (0, "success") == (ran.code, task["status"]), f"{ran.err}\n{log}"
    assert "sandboxed" == ran.report["isolation"]["level"], ran.report["isolation"]
    assert dict.fromkeys(IDS, "proven") == {p["phase"]: p["state"] for p in task["phases"]}
    assert task["turns"] >= 13
    assert any("You review one change" in r.first for r in api.requests)
    assert [] == [f for f in home.run_dir.rglob("*") if f.is_file() and KEY.encode() in f.read_bytes()]
    assert "claims testing" in home.cli("logs", "issue-1").out


@pytest.mark.parametrize(
    "change", [LYING, SKIPPING], ids=["breaks what it says it left alone", "skips the test that it breaks"]
)
def test_a_lying_session_is_refuted(play: Callable[..., tuple[Ran, House, MessagesApi]], change: str) -> None:
    """It says that all tests pass, and its process ends well."""
    ran, home, _ = play(session(change))

    task = ran.task("issue-1")
    assert (1, "failed") == (ran.code, task["status"]), ran.err
    assert "refuted" == ran.state("issue-1", "testing")
    assert "All tests pass" in home.cli("logs", "issue-1").out


def test_a_refused_key_is_told_as_that(play: Callable[..., tuple[Ran, House, MessagesApi]]) -> None:
    ran, _, _ = play(session(HONEST), Fault(status=401, message="Incorrect API key provided"))

    task = ran.task("issue-1")
    assert (1, "failed") == (ran.code, task["status"]), ran.err
    assert ["authentication"] == task["failures"]


@pytest.mark.parametrize("play", ["codex", "gemini"], indirect=True)
def test_a_budget_is_held_to_the_request(play: Callable[..., tuple[Ran, House, MessagesApi]]) -> None:
    """For agents that know no money: the request that passes the limit is the last one that the vendor sees."""
    ran, home, api = play(session(HONEST), more=["--max-budget-usd", "0.0005"])  # a request comes to 0.0002

    task = ran.task("issue-1")
    assert (1, "incomplete", ["agent-limit"]) == (ran.code, task["status"], task["failures"]), ran.err
    assert "the budget of this task is spent" in task["error"]
    [ended] = [e["data"] for e in home.events() if e["kind"] == "attempt-ended"]
    assert (3, 0.0006) == (ended["metered"]["requests"], task["cost_usd"])
    assert ended["metered"]["refused"] >= 1
    assert 3 == len(api.requests) + len(api.side_requests)


def test_another_make_goes_on_where_a_vendor_is_out_of_quota(
    make: Callable[..., Repo], tmp_path: Path
) -> None:
    """codex is told that its quota is used up; gemini, with a model of its own, does the task and is named."""
    codex, gemini = (PLAYED[name] for name in ("codex", "gemini"))
    program = need(NPM / codex.program, "the codex CLI")
    need(NPM / gemini.program, "the gemini CLI")
    settings = "agent: codex:scripted\nagent-fallback: [gemini:scripted]\nretries: 1\nreminders: 0\n"
    files = {**LIBRARY, ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + settings}
    (tmp_path / "h").mkdir()
    home = house(tmp_path, make(files))
    home.issue(1, "Add triple", "Please add `triple(n)`.")
    words = "You exceeded your current quota, please check your plan and billing details."
    script = by_session(("You review one change", steps(Say('{"findings": []}'))), ("", session(HONEST)))
    with (
        messages_api(steps(), faults=[Fault(status=429, message=words)]) as first,
        messages_api(script) as second,
    ):
        home.env = {
            **cli_env(tmp_path / "h", program.parent),
            **codex.address(first.url),
            **gemini.address(second.url),
        }
        ran = home.cli("run", "--forge", f"local:{home.forge}", "--json", timeout=280)

    task = ran.task("issue-1")
    assert (0, "success", ["quota"]) == (ran.code, task["status"], task["failures"]), ran.err
    assert ["codex:scripted", "gemini:scripted"] == task["agents"]
    [handed] = [e["data"] for e in home.events() if e["kind"] == "handed-over"]
    assert words in handed["why"]
    assert "by codex:scripted, then gemini:scripted" in " ".join(
        f.read_text() for f in home.forge.rglob("*.md")
    )
    home.assert_tidy()


@pytest.mark.parametrize(
    ("codex_does", "status", "chosen"), [(LONGER, "success", "issue-1.2"), (LYING, "success", "issue-1.2")],
    ids=["both honest", "codex lies"],
)  # fmt: skip
def test_of_two_makes_side_by_side_the_better_one_is_proposed(
    make: Callable[..., Repo], tmp_path: Path, codex_does: str, status: str, chosen: str
) -> None:
    """codex and gemini, each in its tree and with its own key kept by us; one pull request, both are named in it."""
    codex, gemini = (PLAYED[name] for name in ("codex", "gemini"))
    program = need(NPM / codex.program, "the codex CLI")
    need(NPM / gemini.program, "the gemini CLI")
    settings = "candidates: [codex:scripted, gemini:scripted]\nretries: 0\nreminders: 0\n"
    files = {**LIBRARY, ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + settings}
    (tmp_path / "h").mkdir()
    home = house(tmp_path, make(files))
    home.issue(1, "Add triple", "Please add `triple(n)`.")

    def script(change: str) -> Script:
        return by_session(("You review one change", steps(Say('{"findings": []}'))), ("", session(change)))

    with messages_api(script(codex_does)) as first, messages_api(script(HONEST)) as second:
        home.env = {
            **cli_env(tmp_path / "h", program.parent),
            **codex.address(first.url),
            **gemini.address(second.url),
        }
        ran = home.cli("run", "--forge", f"local:{home.forge}", "--json", timeout=280)

    task = ran.task("issue-1")
    assert (0, status) == (ran.code, task["status"]), ran.err
    found = {c["id"]: c for c in task["candidates"]}
    assert ["codex:scripted", "gemini:scripted"] == [c["agent"] for c in found.values()]
    assert [chosen] == [c["id"] for c in found.values() if c["chosen"]]
    assert (codex_does == LYING) is found["issue-1.1"]["refuted"]
    assert 2 == ran.report["peak_parallel"]
    assert 1 == len(list((home.forge / "pulls").glob("*/pull.md")))
    said = "\n".join(f.read_text() for f in (home.forge / "comments").rglob("*.md"))
    assert all(c["branch"] in said and f"`{c['agent']}`" in said for c in found.values())
    home.assert_tidy()


def test_with_egress_an_agent_reaches_the_proxy_of_its_model_and_nothing_else(
    make: Callable[..., Repo], tmp_path: Path
) -> None:
    """The address that it may reach is ours: the key is put in outside of its walls, and the vendor answers."""
    need(shutil.which("bwrap"), "bubblewrap")
    codex = PLAYED["codex"]
    program = need(NPM / codex.program, "the codex CLI")
    settings = f"agent: codex\nagent-args: {list(codex.args)}\nretries: 0\nreminders: 0\negress: []\n"
    (tmp_path / "h").mkdir()
    home = house(
        tmp_path,
        make({**LIBRARY, ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + settings}),
    )
    home.issue(1, "Add triple", "Please add `triple(n)`.")
    with messages_api(steps()) as other:
        port = other.url.rpartition(":")[2]
        knock = f"{sys.executable} -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 5)'"
        author = steps(bash(f"{knock} 2>/dev/null && echo reached || echo shut out"), Say("done"))
        with messages_api(author) as api:
            home.env = {**cli_env(tmp_path / "h", program.parent), **codex.address(api.url)}
            ran = home.cli("run", "--forge", f"local:{home.forge}", "--json", timeout=280)

    assert 1 == ran.code, ran.err  # it claims nothing
    [told] = api.requests[-1].last.results
    assert "shut out" in told
    assert all(any(KEY in value for value in r.headers.values()) for r in api.requests)
    home.assert_tidy()
