"""What a gate sees of the environment: the user's, without git's own variables, secrets and our marks.

Why PYTHONPATH: with an editable install of the checkout in the user's virtual environment, `import pkg`
would test the checkout, dirty as it is, and not the pushed commit. The directories such an install names
are given again, as they are in the slot, where they come first.
"""

import os

from orchestrator_action.hook.fast_git import UNDECEIVED
from orchestrator_action.hook.passes import command_words, tool_path
from orchestrator_action.text.token_shapes import holds_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

GIT_KEPT = (
    "GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_SSL_", "GIT_SSH", "GIT_HTTP_", "GIT_PROXY_", "GIT_ALLOW_PROTOCOL",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM",
    "GIT_TEMPLATE_DIR", "GIT_TERMINAL_PROMPT", "GIT_CEILING_DIRECTORIES", "GIT_EDITOR", "GIT_PAGER",
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

MARK = "ORCHESTRATOR_GATE"


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


def gate_env(
    environ: "Mapping[str, str]",
    *,
    named: "list[str]",
    slot: str,
    roots: "list[str]",
    command: str,
    mark: str,
) -> tuple[dict[str, str], list[str]]:
    """The environment of one gate, and the names of the variables it was not given.

    `named` are the variables of the gate's `env`; `roots` the worktrees whose editable installs must not
    be tested instead of the slot.
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
        given[name] = value
    given.update(PATH=os.pathsep.join(tool_path()), PWD=slot, GIT_TERMINAL_PROMPT="0")
    given[MARK] = mark
    python_path = _python_path(given.get("PYTHONPATH", ""), slot=slot, roots=roots, command=command)
    if python_path:
        given["PYTHONPATH"] = python_path
    return given, sorted(withheld)


def _python_path(inherited: str, *, slot: str, roots: "list[str]", command: str) -> str:
    """PYTHONPATH with every directory of the checkout replaced by the slot's."""
    found = {
        _moved(path, roots, slot) for prefix in _prefixes(command, roots) for path in _editable(prefix, roots)
    }
    kept = [
        _moved(path, roots, slot) if os.path.isabs(path) else path for path in inherited.split(os.pathsep)
    ]
    entries = [*sorted(path for path in found if os.path.isdir(path)), *filter(None, kept)]
    return os.pathsep.join(dict.fromkeys(entries))


def _moved(path: str, roots: "list[str]", slot: str) -> str:
    """A path inside one of `roots` as it is in the slot; any other, or one the slot has not, as it is."""
    for root in roots:
        if path == root or path.startswith(f"{root}/"):
            there = os.path.normpath(slot + path[len(root) :])
            return there if os.path.exists(there) else path
    return path


def _prefixes(command: str, roots: "list[str]") -> "Iterator[str]":
    """The Python environments a gate may use: the active one, the checkout's own, those it names."""
    seen = set()
    candidates = [os.environ.get("VIRTUAL_ENV", ""), os.environ.get("CONDA_PREFIX", "")]
    candidates += [f"{root}/{name}" for root in roots for name in (".venv", "venv", "env")]
    for word in command_words(command):
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
    """Directories of `roots` that an environment imports from: .pth files and editable finders."""
    for version in _versions(prefix):
        for kind in ("site-packages", "dist-packages"):
            site = f"{prefix}/lib/{version}/{kind}"
            try:
                names = os.listdir(site)
            except OSError:
                continue
            for name in names:
                if name.endswith(".pth") or (name.endswith(".py") and "editable" in name):
                    yield from _paths_in(f"{site}/{name}", roots)


def _versions(prefix: str) -> "Iterable[str]":
    """The `pythonX.Y` below a prefix. The system's own lib directory is too long to be listed."""
    if prefix in ("/usr", "/usr/local"):
        programs = (f"{folder}/python3" for folder in ("/usr/bin", "/usr/local/bin"))
        return {os.path.basename(os.path.realpath(program)) for program in programs}
    try:
        return [name for name in os.listdir(f"{prefix}/lib") if name.startswith("python")]
    except OSError:
        return ()


def _paths_in(path: str, roots: "list[str]") -> "Iterator[str]":
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except OSError:
        return
    for root in roots:
        for piece in text.split(root)[1:]:
            end = min((i for i in map(piece.find, "'\"\n\r;,") if i >= 0), default=len(piece))
            if piece[:end] and not piece.startswith("/"):
                continue  # another directory whose name begins with ours
            found = root + piece[:end].rstrip()
            is_package = os.path.isfile(found) or os.path.isfile(f"{found}/__init__.py")
            if os.path.basename(found) == "__init__.py":
                found = os.path.dirname(found)
            yield os.path.dirname(found) if is_package else found
