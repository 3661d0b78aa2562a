"""git, asked so that nothing a repository says can answer in its place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator_action.agents.environment import command_environment
from orchestrator_action.errors import GitError
from orchestrator_action.git.parse import Change, parse_batch, parse_changes
from orchestrator_action.git.process import (
    base_env,
    git_program,
    last_line,
    spawn_git,
)
from orchestrator_action.git.repo import Git
from tests.kit.repos import Repo, clean_env, git


def test_a_repository_is_found_from_inside_it(repo: Repo):
    """From its top, from a folder of it, from a linked worktree."""
    (repo.path / "sub").mkdir()
    repo.git("worktree", "add", "-q", "--detach", "../linked")

    for place in (repo.path, repo.path / "sub", repo.path.parent / "linked"):
        seen = Git.open(place)
        assert seen.common_dir == repo.path / ".git"
        assert seen.head() == repo.git("rev-parse", "HEAD")
    assert Git.open(repo.remote).work_tree is None


def test_no_repository_is_named(tmp_path: Path, repo: Repo):
    """With what to do; also a file, a folder that is gone, the inside of `.git`."""
    with pytest.raises(GitError, match="not a git repository") as caught:
        Git.open(tmp_path)
    assert "--repo" in caught.value.hint
    with pytest.raises(GitError, match="is not a directory"):
        Git.open(tmp_path / "gone")
    with pytest.raises(GitError, match=r"inside a \.git directory"):
        Git.open(repo.path / ".git" / "refs")


def test_an_unborn_branch_has_no_head(tmp_path: Path):
    """A repository fresh from `git init`."""
    git(tmp_path, "init", "-q", "-b", "main", "new")
    seen = Git.open(tmp_path / "new")

    assert (seen.head(), seen.branch(), seen.refs()) == ("", "main", {})
    with pytest.raises(GitError, match="no commit 'HEAD'"):
        seen.tree("HEAD")


def test_variables_of_a_hook_lead_nowhere(
    repo: Repo, make: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch
):
    """git exports GIT_DIR and others to hooks; we, and what we start, look where we were told."""
    other = make({"other": "1"}, name="other")
    names = subprocess.run(
        ["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True
    )
    hostile = {name: str(other.path / ".git") for name in names.stdout.split()}
    hostile |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.bare", "GIT_CONFIG_VALUE_0": "true"}
    hostile |= {
        "GIT_EXEC_PATH": "/nowhere",
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_TRACE": "1",
        "GIT_NAMESPACE": "x",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)

    seen = Git.open(repo.path, os.environ)
    head, dirty = seen.head(), seen.dirty()
    cleaned = command_environment(os.environ)
    for name in hostile:
        monkeypatch.delenv(name)

    assert head == repo.git("rev-parse", "HEAD")
    assert dirty == ()
    assert not [name for name in cleaned if name.startswith("GIT_")]


def test_no_token_is_in_the_environment_of_git(repo: Repo, tmp_path: Path):
    """Of the caller's environment only what is known to be needed is passed on."""
    secret = {
        "GITHUB_TOKEN": "s3cret",
        "ANTHROPIC_API_KEY": "s3cret",
        "ACTIONS_RUNTIME_TOKEN": "s3cret",
        "X": "s3cret",
    }

    env = base_env({**os.environ, **secret})

    assert "s3cret" not in env.values()
    assert {"PATH", "HOME"} <= env.keys()
    assert Git.open(repo.path, {**os.environ, **secret}).env == env


def test_git_s_last_line_is_the_error(repo: Repo):
    """With the command, without our own settings."""
    seen = Git.open(repo.path)

    with pytest.raises(GitError) as caught:
        seen.text("cat-file", "-p", "no-such-thing")

    assert caught.value.message == "git cat-file -p no-such-thing: Not a valid object name no-such-thing"
    assert last_line("hint: a\nfatal: why\nhint: b\n") == "why"
    assert (
        last_line("remote: error: GH006\n ! [remote rejected] x (declined)\nerror: failed to push\n")
        == "failed to push"
    )
    assert last_line("") == ""


