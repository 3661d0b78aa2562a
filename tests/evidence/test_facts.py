"""The facts of the phases, each measured on a real repository."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable

import pytest

from orchestrator_action.config.schema import Config, SizeLimits
from orchestrator_action.errors import GitError
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.judge import NO_CHANGE_RULES
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.verify import facts as evidence
from tests.kit.repos import Repo, clean_env
from tests.kit.trees import trees_of

CONFIG = Config()


@pytest.fixture
def work(repo: Repo) -> Repo:
    """On a task branch, nothing changed yet."""
    repo.git("checkout", "-q", "-b", "orchestrator/t")
    return repo


def facts_of(found: tuple[Fact, ...]) -> dict[str, Fact]:
    for fact in found:
        rules = {r.id for r in BY_ID[fact.phase].rules} | {r.id for r in NO_CHANGE_RULES}
        assert fact.rule in rules
        assert fact.message and "\n" not in fact.message
    return {f.rule: f for f in found}


def base_of(repo: Repo) -> str:
    return repo.git("rev-parse", "main")


def implementation(repo: Repo, **given: object) -> dict[str, Fact]:
    seen = Git.open(repo.path)
    options: dict[str, object] = {"protected": CONFIG.protected, "size": CONFIG.size, **given}
    return facts_of(
        evidence.implementation_facts(seen, base=base_of(repo), head=seen.head(), **options)  # type: ignore[arg-type]
    )


def test_setup_holds_on_a_clean_base_with_the_digest(work: Repo):
    """Both facts, at the base."""
    seen = Git.open(work.path)
    found = facts_of(evidence.setup_facts(seen, base_sha=base_of(work), digest="d1", claimed_digest="d1"))

    assert [True, True] == [f.holds for f in found.values()]
    assert {f.commit for f in found.values()} == {base_of(work)}


@pytest.mark.parametrize(("claimed", "holds"), [("d1", True), ("d2", False), ("", False)])
def test_setup_needs_the_context_s_own_digest(work: Repo, claimed: str, holds: bool):
    """An agent that did not read the context cannot know it."""
    seen = Git.open(work.path)
    found = facts_of(evidence.setup_facts(seen, base_sha=base_of(work), digest="d1", claimed_digest=claimed))

    assert found["context-read"].holds is holds
    empty = facts_of(evidence.setup_facts(seen, base_sha=base_of(work), digest="", claimed_digest=""))
    assert not empty["context-read"].holds


def test_setup_is_refuted_once_something_was_changed(work: Repo):
    """A file, or a commit."""
    (work.path / "new").write_text("x")
    seen = Git.open(work.path)

    def clean() -> Fact:
        found = evidence.setup_facts(seen, base_sha=base_of(work), digest="d", claimed_digest="d")
        return facts_of(found)["clean-base"]

    assert (clean().holds, clean().message) == (False, "the worktree has changes: new")
    work.commit({})
    assert not clean().holds
    assert "not at the recorded base" in clean().message


def test_the_branch_is_the_task_s_and_grows_from_its_base(work: Repo):
    """Also after commits, and after main went on."""
    base = base_of(work)
    work.commit({"a": "1"})
    work.git("checkout", "-q", "main")
    work.commit({"b": "1"})
    work.git("checkout", "-q", "orchestrator/t")

    found = facts_of(evidence.branch_facts(Git.open(work.path), branch="orchestrator/t", base_sha=base))

    assert found["on-branch"].holds and found["base-kept"].holds


def test_another_branch_and_a_rewritten_base_are_named(work: Repo):
    """HEAD detached, and the history begun anew."""
    base = base_of(work)
    work.git("checkout", "-q", "--detach")
    work.git("checkout", "-q", "--orphan", "fresh")
    work.commit({"a": "1"})

    found = facts_of(evidence.branch_facts(Git.open(work.path), branch="orchestrator/t", base_sha=base))

    assert found["on-branch"].message == "HEAD is fresh, not the task branch orchestrator/t"
    assert "no common commit" in found["base-kept"].message
    assert not found["base-kept"].holds


def test_commits_of_another_branch_are_not_this_tasks_work(work: Repo):
    """Taken over whole, or merged: of a remote's branch, of another task, of a history of its own."""
    base = base_of(work)

    def kept() -> Fact:
        found = evidence.branch_facts(Git.open(work.path), branch="orchestrator/t", base_sha=base)
        return facts_of(found)["base-kept"]

    work.commit({"mine": "1"})
    assert kept().holds
    work.git("push", "-q", "origin", "HEAD:refs/heads/orchestrator/t")
    work.git("fetch", "-q", "origin")
    assert kept().holds, "the task's own branch at the remote is no other branch"
    mine = work.git("rev-parse", "HEAD")

    work.git("checkout", "-q", "main")
    work.commit({"theirs": "1"})
    work.git("push", "-q", "origin", "main")
    work.git("checkout", "-q", "-b", "orchestrator/other", base)
    work.commit({"another": "1"})
    work.git("checkout", "-q", "--orphan", "alone")
    work.commit({"alone": "1"})
    work.git("checkout", "-q", "orchestrator/t")
    for line in ("reset -q --hard origin/main", "merge -q origin/main", "merge -q orchestrator/other",
                 "merge -q --allow-unrelated-histories -X ours alone"):  # fmt: skip
        work.git("reset", "-q", "--hard", mine)
        work.git(*line.split())
        assert not kept().holds, line
        assert "1 commit above the base came from elsewhere" in kept().message
    work.git("reset", "-q", "--hard", mine)
    work.git("cherry-pick", "origin/main")
    assert kept().holds


