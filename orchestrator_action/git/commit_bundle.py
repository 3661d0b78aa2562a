"""Commits as one file: written by the machine where an agent worked, taken in by one that believes it nothing.

The file is git's own bundle. Its header is read here and may name two refs only; its pack is indexed in a
repository of its own, counted and weighed there, every name computed anew, before a commit comes near to ours.
Source: git-scm.com/docs/gitformat-bundle, git-scm.com/docs/gitformat-pack.
"""

from __future__ import annotations

import re
import shutil
import struct
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.errors import BundleError, GitError, WorktreeError
from orchestrator_action.git.cache import SHA
from orchestrator_action.git.pack import unpacked_bytes
from orchestrator_action.git.private import bring, make_window
from orchestrator_action.git.process import HARDENED, base_env, config_arguments, last_line, spawn_git
from orchestrator_action.git.repo import Git
from orchestrator_action.git.tree_size import weigh_trees

MAX_FILE_BYTES = 64 * 1024**2
"""Of the whole file."""
MAX_OBJECTS = 50_000
MAX_UNPACKED_BYTES = 512 * 1024**2
"""Of all objects together, unpacked."""
RATIO_FROM_BYTES, MAX_RATIO = 16 * 1024**2, 100
"""Above so many unpacked bytes, how many times larger than the file they may be."""
INDEX_TIMEOUT_S = 120.0
_STRICT = "badFilemode=error"
"""More than git refuses by itself. Flaws of old histories are none here: a bundle holds new commits only."""
_REPLACE, _BRANCH = "refs/replace/", "refs/heads/"
_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a bundle says of itself: its refs, and the commits that it builds upon."""

    refs: Mapping[str, str]
    needs: tuple[str, ...]
    pack_at: int
    """The offset of its pack."""


def write_commits(git: Git, refs: Collection[str], base: str, file: Path) -> None:
    """Write what `refs` hold above the commit `base`."""
    git.run("bundle", "create", "--quiet", str(file), *sorted(refs), f"^{base}", write=True)


def read_header(body: bytes) -> Header:
    """The header of a bundle. Raises BundleError when it is none."""
    head, found, _ = body[:_HEADER_BYTES].partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    if not found or lines[0] not in {"# v2 git bundle", "# v3 git bundle"}:
        raise BundleError("no-git-bundle", "its file of commits is no git bundle")
    refs: dict[str, str] = {}
    needs: list[str] = []
    for line in lines[1:]:
        if line.startswith("@object-format="):
            continue
        sha, _, rest = line.removeprefix("-").partition(" ")
        if not SHA.fullmatch(sha) or (not line.startswith("-") and (not rest or rest in refs)):
            raise BundleError("no-git-bundle", f"its header holds {line[:60]!r}")
        if line.startswith("-"):
            needs.append(sha)
        else:
            refs[rest] = sha
    return Header(refs=refs, needs=tuple(needs), pack_at=len(head) + 2)


def check_refs(header: Header, wanted: Mapping[str, str]) -> None:
    """Raise BundleError unless the bundle names exactly these refs at these commits."""
    for ref, sha in header.refs.items():
        if ref.startswith(_REPLACE):
            raise BundleError("replace-ref", f"it holds {ref[:80]}, which would replace an object")
        if ref not in wanted:
            raise BundleError("foreign-ref", f"it holds {ref[:80]!r}, which is not this task's")
        if sha != wanted[ref]:
            raise BundleError("other-head", f"its {ref} is at {sha[:12]}, not at {wanted[ref][:12]}")
    if missing := sorted(set(wanted) - set(header.refs)):
        raise BundleError("missing-ref", f"it lacks {missing[0]}")


def take_in(private: Git, body: bytes, header: Header, base: str) -> None:
    """Bring the commits of a bundle into our private repository, every object checked. Raises BundleError."""
    for sha in header.needs:
        if not private.rev_parse(sha) or not private.is_ancestor(sha, base):
            raise BundleError(
                "other-base", f"it builds upon {sha[:12]}, which is not in the history of {base[:12]}"
            )
    pack = body[header.pack_at :]
    _weigh(pack, len(body), 32 if private.object_format == "sha256" else 20)
    folder = Path(tempfile.mkdtemp(prefix="oa-bundle-"))
    try:
        window = make_window(folder / "window.git", private.common_dir / "objects", private)
        _index(window, pack)
        for ref, sha in header.refs.items():
            if ref.startswith(_BRANCH):
                weigh_trees(window, base, sha)
        for sha in header.refs.values():
            try:
                bring(window, private, sha)
            except WorktreeError as exc:
                raise BundleError("missing-objects", exc.message) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _weigh(pack: bytes, file_bytes: int, name_bytes: int) -> None:
    """Raise BundleError for a pack of too many objects, or that unpacks to too much; nothing is unpacked for that."""
    if len(pack) < 32 or pack[:4] != b"PACK":
        raise BundleError("no-git-bundle", "it holds no pack")
    (count,) = struct.unpack(">I", pack[8:12])
    if count > MAX_OBJECTS:
        raise BundleError("too-many-objects", f"it holds {count} objects, at most {MAX_OBJECTS} are taken")
    total = unpacked_bytes(pack, count, MAX_UNPACKED_BYTES, name_bytes=name_bytes)
    if total > MAX_UNPACKED_BYTES:
        raise BundleError(
            "oversized", f"its objects are more than the {MAX_UNPACKED_BYTES} bytes that are taken"
        )
    if total > RATIO_FROM_BYTES and total > MAX_RATIO * file_bytes:
        raise BundleError(
            "ratio", f"its {file_bytes} bytes unpack to {total}, more than {MAX_RATIO} times as many"
        )


def _index(window: Git, pack: bytes) -> None:
    args = ["index-pack", "--stdin", "--fix-thin", f"--strict={_STRICT}"]
    env = {
        **base_env(window.env), "GIT_DIR": str(window.common_dir), "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none", "GIT_ALLOC_LIMIT": str(MAX_UNPACKED_BYTES),
    }  # fmt: skip
    try:
        done = spawn_git(
            [*config_arguments(HARDENED), *args],
            env=env,
            cwd=window.common_dir,
            stdin=pack,
            timeout_s=INDEX_TIMEOUT_S,
        )
    except GitError as exc:
        raise BundleError("oversized", f"its pack was not indexed: {exc.message}") from None
    if done.code:
        raise _named(done.err)


_FSCK = (
    ("path-escape", r"hasDot|fullPathname|emptyName|hasDotdot|hasDotgit"),
    ("submodule-url", r"gitmodulesUrl|gitmodulesPath|gitmodulesName|gitmodulesUpdate|gitmodulesParse"),
    ("symlink-escape", r"gitmodulesSymlink|gitattributesSymlink|gitignoreSymlink"),
    ("oversized", r"exceeds? .*limit|attempting to allocate|out of memory"),
    ("missing-objects", r"expected object|unresolved delta|broken link|missing|did not receive"),
)
"""How what git refuses is called here."""


def _named(err: str) -> BundleError:
    kind = next((name for name, words in _FSCK if re.search(words, err, re.IGNORECASE)), "bad-object")
    lines = [line for line in err.splitlines() if re.search(r"error|fatal", line)]
    return BundleError(
        kind, f"git refuses its objects: {last_line(chr(10).join(lines[:1])) or 'no reason given'}"
    )
