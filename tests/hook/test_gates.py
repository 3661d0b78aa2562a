"""Gates: parallel, bounded, and ended with whoever waits for them (HOOK-CASES 26 to 29)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.process import table as procs
from tests.hook.conftest import CHECK, Governed, gate, policy, processes_in, start_push, wait_for
from tests.kit.repos import make_repo
from tests.kit.tables import few

HOLD = 'echo run >> "$COUNT"; exec sleep 60'


def test_gates_run_in_parallel(govern: Callable[..., Governed]):
    """Case 26: three of one second in under two."""
    g = govern(policy(gate("warm", "true")))
    g.branch("task", {"x": "1"})
    assert 0 == g.push("origin", "task").code
    g.git("checkout", "-q", "main")
    g.commit({".github/orchestrator.yml": policy(*(gate(f"g{i}", "sleep 1") for i in range(3)))})
    g.git("push", "-q", "--no-verify", "origin", "main")
    assert 0 == g.hook("run", "main").code  # compiles the policy
    g.branch("next", {"y": "1"})

    done = g.push("origin", "next")

    assert 0 == done.code, done.err
    assert 1.0 <= done.seconds < 2.0


def test_only_the_failing_gate_speaks(govern: Callable[..., Governed]):
    """Case 26: its tail, its full log, how to repeat it, and that nothing was pushed."""
    noisy = "for i in $(seq 500); do echo line-$i; done; exit 3"
    g = govern(
        policy(gate("quiet", "echo not-shown"), gate("noisy", noisy), gate("other", "echo hidden >&2"))
    )
    commit = g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert "line-500" in done.err
    assert "line-5\n" not in done.err
    assert "not-shown" not in done.err
    assert "hidden" not in done.err
    assert "noisy" in done.err
    assert "exit 3" in done.err
    assert f"orchestrator-action hook run {commit[:12]}" in done.err
    assert "nothing was pushed" in done.err
    [log] = [line.split("full log: ")[1] for line in done.err.splitlines() if "full log: " in line]
    assert [f"line-{i}" for i in range(1, 501)] == Path(log).read_text().splitlines()


def test_output_cannot_move_the_users_cursor(govern: Callable[..., Governed]):
    """Escape sequences and binary garbage come out harmless."""
    g = govern(policy(gate("rude", r"printf 'a\033[2Jb\007\377\000c\r\n'; exit 1")))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert not set("\033\007\0") & set(done.err)


def test_a_gates_stdin_is_empty(govern: Callable[..., Governed]):
    """Case 27: it neither waits nor eats the ref lines."""
    g = govern(policy(gate("reads", 'test -z "$(cat)"')))
    g.branch("task", {"x": "1"})

    assert 0 == g.push("origin", "task").code


@pytest.mark.parametrize(
    "tree",
    few(
        [
            "sleep 60",
            "sleep 60 & sleep 60 & wait",
            "trap '' TERM INT HUP; while :; do sleep 1; done",
            "setsid sleep 60 & wait",
            "(setsid sh -c 'sleep 60 & sleep 60' &) ; sleep 60",
            "(env -i /usr/bin/setsid /bin/sleep 60 &); sleep 60",
            "kill -STOP $$",
        ],
        2,
    ),
)
def test_a_time_out_ends_the_whole_tree_and_refuses(govern: Callable[..., Governed], tree: str):
    """Case 27; the fixture asserts that no process is left."""
    g = govern(policy(gate("slow", tree, "timeout: 0.5"), gate("check", CHECK)))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert "timed out" in done.err
    assert "slow" in done.err
    assert [] == processes_in(g.cache)
    assert "" == g.at_remote("refs/heads/task")


@pytest.mark.slow
def test_the_limit_for_all_gates_holds(govern: Callable[..., Governed]):
    """ssh remotes hang up: the whole push has a limit, too."""
    g = govern(policy(gate("slow", "sleep 60"), more="  timeout: 0.5\n"))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert "limit for all gates" in done.err


@pytest.mark.parametrize(
    ("command", "words"),
    [("no-such-tool --x", "not found"), ("./not-executable", "not executable"), ("kill -9 $$", "signal 9")],
)
def test_a_gate_that_cannot_be_run_is_named_and_refuses(
    govern: Callable[..., Governed], command: str, words: str
):
    """Case 27: missing is an error, not a pass."""
    g = govern(policy(gate("broken", command)), {"not-executable": "x\n"})
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert "broken" in done.err
    assert words in done.err
    assert command.split()[0] in done.err


ENDS = {
    "SIGINT to the group": lambda push: os.killpg(push.pid, signal.SIGINT),
    "SIGTERM to git": lambda push: push.send_signal(signal.SIGTERM),
    "SIGKILL to git": lambda push: push.send_signal(signal.SIGKILL),
    "SIGHUP to the group": lambda push: os.killpg(push.pid, signal.SIGHUP),
    "SIGKILL to the group": lambda push: os.killpg(push.pid, signal.SIGKILL),
}


@pytest.mark.parametrize("how", few(ENDS, 2))
@pytest.mark.parametrize(
    "command", few([HOLD, f"trap '' TERM INT HUP; {HOLD}", f"(setsid sh -c '{HOLD}' &); {HOLD}"], 2)
)
def test_the_end_of_the_push_is_the_end_of_its_gates(govern: Callable[..., Governed], how: str, command: str):
    """Case 28: within one second, nothing remembered, nothing pushed."""
    g = govern(policy(gate("hold", command), gate("quick", "true")))
    g.branch("task", {"x": "1"})
    push = start_push(g)
    wait_for(lambda: g.runs >= command.count("echo run"), "the gate never started")

    ENDS[how](push)
    asked_at = time.monotonic()
    wait_for(lambda: not processes_in(g.cache), "a gate outlived its push", 5.0)
    seconds = time.monotonic() - asked_at
    push.communicate(timeout=20)

    assert seconds < 1.0
    assert push.returncode != 0
    assert "" == g.at_remote("refs/heads/task")
    passes = g.path / ".git/orchestrator/hook/passes"
    assert [] == (list(passes.iterdir()) if passes.exists() else [])


def test_the_hooks_own_death_ends_the_gates(govern: Callable[..., Governed]):
    """Case 28: also when only the hook's process is killed."""
    g = govern(policy(gate("hold", HOLD)))
    g.branch("task", {"x": "1"})
    push = start_push(g)
    wait_for(lambda: g.runs, "the gate never started")
    children = Path(f"/proc/{push.pid}/task/{push.pid}/children").read_text().split()
    hooks = [int(c) for c in children if b"pre-push" in procs.slurp(f"/proc/{c}/cmdline")]

    for pid in hooks:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not processes_in(g.cache), "a gate outlived the hook", 2.0)
    push.communicate(timeout=20)

    assert hooks
    assert push.returncode != 0
    assert "" == g.at_remote("refs/heads/task")