@pytest.mark.parametrize(
    ("plan", "holds"),
    [
        ("I will change README.md", True),
        ("Make `src/new.py` and its test.", True),
        ("", False),
        ("   \n ", False),
        ("I will think about it and then do it.", False),
        ("Change ../../etc/passwd", False),
        ("x" * 70_000 + " README.md", False),
    ],
)
def test_a_plan_names_a_path(work: Repo, plan: str, holds: bool):
    """Of the tree, or one to be made."""
    seen = Git.open(work.path)
    [found] = facts_of(evidence.plan_facts(plan, seen.paths("HEAD"), commit=seen.head())).values()

    assert found.holds is holds


def test_a_plan_may_name_a_file_without_an_ending(make: Callable[..., Repo]):
    """When the tree has it."""
    [found] = evidence.plan_facts(
        "mend the LICENSE", Git.open(make({"LICENSE": "x"}).path).paths("HEAD"), commit="c"
    )

    assert found.holds
    assert found.detail["existing"] == ["LICENSE"]


def test_implementation_holds_on_committed_change(work: Repo):
    """With its figures."""
    work.commit({"a.py": "1\n2\n"}, "one")
    work.commit({"b.py": "3\n"}, "two")

    found = implementation(work)

    assert all(f.holds for f in found.values())
    assert found["commits"].message == "2 commits change 2 files"
    assert found["commits"].detail == {"commits": 2, "files": 2, "added": 3, "deleted": 0}
    assert {f.commit for f in found.values()} == {work.git("rev-parse", "HEAD")}


def test_no_commit_is_no_implementation(work: Repo):
    """Nor are commits that leave everything as it was, or files nobody committed."""
    (work.path / "a.py").write_text("1")
    found = implementation(work)
    assert found["commits"].message == "there are no commits above the base"
    assert found["clean-tree"].message == "there are uncommitted changes: a.py"

    (work.path / "a.py").unlink()
    work.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert implementation(work)["commits"].message == "the 1 commits above the base change nothing"


@pytest.mark.parametrize(
    "change",
    [
        {".github/workflows/ci.yml": "on: push\n"},
        {".github/actions/a/action.yml": "x"},
        {"CODEOWNERS": "* @me"},
        {".mcp.json": "{}"},
        {".claude/settings.json": "{}"},
    ],
)
def test_a_protected_path_is_named(work: Repo, change: dict[str, str]):
    """Whatever else the change does."""
    work.commit({"a.py": "1", **change})

    found = implementation(work)["protected-untouched"]

    assert not found.holds
    assert next(iter(change)) in found.message


