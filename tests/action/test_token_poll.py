"""No process but ours holds the token at any time: seen by pollers over all of /proc, root among them."""

from __future__ import annotations

import base64
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.kit.github_server import TOKEN, GitHubServer
from tests.kit.repos import Repo
from tests.kit.runner import checked_out, wait_for
from tests.kit.unprivileged import Unprivileged, as_nobody, give_away, unprivileged
from tests.kit.whole import LIBRARY, new_file

POLL = Path(__file__).with_name("poll.py")
TASKS = 8
ROUNDS = 20
"""At least so often everybody must have looked for not finding anything to mean something."""
ROUNDS_OF_A_TEST = 3
"""A task's own tests look so often each time they are run."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def needles(token: str) -> list[str]:
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return [f"{text[:9]},{text[9:]}" for text in (token, basic)]


class Poller:
    """A poller as a process, as root where the tests are root, or as the user of the run."""

    def __init__(self, out: Path, needles: list[str], folders: list[Path], **who: Any) -> None:
        self.out, self.stop = out, out.with_name(f"{out.name}-stop")
        argv = [
            "/usr/bin/python3",
            "-I",
            str(POLL),
            str(out),
            str(self.stop),
            *needles,
            "--",
            *map(str, folders),
        ]
        self.process = subprocess.Popen(argv, **who)

    def found(self) -> tuple[int, str]:
        """How often it looked, and what it found."""
        self.stop.touch()
        assert 0 == self.process.wait(60)
        seen = self.out / "found"
        return (self.out / "rounds").stat().st_size, seen.read_text() if seen.exists() else ""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_eight_pushing_tasks_show_the_token_to_nobody(make, open_tmp: Path, python: Path):
    """Neither to root nor to the same user, nor to the tests of the tasks themselves: environments, command
    lines, descriptors of all processes, files of the run. The first look comes when the run has begun: what a
    shell gave to the program is there until Python has started."""
    token = f"ghs_underattack{uuid.uuid4().hex}"
    loot, home = open_tmp / "loot", open_tmp / "home"
    for folder in (loot, home):
        folder.mkdir()
        folder.chmod(0o777)
    script = open_tmp / "look.sh"
    words = " ".join(f"'{n}'" for n in needles(token))
    script.write_text(
        f"out={loot}/test-$$\n/usr/bin/python3 -I {POLL} $out $out-stop {words} -- & p=$!\n"
        f"until [ $(cat $out/rounds 2>/dev/null | wc -c) -ge {ROUNDS_OF_A_TEST} ]; do sleep 0.05; done\n"
        "touch $out-stop; wait $p; exec /usr/bin/python3 -m unittest discover\n"
    )
    # Without walls, for within them a test sees its own processes only, and there would be nothing to find.
    config = f"agent: patch\nisolation: off\ntest: sh {script}\n"
    library = make({**LIBRARY, ".github/orchestrator.yml": config})
    with GitHubServer(library.remote) as github:
        github.token = token
        github.state.tokens[token] = github.state.tokens[TOKEN]
        temp = open_tmp / "runner-temp"
        temp.mkdir()
        work = Repo(checked_out(github, library, open_tmp / "work").path, library.remote)
        runner = Unprivileged(github, work, temp)
        runner.python = python
        runner.env = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(temp)}
        for folder in (work.path, home):
            give_away(folder)
        numbers = [
            github.state.add_issue(
                f"Task {n}", new_file(f"new{n}.py"), user="octo", labels=("orchestrate",)
            ).number
            for n in range(TASKS)
        ]
        step, _files = runner.start(max_parallel=str(TASKS))
        wait_for(lambda: github.state.comments, "the run has begun")
        places = [work.path / ".git", temp, home]
        pollers = [Poller(loot / "user", needles(token), places, **as_nobody())]
        if not unprivileged():
            pollers.append(Poller(loot / "root", needles(token), places))
        log, _ = step.communicate(timeout=280)
        pushed = [i for i in github.state.issues.values() if i.pull]

    looked = [poller.found() for poller in pollers]
    by_tests = [p for p in loot.glob("test-*") if p.is_dir()]
    assert TASKS == len(pushed), log
    assert TASKS <= len(by_tests) and len(numbers) == TASKS
    assert all((p / "rounds").stat().st_size >= ROUNDS_OF_A_TEST for p in by_tests)
    assert "" == "".join(found for _, found in looked)
    assert [] == [p.read_text() for p in loot.glob("test-*/found")]
    assert min(rounds for rounds, _ in looked) >= ROUNDS, looked


def test_the_pollers_are_not_blind(open_tmp: Path):
    """They find it in the environment of a program that does not hide it, in a command line, and in a file."""
    token = f"ghs_underattack{uuid.uuid4().hex}"
    (open_tmp / "kept").write_text(token)
    careless = subprocess.Popen(
        ["/bin/sh", "-c", "read line", token], env={"TOKEN": token}, stdin=subprocess.PIPE, **as_nobody()
    )
    loot = open_tmp / "loot"
    loot.mkdir(mode=0o777)
    loot.chmod(0o777)
    try:
        poller = Poller(loot / "user", needles(token), [open_tmp], **as_nobody())
        wait_for(lambda: (loot / "user/rounds").exists(), "a look")
        _, found = poller.found()
    finally:
        careless.communicate(b"\n", timeout=10)

    for kind in (f"environ of {careless.pid}", f"cmdline of {careless.pid}", f"file {open_tmp}/kept"):
        assert kind in found, found
