"""Set-up of the gates' tree: what a run does for its trees, for a push that has gates to run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_ALL
from tests.hook.conftest import Governed, gate, policy, processes_in, start_push, wait_for

READY = "grep -q f made && ./bin/tool"
MAKE = 'setup: ["printf f >made; mkdir -p bin; echo exit 0 >bin/tool; chmod +x bin/tool"]\n'


def with_setup(setup: str, *gates: str, isolation: str = "off") -> str:
    return setup + policy(*gates, more="  setup: true\n", isolation=isolation)


@pytest.mark.parametrize("isolation", ["off", "auto"])
def test_a_gate_finds_what_set_up_made(govern: Callable[..., Governed], isolation: str):
    """The command of the configuration runs in the gates' tree, within their walls; the checkout has nothing of it."""
    g = govern(with_setup(MAKE, gate("ready", READY), isolation=isolation), {".gitignore": "made\nbin\n"})
    g.branch("task", {"n": "1"})

    done = g.push("origin", "task")

    assert 0 == done.code, done.err
    assert "set-up: printf f >made" in done.err
    assert not (g.path / "made").exists()


def test_a_remembered_push_sets_nothing_up(govern: Callable[..., Governed], tmp_path: Path):
    """What decided is known already."""
    counted = tmp_path / "set-ups"
    g = govern(with_setup(f'setup: ["echo x >>{counted}"]\n', gate("ok", "true")))
    g.branch("task", {"n": "1"})
    first, again = g.push("origin", "task"), g.push("origin", "task:other")

    assert (0, 0) == (first.code, again.code), first.err + again.err
    assert 1 == len(counted.read_text().splitlines())


def test_a_set_up_that_fails_refuses_with_its_own_words(govern: Callable[..., Governed]):
    """No gate runs in a tree that is not ready."""
    g = govern(
        with_setup('setup: ["echo error: no such package as x; exit 3"]\n', gate("ok", "echo x >>$COUNT"))
    )
    g.branch("task", {"n": "1"})

    done = g.push("origin", "task")

    assert 0 != done.code
    assert "exit 3: error: no such package as x" in done.err
    assert "nothing was pushed" in done.err
    assert "Traceback" not in done.err
    assert 0 == g.runs


def test_a_set_up_that_takes_too_long_is_ended(govern: Callable[..., Governed]):
    """By `setup-timeout`; nothing of it runs on."""
    g = govern("setup-timeout: 1s\n" + with_setup('setup: ["sleep 1000"]\n', gate("ok", "true")))
    g.branch("task", {"n": "1"})

    done = g.push("origin", "task")

    assert 0 != done.code
    assert "timeout" in done.err
    assert [] == processes_in(g.cache)


def test_a_killed_push_leaves_no_set_up(govern: Callable[..., Governed]):
    """SIGKILL of git while packages are installed: as for a gate, nothing of it lives a moment later."""
    g = govern(
        with_setup('setup: ["touch begun; sleep 1000"]\n', gate("ok", "true")), {".gitignore": "begun\n"}
    )
    g.branch("task", {"n": "1"})
    push = start_push(g)
    wait_for(lambda: any((tree / "begun").exists() for tree in g.trees()), "no set-up")

    push.kill()
    push.communicate()

    wait_for(lambda: not processes_in(g.cache), "a set-up outlived its push", 5.0)


def test_packages_are_installed_once_for_a_lock_file(govern: Callable[..., Governed]):
    """As detected: by `npm ci`; the next tree gets a copy, and another lock file another installation."""
    if shutil.which("npm") is None:
        (pytest.fail if REQUIRE_ALL else pytest.skip)("no npm here")
    package = '{"name": "p", "version": "1.0.0", "dependencies": {"dep": "file:dep"}}'
    lock = (
        '{"name": "p", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "p", "version": "1.0.0", '
        '"dependencies": {"dep": "file:dep"}}, "dep": {"version": "1.0.0"}, "node_modules/dep": {"resolved": "dep", '
        '"link": true}}}'
    )
    g = govern(
        with_setup("", gate("loads", """node -e 'require("dep")'""")),
        {
            "package.json": package, "package-lock.json": lock, ".gitignore": "node_modules\n",
            "dep/package.json": '{"name": "dep", "version": "1.0.0"}', "dep/index.js": "",
        },
    )  # fmt: skip
    g.branch("task", {"n": "1"})
    first = g.push("origin", "task")
    g.commit({"n": "2"})
    second = g.push("origin", "task")
    g.commit({"dep/index.js": "throw new Error('broken')"})
    third = g.push("origin", "task")

    assert (0, 0) == (first.code, second.code), first.err + second.err
    assert "set-up: npm ci" in first.err
    assert "set-up" not in second.err
    assert 0 != third.code, "the package of the pushed commit is what is loaded"


def test_a_changed_script_of_the_set_up_is_a_reason_to_run_again(govern: Callable[..., Governed]):
    """Of a gate with `inputs` as well, as the gate's own script is."""
    g = govern(
        with_setup("setup: [./ready]\n", gate("made", "test -e made", "inputs: ['src/**']")),
        {".gitignore": "made\n", "ready": "#!/bin/sh\ntouch made\n", "src/a": "1"},
    )
    (g.path / "ready").chmod(0o755)
    g.branch("task", {"n": "1"})
    assert 0 == g.push("origin", "task").code
    g.commit({"ready": "#!/bin/sh\ntrue\n"})

    done = g.push("origin", "task")

    assert 0 != done.code
    assert "gate made failed" in done.err
