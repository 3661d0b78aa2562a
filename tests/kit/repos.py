"""Real repositories with a bare remote, made the way a person would."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
}


def clean_env(**more: str) -> dict[str, str]:
    """The test's environment without any GIT_* of git's own, with an identity for commits."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return {**env, **IDENTITY, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", **more}


def git(cwd: Path, *args: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run plain git as a person would; returns stdout without its last newline."""
    done = subprocess.run(
        ["git", *args], cwd=cwd, env=dict(env or clean_env()), capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(args)} -> {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.removesuffix("\n")


@dataclass(frozen=True)
class Repo:
    """A checkout on `main`, pushed to a bare `origin` beside it."""

    path: Path
    remote: Path

    def git(self, *args: str, check: bool = True) -> str:
        return git(self.path, *args, check=check)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                target.chmod(0o755)

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self) -> None:
        self.git("push", "-q", "origin", "HEAD")

    def at_remote(self, ref: str) -> str:
        """The remote's SHA of `ref`, or an empty string."""
        return git(self.remote, "rev-parse", "--verify", "--quiet", ref, check=False)


def make_repo(root: Path, files: Mapping[str, str], *, branch: str = "main") -> Repo:
    """A repository with one commit of `files`, pushed to `root/remote.git`."""
    picture = _picture(tuple(files.items()), branch, os.environ.get("HOME", ""))
    root.mkdir(parents=True, exist_ok=True)
    made = Repo(root / "repo", root / "remote.git")
    shutil.copytree(picture.remote, made.remote, symlinks=True)
    shutil.copytree(picture.path, made.path, symlinks=True)
    made.git("remote", "set-url", "origin", str(made.remote))
    made.git("update-index", "-q", "--refresh")  # the index knows files by their inode
    return made


@functools.cache
def _picture(files: tuple[tuple[str, str], ...], branch: str, home: str) -> Repo:
    """What `make_repo` copies, made once a process. Settings of git's may be in `home`."""
    root = Path(tempfile.mkdtemp(prefix="oa-picture-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    remote, path = root / "remote.git", root / "repo"
    git(root, "init", "-q", "--bare", "--template=", "-b", branch, str(remote))
    (remote / "hooks").mkdir()
    git(remote, "config", "receive.autogc", "false")  # a forge does not tidy up at each push
    git(root, "init", "-q", "-b", branch, str(path))
    made = Repo(path, remote)
    made.git("remote", "add", "origin", str(remote))
    made.commit(dict(files), "first")
    made.git("push", "-q", "-u", "origin", branch)
    made.git("remote", "set-head", "origin", branch)
    return made
