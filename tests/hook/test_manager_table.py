"""What reaches the hook through each hook manager, measured, is what the table of docs/hook.md says (HOOK-CASES 43)."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import need
from tests.hook.conftest import Done, Governed
from tests.hook.test_managers import PEERS, ROOT, documented
from tests.kit.tables import few

HERE = Path(sys.executable).parent
COLUMNS = (
    "a protected branch deleted",
    "a protected branch made at a pushed commit",
    "a new name for a bad commit",
    "a forced rewind of a protected branch",
    "a branch without the manager's file",
    "a linked worktree",
    "`--git-dir` from elsewhere",
)


def own_hook(g: Governed) -> None:
    assert 0 == g.hook("install").code


def by_husky(g: Governed) -> None:
    husky = need(PEERS / "husky/bin.js", "husky (npm ci --prefix benchmarks/npm)")
    need(shutil.which("node"), "node")
    assert 0 == g.call("node", str(husky)).code
    (g.path / ".husky/pre-push").write_text(documented(".husky/pre-push"))
    g.git("add", "-f", ".husky/pre-push")


def by_lefthook(g: Governed) -> None:
    tool = need(PEERS / ".bin/lefthook", "lefthook (npm ci --prefix benchmarks/npm)")
    g.more["PATH"] += f":{tool.parent}"
    (g.path / "lefthook.yml").write_text(documented("lefthook.yml"))
    assert 0 == g.call(str(tool), "install").code
    g.git("add", "lefthook.yml")


def by_pre_commit(program: str) -> Callable[[Governed], None]:
    def install(g: Governed) -> None:
        tool = need(shutil.which(program, path=str(HERE)), program)
        [published] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
        entry = published["entry"].replace("python", sys.executable, 1)
        hook = {**published, "entry": entry, "language": "system"}
        (g.path / ".pre-commit-config.yaml").write_text(
            json.dumps({"repos": [{"repo": "local", "hooks": [hook]}]})
        )
        assert 0 == g.call(str(tool), "install", "--hook-type", "pre-push").code
        g.git("add", ".pre-commit-config.yaml")

    return install


MANAGERS: dict[str, Callable[[Governed], None]] = {
    "`hook install`": own_hook,
    "husky": by_husky,
    "lefthook": by_lefthook,
    "pre-commit": by_pre_commit("pre-commit"),
    "prek": by_pre_commit("prek"),
}


def cases(g: Governed, elsewhere: Path) -> dict[str, Done]:
    """A push of each kind that must be refused, and how it ended."""
    path = str(g.path)
    found = {
        COLUMNS[0]: g.push("origin", ":release/9"),
        COLUMNS[1]: g.push("origin", "task:release/1"),
        COLUMNS[2]: g.push("origin", "sneaked:other"),
        COLUMNS[3]: g.push("--force", "origin", "main~1:release/2"),
    }
    g.git("checkout", "-q", "bare")
    found[COLUMNS[4]] = g.push("origin", "fresh:from-bare")
    g.git("checkout", "-q", "task")
    g.git("worktree", "add", "-q", "--detach", str(elsewhere / "linked"), "task")
    found[COLUMNS[5]] = g.push("origin", "fresh:from-linked", cwd=elsewhere / "linked")
    found[COLUMNS[6]] = g.call(
        "git", "--git-dir", f"{path}/.git", "--work-tree", path, "push", "origin", "fresh:from-away",
        cwd=elsewhere,
    )  # fmt: skip
    return found


def table() -> dict[str, list[str]]:
    """The table of docs/hook.md: by manager, what stands in each column."""
    text = (ROOT / "docs/hook.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^\| reaches the hook through.*(?:\n\|.*)*", text, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
    heads = rows[0][1:]
    assert heads == list(MANAGERS)
    return {name: [row[number + 1] for row in rows[2:]] for number, name in enumerate(heads)} | {
        "": [row[0] for row in rows[2:]]
    }


@pytest.mark.parametrize("manager", few(MANAGERS, 2))
def test_the_table_says_what_each_manager_passes_on(
    govern: Callable[..., Governed], tmp_path: Path, manager: str
):
    """Each case as a real push through the real manager."""
    g = govern(install=False)
    g.more["PATH"] = f"{HERE}:{os.environ['PATH']}"
    g.branch("bare", {"x": "0"})
    g.git("checkout", "-q", "main")
    MANAGERS[manager](g)
    g.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "the manager's file")
    g.git("push", "-q", "--no-verify", "origin", "main", "main:release/9", "main:release/2")
    g.branch("task", {"x": "1"})
    g.git("push", "-q", "--no-verify", "origin", "task")
    g.branch("sneaked", {"f": "BAD\n"})
    g.git("push", "-q", "--no-verify", "origin", "sneaked")
    g.branch("fresh", {"f": "BAD, and never pushed\n"})
    g.git("checkout", "-q", "task")
    before = g.remote_refs()

    measured = ["refused" if done.code else "**not seen**" for done in cases(g, tmp_path).values()]

    if "not" not in "".join(measured):
        assert before == g.remote_refs()
    if os.environ.get("TABLE"):
        print(manager, measured)
        return
    assert list(COLUMNS) == table()[""]
    assert table()[manager] == measured
