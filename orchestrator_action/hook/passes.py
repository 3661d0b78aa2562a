"""Which gates have passed already. Only passes are remembered, each under everything it depended on.

The key covers the tree of the commit (or, for a gate with `inputs`, exactly those paths and every
manifest and lock file; for one about the commit the commit, too), the command, the values of the variables
it names, the programs its command names as they are on this machine, what is installed for them and for the
user, the walls that are asked for, and the state of linked directories. Anything torn, foreign or unreadable
is a miss: forgetting costs a gate run, remembering wrongly would cost the truth.
"""

import os

from orchestrator_action.hook.fast_git import git, read_file, write_file
from orchestrator_action.hook.policy import HookGate, PushPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

try:
    from _blake2 import blake2b  # hashlib would load OpenSSL: 3 ms
except ImportError:  # pragma: no cover - builds of Python without it
    from hashlib import blake2b

LOCK_FILES = frozenset(
    {
        "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "conftest.py", "noxfile.py",
        "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile", "Pipfile.lock", ".python-version",
        "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml",
        "bun.lock", "bun.lockb", "deno.lock", ".nvmrc", ".tool-versions", "mise.toml", "tsconfig.json",
        "Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml", "go.mod", "go.sum", "go.work",
        "Gemfile", "Gemfile.lock", "composer.json", "composer.lock", "pom.xml", "build.gradle",
        "build.gradle.kts", "gradle.lockfile", "mix.exs", "mix.lock", "flake.nix", "flake.lock",
        "Makefile", "Dockerfile", ".gitattributes", ".gitmodules",
    }
)  # fmt: skip
"""They decide which tools run and how, so they count for every gate whatever its `inputs`."""

TOOL_CHOICE = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_VERSION", "RUSTUP_TOOLCHAIN", "JAVA_HOME", "NODE_PATH")
"""Variables by which well-known shims choose the program that really runs."""

