"""What a gate sees of the environment: the user's, without git's own variables, secrets and our marks.

Why PYTHONPATH: with an editable install of the checkout in the user's virtual environment, `import pkg`
would test the checkout, dirty as it is, and not the pushed commit. The directories such an install names
are given again, as they are in the slot, where they come first.
"""

import os

from orchestrator_action.hook.fast_git import UNDECEIVED, PushSite, read_file
from orchestrator_action.hook.passes import program_words, site_folders, tool_path
from orchestrator_action.text.token_shapes import holds_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GIT_KEPT = (
    "GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_SSL_", "GIT_SSH", "GIT_HTTP_", "GIT_PROXY_", "GIT_ALLOW_PROTOCOL",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM",
    "GIT_TEMPLATE_DIR", "GIT_TERMINAL_PROMPT", "GIT_CEILING_DIRECTORIES", "GIT_EDITOR", "GIT_PAGER",
    "GIT_LFS_",
)  # fmt: skip
"""Of GIT_*, only what names no repository; everything `git rev-parse --local-env-vars` lists goes."""

SECRET_WORDS = (
    "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "API_KEY", "APIKEY", "PRIVATE_KEY",
    "ACCESS_KEY",
)  # fmt: skip
SECRET_NAMES = ("GITHUB_PAT", "GH_PAT", "GITLAB_PAT", "AZURE_DEVOPS_EXT_PAT", "GIT_ASKPASS", "SSH_ASKPASS")

DROPPED = (
    "PYTHONPYCACHEPREFIX",  # bytecode of another commit, kept by path, size and second
    "MAKEFLAGS", "MAKELEVEL", "MFLAGS",  # the job server's descriptors are not passed on
    "OLDPWD",
)  # fmt: skip

GATE_MARK = "ORCHESTRATOR_GATE"


def is_secret(name: str, value: str) -> bool:
    """Whether a variable looks like a forge token or another secret, by its name or its value."""
    upper = name.upper()
    return any(word in upper for word in SECRET_WORDS) or upper in SECRET_NAMES or holds_token(value)


def git_env(environ: "Mapping[str, str]", **more: str) -> dict[str, str]:
    """For git calls of ours in a slot: nothing of the pushing git's own repository variables."""
    kept = {k: v for k, v in environ.items() if not k.startswith("GIT_") or k.startswith(GIT_KEPT)}
    return {
        **kept,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        **UNDECEIVED,
        **more,
    }


IMPORT_PATHS = ("PYTHONPATH", "NODE_PATH", "PERL5LIB", "RUBYLIB", "CLASSPATH")
"""Where languages look for code: an entry in the checkout always means the tree instead."""
_OWN_PLACES = ("HOME", "TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV", "CONDA_PREFIX", "SHELL", "SSH_AUTH_SOCK")
"""The user's places and programs, also where they lie in the checkout."""


def checkouts(site: PushSite) -> list[str]:
    """Every worktree of the repository, without symbolic links: what must not be tested instead of a tree."""
    found = [site.top, site.common.removesuffix("/.git") if site.common.endswith("/.git") else ""]
    folder = os.path.join(site.common, "worktrees")
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    for name in names:
        pointer = os.fsdecode(read_file(os.path.join(folder, name, "gitdir")) or b"").removesuffix("\n")
        if pointer:  # with `worktree.useRelativePaths` it is meant from where it stands
            found.append(os.path.dirname(os.path.join(folder, name, pointer)))
    roots = dict.fromkeys(os.path.realpath(path) for path in found if path)
    return [root for root in roots if root != "/"]


def gate_env(
    environ: "Mapping[str, str]",
    *,
    named: "list[str]",
    tree: str,
    top: str,
    roots: "list[str]",
    command: str,
    mark: str,
) -> tuple[dict[str, str], list[str]]:
    """The environment of one gate, and the names of the variables it was not given.

    `named` are the variables of the gate's `env`; `top` is the checkout, `roots` every one of them, so that
    what they hold is not tested instead of `tree`.
    """
    given, withheld = {}, []
    for name, value in environ.items():
        if name in DROPPED or name.startswith("ORCHESTRATOR_"):
            continue
        if name.startswith("GIT_") and not name.startswith(GIT_KEPT):
            continue
        if name not in named and is_secret(name, value):
            withheld.append(name)
            continue
        keeps = "/" not in value or name in _OWN_PLACES or name.startswith("XDG_")
        given[name] = value if keeps else _moved_list(name, value, top, roots, tree)
    path = _moved_list("PATH", os.pathsep.join(tool_path()), top, roots, tree)
    given.update(PATH=path, PWD=tree, GIT_TERMINAL_PROMPT="0")
    given[GATE_MARK] = mark
    python_path = _python_path(environ.get("PYTHONPATH", ""), top, tree=tree, roots=roots, command=command)
    if python_path:
        given["PYTHONPATH"] = python_path
    return given, sorted(withheld)


