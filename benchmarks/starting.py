"""What it costs until an agent's first request: walls, supervision, broker and key proxy, for each real CLI.

Ours is the time from the attempt's start, as the journal has it, to the first request at the scripted API, in a whole
run of one task. The peer is the same program with the same arguments, started by hand in a checkout. Rounds are
interleaved; figures are medians in seconds. An agent whose program is not installed is one line that says so.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from orchestrator_action.agents.base import Agent
from orchestrator_action.agents.claude.agent import ClaudeAgent
from tests.agents.conftest import bench_of
from tests.conftest import NPM
from tests.kit.headless import PLAYED, Played, agent_of, cli_env
from tests.kit.messages_api import Say, Script, claude_env, messages_api
from tests.kit.repos import Repo, make_repo
from tests.kit.whole import LIBRARY, house

ROUNDS = 5
CLAUDE = Played(program=".bin/claude", address=lambda url: {"ANTHROPIC_BASE_URL": url})


class FirstRequest:
    """A script that says one closing word, and remembers when it was asked first, in seconds since the epoch."""

    def __init__(self) -> None:
        self.at = 0.0

    def script(self) -> Script:
        def run(_: object) -> Generator[Say, object, None]:
            self.at = self.at or time.time()
            yield Say("done")

        return run


def _agent(name: str, program: Path) -> Agent:
    return ClaudeAgent(executable=str(program)) if name == "claude" else agent_of(name, program)


def _env(name: str, root: Path, program: Path) -> dict[str, str]:
    home = root / "home"
    home.mkdir()
    env = cli_env(home, program.parent)
    return claude_env(home, path=env["PATH"]) if name == "claude" else env


def by_hand(name: str, played: Played, program: Path, root: Path) -> float:
    """Seconds from the start of the program to its first request."""
    first = FirstRequest()

    def make(files: Mapping[str, str], *, name: str) -> Repo:
        return make_repo(root / name, files)

    with (
        bench_of(_agent(name, program), root, make, _env(name, root, program), played.address) as bench,
        messages_api(first.script()) as api,
    ):
        command = bench.command(api.url)
        began = time.time()
        subprocess.run(
            command.argv, cwd=command.cwd, env=dict(command.env), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
    return first.at - began


def in_a_run(name: str, played: Played, program: Path, root: Path) -> float:
    """Seconds from the attempt's start to its first request, in a run of one task."""
    first = FirstRequest()
    settings = f"agent: {name}\nagent-args: {list(played.args)}\nretries: 0\nreminders: 0\n"
    config = {".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + settings}
    home = house(root, make_repo(root / "r", {**LIBRARY, **config}))
    home.issue(1, "Add triple", "Please add `triple(n)`.")
    with messages_api(first.script()) as api:
        home.env = {**_env(name, root, program), **played.address(api.url)}
        home.run(agent=name)
    [began] = [e["at"] for e in home.events() if e["kind"] == "attempt-started"]
    return float(first.at - began)


def main() -> None:
    print(f"starting: seconds until an agent's first request, median of {ROUNDS} interleaved rounds")
    for name, played in {"claude": CLAUDE, **PLAYED}.items():
        program = NPM / played.program
        if not program.exists():
            print(f"  {name:<10} not installed ({program}), so not measured")
            continue
        took: dict[str, list[float]] = {"hand": [], "run": []}
        for _ in range(ROUNDS):
            for kind, measure in (("hand", by_hand), ("run", in_a_run)):
                with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder:
                    took[kind].append(measure(name, played, program, Path(folder)))
        hand, ours = (statistics.median(took[kind]) for kind in ("hand", "run"))
        print(
            f"  {name:<10} by hand {hand:5.2f}   in a run {ours:5.2f}   {ours - hand:+5.2f} s   ratio {ours / hand:.2f}"
        )


if __name__ == "__main__":
    main()
