"""What has passed is not run again, and nothing else is believed (HOOK-CASES 30 and 31)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import Governed, gate, policy
from tests.kit.tables import few

COUNTED = 'echo run >> "$COUNT"; grep -q GOOD f'


def test_the_same_tree_is_judged_once(govern: Callable[..., Governed]):
    """Case 30: another branch, an amended message, a tag, a merge without change."""
    g = govern(policy(gate("check", COUNTED)))
    g.branch("task", {"f": "GOOD 2\n"})
    assert 0 == g.push("origin", "task").code
    g.git("commit", "-q", "--amend", "-m", "another message")

    codes = [
        g.push("--force", "origin", "task").code,
        g.push("origin", "HEAD:refs/heads/other").code,
        g.push("origin", "HEAD:refs/tags/v1").code,
    ]

    assert [0, 0, 0] == codes
    assert 1 == g.runs


def test_failures_are_not_remembered_and_passes_are_per_gate(govern: Callable[..., Governed]):
    """Case 30: only the gate that failed runs again."""
    g = govern(policy(gate("a", 'echo a >> "$COUNT"'), gate("b", 'echo b >> "$COUNT"; test -e "$COUNT.ok"')))
    g.branch("task", {"x": "1"})
    first, second = g.push("origin", "task"), g.push("origin", "task")
    Path(f"{g.count}.ok").touch()
    third = g.push("origin", "task")

    assert [False, False, True] == [d.code == 0 for d in (first, second, third)]
    assert ["a", "b", "b", "b"] == sorted(g.count.read_text().split())


def test_a_changed_gate_is_another_gate(govern: Callable[..., Governed]):
    """Case 30: the key holds the command."""
    g = govern(policy(gate("check", COUNTED)))
    g.git("checkout", "-q", "-b", "task")
    assert 0 == g.push("origin", "task").code
    g.git("checkout", "-q", "main")
    g.commit({".github/orchestrator.yml": policy(gate("check", f"{COUNTED} && false"))})
    g.git("push", "-q", "--no-verify", "origin", "main")

    done = g.push("origin", "task:again")

    assert done.code != 0
    assert 2 == g.runs


def test_a_named_variable_and_a_tool_belong_to_the_key(govern: Callable[..., Governed], tmp_path: Path):
    """Case 30: another value, or another program of the same name, is another question."""
    tools = tmp_path / "tools"
    tools.mkdir()
    tool = tools / "my-tool"
    tool.write_text('#!/bin/sh\necho run >> "$COUNT"\n')
    tool.chmod(0o755)
    g = govern(policy(gate("check", "my-tool", "env: [MODE]")))
    path = f"{tools}:{g.env()['PATH']}"
    g.git("checkout", "-q", "-b", "task")

    def push(name: str, mode: str) -> int:
        assert 0 == g.push("origin", f"task:{name}", env={"PATH": path, "MODE": mode}).code
        return g.runs

    counts = [push("a", "1"), push("b", "1"), push("c", "2"), push("d", "1")]
    tool.write_text('#!/bin/sh\necho run >> "$COUNT"; : upgraded\n')
    counts += [push("e", "1")]

    assert [1, 1, 2, 2, 3] == counts


def test_inputs_decide_whether_a_pass_still_counts(govern: Callable[..., Governed]):
    """Case 31: docs only → not again; a source, a lock file, a mode, a rename → again."""
    files = {"src/a.py": "1\n", "docs/x.md": "x\n", "uv.lock": "1\n"}
    g = govern(policy(gate("check", 'echo run >> "$COUNT"', 'inputs: ["src/**"]')), files)
    g.git("checkout", "-q", "-b", "task")

    def push() -> int:
        assert 0 == g.push("origin", "task").code
        return g.runs

    counts = [push()]
    g.commit({"docs/x.md": "changed\n", "README.md": "new\n"})
    counts.append(push())
    g.commit({"src/a.py": "2\n"})
    counts.append(push())
    g.commit({"uv.lock": "2\n"})
    counts.append(push())
    (g.path / "src/a.py").chmod(0o755)
    g.git("commit", "-q", "-a", "-m", "mode")
    counts.append(push())
    g.git("mv", "src/a.py", "src/b.py")
    g.git("commit", "-q", "-m", "rename")
    counts.append(push())
    g.git("rm", "-q", "docs/x.md")
    g.git("commit", "-q", "-m", "docs gone")
    counts.append(push())

    assert [1, 1, 2, 3, 4, 5, 5] == counts


def test_hook_run_first_makes_the_push_instant(govern: Callable[..., Governed]):
    """Case 31: the same key, asked from the command line, in the checkout or below it."""
    g = govern(policy(gate("check", COUNTED), gate("more", COUNTED)), {"sub/x": "x"})
    g.branch("task", {"f": "GOOD 2\n"})
    ran = g.hook("run", "HEAD", cwd=g.path / "sub")

    done = g.push("origin", "task")

    assert 0 == ran.code, ran.err
    assert 0 == done.code, done.err
    assert 2 == g.runs


def test_hook_run_says_what_failed_and_what_is_unknown(govern: Callable[..., Governed]):
    """The exit code is the verdict."""
    g = govern()
    g.branch("task", {"f": "BAD\n"})

    failed, unknown = g.hook("run", "task"), g.hook("run", "no-such-ref")

    assert 1 == failed.code
    assert "gate check failed" in failed.err
    assert "nothing was pushed" not in failed.err
    assert 5 == unknown.code
    assert "no-such-ref" in unknown.err
    assert 0 == g.hook("run", "main").code


@pytest.mark.parametrize(
    "harm", few([b"", b"pass", b"torn", b"pass x y 1 0000000000000000\n", "swap", "directory"], 3)
)
def test_a_torn_record_is_a_miss(govern: Callable[..., Governed], harm: bytes | str):
    """Case 31."""
    g = govern(policy(gate("check", COUNTED)))
    g.git("checkout", "-q", "-b", "task")
    assert 0 == g.push("origin", "task").code
    [record] = (g.path / ".git/orchestrator/hook/passes").iterdir()
    whole = record.read_bytes()
    match harm:
        case "swap":
            record.write_bytes(whole[:-3])
        case "directory":
            record.unlink()
            record.mkdir()
        case _:
            record.write_bytes(harm if isinstance(harm, bytes) else harm.encode())

    done = g.push("origin", "task:again")

    assert 0 == done.code, done.err
    assert 2 == g.runs


def test_a_torn_policy_is_compiled_again(govern: Callable[..., Governed]):
    """Case 31: cut anywhere, it is read from the blob again."""
    g = govern(policy(gate("check", "false")))
    g.git("checkout", "-q", "-b", "task")
    assert g.push("origin", "task").code != 0
    [kept] = (g.path / ".git/orchestrator/hook/policy").iterdir()
    whole = kept.read_bytes()

    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        kept.write_bytes(whole[:cut])
        assert g.push("origin", "task").code != 0
        assert whole == kept.read_bytes()
    kept.write_bytes(b"orchestrator pre-push policy 1\nunknown\tfield\nend\t2\n")
    assert g.push("origin", "task").code != 0
    assert whole == kept.read_bytes()