def test_a_terminals_interrupt_is_a_refusal(govern: Callable[..., Governed]):
    """Case 28: the words on stderr after Ctrl-C."""
    g = govern(policy(gate("hold", HOLD)))
    g.branch("task", {"x": "1"})
    push = start_push(g)
    wait_for(lambda: g.runs, "the gate never started")

    os.killpg(push.pid, signal.SIGINT)
    _, err = push.communicate(timeout=20)

    assert "nothing was pushed" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "child",
    few(
        [
            "sleep 60 &",
            "setsid sleep 60 >&2 &",
            "(env -i /usr/bin/setsid /bin/sleep 60 &);",
            "nohup sleep 60 >&2 &",
        ],
        2,
    ),
)
def test_a_background_child_does_not_hold_the_push(govern: Callable[..., Governed], child: str):
    """Case 29: it holds stderr, and is ended with its gate."""
    g = govern(policy(gate("leaves", f"{child} true")))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert 0 == done.code, done.err
    assert done.seconds < 5.0
    assert [] == processes_in(g.cache)


def test_a_leftover_of_one_gate_is_ended_and_the_others_go_on(govern: Callable[..., Governed]):
    """Case 29: a server a gate leaves does not live on beside the gates that still run."""
    leaves = 'sleep 60 & echo $! > "$COUNT"'
    waits = 'until test -s "$COUNT"; do sleep 0.02; done; n=0; while kill -0 $(cat "$COUNT") 2>/dev/null; '
    g = govern(policy(gate("leaves", leaves), gate("waits", f"{waits} do sleep 0.02; done")))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert 0 == done.code, done.err


@pytest.mark.parametrize("clean", few(["", 'env -i PATH="$PATH" HOME="$HOME" COUNT="$COUNT" '], 1))
def test_a_gate_that_pushes_does_not_recurse(govern: Callable[..., Governed], clean: str):
    """Case 29: the inner push runs no gates again, and policy still holds for it."""
    inner = f"{clean}git push -q origin HEAD:refs/heads/inner; ! {clean}git push -q origin HEAD:main"
    g = govern(policy(gate("pushes", f'echo run >> "$COUNT"; {inner}')))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert 0 == done.code, done.err
    assert 1 == g.runs
    assert g.at_remote("refs/heads/inner") == g.at_remote("refs/heads/task")


