"""A repository that borrows another's objects: refs, settings and hooks are its own.

Made by hand from files, which needs no lock and no process, and no hook can have a part in it. The copy
of the settings has no credentials: what actions/checkout left for itself stays behind.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git import file_formats
from orchestrator_action.git.place import main_checkout
from orchestrator_action.git.process import spawn_git
from orchestrator_action.git.repo import Git
from orchestrator_action.process.files import replace_file

Settings = tuple[tuple[str, str | None], ...]
"""Keys as `git config --list -z` prints them, each with its value; None for one without `=`."""

_CREDENTIALS = re.compile(
    r"^(http\..*extraheader|http\.extraheader|credential\..*|includeif\..*|include\..*|core\.sshcommand|"
    r"http\..*(sslkey|sslcert|cookiefile|proxy.*)|remote\..*\.proxy|core\.askpass)$",
    re.IGNORECASE,
)
_NOT_TAKEN = re.compile(
    r"^(core\.(bare|worktree|fsmonitor|untrackedcache|sparsecheckout(cone)?)|index\.sparse|"
    r"extensions\.(worktreeconfig|refstorage|relativeworktrees|preciousobjects)|gc\.auto|maintenance\.auto)$"
)
"""What says something of the user's own checkout."""
_SPARSE = ("core.sparsecheckout", "core.sparsecheckoutcone", "index.sparse")
_OWN: Settings = (("core.bare", "false"), ("gc.auto", "0"), ("maintenance.auto", "false"))
_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)
_NOT_LENT = re.compile(r"refs/(orchestrator|replace|stash|bisect|worktree|rewritten)(/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What a repository that borrows from `lender` is made from: a picture of it at one moment."""

    lender: Git = field(repr=False)
    settings: Settings
    refs: dict[str, str]
    """Branches, tags and remote-tracking branches with their commits."""
    links: dict[str, str]
    """Symbolic refs, such as `refs/remotes/origin/HEAD`, and the refs they name."""
    sparse: bytes | None
    """The patterns of a sparse checkout; None where there is none."""


def picture(lender: Git) -> Template:
    """The template of a repository as it stands now."""
    refs, links = _refs(lender)
    sparse = lender.git_dir / "info" / "sparse-checkout"
    effective = lender.config()
    is_sparse = effective.get("core.sparsecheckout", "").lower() == "true" and sparse.is_file()
    extra: Settings = tuple((k, effective[k]) for k in _SPARSE if k in effective) if is_sparse else ()
    return Template(
        lender=lender, settings=(*_settings(lender), *_OWN, *extra), refs=refs, links=links,
        sparse=sparse.read_bytes() if is_sparse else None,
    )  # fmt: skip


def make_git_dir(
    template: Template,
    at: Path,
    *,
    head: str,
    objects: Sequence[Path],
    refs: dict[str, str] | None = None,
    hooks: bool = False,
) -> None:
    """Make the git directory `at`, which must not exist. `head` is a full ref name, or a commit.

    `objects` are the folders of objects it borrows. `refs` are laid over the lender's.
    """
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (at / folder).mkdir(parents=True)
    (at / "objects" / "info" / "alternates").write_bytes(file_formats.alternates(objects))
    write_settings(at / "config", template.settings)
    write_refs(at, {**template.refs, **(refs or {})}, template.links)
    if refs and head in refs:  # loose as well, so that where the branch is can be read without starting git
        (at / head).parent.mkdir(parents=True, exist_ok=True)
        (at / head).write_text(f"{refs[head]}\n", encoding="ascii")
    copy_common(template, at)
    if hooks:
        _copy_hooks(template.lender.common_dir / "hooks", at / "hooks")
    (at / "HEAD").write_text(f"ref: {head}\n" if head.startswith("refs/") else f"{head}\n", encoding="utf-8")


def copy_common(template: Template, at: Path) -> None:
    """Copy what git knows of a repository beside its settings: what is ignored, attributes, cut history."""
    common = template.lender.common_dir
    (at / "info").mkdir(exist_ok=True)
    for name in ("info/exclude", "info/attributes", "shallow"):
        replace_by_copy(common / name, at / name)
    if template.sparse is not None:
        (at / "info" / "sparse-checkout").write_bytes(template.sparse)


def replace_by_copy(source: Path, target: Path) -> None:
    """Make `target` what `source` is, whole or not at all; gone when there is no such file."""
    if not source.is_file():
        target.unlink(missing_ok=True)
        return
    put_file(target, source.read_bytes())


def put_file(target: Path, body: bytes) -> None:
    """Write a file in one step: a reader sees the old or the new one."""
    replace_file(target, body, sync=False)


# -- settings ---------------------------------------------------------------------------------------


def _settings(git: Git) -> Settings:
    """The repository's own settings, fit to be handed to an agent."""
    listed = spawn_git(
        ["config", "--file", str(git.common_dir / "config"), "--no-includes", "--list", "-z"], env=git.env
    )
    if listed.code:
        raise WorktreeError(
            "the configuration of the repository cannot be read", hint="git config --list --local"
        )
    pairs = (os.fsdecode(e).partition("\n") for e in listed.out.split(b"\0") if e)
    kept = ((k, v if separator else None) for k, separator, v in pairs if not _left_out(k, v, git))
    top = main_checkout(git) or git.common_dir
    return tuple((_USERINFO.sub(r"\1", key), _value(key, value, top)) for key, value in kept)


def _left_out(key: str, value: str, git: Git) -> bool:
    if _CREDENTIALS.match(key) or _NOT_TAKEN.match(key):
        return True
    own = key == "core.hookspath" and Path(value).is_absolute()
    return own and Path(value).is_relative_to(git.common_dir)  # its hooks are copied


def _value(key: str, value: str | None, top: Path) -> str | None:
    """The value without a password, a path from the checkout's top made absolute."""
    if value is None or not key.endswith(("url", ".insteadof")):
        return value
    if "://" in value:
        return _USERINFO.sub(r"\1", value)
    is_relative = key.startswith("remote.") and not value.startswith("/") and ":" not in value.split("/")[0]
    return str((top / value).resolve()) if is_relative else value


def write_settings(file: Path, settings: Iterable[tuple[str, str | None]]) -> None:
    """Write a git configuration file."""
    put_file(file, file_formats.config_text(settings))


# -- refs -------------------------------------------------------------------------------------------


def _refs(git: Git) -> tuple[dict[str, str], dict[str, str]]:
    out = git.text("for-each-ref", "--format=%(objectname) %(refname) %(symref)")
    refs, links = {}, {}
    for line in filter(None, out.split("\n")):  # a name may hold other ends of lines
        sha, ref, link = line.split(" ", 2)
        if _NOT_LENT.match(ref):
            continue
        if link:
            links[ref] = link
        else:
            refs[ref] = sha
    return refs, links


def write_refs(at: Path, refs: dict[str, str], links: dict[str, str]) -> None:
    """Write refs in packed form, and symbolic ones as files."""
    packed = file_formats.packed_refs((os.fsencode(ref), sha.encode()) for ref, sha in refs.items())
    put_file(at / "packed-refs", packed)
    for ref, link in links.items():
        file = at / ref
        if ref.startswith("refs/") and ".." not in ref.split("/"):
            file.parent.mkdir(parents=True, exist_ok=True)
            put_file(file, os.fsencode(f"ref: {link}\n"))


def _copy_hooks(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("*.sample"))
