"""`orchestrator-action init`: a diff first, then files; what is there stays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.cli.init import KINDS
from orchestrator_action.config.load import load_text
from tests.kit.act import PROJECT
from tests.kit.repos import Repo
from tests.kit.whole import LIBRARY


def init(repo: Repo, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "orchestrator_action.cli.main", "init", *args],
        cwd=repo.path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def fresh(make) -> Repo:
    return make({k: v for k, v in LIBRARY.items() if not k.startswith(".github")})


@pytest.mark.parametrize("kind", KINDS)
def test_the_workflow_is_the_example_and_the_configuration_names_the_tests(fresh: Repo, kind: str):
    done = init(fresh, kind, "--yes")

    example, target = KINDS[kind]
    assert 0 == done.returncode, done.stderr
    assert (PROJECT / "examples" / example).read_bytes() == (fresh.path / target).read_bytes()
    config = load_text((fresh.path / ".github/orchestrator.yml").read_text(), source="config")
    assert config.test and "unittest" in config.test[0].command
    assert f"+++ b/{target}" in done.stderr and "--- /dev/null" in done.stderr


def test_without_anybody_to_agree_only_the_diff_is_shown(fresh: Repo):
    done = init(fresh)

    assert (2, True) == (done.returncode, "+permissions: {}" in done.stderr)
    assert "hint: add --yes" in done.stderr
    assert "" == fresh.git("status", "--porcelain")


def test_what_is_there_is_never_overwritten(fresh: Repo):
    mine = fresh.path / ".github" / "workflows" / "orchestrate.yml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")

    done = init(fresh, "--yes")

    assert ("mine\n", 0) == (mine.read_text(), done.returncode)
    assert "stays as it is" in done.stderr and (fresh.path / ".github/orchestrator.yml").is_file()


def test_twice_is_once(fresh: Repo):
    init(fresh, "--yes")
    again = init(fresh, "--yes")

    assert (0, True) == (again.returncode, "nothing to write" in again.stderr)


def test_an_unknown_use_is_named(fresh: Repo):
    done = init(fresh, "nonsense", "--yes")

    assert (2, True) == (done.returncode, "one of label, comment, schedule, verify, check" in done.stderr)


def a_file(root: Path, outside: Path) -> None:
    del outside
    (root / ".github").touch()


def a_way_out(root: Path, outside: Path) -> None:
    outside.mkdir()
    (root / ".github").symlink_to(outside)


def a_dangling_way_out(root: Path, outside: Path) -> None:
    (root / ".github").symlink_to(outside / "nowhere")


@pytest.mark.parametrize("there", [a_file, a_way_out, a_dangling_way_out])
def test_a_folder_that_is_none_is_named_and_nothing_is_written_elsewhere(
    fresh: Repo, tmp_path: Path, there: Callable[[Path, Path], None]
):
    outside = tmp_path / "outside"
    there(fresh.path, outside)

    done = init(fresh, "--yes")

    assert (2, True) == (done.returncode, "error: " in done.stderr and ".github" in done.stderr), done.stderr
    assert "bug of ours" not in done.stderr and [] == list(outside.glob("**/*"))