def test_a_gate_inherits_no_descriptor_of_the_caller(govern: Callable[..., Governed]):
    """Case 29: a pipe somebody reads to its end is not held open by a gate."""
    g = govern(policy(gate("fds", 'ls /proc/self/fd > "$COUNT"')))
    g.branch("task", {"x": "1"})
    reader, writer = os.pipe()
    try:
        done = subprocess.run(
            ["git", "push", "origin", "task"], cwd=g.path, env=g.env(), pass_fds=[writer],
            capture_output=True, timeout=30, check=False,
        )  # fmt: skip
    finally:
        os.close(reader)
        os.close(writer)

    assert 0 == done.returncode
    assert str(writer) not in g.count.read_text().split()


def test_links_bring_untracked_directories_into_the_slot(govern: Callable[..., Governed]):
    """`link: [node_modules]`; workspaces in it lead into the slot, not to the dirty checkout."""
    command = "cd node_modules && grep -q DEP dep/x && grep -q GOOD own/f && grep -q GOOD @s/own/f"
    g = govern(
        policy(gate("linked", command, "link: [node_modules]")),
        {"packages/own/f": "GOOD\n", ".gitignore": "node_modules\n"},
    )
    modules = g.path / "node_modules"
    (modules / "dep").mkdir(parents=True)
    (modules / "dep/x").write_text("DEP\n")
    (modules / "@s").mkdir()
    (modules / "own").symlink_to("../packages/own")
    (modules / "@s/own").symlink_to("../../packages/own")
    g.branch("bad", {"packages/own/f": "BAD\n"})
    (g.path / "packages/own/f").write_text("GOOD\n")
    bad = g.push("origin", "bad")
    g.git("checkout", "-q", "-f", "main")
    g.branch("good", {"x": "1"})
    (g.path / "packages/own/f").write_text("BAD\n")
    good = g.push("origin", "good")
    again = g.push("origin", "HEAD:again")

    assert bad.code != 0
    assert 0 == good.code == again.code, good.err
    assert "DEP\n" == (modules / "dep/x").read_text()


def with_submodule(govern: Callable[..., Governed], tmp_path: Path, command: str) -> Governed:
    """A repository with this gate, on a branch to which a submodule `sub` was added."""
    sub = make_repo(tmp_path / "sub", {"s": "1\n"})
    g = govern(policy(gate("check", command)))
    g.git("checkout", "-q", "-b", "task")
    g.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(sub.remote), "sub")
    return g


@pytest.mark.slow
def test_a_submodules_leftovers_do_not_reach_the_next_commit(govern: Callable[..., Governed], tmp_path: Path):
    """Case 17: `git clean` leaves the inside of submodules alone, so we do not."""
    g = with_submodule(govern, tmp_path, "test ! -e sub/left && touch sub/left")
    g.commit({"x": "1"})
    first = g.push("origin", "task")
    g.commit({"x": "2"})
    second = g.push("origin", "task")

    assert 0 == first.code, first.err
    assert 0 == second.code, second.err


@pytest.mark.slow
def test_a_submodule_that_is_gone_takes_its_leftovers_along(govern: Callable[..., Governed], tmp_path: Path):
    """Case 17: the next commit has no submodule, so its directory is not there."""
    g = with_submodule(govern, tmp_path, "test ! -e gone && { test ! -d sub || touch sub/left; }")
    g.commit({"x": "1"})
    first = g.push("origin", "task")
    g.git("rm", "-q", "-f", "sub", ".gitmodules")
    g.commit({"x": "2"})
    second = g.push("origin", "task")

    assert 0 == first.code, first.err
    assert 0 == second.code, second.err
    assert not (g.tree / "sub").exists()


def test_the_slot_is_a_clean_whole_checkout_to_git_too(govern: Callable[..., Governed]):
    """A gate may ask git; a sparse checkout of the user's does not make the slot sparse."""
    command = 'test -z "$(git status --porcelain)" && git describe --always && test -e other/y'
    g = govern(policy(gate("check", command)), {"kept/x": "1", "other/y": "1"})
    g.branch("task", {"x": "1"})
    g.git("sparse-checkout", "set", "kept")
    assert not (g.path / "other").exists()

    for name in ("one", "two"):
        g.git("checkout", "-q", "-b", name)
        g.commit({f"kept/{name}": "1"})
        done = g.push("origin", name)
        assert 0 == done.code, done.err
    assert not (g.path / "other").exists()


def test_a_bug_of_ours_refuses_and_names_the_crash_file(g: Governed):
    """Never a silent pass, never a bare traceback."""
    g.branch("task", {"f": "GOOD 2\n"})
    assert 0 == g.push("origin", "main:other").code
    (g.tree.parent.parent / "owner").mkdir()  # where a file belongs

    done = g.push("origin", "task")

    assert done.code != 0
    assert "a bug in the pre-push hook" in done.err
    assert "Traceback" not in done.err
    [crash] = (g.path / ".git/orchestrator/hook").glob("crash-*")
    assert str(crash) in done.err
    assert "Traceback" in crash.read_text()
