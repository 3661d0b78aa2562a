"""A hook that was there before ours is kept, run after our pass, and put back (HOOK-CASES 32)."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import need
from tests.hook.conftest import ECHO, Governed, earlier_hook, gate, policy, tree_of
from tests.kit.repos import git
from tests.kit.tables import few


@pytest.mark.parametrize("kind", few(["script", "symlink", "0700", "no shebang"], 2))
def test_an_earlier_hook_is_kept_chained_and_restored(
    govern: Callable[..., Governed], tmp_path: Path, kind: str
):
    """Case 32: the same arguments and stdin after our pass, not at all when we refuse."""
    g = govern(install=False)
    seen = tmp_path / "seen by the old hook"
    old = g.path / ".git/hooks/pre-push"
    text = ECHO.format(seen)
    if kind == "symlink":
        (tmp_path / "elsewhere").write_text(text)
        (tmp_path / "elsewhere").chmod(0o755)
        old.symlink_to(tmp_path / "elsewhere")
    else:
        old.write_text(text.removeprefix("#!/bin/sh\n") if kind == "no shebang" else text)
        old.chmod(0o700 if kind == "0700" else 0o755)
    before = tree_of(old.parent)

    assert 0 == g.hook("install").code
    assert 0 == g.hook("install").code
    g.branch("bad", {"f": "BAD\n"})
    refused = g.push("origin", "bad")
    not_run = not seen.exists()
    g.branch("good", {"f": "GOOD 2\n"})
    allowed = g.push("origin", "good", "main:refs/heads/other")
    lines = seen.read_text().splitlines()
    status = g.hook("status")
    assert 0 == g.hook("uninstall").code

    assert refused.code != 0
    assert not_run
    assert 0 == allowed.code, allowed.err
    assert f"2 origin {g.repo.remote}" == lines[0]
    good, main = g.git("rev-parse", "good"), g.git("rev-parse", "main")
    zero = "0" * 40
    assert {
        f"refs/heads/good {good} refs/heads/good {zero}",
        f"refs/heads/main {main} refs/heads/other {zero}",
    } == set(lines[1:])
    assert 0 == status.code
    assert before == tree_of(old.parent)


def test_a_kept_hooks_failure_refuses(govern: Callable[..., Governed]):
    """Case 32: both have a word."""
    g, _ = earlier_hook(govern, "#!/bin/sh\necho old-says-no >&2\nexit 7\n")
    g.branch("good", {"f": "GOOD 2\n"})

    done = g.push("origin", "good")

    assert done.code != 0
    assert "old-says-no" in done.err
    assert "" == g.at_remote("refs/heads/good")


def test_a_kept_hook_that_git_would_ignore_is_ignored(govern: Callable[..., Governed]):
    """Case 32: not executable then, not run now."""
    g, old = earlier_hook(govern, "#!/bin/sh\nexit 7\n", 0o644)
    g.branch("good", {"f": "GOOD 2\n"})

    assert 0 == g.push("origin", "good").code
    assert 0 == g.hook("uninstall").code
    assert 0o644 == stat.S_IMODE(old.stat().st_mode)


def test_git_lfs_still_works(govern: Callable[..., Governed], tmp_path: Path):
    """Case 32: its pre-push hook uploads the objects, after our pass and not after a refusal."""
    lfs = need(shutil.which("git-lfs"), "git-lfs (a package of most systems)")
    g = govern(policy(gate("check", "! grep -q BAD f")), install=False)
    path = {"PATH": f"{lfs.parent}:{os.environ['PATH']}"}
    g.call("git", "lfs", "install", "--local", env=path)
    g.git("config", "remote.origin.url", f"file://{g.repo.remote}")
    assert 0 == g.hook("install").code
    g.git("checkout", "-q", "-b", "task")
    g.call("git", "lfs", "track", "*.bin", env=path)
    (g.path / "x.bin").write_bytes(b"\0binary\n" * 100)
    (g.path / "f").write_text("BAD\n")
    g.call("git", "add", "-A", env=path)
    g.call("git", "commit", "-q", "-m", "lfs", env=path)
    refused = g.push("origin", "task", env=path)
    stored = g.repo.remote / "lfs/objects"
    early = [p for p in stored.rglob("*") if p.is_file()]
    (g.path / "f").write_text("GOOD\n")
    g.call("git", "commit", "-q", "-a", "--amend", "-m", "lfs", env=path)
    done = g.push("origin", "task", env=path)

    assert refused.code != 0
    assert [] == early
    assert 0 == done.code, done.err
    assert 1 == len([p for p in stored.rglob("*") if p.is_file()])
    assert b"git-lfs" in git(g.repo.remote, "show", "task:x.bin").encode()