def _moved_list(name: str, value: str, top: str, roots: "list[str]", tree: str) -> str:
    """A variable's paths, each that leads into a checkout replaced by the tree's.

    A relative entry of an import path is meant from the checkout, where the hook was started.
    """
    always = name in IMPORT_PATHS
    moved = []
    for path in value.split(os.pathsep):
        if always and path and top and not os.path.isabs(path):
            moved.append(_moved(os.path.join(top, path), roots, tree, always=True))
        else:
            moved.append(_moved(path, roots, tree, always=always) if path.startswith("/") else path)
    return os.pathsep.join(moved)


def _moved(path: str, roots: "list[str]", tree: str, *, always: bool) -> str:
    """A path that leads into one of `roots`, also by symbolic links, as it is in the tree.

    Any other is left as it is, and unless `always` one that the tree does not have.
    """
    inside = _inside(path, roots)
    if inside is None:
        return path
    there = os.path.normpath(tree + inside)
    return there if always or os.path.lexists(there) else path


def _inside(path: str, roots: "list[str]") -> str | None:
    """The part of a path below the checkout it leads into, or None."""
    real = os.path.realpath(path)
    for root in roots:
        if real == root or real.startswith(f"{root}/"):
            return real[len(root) :]
    return None


def _python_path(inherited: str, top: str, *, tree: str, roots: "list[str]", command: str) -> str:
    """PYTHONPATH with every directory of a checkout, named there or installed as editable, as the tree's."""
    entries = [path for path in inherited.split(os.pathsep) if path]
    absolute = [os.path.join(top, path) for path in entries]
    installed = {path for prefix in _prefixes(command, roots) for path in _editable(prefix, roots)}
    linked = {path for folder in absolute for path in _links_into(folder, roots)}
    found = {_moved(path, roots, tree, always=True) for path in installed | linked}
    kept = [_moved(path, roots, tree, always=True) for path in absolute]
    return os.pathsep.join(dict.fromkeys([*sorted(path for path in found if os.path.isdir(path)), *kept]))


def _prefixes(command: str, roots: "list[str]") -> "Iterator[str]":
    """The Python environments a gate may use: the active one, the checkout's own, those it names."""
    seen = set()
    candidates = [os.environ.get("VIRTUAL_ENV", ""), os.environ.get("CONDA_PREFIX", "")]
    candidates += [f"{root}/{name}" for root in roots for name in (".venv", "venv", "env")]
    for word in program_words(command):
        if os.path.isabs(word):
            candidates.append(os.path.dirname(os.path.dirname(word)))
        elif "/" in word:
            candidates += [os.path.dirname(os.path.dirname(f"{root}/{word}")) for root in roots]
    candidates += [os.path.dirname(folder) for folder in tool_path() if os.path.exists(f"{folder}/python3")]
    home = os.environ.get("PYTHONUSERBASE") or os.path.join(os.environ.get("HOME", ""), ".local")
    for prefix in (*candidates, "/usr/local", home):
        if prefix and prefix not in seen:
            seen.add(prefix)
            yield prefix


def _editable(prefix: str, roots: "list[str]") -> "Iterator[str]":
    """Directories of `roots` that an environment imports from: .pth files, finders, symbolic links."""
    for site in site_folders(prefix):
        yield from _links_into(site, roots)
        try:
            names = os.listdir(site)
        except OSError:
            continue
        for name in names:
            if name.endswith(".pth") or (name.endswith(".py") and "editable" in name):
                yield from _paths_in(f"{site}/{name}", site, roots)


def _links_into(folder: str, roots: "list[str]") -> "Iterator[str]":
    """The directories of a checkout whose entries are linked into an import folder."""
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            if entry.is_symlink() and _inside(entry.path, roots) is not None:
                yield os.path.dirname(os.path.realpath(entry.path))


def _paths_in(path: str, site: str, roots: "list[str]") -> "Iterator[str]":
    """The directories of a checkout that a .pth file or a finder names, in whatever spelling."""
    text = (read_file(path) or b"").decode("utf-8", "surrogateescape")
    if path.endswith(".pth"):
        for line in text.splitlines():
            if line.strip() and not line.startswith(("import ", "import\t", "#")):
                found = os.path.realpath(os.path.join(site, line.rstrip()))
                if _inside(found, roots) is not None:
                    yield found
    pieces = [piece for mark in "'\"" for piece in text.split(mark) if piece.startswith("/")]
    for piece in dict.fromkeys(pieces):
        if "\n" in piece or _inside(piece, roots) is None:
            continue
        found = os.path.realpath(piece)
        if os.path.basename(found) == "__init__.py":
            found = os.path.dirname(found)
        is_package = os.path.isfile(found) or os.path.isfile(f"{found}/__init__.py")
        yield os.path.dirname(found) if is_package else found
