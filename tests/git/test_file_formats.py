"""What is written by hand is what git reads: each text goes through real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_action.git import file_formats
from tests.kit.repos import git, make_repo


@pytest.mark.parametrize("name", ["plain", "with space", 'quo"te', "new\nline", "back\\slash", "ümlaut"])
def test_git_finds_borrowed_objects_whatever_their_folder_is_called(tmp_path: Path, name: str):
    repo = make_repo(tmp_path / name, {"f": "x"})
    head = repo.git("rev-parse", "HEAD")
    own = tmp_path / "own.git"
    git(tmp_path, "init", "-q", "--bare", str(own))

    (own / "objects/info/alternates").write_bytes(file_formats.alternates([repo.path / ".git/objects"]))

    assert "commit" == git(own, "cat-file", "-t", head)


def test_git_reads_refs_in_whatever_order_they_are_given(tmp_path: Path):
    """git looks them up by halving, so that they have to be sorted as bytes."""
    repo = make_repo(tmp_path / "r", {"f": "x"})
    head = repo.git("rev-parse", "HEAD").encode()
    names = ["refs/heads/z", "refs/heads/a-b", "refs/heads/a/b", "refs/tags/ü", "refs/tags/v1"]

    packed = file_formats.packed_refs((name.encode(), head) for name in names)
    (repo.path / ".git/packed-refs").write_bytes(packed)

    for name in names:
        assert head.decode() == repo.git("rev-parse", "--verify", name)


def test_git_reads_settings_as_they_were_given(tmp_path: Path):
    """Values with everything in them, a key without a value, a section whose name has dots and quotes."""
    pairs = [
        ("core.bare", "false"), ("alias.x", '!f() { echo "a\\b;#"; }; f'), ("user.name", " two  words\t\n"),
        ("remote.or.ig.url", "/tmp/x y"), ('branch.we"ird.merge', "refs/heads/ü"), ("core.flag", None),
        ("filter.x.clean", ""),
    ]  # fmt: skip
    file = tmp_path / "config"

    file.write_bytes(file_formats.config_text(pairs))

    listed = git(tmp_path, "config", "--file", str(file), "--list", "-z").split("\0")[:-1]
    assert [key if value is None else f"{key}\n{value}" for key, value in pairs] == listed