def test_a_git_that_hangs_is_ended_with_all_it_started(repo: Repo):
    """In bounded time, although a grandchild holds its output."""
    began = time.monotonic()

    with pytest.raises(GitError, match="took longer than 1 s"):
        spawn_git(
            ["-c", "alias.hang=!sleep 60 & sleep 60", "hang"], env=clean_env(), cwd=repo.path, timeout_s=1
        )

    assert time.monotonic() - began < 10


def test_replaced_grafted_and_forged_history_is_not_believed(repo: Repo):
    """refs/replace, info/grafts and a commit graph that lies."""
    base = repo.git("rev-parse", "HEAD")
    tip = repo.commit({"a": "1"})
    lie = repo.git("commit-tree", f"{base}^{{tree}}", "-m", "lie")
    repo.git("update-ref", f"refs/replace/{tip}", lie)
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/grafts").write_text(f"{tip}\n")
    seen = Git.open(repo.path)

    assert repo.git("log", "--format=%s", tip) == "lie"
    assert seen.commits(base, tip) == (tip,)
    assert seen.merge_base(base, tip) == base
    assert [c.path for c in seen.changes(base, tip)] == ["a"]
    assert seen.file(tip, "a") == b"1"
    assert b"\nchange\n" in seen.run("cat-file", "commit", tip).out + b"\n"


@pytest.mark.parametrize(
    "name", ["--all", "-x", "HEAD..main", "nope", "", "HEAD^{tree}", "main:README.md", "a b", "\n"]
)
def test_what_is_no_commit_is_an_empty_answer(repo: Repo, name: str):
    """An agent writes such names into its answers."""
    assert Git.open(repo.path).rev_parse(name) == ""


def test_ancestors_merge_bases_and_commits(repo: Repo):
    """Oldest first; unrelated histories have no base."""
    base = repo.git("rev-parse", "HEAD")
    one = repo.commit({"a": "1"})
    two = repo.commit({"a": "2"})
    repo.git("checkout", "-q", "--orphan", "alone")
    alone = repo.commit({"z": "1"})
    seen = Git.open(repo.path)

    assert seen.commits(base, two) == (one, two)
    assert seen.is_ancestor(base, two) and not seen.is_ancestor(two, base)
    assert not seen.is_ancestor("0" * 40, two)
    assert seen.merge_base(alone, two) == ""
    assert seen.unreachable(two, ["refs/remotes/*"]) == 2


def test_every_kind_of_change_has_its_letter(make: Callable[..., Repo]):
    """With both names of a rename, modes, blobs and line counts; None for binary files."""
    repo = make({"mod": "1\n2\n", "del": "x\n", "old name": "a\nb\nc\nd\n", "mode": "m\n", "type": "t\n"})
    base = repo.git("rev-parse", "HEAD")
    (repo.path / "mod").write_text("1\n2\n3\n")
    (repo.path / "del").unlink()
    (repo.path / "old name").rename(repo.path / "new näme")
    (repo.path / "mode").chmod(0o755)
    (repo.path / "type").unlink()
    (repo.path / "type").symlink_to("mod")
    (repo.path / "bin").write_bytes(b"\0\1\2")
    head = repo.commit({"add": "n\n"})
    seen = Git.open(repo.path)

    found = {c.path: c for c in seen.changes(base, head)}

    letters = {"mod": "M", "del": "D", "new näme": "R", "mode": "M", "type": "T", "bin": "A", "add": "A"}
    assert letters == {p: c.status for p, c in found.items()}
    assert found["new näme"].old_path == "old name"
    assert (found["mod"].added, found["mod"].deleted) == (1, 0)
    assert (found["bin"].added, found["bin"].deleted) == (None, None)
    assert (found["mode"].old_mode, found["mode"].new_mode) == ("100644", "100755")
    assert seen.blobs([found["mod"].old_blob, found["mod"].new_blob]) == [b"1\n2\n", b"1\n2\n3\n"]
    assert "+3" in seen.diff_text(base, head, ["mod"]) and "bin" not in seen.diff_text(base, head, ["mod"])


