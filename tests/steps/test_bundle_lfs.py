"""Files of git-lfs travel in a bundle, and nothing else under their names."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import need
from tests.kit.repos import Repo, git
from tests.kit.steps import STEPS, Split
from tests.kit.whole import LIBRARY, House

TEXT = "large\n" * 20
OID = hashlib.sha256(TEXT.encode()).hexdigest()


AGENT = """#!/bin/sh -e
if [ -z "$ORCHESTRATOR_SOCKET" ]; then echo '{"findings": []}'; exit 0; fi
done_() { orchestrator-phase done "$@"; }
done_ initial-setup && done_ issue-creation && done_ branch-management
done_ research-and-planning --note 'write `more.bin`, name it in `README.md`'
yes large | head -20 >more.bin && echo '- more' >>README.md
git add -A && git commit -qm 'Add more'
done_ implementation && done_ testing && done_ documentation && done_ pull-request --note 'Add more'
done_ review && done_ review-response && done_ settings-update
"""


@pytest.fixture
def worked(make: Callable[..., Repo], tmp_path: Path) -> Split:
    """An agent has committed a file that git-lfs keeps."""
    need(shutil.which("git-lfs"), "git-lfs")
    script = tmp_path / "agent.sh"
    script.write_text(AGENT)
    script.chmod(0o755)
    agent = f"agent: command\nagent-command:\n  argv: [{script}]\n"
    files = {
        **LIBRARY, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + agent,
    }  # fmt: skip
    split = Split(House(make(files), tmp_path / "forge"))
    for step in STEPS:
        git(split.clone(step), "lfs", "install", "--local")
    split.home.issue(1, "Add more", "Please.")
    split.plan(agent="command")
    split.work()
    names = [p.name for p in split.bundle("issue-1").iterdir()]
    assert f"lfs-{OID}" in names, names
    return split


def test_a_file_of_git_lfs_travels_with_its_commit_to_the_remote(worked: Split):
    verified = worked.verify("issue-1")
    ran = worked.publish()

    assert 0 == verified.code, verified.err
    assert "success" == ran.task("issue-1")["status"], ran.err
    stored = worked.home.repo.remote / "lfs" / "objects" / OID[:2] / OID[2:4] / OID
    assert TEXT == stored.read_text()


def emptied(file: Path) -> None:
    file.write_text("")


def exchanged(file: Path) -> None:
    file.write_text(TEXT.upper())


def linked(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


def added(file: Path) -> None:
    file.with_name("lfs-" + "0" * 64).write_text("x")


HARMS: list[tuple[Callable[[Path], None], str]] = [
    (Path.unlink, "missing-objects: the content of LFS object"),
    (emptied, "bad-object"),
    (exchanged, "bad-object"),
    (linked, "no-plain-file"),
    (added, "strange-file: no commit of it names lfs-0000"),
]


def test_a_file_that_is_not_what_a_commit_names_is_refused(worked: Split, tmp_path: Path):
    """One bundle, harmed anew each time; as it came it is verified."""
    bundle = worked.bundle("issue-1")
    bundle.rename(tmp_path / "as-it-came")
    for harm, words in HARMS:
        shutil.copytree(tmp_path / "as-it-came", bundle)
        harm(bundle / f"lfs-{OID}")

        verified = worked.verify("issue-1")

        assert (2, True) == (verified.code, words in verified.err), (words, verified.err)
        shutil.rmtree(bundle)
    shutil.copytree(tmp_path / "as-it-came", bundle)
    assert 0 == worked.verify("issue-1").code
