"""Which gates have passed already. Only passes are remembered, each under everything it depended on.

The key covers the tree of the commit (or, for a gate with `inputs`, exactly those paths and every
manifest and lock file), the command, the values of the variables it names, the programs its command
names as they are on this machine, and the state of linked directories. Anything torn, foreign or
unreadable is a miss: forgetting costs a gate run, remembering wrongly would cost the truth.
"""

import os

from orchestrator_action.hook.fast_git import git, read_file, write_file
from orchestrator_action.hook.policy import Gate

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


def short_digest(text: bytes, size: int) -> str:
    """A digest of `size` bytes, in hex: for names and seals, not against attackers."""
    return blake2b(text, digest_size=size).hexdigest()


def is_lock_file(path: str) -> bool:
    """Whether a path is a manifest or lock file by its name."""
    name = path.rpartition("/")[2]
    return name in LOCK_FILES or (name.startswith("requirements") and name.endswith((".txt", ".in")))


def inputs_digest(gate: Gate, tree: str, listing: "Listing") -> str:
    """What of the tree this gate depends on: all of it, or its inputs and the lock files."""
    if not gate.inputs:
        return tree
    from orchestrator_action.protocol.paths import matches

    digest = blake2b(digest_size=20)
    for meta, path in listing.of(tree):
        if is_lock_file(path) or matches(path, gate.inputs):
            digest.update(f"{meta}\t{path}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


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


def gate_key(gate: Gate, digest: str, top: str) -> str:
    """The name under which a pass of `gate` on inputs `digest` is kept."""
    parts = ["1", gate.name, gate.command, digest]
    parts += [f"{name}={os.environ.get(name, '')}" for name in (*TOOL_CHOICE, *gate.env)]
    parts += _tools(gate.command)
    parts += [mark for link in gate.link for mark in _link_state(os.path.join(top, link))]
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


def command_words(command: str) -> list[str]:
    """The words of a shell command that may name a program; coarse, and too many does no harm."""
    for mark in ";&|()<>`\"'\n":
        command = command.replace(mark, " ")
    words = dict.fromkeys(command.split())
    return [word for word in words if not word.startswith("-") and "=" not in word]


def _tools(command: str) -> list[str]:
    path = tool_path()
    found = []
    for word in command_words(command):
        for candidate in [word] if "/" in word else [f"{d}/{word}" for d in path]:
            mark = _stat_mark(candidate)
            if mark:
                found.append(f"{word}={mark}")
                found += _site_packages(candidate)
                break
    return found


def _site_packages(program: str) -> list[str]:
    """The installed packages of a virtual environment, as far as its directories' times show."""
    prefix = os.path.dirname(os.path.dirname(program))
    if not os.path.isfile(f"{prefix}/pyvenv.cfg"):
        return []
    try:
        versions = sorted(v for v in os.listdir(f"{prefix}/lib") if v.startswith("python"))
    except OSError:
        return []
    return [f"site={_stat_mark(f'{prefix}/lib/{v}/site-packages')}" for v in versions]


def _link_state(path: str) -> list[str]:
    return [f"link={name}={_stat_mark(os.path.join(path, name))}" for name in ("", *_VENDOR_MARKS)]


def _stat_mark(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def passed(state: str, key: str) -> bool:
    """Whether a pass is on record under `key`."""
    record = read_file(os.path.join(state, "passes", key))
    if not record:
        return False
    body, _, seal = record.rpartition(b" ")
    return body.startswith(b"pass " + key.encode()) and seal == _seal(body)


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