_VENDOR_MARKS = (".package-lock.json", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml", "pyvenv.cfg")
_LIMIT = 2000
PLACEHOLDERS = ("{from}", "{to}", "{ref}", "{remote}", "{files}")
"""What a command may be given about the push; then it is about the commit."""


def short_digest(text: bytes, size: int) -> str:
    """A digest of `size` bytes, in hex: for names and seals, not against attackers."""
    return blake2b(text, digest_size=size).hexdigest()


def is_lock_file(path: str) -> bool:
    """Whether a path is a manifest or lock file by its name."""
    name = path.rpartition("/")[2]
    return name in LOCK_FILES or (name.startswith("requirements") and name.endswith((".txt", ".in")))


COMMIT_TOOLS = frozenset(
    {"git", "commitlint", "gitlint", "commitizen", "cz", "committed", "convco", "gitleaks"}
)
"""A command that names one of these may look at the commit and its history, not only at the tree."""


def is_about_commit(gate: HookGate) -> bool:
    """Whether a pass counts for the commit only: as configured, else by what the command names."""
    if gate.key != "auto":
        return gate.key == "commit"
    return asks_about_push(gate) or any(
        word.rpartition("/")[2] in COMMIT_TOOLS for word in program_words(gate.command)
    )


def asks_about_push(gate: HookGate) -> bool:
    """Whether a gate's command is given the ref, the remote or the changed files."""
    return "ORCHESTRATOR_" in gate.command or any(mark in gate.command for mark in PLACEHOLDERS)


def asks_about_ref(gate: HookGate) -> bool:
    """Whether it is told the ref's name: then each ref of a push is a question of its own."""
    return "{ref}" in gate.command or "ORCHESTRATOR_REF" in gate.command


def inputs_digest(gate: HookGate, tree: str, listing: "Listing", setup: "Sequence[str]" = ()) -> str:
    """What of the tree this gate depends on: all of it, or its inputs, its own scripts and the lock files.

    The scripts of the `setup` commands are its own, too.
    """
    if not gate.inputs:
        return tree
    from orchestrator_action.protocol.paths import matches

    digest = blake2b(digest_size=20)
    scripts = {word.removeprefix("./") for line in (gate.command, *setup) for word in program_words(line)}
    for meta, path in listing.of(tree):
        if is_lock_file(path) or path in scripts or matches(path, gate.inputs):
            digest.update(f"{meta}\t{path}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


class Keys:
    """The names under which passes are kept; what does not depend on the commit is found out once a gate."""

    __slots__ = ("_digests", "_listing", "_machine", "_setup", "_top", "_walls")

    def __init__(self, top: str, policy: PushPolicy) -> None:
        self._top = top
        self._walls = [
            policy.isolation, *policy.network, "", *policy.sandbox_read, "", *policy.sandbox_write, "",
            *(["set up", *policy.setup_commands] if policy.setup else []),
        ]  # fmt: skip
        self._setup = policy.setup_commands if policy.setup else []
        self._listing = Listing()
        self._machine: dict[int, list[str]] = {}
        self._digests: dict[tuple[int, str], str] = {}

    def of(self, gate: HookGate, commit: str, tree: str, push: str) -> str:
        """The key of `gate` at this commit, which has this tree; `push` says what its push is about."""
        parts = [tree]
        if is_about_commit(gate):
            parts = [tree, commit, push] if asks_about_push(gate) else [tree, commit]
        what = (id(gate), "\n".join(parts))
        if what not in self._digests:
            if id(gate) not in self._machine:
                self._machine[id(gate)] = [*self._walls, *_machine_parts(gate, self._top)]
            digest = inputs_digest(gate, tree, self._listing, self._setup)
            self._digests[what] = _digest_of([digest, *parts[1:], *self._machine[id(gate)]])
        return self._digests[what]


class Listing:
    """The files of trees, each tree asked for once and only when a gate has inputs."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, str]]] = {}

    def of(self, tree: str) -> list[tuple[str, str]]:
        """Pairs of `mode type oid` and path."""
        if tree not in self._known:
            code, out = git("ls-tree", "-r", "-z", "--full-tree", tree)
            if code:
                from orchestrator_action.errors import GitError

                raise GitError(f"tree {tree} cannot be listed", hint="run git fsck")
            rows = (row.partition("\t") for row in os.fsdecode(out).split("\0") if row)
            self._known[tree] = [(meta, path) for meta, _, path in rows]
        return self._known[tree]


def _machine_parts(gate: HookGate, top: str) -> list[str]:
    """All that a pass depends on besides what was pushed: command, variables, programs, linked folders."""
    parts = ["3", gate.name, gate.command]
    parts += [f"{name}={os.environ.get(name, '')}" for name in (*TOOL_CHOICE, *gate.env)]
    parts += _tools(gate, top)
    parts += [mark for link in gate.link for mark in _link_state(os.path.join(top, link))]
    return parts


def _digest_of(parts: list[str]) -> str:
    key = blake2b(digest_size=20)
    for part in parts:
        raw = part.encode("utf-8", "surrogateescape")
        key.update(b"%d:" % len(raw) + raw)
    return key.hexdigest()


def tool_path() -> list[str]:
    """PATH as the user has it: git puts its own directory first for its hooks."""
    return [
        d for d in os.environ.get("PATH", os.defpath).split(os.pathsep) if d and not d.endswith("/git-core")
    ]


def program_words(command: str) -> list[str]:
    """The words of a shell command that may name a program; coarse, and too many does no harm."""
    for mark in ";&|()<>`\"'\n":
        command = command.replace(mark, " ")
    words = dict.fromkeys(command.split())
    return [word for word in words if not word.startswith("-") and "=" not in word]


def _tools(gate: HookGate, top: str) -> list[str]:
    """The programs a command may start, as they are on this machine.

    A word with a slash is a path of the tree, which the tree's own digest covers, unless it leads into a
    linked folder of the checkout or out of the repository.
    """
    path = tool_path()
    sites = _user_sites()
    found = []
    for word in program_words(gate.command):
        if "/" not in word:
            candidates = [f"{d}/{word}" for d in path]
        elif os.path.isabs(word):
            candidates = [word]
        else:
            plain = os.path.normpath(word)
            linked = any(plain.startswith(f"{link.rstrip('/')}/") for link in gate.link)
            candidates = [os.path.join(top, plain)] if linked else []
        for candidate in candidates:
            mark = _file_mark(candidate)
            if mark:
                found.append(f"{word}={mark}")
                found += _site_packages(candidate)
                break
        if word.replace("_", "a").replace(".", "a").isalnum():
            found += [f"module={mark}" for site in sites for mark in _module_marks(site, word)]
    return found + [f"site={_stat_mark(site)}" for site in sites]


def _user_sites() -> list[str]:
    """The folders of `pip install --user`, for every Python that has one."""
    home = os.environ.get("PYTHONUSERBASE") or os.path.join(os.environ.get("HOME", ""), ".local")
    return [f"{home}/lib/{v}/site-packages" for v in _listed(f"{home}/lib") if v.startswith("python")]


def _module_marks(site: str, word: str) -> list[str]:
    name = word.partition(".")[0]
    places = (
        f"{site}/{name}.py",
        f"{site}/{name}",
        f"{site}/{name}/__init__.py",
        f"{site}/{name}/__main__.py",
    )
    return [mark for mark in map(_stat_mark, places) if mark]


def _file_mark(path: str) -> str:
    """As `_stat_mark`, for files only: a folder's time changes with every file made in it."""
    return _stat_mark(path) if os.path.isfile(path) else ""


def _site_packages(program: str) -> list[str]:
    """The installed packages that a Python program finds, as far as their folders' times show."""
    real = os.path.realpath(program)
    if not _is_python(real):
        return []
    prefixes = dict.fromkeys(os.path.dirname(os.path.dirname(path)) for path in (program, real))
    return [
        f"site={mark}" for prefix in prefixes for site in site_folders(prefix) if (mark := _stat_mark(site))
    ]


def _is_python(program: str) -> bool:
    """Whether a program is Python or a script for it, a shim of pyenv included."""
    if os.path.basename(program).startswith("python"):
        return True
    try:
        with open(program, "rb", buffering=0) as file:
            first = file.read(128)
    except OSError:
        return False
    return first.startswith(b"#!") and (
        b"python" in first.partition(b"\n")[0] or b"pyenv" in program.encode()
    )


def site_folders(prefix: str) -> list[str]:
    """Where a Python installed below `prefix` may keep packages; not all of them need exist."""
    if prefix in ("/usr", "/usr/local"):  # their lib folders are too long to be listed
        programs = (os.path.realpath(f"{folder}/python3") for folder in ("/usr/bin", "/usr/local/bin"))
        names = dict.fromkeys(map(os.path.basename, programs))
        return ["/usr/lib/python3/dist-packages"] + [
            f"{root}/lib/{name}/{kind}"
            for root in ("/usr", "/usr/local") for name in names for kind in ("site-packages", "dist-packages")
        ]  # fmt: skip
    own = [
        f"{prefix}/lib/{name}/site-packages" for name in _listed(f"{prefix}/lib") if name.startswith("python")
    ]
    shims = [f"{prefix}/versions/{name}" for name in _listed(f"{prefix}/versions")]
    return own + [site for version in shims for site in site_folders(version)]


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _link_state(path: str) -> list[str]:
    """What a package manager wrote about its folder; the folder's own time only where there is nothing."""
    marks = [f"{name}={mark}" for name in _VENDOR_MARKS if (mark := _stat_mark(os.path.join(path, name)))]
    return [f"link={mark}" for mark in marks or [_stat_mark(path)]]


def _stat_mark(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def passed(state: str, key: str, *, cache_s: float | None = None) -> bool:
    """Whether a pass is on record under `key`, and is not older than `cache_s` seconds."""
    record = read_file(os.path.join(state, "passes", key)) if cache_s != 0 else None
    if not record:
        return False
    body, _, seal = record.rpartition(b" ")
    whole = body.startswith(b"pass " + key.encode()) and seal == _seal(body)
    if not whole or cache_s is None:
        return whole
    import time

    return 0 <= time.time() - int(body.rpartition(b" ")[2]) < cache_s


def remember(state: str, key: str, *, commit: str, at: float) -> None:
    """Put a pass on record. `at` in epoch seconds. A record that cannot be kept is only forgotten."""
    body = f"pass {key} {commit} {int(at)}".encode()
    try:
        write_file(os.path.join(state, "passes", key), body + b" " + _seal(body))
        if key.startswith("0"):  # now and then is often enough
            _forget_oldest(os.path.join(state, "passes"))
    except OSError:
        pass


def _seal(body: bytes) -> bytes:
    return short_digest(body, 8).encode() + b"\n"


def _forget_oldest(folder: str) -> None:
    entries = list(os.scandir(folder))
    if len(entries) <= _LIMIT:
        return
    for entry in sorted(entries, key=lambda e: e.stat().st_mtime)[: len(entries) - _LIMIT // 2]:
        os.unlink(entry.path)
