"""The facts that prove the phases, each measured by ourselves and tied to the commit it was measured at.

A function per phase takes git (and what was claimed) and returns Facts whose rules are those of
`core.phases`. A message is one plain sentence for whoever must mend what does not hold; the figures are
in `detail`, as JSON values. Nothing here believes anything an agent said. The tests' facts are in
`testing`, the settings' in `secrets`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator_action.config.schema import SizeLimits
from orchestrator_action.git.parse import Change
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.candidates import stem
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import is_safe, listed, matches, mentioned, shown
from orchestrator_action.text.figures import count

MAX_PLAN_CHARS = 65_536
_SUBMODULE = "160000"
_FILES = ("100644", "100755")
_UNSEEN = re.compile(
    rb"\s+|\xe2\x80[\x8b-\x8f]|\xef\xbb\xbf|\xc2\xa0|\xe2\x81\xa0|&nbsp;|<!--.*?-->", re.DOTALL
)
"""White space, zero-width characters and comments of Markdown and HTML, in UTF-8."""


def fact(phase: str, rule: str, commit: str, holds: bool, message: str, **detail: Any) -> Fact:
    """A Fact in one line."""
    return Fact(phase=phase, rule=rule, commit=commit, holds=holds, message=message, detail=detail)


def setup_facts(git: Git, *, base_sha: str, digest: str, claimed_digest: str) -> tuple[Fact, ...]:
    """Initial Setup: the claim carries the context's digest; the worktree is clean and on its base.

    `git` as seen from the task's worktree.
    """
    head = git.head()
    read = bool(digest) and claimed_digest == digest
    said = f"the claim carries {claimed_digest[:12]}, not" if claimed_digest else "the claim does not carry"
    read_message = (
        "the task context was read" if read else f"{said} the digest {digest[:12]} of the task context"
    )
    changed = git.dirty()
    wrong = []
    if head != base_sha:
        wrong.append(f"HEAD is at {head[:12] or 'no commit'}, not at the recorded base {base_sha[:12]}")
    if changed:
        wrong.append(f"the worktree has changes: {listed(changed)}")
    return (
        fact("initial-setup", "context-read", head, read, read_message),
        fact(
            "initial-setup", "clean-base", head, not wrong,
            "; ".join(wrong) or f"the worktree is clean and on its base {base_sha[:12]}",
            dirty=[shown(p) for p in changed[:50]],
        ),
    )  # fmt: skip


def branch_facts(git: Git, *, branch: str, base_sha: str) -> tuple[Fact, ...]:
    """Branch Management: HEAD is the task branch, and it grows from the recorded base."""
    head, on = git.head(), git.branch()
    there = on == branch
    base = git.merge_base(base_sha, head) if head else ""
    wrong = [] if base == base_sha else [
        f"the branch grows from {base[:12] or 'no common commit'}, not from its base {base_sha[:12]}"
    ]  # fmt: skip
    if not wrong and (foreign := foreign_commits(git, branch=branch, base=base_sha, head=head)):
        wrong.append(f"{count(foreign, 'commit')} above the base came from elsewhere, not from this task")
    return (
        fact(
            "branch-management", "on-branch", head, there,
            f"HEAD is {branch}" if there else f"HEAD is {on or 'detached'}, not the task branch {branch}",
            branch=on,
        ),
        fact(
            "branch-management", "base-kept", head, not wrong,
            "; ".join(wrong) or f"the branch grows from its base {base_sha[:12]}", merge_base=base,
        ),
    )  # fmt: skip


def foreign_commits(git: Git, *, branch: str, base: str, head: str) -> int:
    """How many commits above the base another branch had first, or begin a history of their own.

    Other branches are those of the remotes and of other tasks. What they hold is not this task's work. They
    are taken by their commits, as they come and go while this is measured: other tasks end meanwhile. Candidates of
    the same task cannot read each other, and may come to the very same commit.
    """
    own = f"refs/heads/{branch}"
    prefix = f"refs/heads/{branch.partition('/')[0]}/"
    others = [
        sha
        for ref, sha in {**git.shared.refs("refs/remotes/"), **git.shared.refs(prefix)}.items()
        if stem(ref) != stem(own) and not stem(ref).endswith((f"/{stem(branch)}", "/HEAD"))
    ]
    above = set(git.commits(base, head))
    roots = git.text("rev-list", "--max-parents=0", head, f"^{base}").split()
    if not others:
        return len(roots)
    stdin = "".join(f"{line}\n" for line in (head, f"^{base}", *(f"^{sha}" for sha in others))).encode()
    mine = set(git.run("rev-list", "--ignore-missing", "--stdin", stdin=stdin).text.split())
    return len((above - mine) | set(roots))


def plan_facts(text: str, paths: Sequence[str], *, commit: str) -> tuple[Fact, ...]:
    """Research and Planning: a plan is there and names a path of the tree, or one to be made.

    `paths` are those of the tree at `commit`.
    """
    plan = text.strip()

    def answer(holds: bool, message: str, **detail: Any) -> tuple[Fact, ...]:
        return (fact("research-and-planning", "plan-recorded", commit, holds, message, **detail),)

    if not plan:
        return answer(False, "the plan is empty")
    if len(plan) > MAX_PLAN_CHARS:
        return answer(False, f"the plan has {len(plan)} characters, at most {MAX_PLAN_CHARS} are taken")
    tree = set(paths)
    folders = {p.rpartition("/")[0] for p in paths} | {p.split("/")[0] for p in paths if "/" in p}
    named = mentioned(plan)
    words = {w.strip("`'\"()[]{}<>*_,;:!?.") for w in plan.split()}
    known = sorted({p for p in named if p in tree or p in folders} | {w for w in words if w in tree})
    new = [p for p in named if p not in tree and p not in folders and is_safe(p)]
    if not known and not new:
        return answer(False, "the plan names no path of the repository and none to be made")
    parts = [f"names {listed(known, at_most=3)}"] if known else []
    parts += [f"would make {listed(new, at_most=3)}"] if new else []
    return answer(True, f"the plan {' and '.join(parts)}", existing=known[:50], new=new[:50])


def implementation_facts(
    git: Git, *, base: str, head: str, protected: Sequence[str], size: SizeLimits, since: str = ""
) -> tuple[Fact, ...]:
    """Implementation: commits that change something within limits, a clean worktree, no protected path.

    `git` as seen from the task's worktree. Size limits belong to the rule `commits`. `since` is the head that
    a person asked to have changed: then something has to be new above it.
    """
    commits = git.commits(base, head)
    changes = git.changes(base, head) if commits else ()
    made = _commits_fact(git, head, commits, changes, size)
    if since and made.holds and not git.changes(since, head):
        message = (
            f"nothing is changed since {since[:12]}, where the pull request was when a change was asked for"
        )
        made = replace(made, holds=False, message=message)
    return (
        made,
        clean_fact(git, head),
        _protected_fact(head, changes, protected),
    )


def nothing_changed_facts(git: Git, *, base: str, head: str) -> tuple[Fact, ...]:
    """Implementation declared as *no change needed*: nothing is committed and nothing lies about."""
    commits = git.commits(base, head)
    changed = git.dirty()
    wrong = []
    if commits:
        wrong.append(f"there {_are(len(commits), 'commit')} above the base")
    if changed:
        wrong.append(f"the worktree has changes: {listed(changed)}")
    message = "; ".join(wrong) or "nothing was changed, as declared"
    detail = {"commits": len(commits), "dirty": [shown(p) for p in changed[:50]]}
    return (fact("implementation", "nothing-changed", head, not wrong, message, **detail),)


def _commits_fact(
    git: Git, head: str, commits: Sequence[str], changes: Sequence[Change], size: SizeLimits
) -> Fact:
    added = sum(c.added or 0 for c in changes)
    deleted = sum(c.deleted or 0 for c in changes)
    detail = {"commits": len(commits), "files": len(changes), "added": added, "deleted": deleted}

    def answer(holds: bool, message: str) -> Fact:
        return fact("implementation", "commits", head, holds, message, **detail)

    if not commits:
        return answer(False, "there are no commits above the base")
    if not changes:
        return answer(False, f"the {len(commits)} commits above the base change nothing")
    if size.files and len(changes) > size.files:
        return answer(False, f"{len(changes)} files are changed, at most {size.files} may be")
    if size.lines and added + deleted > size.lines:
        return answer(False, f"{added + deleted} lines are changed, at most {size.lines} may be")
    large = _too_large(git, changes, size.bytes_per_file)
    if large:
        return answer(False, f"files above {size.bytes_per_file} bytes: {listed(large)}")
    verb = "changes" if len(commits) == 1 else "change"
    return answer(True, f"{count(len(commits), 'commit')} {verb} {count(len(changes), 'file')}")


def _too_large(git: Git, changes: Sequence[Change], limit: int) -> list[str]:
    files = [c for c in changes if c.status != "D" and c.new_mode != _SUBMODULE]
    if not limit or not files:
        return []
    sizes = git.sizes([c.new_blob for c in files])
    return [c.path for c, size in zip(files, sizes, strict=True) if size is not None and size > limit]


def clean_fact(git: Git, head: str) -> Fact:
    """The worktree has nothing uncommitted."""
    changed = git.dirty()
    message = f"there are uncommitted changes: {listed(changed)}" if changed else "the worktree is clean"
    return fact(
        "implementation", "clean-tree", head, not changed, message, dirty=[shown(p) for p in changed[:50]]
    )


def _protected_fact(head: str, changes: Sequence[Change], protected: Sequence[str]) -> Fact:
    touched = sorted({p for c in changes for p in (c.path, c.old_path) if p and _protects(protected, p, c)})
    message = f"protected paths are touched: {listed(touched)}" if touched else "no protected path is touched"
    paths = [shown(p) for p in touched[:50]]
    return fact("implementation", "protected-untouched", head, not touched, message, paths=paths)


def _protects(protected: Sequence[str], path: str, change: Change) -> bool:
    """Whether a path is meant, in any case of its letters, or stands in the place of a folder that is.

    Some file systems do not tell `.GitHub` from `.github`; a link or a submodule brings what it likes.
    """
    folded = [p.casefold() for p in protected]
    if matches(path, protected) or matches(path.casefold(), folded):
        return True
    if change.new_mode in _FILES or change.new_mode.strip("0") == "":
        return False
    below = [p.removeprefix("./").lstrip("/") for p in folded if not p.startswith("!")]
    return any(p.startswith(f"{path.casefold()}/") for p in below)


def docs_facts(git: Git, *, base: str, head: str, patterns: Sequence[str]) -> tuple[Fact, ...]:
    """Documentation: something that can be read changed in a documentation file that is still there.

    A file without text, moved as it is, or changed in its white space only tells nobody anything.
    """
    changes = [c for c in git.changes(base, head) if c.status != "D" and matches(c.path, patterns)]
    before, after = (git.blobs([getattr(c, side) for c in changes]) for side in ("old_blob", "new_blob"))
    told = [
        c.path
        for c, old, new in zip(changes, before, after, strict=True)
        if c.new_mode in _FILES and _text(new) and _text(new) != _text(old)
    ]
    wanted = ", ".join(patterns) or "none are configured"
    if told:
        message = f"documentation is in the diff: {listed(told, at_most=3)}"
    elif changes:
        empty = listed([c.path for c in changes], at_most=3)
        message = f"the diff adds no word of documentation: {empty} has the same text as before, or none"
    else:
        message = f"no documentation path is in the diff (documentation is {wanted})"
    paths = [shown(p) for p in told[:50]]
    return (fact("documentation", "docs-changed", head, bool(told), message, paths=paths),)


def _text(body: bytes | None) -> bytes:
    """What of a file can be read: all but white space and marks nobody sees."""
    return _UNSEEN.sub(b"", body or b"")


def _are(n: int, noun: str) -> str:
    return f"{'is' if n == 1 else 'are'} {count(n, noun)}"
