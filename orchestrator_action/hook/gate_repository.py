"""The repository gates find around them: its own refs, configuration, index and hooks, borrowed objects.

Nothing a gate does to git reaches the user's repository, so nothing has to be put back, and what the user
or another push writes meanwhile stays. It is made anew for every commit that is judged; what the gates of
the commit before did to it is gone. Settings that hold credentials are not copied.
"""

import os
import sys

from orchestrator_action.git.file_formats import alternates, config_text, packed_refs
from orchestrator_action.hook.fast_git import (
    PushSite,
    git,
    read_file,
    tool_python,
    without_login,
    write_file,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GATES_MARK = "orchestrator-gates"
"""A file in the git directory of such a repository: a push from it runs no gates again."""

_SHOWN_REFS = ("refs/heads", "refs/tags", "refs/remotes", "refs/notes")
"""What gates may ask for, as `git describe` does. Never refs/replace: it would change what they see."""

_CORE = frozenset(
    {
        "core.abbrev", "core.attributesfile", "core.autocrlf", "core.bigfilethreshold", "core.eol",
        "core.excludesfile", "core.filemode", "core.ignorecase", "core.precomposeunicode",
        "core.safecrlf", "core.symlinks", "extensions.objectformat", "extensions.partialclone",
        "blame.ignorerevsfile", "push.default",
    }
)  # fmt: skip
_SECTIONS = ("filter.", "diff.", "merge.", "branch.", "submodule.", "user.", "i18n.", "lfs.", "alias.")
_REMOTE_KEYS = (".url", ".pushurl", ".fetch", ".promisor", ".partialclonefilter")


def make_repository(
    git_dir: str, *, site: PushSite, commit: str, tree: str, index: bytes, env: "Mapping[str, str]"
) -> None:
    """Write the git directory of the checkout `tree` of `commit`; `git_dir` must not exist yet.

    `index` is the index file of the checkout, `env` the environment for git calls on the user's repository.
    Raises OSError when it cannot be written.
    """
    for folder in ("objects/info", "objects/pack", "refs", "hooks", "info"):
        os.makedirs(os.path.join(git_dir, folder))
    write_file(f"{git_dir}/objects/info/alternates", alternates([os.path.join(site.common, "objects")]))
    for name in ("shallow", "info/attributes", "info/exclude"):
        text = read_file(os.path.join(site.common, name))
        if text is not None:
            write_file(f"{git_dir}/{name}", text)
    _write_refs(git_dir, site, env)
    write_file(f"{git_dir}/config", _config(site, env, sha256=len(commit) == 64))
    write_file(f"{git_dir}/hooks/pre-push", _inner_hook())
    os.chmod(f"{git_dir}/hooks/pre-push", 0o755)  # noqa: S103 - as git makes its own hooks
    write_file(f"{git_dir}/{GATES_MARK}", b"")
    write_file(f"{git_dir}/index", index)
    write_file(f"{git_dir}/HEAD", f"{commit}\n".encode())
    write_file(os.path.join(tree, ".git"), b"gitdir: " + os.fsencode(git_dir) + b"\n")


def _write_refs(git_dir: str, site: PushSite, env: "Mapping[str, str]") -> None:
    form = "--format=%(objectname) %(refname) %(symref)"
    _, out = git(f"--git-dir={site.common}", "for-each-ref", form, *_SHOWN_REFS, env=env)
    packed = []
    for line in out.split(b"\n"):
        oid, _, rest = line.partition(b" ")
        name, _, target = rest.partition(b" ")
        if target:
            write_file(os.path.join(git_dir, os.fsdecode(name)), b"ref: " + target + b"\n")
        elif name:
            packed.append((name, oid))
    write_file(f"{git_dir}/packed-refs", packed_refs(packed))


def _config(site: PushSite, env: "Mapping[str, str]", *, sha256: bool) -> bytes:
    own = [
        ("core.repositoryformatversion", str(int(sha256))),
        ("core.bare", "false"),
        ("core.logallrefupdates", "true"),
        ("gc.auto", "0"),
    ]
    if sha256:
        own.append(("extensions.objectformat", "sha256"))
    _, out = git(f"--git-dir={site.common}", "config", "--local", "--includes", "-z", "--list", env=env)
    shown = (
        (key, without_login(value) if key.startswith("remote.") else value)
        for key, value in _entries(out)
        if _is_shown(key) and key != "extensions.objectformat"
    )
    return config_text([*own, *shown])


def _entries(out: bytes) -> "Iterator[tuple[str, str]]":
    for entry in out.decode("utf-8", "surrogateescape").split("\0"):
        if entry:
            key, newline, value = entry.partition("\n")
            yield key, value if newline else "true"


def _is_shown(key: str) -> bool:
    if key.startswith("remote."):
        return key.endswith(_REMOTE_KEYS)
    return key in _CORE or key.startswith(_SECTIONS)


def _inner_hook() -> bytes:
    """Policy holds for a push that a gate makes, too."""
    door = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hook.py")
    words = (sys.executable, "-I", "-S", "-E", "-X", f"orchestrator={tool_python()}", door, "pre-push", "")
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    return os.fsencode(f'#!/bin/sh\nexec {quoted} "$@"\n')
