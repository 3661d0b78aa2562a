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
from orchestrator_action.git.private import TOLERATED, bring, make_window
from orchestrator_action.git.process import HARDENED, base_env, config_arguments, last_line, spawn_git
from orchestrator_action.git.repo import Git

MAX_FILE_BYTES = 64 * 1024**2
"""Of the whole file."""
MAX_OBJECTS = 50_000
MAX_UNPACKED_BYTES = 512 * 1024**2
"""Of all objects together, unpacked."""
RATIO_FROM_BYTES, MAX_RATIO = 16 * 1024**2, 100
"""Above so many unpacked bytes, how many times larger than the file they may be."""
INDEX_TIMEOUT_S = 120.0
_REPLACE = "refs/replace/"
_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a bundle says of itself: its refs, and the commits that it builds upon."""

    refs: Mapping[str, str]
    needs: tuple[str, ...]
    pack_at: int
    """The offset of its pack."""


def write(git: Git, refs: Collection[str], base: str, file: Path) -> None:
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
    _weigh_header(pack)
    folder = Path(tempfile.mkdtemp(prefix="oa-bundle-"))
    try:
        window = make_window(folder / "window.git", private.common_dir / "objects", private)
        _index(window, pack)
        _weigh(window, len(body))
        for sha in header.refs.values():
            try:
                bring(window, private, sha)
            except WorktreeError as exc:
                raise BundleError("missing-objects", exc.message) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _weigh_header(pack: bytes) -> None:
    if len(pack) < 32 or pack[:4] != b"PACK":
        raise BundleError("no-git-bundle", "it holds no pack")
    (count,) = struct.unpack(">I", pack[8:12])
    if count > MAX_OBJECTS:
        raise BundleError("too-many-objects", f"it holds {count} objects, at most {MAX_OBJECTS} are taken")


def _index(window: Git, pack: bytes) -> None:
    args = ["index-pack", "--stdin", "--fix-thin", f"--strict={','.join(f'{k}=ignore' for k in TOLERATED)}"]
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


def _weigh(window: Git, file_bytes: int) -> None:
    """Every object of the pack, unpacked, by what git says of its size."""
    names: list[str] = []
    for index in sorted((window.common_dir / "objects" / "pack").glob("*.idx")):
        listed = window.run("show-index", stdin=index.read_bytes()).text
        names += [line.split(" ")[1] for line in listed.splitlines()]
    total = sum(size or 0 for size in window.sizes(names))
    if total > MAX_UNPACKED_BYTES:
        raise BundleError(
            "oversized", f"its objects are {total} bytes, at most {MAX_UNPACKED_BYTES} are taken"
        )
    if total > RATIO_FROM_BYTES and total > MAX_RATIO * file_bytes:
        raise BundleError(
            "ratio", f"its {file_bytes} bytes unpack to {total}, more than {MAX_RATIO} times as many"
        )