def test_a_protected_path_is_not_moved_or_deleted_either(make: Callable[..., Repo]):
    """Both names of a rename count."""
    repo = make({".github/workflows/ci.yml": "on: push\njobs: {}\n" * 9, "a": "1"})
    repo.git("checkout", "-q", "-b", "orchestrator/t")
    repo.git("mv", ".github/workflows/ci.yml", "ci.yml")
    repo.commit({})

    found = implementation(repo)["protected-untouched"]

    assert found.detail["paths"] == [".github/workflows/ci.yml"]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("mkdir -p .GitHub/Workflows && echo x > .GitHub/Workflows/a.yml", ".GitHub/Workflows/a.yml"),
        ("echo '* @me' > CodeOwners", "CodeOwners"),
        ("mkdir gh && ln -s gh .github", ".github"),
        ("mkdir .github && ln -s ../gh .github/workflows", ".github/workflows"),
        (
            f"git update-index --add --cacheinfo 160000,{'1' * 40},.github && mkdir .github",
            ".github",
        ),
        ("ln -s elsewhere .claude", ".claude"),
    ],
)
def test_a_protected_path_is_not_reached_by_a_detour(work: Repo, line: str, path: str):
    """In other letters, which some file systems do not tell apart; through a link or a submodule in its place."""
    subprocess.run(["sh", "-ec", line], cwd=work.path, env=clean_env(), check=True)
    work.commit({"a.py": "1"})

    found = implementation(work)["protected-untouched"]

    assert (False, [path]) == (found.holds, found.detail["paths"])


def test_a_link_elsewhere_is_nobodys_business(work: Repo):
    subprocess.run(["ln", "-s", "README.md", "link"], cwd=work.path, check=True)
    work.commit({".githubber/a": "1"})

    assert implementation(work)["protected-untouched"].holds


def test_a_change_that_is_too_large_is_named(work: Repo):
    """By files, by lines, by bytes of one file; 0 switches a limit off."""
    work.commit({"a": "1\n" * 10, "b": "2\n", "big": "x" * 5000})

    def says(**limits: int) -> str:
        wide = {"files": 0, "lines": 0, "bytes_per_file": 0, **limits}
        return implementation(work, size=SizeLimits(**wide))["commits"].message

    assert says(files=2) == "3 files are changed, at most 2 may be"
    assert says(lines=11) == "12 lines are changed, at most 11 may be"
    assert says(bytes_per_file=4999) == "files above 4999 bytes: big"
    assert says() == "1 commit changes 3 files"


def test_no_change_needed_holds_only_when_nothing_changed(work: Repo):
    """Neither committed nor lying about."""
    seen, base = Git.open(work.path), base_of(work)

    def fact() -> Fact:
        return facts_of(evidence.nothing_changed_facts(seen, base=base, head=seen.head()))["nothing-changed"]

    assert fact().holds
    (work.path / "a").write_text("1")
    assert fact().message == "the worktree has changes: a"
    work.commit({})
    assert fact().message == "there is 1 commit above the base"


@pytest.mark.parametrize(
    ("files", "holds"),
    [
        ({"README.md": "more"}, True),
        ({"docs/guide.txt": "x"}, True),
        ({"a.py": "1"}, False),
        ({"docs-old.py": "1"}, False),
    ],
)
def test_documentation_is_in_the_diff(work: Repo, files: dict[str, str], holds: bool):
    """By the repository's patterns."""
    work.commit(files)
    seen = Git.open(work.path)

    [found] = evidence.docs_facts(seen, base=base_of(work), head=seen.head(), patterns=CONFIG.docs)

    assert found.holds is holds


@pytest.mark.parametrize(
    "line",
    [
        "echo >> README.md",
        "sed -i 's/ /   /g; s/$/  /' README.md",
        "mkdir docs && touch docs/new.md",
        "mkdir docs && printf '  \\n\\n' > docs/new.md",
        "printf '\\357\\273\\277\\342\\200\\213' > new.md",
        "echo '<!-- documented -->' >> README.md",
        "mkdir docs && git mv README.md docs/README.md",
        "chmod +x README.md",
        "mkdir docs && ln -s ../a.py docs/a.md",
        "git update-index --add --cacheinfo 160000,1111111111111111111111111111111111111111,docs/sub",
    ],
)
def test_a_documentation_file_that_says_nothing_new_is_no_documentation(work: Repo, line: str):
    """Blank lines, an empty file, a comment, a move, a mode, a link, a submodule."""
    subprocess.run(["sh", "-ec", line], cwd=work.path, env=clean_env(), check=True)
    work.commit({"a.py": "1"})
    seen = Git.open(work.path)

    [found] = evidence.docs_facts(seen, base=base_of(work), head=seen.head(), patterns=CONFIG.docs)

    assert (False, True) == (found.holds, "documentation" in found.message)