def test_the_user_s_diff_settings_have_no_say(repo: Repo):
    """What is shown to people is not what is measured."""
    base = repo.git("rev-parse", "HEAD")
    repo.git("mv", "README.md", "LIESMICH.md")
    head = repo.commit({})
    settings_of_a_user = """
        diff.renames=false diff.noprefix=true diff.orderFile=/nope diff.external=false
        color.ui=always core.quotePath=true status.short=true status.branch=true log.showSignature=true
    """
    for setting in settings_of_a_user.split():
        repo.git("config", *setting.split("="))
    (repo.path / "ü").write_text("x")
    seen = Git.open(repo.path)

    assert [(c.status, c.old_path, c.path) for c in seen.changes(base, head)] == [
        ("R", "README.md", "LIESMICH.md")
    ]
    assert seen.diff_text(base, head).startswith("diff --git a/README.md b/LIESMICH.md")
    assert seen.dirty() == ("ü",)


def test_files_of_a_commit_are_read_in_one_go(make: Callable[..., Repo]):
    """None for what is missing, a folder, or a submodule; any name."""
    repo = make({"a": "1", "d/e": "2", "sp ace": "3", "näme": "4", "emp": ""})
    with open(bytes(repo.path) + b"/new\nline", "w") as file:
        file.write("5")
    repo.commit({})
    seen = Git.open(repo.path)
    names = ["a", "d", "gone", "d/e", "sp ace", "näme", "emp", "new\nline", "go\nne", "a missing"]

    found = seen.files("HEAD", names)

    assert [b"1", None, None, b"2", b"3", b"4", b"", b"5", None, None] == [found[n] for n in names]
    assert seen.sizes([f"HEAD:{n}" for n in ("a", "gone", "emp")]) == [1, None, 0]
    assert seen.files("HEAD", []) == {}


def test_refs_move_only_from_where_they_were(repo: Repo):
    """So that two of us never overwrite each other."""
    one = repo.git("rev-parse", "HEAD")
    two = repo.commit({"a": "1"})
    seen = Git.open(repo.path)

    seen.update_ref("refs/orchestrator/x", one, "")
    with pytest.raises(GitError):
        seen.update_ref("refs/orchestrator/x", two, "")
    seen.update_ref("refs/orchestrator/x", two, one)
    assert seen.refs("refs/orchestrator/") == {"refs/orchestrator/x": two}
    with pytest.raises(GitError):
        seen.delete_ref("refs/orchestrator/x", one)
    seen.delete_ref("refs/orchestrator/x", two)
    assert seen.refs("refs/orchestrator/") == {}


def test_remotes_are_read_without_starting_anything(repo: Repo):
    """As configured, in any spelling git allows."""
    repo.git("remote", "add", "with.dot", "git@example.org:x/y.git")
    repo.git("config", "remote.nourl.fetch", "x")
    (repo.path / ".git/more").write_text('[remote "included"]\n\turl = /somewhere\n')
    repo.git("config", "include.path", "more")

    found = Git.open(repo.path).remotes()

    assert found == {
        "origin": str(repo.remote),
        "with.dot": "git@example.org:x/y.git",
        "included": "/somewhere",
    }


def test_a_filter_that_was_there_before_works_and_one_that_came_later_does_not(make: Callable[..., Repo]):
    """git-lfs of the user's own goes on; an agent's program is never started."""
    repo = make({"README.md": "x"})
    repo.git("config", "filter.own.smudge", "tr a-z A-Z")
    repo.git("config", "filter.own.clean", "tr A-Z a-z")
    seen = Git.open(repo.path)
    repo.git("config", "filter.theirs.smudge", "sed s/a/EVIL/")
    repo.git("config", "filter.own.smudge", "sed s/a/EVIL/")
    plain = ("-c", "filter.own.clean=", "-c", "filter.theirs.clean=")
    repo.write(
        {
            "a.own": "abc\n",
            "a.theirs": "abc\n",
            ".gitattributes": "*.own filter=own\n*.theirs filter=theirs\n",
        }
    )
    repo.git(*plain, "add", "-A")
    repo.git(*plain, "commit", "-q", "-m", "filters")
    for name in ("a.own", "a.theirs"):
        (repo.path / name).unlink()

    seen.run("reset", "--hard", "-q", write=True)

    assert (repo.path / "a.own").read_text() == "ABC\n"
    assert (repo.path / "a.theirs").read_text() == "abc\n"


