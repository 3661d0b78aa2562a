"""Which gates run, in which order, and what they are told about the push."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import Governed, gate, policy
from tests.kit.tables import few

NOTE = 'echo {} >> "$COUNT"'


def noted(g: Governed) -> list[str]:
    return g.count.read_text().split() if g.count.exists() else []


def test_gates_are_told_what_is_pushed(govern: Callable[..., Governed]):
    """As variables and in the command; a new branch counts from where it left the base."""
    seen = 'echo "$ORCHESTRATOR_FROM $ORCHESTRATOR_TO $ORCHESTRATOR_REF $ORCHESTRATOR_REMOTE" > "$COUNT"'
    g = govern(
        policy(
            gate("variables", f'{seen}; cat "$ORCHESTRATOR_FILES" > "$COUNT.files"'),
            gate("command", 'echo {from} {to} {ref} {remote} > "$COUNT.words"; ls {files} > "$COUNT.ls"'),
        )
    )
    start = g.git("rev-parse", "main")
    g.branch("task", {"a b": "1", "-n": "2"})
    g.git("rm", "-q", "f")
    first = g.commit({"sub/x": "3"})
    assert 0 == g.push("origin", "task").code
    assert f"{start} {first} refs/heads/task origin" == g.count.read_text().strip()
    assert g.count.read_text() == Path(f"{g.count}.words").read_text()
    assert ["-n", "a b", "sub/x"] == Path(f"{g.count}.files").read_text().splitlines()
    assert ["./-n", "a b", "sub/x"] == sorted(Path(f"{g.count}.ls").read_text().splitlines())

    second = g.commit({"sub/y": "4"})
    assert 0 == g.push("origin", "task").code

    assert f"{first} {second} refs/heads/task origin" == g.count.read_text().strip()
    assert "sub/y" == Path(f"{g.count}.files").read_text().strip()


def test_a_gate_about_files_passes_when_there_are_none(govern: Callable[..., Governed]):
    """`{files}` of a push that only removes something, or nothing at all."""
    g = govern(policy(gate("lint", "false {files}")))
    g.git("checkout", "-q", "-b", "task")
    g.git("rm", "-q", "f")
    g.git("commit", "-q", "-m", "gone")

    assert 0 == g.push("origin", "task").code
    g.commit({"new": "1"})
    assert g.push("origin", "task").code != 0


def test_a_refs_name_is_no_part_of_the_command(govern: Callable[..., Governed], tmp_path: Path):
    """It is the value of a variable."""
    g = govern(policy(gate("say", 'test {ref} = "$ORCHESTRATOR_REF"')))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "HEAD:refs/heads/$(touch${IFS}pwned)`touch${IFS}pwned`;'\"")

    assert 0 == done.code, done.err
    assert [] == list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    ("ref", "ran"),
    few(
        [
            ("refs/heads/task", ["all", "not-tags"]),
            ("refs/heads/hot/1", ["all", "hot", "not-tags"]),
            ("refs/tags/v1", ["all", "tags"]),
        ],
        2,
    ),
)
def test_gates_are_for_some_refs(govern: Callable[..., Governed], ref: str, ran: list[str]):
    """`only` and `skip`."""
    g = govern(
        policy(
            gate("all", NOTE.format("all")),
            gate("hot", NOTE.format("hot"), 'only: ["hot/*"]'),
            gate("tags", NOTE.format("tags"), 'only: ["refs/tags/*"]'),
            gate("not-tags", NOTE.format("not-tags"), 'skip: ["refs/tags/*"]'),
        )
    )
    g.branch("task", {"x": "1"})

    assert 0 == g.push("origin", f"HEAD:{ref}").code
    assert ran == sorted(noted(g))


def test_gates_are_for_some_remotes(govern: Callable[..., Governed], tmp_path: Path):
    """By name or URL."""
    g = govern(
        policy(
            gate("here", NOTE.format("here"), 'only: ["remote:origin"]'),
            gate("not-fork", NOTE.format("not-fork"), 'skip: ["remote:*/fork.git"]'),
            gate("fork", NOTE.format("fork"), 'only: ["remote:*/fork.git"]'),
        )
    )
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "fork.git")], check=True)
    g.branch("task", {"x": "1"})

    assert 0 == g.push(str(tmp_path / "fork.git"), "task").code
    assert ["fork"] == noted(g)
    assert 0 == g.push("origin", "task").code
    assert ["fork", "here", "not-fork"] == sorted(noted(g))


def test_one_job_at_a_time_runs_gates_as_they_are_written(govern: Callable[..., Governed]):
    """`jobs: 1`."""
    slow = 'echo {0} >> "$COUNT"; sleep 0.2; echo {0} >> "$COUNT"'
    g = govern(policy(*(gate(n, slow.format(n)) for n in "cab"), more="  jobs: 1\n"))
    g.branch("task", {"x": "1"})

    assert 0 == g.push("origin", "task").code
    assert list("ccaabb") == noted(g)


def test_fail_fast_ends_the_others(govern: Callable[..., Governed]):
    """What runs is ended, what waits is not started, and only the failure is told."""
    g = govern(
        policy(
            gate("fails", 'until test -e "$COUNT"; do sleep 0.02; done; exit 3'),
            gate("slow", f"{NOTE.format('slow')}; exec sleep 60"),
            gate("never", NOTE.format("never")),
            more="  jobs: 2\n  fail-fast: true\n",
        )
    )
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert done.seconds < 20
    assert "gate fails failed" in done.err
    assert "gate slow" in done.err
    assert "another gate failed" in done.err
    assert ["slow"] == noted(g)


def test_hook_run_takes_gates_by_name_and_all_of_them_anew(govern: Callable[..., Governed]):
    """`--gate NAME`, `--all`, and a name that there is not."""
    g = govern(policy(gate("a", NOTE.format("a")), gate("b", NOTE.format("b"))))
    g.branch("task", {"x": "1"})

    codes = [
        g.hook("run", "--gate", "a").code,
        g.hook("run").code,
        g.hook("run", "--all").code,
        g.hook("run", "--gate", "a", "--all", "HEAD").code,
    ]
    unknown = g.hook("run", "--gate", "zzz")

    assert [0, 0, 0, 0] == codes
    assert ["a", "b", "a", "b", "a"] == noted(g)[:2] + sorted(noted(g)[2:4]) + noted(g)[4:]
    assert 2 == unknown.code
    assert "there is no gate 'zzz'" in unknown.err


def test_what_gates_built_is_kept_while_the_lock_files_are_the_same(govern: Callable[..., Governed]):
    """`clean: false`; what git does not ignore goes all the same."""
    command = (
        'test ! -e left || exit 1; touch left; ls -d build >> "$COUNT" 2>/dev/null; mkdir -p build; true'
    )
    g = govern(
        policy(gate("build", command), more="  clean: false\n"), {".gitignore": "build\n", "uv.lock": "1\n"}
    )
    g.git("checkout", "-q", "-b", "task")
    seen = []
    for files in ({"x": "1"}, {"x": "2"}, {"uv.lock": "2\n"}, {"x": "3"}):
        g.commit(files)
        assert 0 == g.push("origin", "task").code
        seen.append(len(noted(g)))

    assert [0, 1, 1, 2] == seen


def test_output_is_shown_on_a_terminal_while_a_slow_gate_runs(govern: Callable[..., Governed]):
    """After two seconds, by gate and with the time; never a raw escape."""
    talk = r"printf 'early\n'; sleep 2.5; printf 'late \033[2J\n'; until test -e %s; do sleep 0.05; done"
    g = govern(policy(gate("talks", "true")))
    go = Path(f"{g.count}.go")
    g.git("checkout", "-q", "main")
    g.commit({".github/orchestrator.yml": policy(gate("talks", talk % f"'{go}'"))})
    g.git("push", "-q", "--no-verify", "origin", "main")
    g.branch("task", {"x": "1"})
    ours, theirs = pty.openpty()
    push = subprocess.Popen(
        ["git", "push", "origin", "task"], cwd=g.path, env=g.env(), stdin=subprocess.DEVNULL, stdout=theirs,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    said, until = b"", time.monotonic() + 20
    while b"late" not in said and time.monotonic() < until:
        if select.select([ours], [], [], 0.2)[0]:
            said += os.read(ours, 4096)
    running = push.poll() is None
    go.touch()
    while select.select([ours], [], [], 5)[0]:
        try:
            said += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)

    assert 0 == push.wait(20), said
    assert running
    assert b"talks" in said
    assert b"| early" in said
    assert b"| late [2J" in said
    assert b"\033[2J" not in said


def test_gates_that_may_outlast_an_ssh_connection_are_named_before(g: Governed, tmp_path: Path):
    """By what they took when they last passed; an ssh of ours stands between git and the remote."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    g.git("remote", "set-url", "origin", f"ssh://somebody@example.org{g.repo.remote}")
    g.branch("task", {"x": "1"})
    env = {"GIT_SSH_COMMAND": str(ssh), "GIT_SSH_VARIANT": "ssh"}
    quick = g.push("origin", "task", env=env)
    (g.path / ".git/orchestrator/hook/durations").write_text("95.0 check\n")
    g.commit({"x": "2"})
    slow = g.push("origin", "task", env=env)
    g.commit({"x": "3"})
    g.git("remote", "set-url", "origin", str(g.repo.remote))
    local = g.push("origin", "task")

    for done in (quick, slow, local):
        assert 0 == done.code, done.err
    assert "took 95 s last time" in slow.err
    assert "orchestrator-action hook run" in slow.err
    assert "last time" not in quick.err + local.err
    assert "check" in (g.path / ".git/orchestrator/hook/durations").read_text()
