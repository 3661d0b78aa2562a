"""Facts of one task are measured while other tasks begin and end in the same repository."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify import facts as evidence
from tests.kit.repos import Repo, clean_env

COME_AND_GO = """
while :; do
  git update-ref refs/heads/orchestrator/other main
  git update-ref -d refs/heads/orchestrator/other
  echo gone || exit
done
"""


@pytest.fixture
def others(repo: Repo):
    """Another task's branch comes and goes, again and again."""
    process = subprocess.Popen(
        ["sh", "-c", COME_AND_GO], cwd=repo.path, env=clean_env(), stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_branches_that_vanish_meanwhile_hinder_nothing(repo: Repo, others):
    """Listed, and gone when they are asked about."""
    base = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "-q", "-b", "orchestrator/t")
    head = repo.commit({"a": "1"})
    git = Git.open(repo.path)

    for _ in range(60):
        others.stdout.readline()
        assert 0 == evidence.foreign_commits(git, branch="orchestrator/t", base=base, head=head)