def test_reading_takes_no_lock_and_changes_no_file(repo: Repo):
    """A status of ours never stands in an agent's way."""
    (repo.path / "README.md").touch()
    index = (repo.path / ".git/index").stat().st_mtime_ns
    (repo.path / ".git/index.lock").touch()
    seen = Git.open(repo.path)

    assert seen.dirty() == ()
    assert (repo.path / ".git/index").stat().st_mtime_ns == index


def test_many_threads_ask_at_once(repo: Repo):
    """And each gets its own answer."""
    shas = [repo.commit({f"f{n}": str(n)}) for n in range(8)]
    seen = Git.open(repo.path)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: seen.file(shas[n % 8], f"f{n % 8}"), range(64)))

    assert found == [str(n % 8).encode() for n in range(64)]


def test_a_git_that_an_agent_left_in_the_home_folder_comes_last(tmp_path: Path):
    """Folders of the home stand on the PATH of hosted runners, and the next step is of the same user."""
    planted = tmp_path / "home" / ".local" / "bin" / "git"
    planted.parent.mkdir(parents=True)
    planted.write_text("#!/bin/sh\necho ours\n")
    planted.chmod(0o755)
    real = Path(git_program()).parent

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path / "home"))
        both = git_program(f"{planted.parent}{os.pathsep}{real}")
        alone = git_program(str(planted.parent))

    assert (f"{real}/git", str(planted)) == (both, alone), (
        "alone it is better than none: some keep theirs there"
    )


def test_what_does_not_answer_as_git_does_is_named(repo: Repo, tmp_path: Path):
    """Whoever it was that answered: it says nothing of the repository."""
    other = tmp_path / "git"
    other.write_text("#!/bin/sh\necho hello\n")
    other.chmod(0o755)
    code = "from orchestrator_action.git.repo import Git; from pathlib import Path; Git.open(Path())"

    said = subprocess.run(
        [sys.executable, "-c", code], cwd=repo.path, env={**clean_env(), "PATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    ).stderr  # fmt: skip

    assert f"GitError: {other} does not answer as git does" in said


def test_git_is_looked_up_once(tmp_path: Path):
    """What appears on PATH later is not ours."""
    first = git_program()
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\nexit 9\n")
    fake.chmod(0o755)

    assert first.startswith("/")
    assert git_program() == first


_NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda n: not set(n) & {0, ord("/")} and n not in {b".", b".."} and n.lower() != b".git"
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(_NAMES, min_size=1, max_size=4, unique=True), data=st.binary(max_size=20))
def test_any_name_and_any_contents_come_back_as_they_are(tmp_path: Path, names: list[bytes], data: bytes):
    """Through status, diff, tree and blob."""
    folder = tmp_path / os.urandom(6).hex()
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    git(folder, "commit", "-q", "--allow-empty", "-m", "base")
    for name in names:
        with open(bytes(folder) + b"/" + name, "wb") as file:
            file.write(data)
    seen = Git.open(folder)
    wanted = sorted(os.fsdecode(n) for n in names)

    assert sorted(seen.dirty()) == wanted
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "names")
    assert sorted(c.path for c in seen.changes("HEAD~", "HEAD")) == wanted
    assert sorted(seen.paths("HEAD")) == wanted
    assert set(seen.files("HEAD", wanted).values()) == {data}


@given(st.binary(max_size=200))
def test_records_that_are_cut_short_raise_nothing_strange(out: bytes):
    """A git killed in the middle is an error with git's words, or nothing: never a wrong change."""
    try:
        found = parse_changes(out)
    except (ValueError, IndexError, UnicodeDecodeError):
        return
    assert all(isinstance(c, Change) for c in found)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=8), st.none() | st.binary(max_size=30)), max_size=6))
def test_batches_are_taken_apart_as_they_were_put_together(items: list[tuple[bytes, bytes | None]]):
    """Whatever is in names and bodies."""
    asked = [b"n" + name.replace(b"\0", b"") + b"%d" % i for i, (name, _) in enumerate(items)]
    out = b"".join(
        name + b" missing\n" if body is None else b"a" * 40 + b" blob %d\n" % len(body) + body + b"\n"
        for name, (_, body) in zip(asked, items, strict=True)
    )

    found = parse_batch(out, asked, bodies=True)

    assert [body if kind == b"blob" else None for kind, _, body in found] == [body for _, body in items]
