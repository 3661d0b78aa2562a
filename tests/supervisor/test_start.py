"""How a program is started, and what is said when it cannot be."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import stat
from pathlib import Path

import pytest

from orchestrator_action.protocol.attempt import Ending
from tests.kit.ill import HERE
from tests.supervisor.conftest import PYTHON, Stage


def look(stage: Stage, **more: object) -> dict[str, object]:
    outcome = stage.run(stage.command(PYTHON, "-I", "-S", "-E", str(HERE / "looks.py"), **more))
    assert outcome.exit_code == 0, stage.log.read_text()
    seen: dict[str, object] = json.loads(stage.log.read_text())
    return seen


def test_a_program_is_started_clean(stage: Stage) -> None:
    """FAULTS 9, 10: descriptors 0, 1, 2; no signal blocked or ignored; own session; end of file on stdin."""
    leaked = os.open("/", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    hup = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
    try:
        seen = look(stage, env={"ONLY": "this"})
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, hup)
        os.close(leaked)

    python_itself_ignores = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    assert [0, 1, 2] == seen["fds"]
    assert 0 == seen["blocked"]
    libc_keeps = 0b11 << 31  # signals 32 and 33: no program can set them, some session leaders ignore them
    assert python_itself_ignores == seen["ignored"] & ~libc_keeps
    assert seen["leads_session"]
    assert seen["leads_group"]
    assert "" == seen["stdin"]
    assert str(stage.root) == seen["cwd"]
    assert {"PATH": os.environ["PATH"], "FOLDER": str(stage.pids.folder), "ONLY": "this"} == {
        k: v for k, v in seen["env"].items() if k != "LC_CTYPE"
    }
    assert os.sysconf("SC_OPEN_MAX") == seen["files"]


def test_arguments_and_environment_arrive_byte_for_byte(stage: Stage) -> None:
    """Whatever is in them; nothing is read by a shell."""
    odd = "$(id) `id` \"' \n\t; ünï \udcff * ~ -- -x"

    outcome = stage.run(
        stage.command(
            PYTHON,
            "-c",
            "import sys, os; print(ascii(sys.argv[1:]), ascii(os.environ['ODD']))",
            odd,
            "",
            env={"ODD": odd},
        )
    )

    assert outcome.exit_code == 0
    assert f"{[odd, '']!a} {odd!a}\n" == stage.log.read_text()


def test_no_token_of_ours_is_in_the_spawner_or_its_guards(stage: Stage) -> None:
    """An agent can read every process of its user above it, except ours: those must not hold the token."""
    parents = '$PPID $(cut -d" " -f4 /proc/$PPID/stat)'
    script = f'for p in {parents}; do tr "\\0" "\\n" < /proc/$p/environ; done; echo end'

    os.environ["FORGE_TOKEN"] = "s3cret-of-the-forge"
    try:
        outcome = stage.sh(script)
    finally:
        del os.environ["FORGE_TOKEN"]

    assert outcome.exit_code == 0
    assert "end\n" == "".join(
        line for line in stage.log.read_text().splitlines(keepends=True) if not line.startswith("LC_CTYPE")
    )


def test_a_relative_directory_is_that_of_the_caller(stage: Stage) -> None:
    """The guard itself stands in the root directory, so that it holds no worktree."""
    folder = os.path.relpath(stage.root)

    outcome = stage.run(dataclasses.replace(stage.command("pwd", "-P"), cwd=folder))

    assert 0 == outcome.exit_code
    assert f"{stage.root.resolve()}\n" == stage.log.read_text()


def made(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_program_is_looked_for_along_the_whole_path(stage: Stage) -> None:
    """As execvp(3) does it: what is no program here may be one in a later folder, with odd letters in its name too."""
    first, second = stage.root / "first", stage.root / "second é"
    for folder, mode in ((first, 0o644), (second, 0o755)):
        folder.mkdir()
        made(folder / "tool-ü", "#!/bin/sh\necho $0\n", mode)

    outcome = stage.run(stage.command("tool-ü", env={"PATH": f"{first}/tool-ü:/nowhere:{first}:{second}"}))

    assert 0 == outcome.exit_code, outcome.error
    assert f"{second}/tool-ü\n" == stage.log.read_text()


def test_a_program_that_only_some_folder_forbids_is_not_called_missing(stage: Stage) -> None:
    """The first refusal says more than the last folder without it."""
    made(stage.root / "plain", "#!/bin/sh\n", 0o644)

    outcome = stage.run(stage.command("plain", env={"PATH": f"{stage.root}:/nowhere"}))

    assert Ending.SPAWN_FAILED is outcome.ending
    assert "plain is not executable" == outcome.error


CASES = {
    "missing program": (lambda d: ["no-such-program"], "no-such-program not found in PATH"),
    "missing path": (lambda d: [str(d / "nothing")], "not found"),
    "not executable": (lambda d: [made(d / "plain", "#!/bin/sh\n", 0o644)], "not executable"),
    "a directory": (lambda d: [str(d)], "not executable"),
    "bad interpreter": (
        lambda d: [made(d / "s", "#!/no/such/interpreter\n")],
        "interpreter /no/such/interpreter",
    ),
    "no format": (lambda d: [made(d / "t", "neither script nor program\n")], "neither"),
    "too long": (lambda d: ["true", "x" * 3_000_000], "argument list too long"),
    "NUL": (lambda d: ["true", "a\0b"], "null byte"),
    "empty name": (lambda d: [""], "no program is named"),
    "no argv": (lambda d: [], "no program is named"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_started_is_named(stage: Stage, case: str) -> None:
    """FAULTS 10: an outcome with clear words, no exception, and no process."""
    argv, words = CASES[case]

    outcome = stage.run(stage.command(*argv(stage.root)))

    assert Ending.SPAWN_FAILED is outcome.ending
    assert words in outcome.error
    assert (None, None, 0) == (outcome.exit_code, outcome.signal, outcome.pid)


def test_a_directory_that_is_gone_is_named(stage: Stage) -> None:
    """FAULTS 10: the worktree was deleted under us."""
    outcome = stage.run(stage.command("true", cwd=stage.root / "gone"))

    assert Ending.SPAWN_FAILED is outcome.ending
    assert f"working directory {stage.root / 'gone'} does not exist" == outcome.error


def test_a_log_that_cannot_be_written_is_named(stage: Stage) -> None:
    """Nothing is started whose output would be lost."""
    outcome = stage.run(stage.ill("polite.sh"), log=stage.root / "no" / "log")

    assert Ending.SPAWN_FAILED is outcome.ending
    assert "no/log" in outcome.error
    assert [] == stage.pids.all()


def test_a_program_that_cannot_start_does_not_disturb_the_others(stage: Stage, background) -> None:
    """FAULTS 10: the other tasks go on."""
    good = [background(stage.sh, "sleep 0.3; exit 7") for _ in range(4)]
    bad = [background(stage.run, stage.command("no-such-program")) for _ in range(4)]

    assert {Ending.SPAWN_FAILED} == {f.result().ending for f in bad}
    assert {7} == {f.result().exit_code for f in good}


def test_programs_are_looked_for_in_their_own_path(stage: Stage) -> None:
    """PATH is the command's, not ours; a file that may not be executed does not end the search."""
    for name, mode in (("first", 0o644), ("second", 0o755)):
        (stage.root / name).mkdir()
        made(stage.root / name / "tool", f"#!/bin/sh\necho {name}\n", mode)
    path = f"{stage.root}/none:{stage.root}/first:{stage.root}/second"

    outcome = stage.run(stage.command("tool", env={"PATH": path}))

    assert outcome.exit_code == 0
    assert "second\n" == stage.log.read_text()


def test_the_log_is_private(stage: Stage) -> None:
    """Output may hold what only its owner should read."""
    stage.sh("true")

    assert 0o600 == stat.S_IMODE(stage.log.stat().st_mode)
