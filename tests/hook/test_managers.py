"""The real pre-commit, lefthook and husky start our hook, and it judges all ref lines."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import need
from tests.hook.conftest import Governed

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "benchmarks/npm/node_modules"


def documented(name: str) -> str:
    """What docs/hook.md says to write into that file."""
    text = (ROOT / "docs/hook.md").read_text(encoding="utf-8")
    [block] = re.findall(rf"^```\w+\n(# {re.escape(name)}\b.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(block)


@pytest.fixture
def managed(govern: Callable[..., Governed]) -> Governed:
    """A governed policy without our hook, two branches to push, and our command on PATH."""
    g = govern(install=False)
    g.more["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    g.branch("good", {"x": "1"})
    g.branch("bad", {"f": "BAD\n"})
    g.git("checkout", "-q", "main")
    return g


def judged_alike(g: Governed) -> None:
    """What every manager's line must do."""
    for refs in (["bad"], ["good", "bad"], ["bad", "good"], ["good", "good:main2", "bad:x"]):
        done = g.push("origin", *refs)
        assert done.code != 0, refs
        assert "gate check failed" in done.err + done.out, refs
    protected = g.push("origin", "good", "+bad:main")
    assert protected.code != 0
    assert "refs/heads/main is protected" in protected.err + protected.out
    assert "" == g.at_remote("refs/heads/good") == g.at_remote("refs/heads/bad")
    allowed = g.push("origin", "good", "good:good2")
    assert 0 == allowed.code, allowed.err + allowed.out


def test_pre_commit_judges_all_refs(managed: Governed):
    """pre-commit hands on the first ref only; the rest is asked of git. The entry is the published one."""
    tool = need(shutil.which("pre-commit", path=str(Path(sys.executable).parent)), "pre-commit")
    valid = managed.call(str(tool), "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))
    assert 0 == valid.code, valid.out
    [published] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    asked = yaml.safe_load(documented(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert [published["id"]] == [hook["id"] for hook in asked]
    assert published["entry"].startswith("python -I -m orchestrator_action.hook ")
    entry = published["entry"].replace("python", sys.executable, 1)
    config = {"repos": [{"repo": "local", "hooks": [{**published, "entry": entry, "language": "system"}]}]}
    (managed.path / ".git/pre-commit.yaml").write_text(json.dumps(config))
    made = managed.call(str(tool), "install", "--hook-type", "pre-push", "--config", ".git/pre-commit.yaml")
    assert 0 == made.code, made.err

    judged_alike(managed)


def test_lefthook_judges_all_refs(managed: Governed):
    """`use_stdin` hands the refs on; without {files} lefthook skips what is not checked out."""
    tool = need(PEERS / ".bin/lefthook", "lefthook (npm ci --prefix benchmarks/npm)")
    (managed.path / ".git/info/exclude").write_text("lefthook.yml\n")
    (managed.path / "lefthook.yml").write_text(documented("lefthook.yml"))
    managed.path.joinpath(".git/hooks").mkdir(exist_ok=True)
    made = managed.call(str(tool), "install", env={"LEFTHOOK_BIN": str(tool)})
    assert 0 == made.code, made.err

    managed.more["PATH"] += f":{tool.parent}"
    subprocess.run(["git", "config", "core.abbrev", "12"], cwd=managed.path, check=True)
    judged_alike(managed)


def test_husky_judges_all_refs(managed: Governed):
    """husky sets core.hooksPath; the line goes into .husky/pre-push."""
    husky = need(PEERS / "husky/bin.js", "husky (npm ci --prefix benchmarks/npm)")
    need(shutil.which("node"), "node")
    (managed.path / ".git/info/exclude").write_text(".husky\n")
    made = managed.call("node", str(husky))
    assert 0 == made.code, made.err + made.out
    (managed.path / ".husky/pre-push").write_text("true\n")
    refused = managed.hook("install")

    assert 2 == refused.code
    assert ".husky/pre-push" in refused.err
    assert 0 != managed.hook("status").code
    (managed.path / ".husky/pre-push").write_text(documented(".husky/pre-push"))
    assert 0 == managed.hook("status").code
    judged_alike(managed)


def test_pre_commit_installed_over_ours_still_runs_ours_and_the_other_way_round(managed: Governed):
    """Two managers in one repository: whoever came first is run by whoever came second."""
    tool = need(shutil.which("pre-commit", path=str(Path(sys.executable).parent)), "pre-commit")
    entry = {"id": "no", "name": "no", "entry": "false", "language": "system", "stages": ["pre-push"],
             "always_run": True, "pass_filenames": False}  # fmt: skip
    (managed.path / ".git/pre-commit.yaml").write_text(
        json.dumps({"repos": [{"repo": "local", "hooks": [entry]}]})
    )
    made = managed.call(str(tool), "install", "--hook-type", "pre-push", "--config", ".git/pre-commit.yaml")
    assert 0 == made.code, made.err
    assert 0 == managed.hook("install").code

    ours = managed.push("origin", "good", "bad")
    theirs = managed.push("origin", "good")

    assert "gate check failed" in ours.err
    assert theirs.code != 0
    assert "gate check failed" not in theirs.err
    assert 0 == managed.hook("uninstall").code
    assert b"pre-commit" in (managed.path / ".git/hooks/pre-push").read_bytes()