def test_taking_a_sentence_out_is_documenting(make: Callable[..., Repo]):
    """What is gone from the code goes from its documentation."""
    work = make({"README.md": "# a\n\nIt can fly.\n"})
    work.git("checkout", "-q", "-b", "orchestrator/t")
    work.commit({"README.md": "# a\n"})
    seen = Git.open(work.path)

    [found] = evidence.docs_facts(seen, base=base_of(work), head=seen.head(), patterns=CONFIG.docs)

    assert found.holds


def test_deleting_documentation_is_not_documenting(work: Repo):
    """Although the path is in the diff."""
    work.git("rm", "-q", "README.md")
    work.commit({"a.py": "1"})
    seen = Git.open(work.path)

    [found] = evidence.docs_facts(seen, base=base_of(work), head=seen.head(), patterns=CONFIG.docs)

    assert not found.holds


def test_names_of_any_bytes_are_measured_and_shown(work: Repo):
    """Newlines, quotes, invalid UTF-8, terminal escapes."""
    for name in (
        b"a\nb.md",
        b"q\"uo'te.md",
        b"\xff\xfe.md",
        "größe ☃.md".encode(),
        b"\x1b[31m.md",
        b"tab\there.md",
    ):
        with open(bytes(work.path) + b"/" + name, "w") as file:
            file.write("x")
    work.commit({})
    seen = Git.open(work.path)
    head = seen.head()

    [docs] = evidence.docs_facts(seen, base=base_of(work), head=head, patterns=CONFIG.docs)
    found = implementation(work)

    assert found["commits"].detail["files"] == 6
    assert len(docs.detail["paths"]) == 6
    assert docs.message.isprintable()
    changed = [c.path for c in seen.changes(base_of(work), head)]
    assert list(seen.files(head, changed).values()) == [b"x"] * 6
    assert set(changed) <= set(seen.paths(head))


HARMS = """
rm -rf "$PWD"
mv .git elsewhere
rm -rf .git && git init -q . && git commit -q --allow-empty -m mine
rm -rf "$ADMIN"
rm "$ADMIN/index"
echo garbage > "$ADMIN/HEAD"
echo garbage > "$ADMIN/index"
echo "$PWD/../elsewhere" > "$ADMIN/commondir"
git checkout -q --detach && git branch -q -D orchestrator/t
git checkout -q --orphan fresh && git commit -q --allow-empty -m fresh
rm -rf .git && ln -s "$TOP/.git" .git
git update-ref -d refs/heads/orchestrator/t
git symbolic-ref HEAD refs/heads/nowhere
git config core.worktree /etc && git config core.bare true
chmod 000 README.md
mkfifo pipe
ln -s / everything
""".strip().splitlines()


@pytest.mark.parametrize("harm", HARMS)
def test_a_broken_tree_gives_facts_or_a_git_error(repo: Repo, harm: str):
    """Never a crash, a hang, or a proof; the main checkout is not what is measured in its place."""
    trees = trees_of(repo.path)
    base = trees.user.head()
    made = trees.create("t", "orchestrator/t", base)
    env = clean_env(ADMIN=str(made.path / ".git"), TOP=str(repo.path))
    subprocess.run(["sh", "-c", harm], cwd=made.path, env=env, check=False, capture_output=True)
    repo.commit({"main.txt": "not the task's"})
    seen = made.git

    def tried(measure: Callable[[], tuple[Fact, ...]]) -> list[Fact]:
        try:
            return list(measure())
        except GitError as exc:
            assert exc.message
            return []

    head = base
    with contextlib.suppress(GitError):
        head = seen.head() or base
    facts = [
        *tried(lambda: evidence.branch_facts(seen, branch="orchestrator/t", base_sha=base)),
        *tried(
            lambda: evidence.implementation_facts(
                seen, base=base, head=head, protected=CONFIG.protected, size=CONFIG.size
            )
        ),
        *tried(lambda: evidence.docs_facts(seen, base=base, head=head, patterns=CONFIG.docs)),
    ]

    assert not [f for f in facts if f.rule == "commits" and f.holds and "fresh" not in harm]
    assert "main.txt" not in str(facts)
    trees.problems(made)
    trees.salvage(made, "t")
    trees.remove(made)
    assert repo.git("status", "--porcelain") == ""
    assert (repo.path / "main.txt").is_file()
    assert not (made.path.parent / "elsewhere").exists()
