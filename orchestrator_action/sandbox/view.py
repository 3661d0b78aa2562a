"""What a walled process sees of the file system: which folders are hidden, which it reads, which it writes.

The system is readable. Homes, /tmp and /run are hidden, for that is where keys, sockets and other
people's work are. Out of them come back, read-only: the programs that PATH leads to with what belongs to
them, our own program, and what the policy names. Files with credentials stay hidden wherever they lie.
Pure but for looking at the disk.
"""

from __future__ import annotations

import functools
import os
import pwd
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from orchestrator_action.sandbox.forward import PROXY_PORT
from orchestrator_action.sandbox.policy import Level, Policy
from orchestrator_action.sandbox.sockets import socket_files

PACKAGE = str(Path(__file__).resolve().parents[1])

CREDENTIALS = (
    ".ssh", ".gnupg", ".netrc", "_netrc", ".aws", ".azure", ".config/gcloud", ".config/gh", ".config/hub",
    ".config/glab-cli", ".config/git/credentials", ".git-credentials", ".git-credential-cache", ".docker",
    ".config/containers", ".kube", ".npmrc", ".yarnrc.yml", ".pypirc", ".config/pip", ".config/pypoetry",
    ".config/uv", ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml",
    ".gradle/gradle.properties", ".composer/auth.json", ".config/composer/auth.json", ".terraform.d",
    ".terraformrc", ".vault-token", ".claude", ".claude.json", ".config/claude", ".codex", ".gemini", ".qwen",
    ".copilot", ".config/github-copilot", ".local/share/opencode", ".local/share/keyrings", ".password-store",
    ".pgpass", ".my.cnf", ".bash_history", ".zsh_history", ".mozilla", ".config/google-chrome",
    ".config/chromium",
)  # fmt: skip
"""Below a home; hidden even when a configuration asks for the folder they are in, but not by their own name."""
_SYSTEM_SECRETS = (
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
)
"""Readable by root without any capability. Others cannot read them, and what is hidden costs every start."""
_RUNNER_SECRETS = (".credentials", ".credentials_rsaparams", ".runner", ".env")
"""In the folder of a self-hosted runner, two above its temporary one."""
_SOCKETS = ("/run", "/var/run", "/tmp", "/var/tmp")
_WHOLE = (
    ".pyenv",
    ".nvm",
    ".rustup",
    ".volta",
    ".asdf",
    ".rbenv",
    ".sdkman",
    ".nodenv",
    ".goenv",
    ".fnm",
    ".bun",
    ".elan",
    ".ghcup",
    ".jenv",
    ".phpenv",
    ".plenv",
    ".swiftenv",
)
"""Folders of a home that hold one tool and all of it."""
_APART = {
    ".local/bin": (
        ".local/lib", ".local/pipx", ".local/share/pipx", ".local/share/uv", ".local/share/pnpm", ".local/share/mise",
    ),
    ".cargo/bin": (".rustup",),
    ".asdf/shims": (".tool-versions",),
    ".local/share/mise/shims": (".local/share/mise",),
    ".juliaup/bin": (".julia/juliaup",),
}  # fmt: skip
"""By the folder of its programs: what else of a home belongs to a tool whose parts lie in several places."""
_WITH_PROGRAMS = ("pyvenv.cfg", "lib", "libexec", "include", "conda-meta", "gems", "autoload.php")
"""Beside the folder with a tool's programs, when all of it is the tool's."""
_FOLDERS_OF_PROGRAMS = ("bin", "sbin", "libexec", "shims", "scripts")
_TOOLS = (
    "PYENV_ROOT", "NVM_DIR", "RUSTUP_HOME", "VIRTUAL_ENV", "CONDA_PREFIX", "GOROOT", "JAVA_HOME", "VOLTA_HOME",
    "RUNNER_TOOL_CACHE", "AGENT_TOOLSDIRECTORY", "pythonLocation", "DOTNET_ROOT", "SDKMAN_DIR", "RBENV_ROOT",
    "PLAYWRIGHT_BROWSERS_PATH",
)  # fmt: skip
"""Variables that name the folder of a tool."""


class Shown(IntEnum):
    """How much of a folder a process sees."""

    HIDDEN = 0
    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where things are on this machine for a process with a given HOME and PATH."""

    homes: tuple[str, ...]
    """The process's HOME first, then the one the system has on record."""
    hidden: tuple[str, ...]
    tools: tuple[str, ...]
    """What is readable below hidden folders because PATH, or our own program, leads to it."""
    secrets: tuple[str, ...]
    tmp: str = "/tmp"


def arrange(policy: Policy, folders: Folders) -> list[tuple[str, Shown]]:
    """Folders and files in the order in which they must be laid over each other, the system being readable.

    Of two rules the longer path decides; of two for one path the one that shows more. A credential stays
    hidden unless its own path is asked for.
    """
    rules: dict[str, Shown] = {}

    def add(paths: Iterable[str], shown: Shown) -> None:
        for path in map(real, paths):
            rules[path] = max(shown, rules.get(path, Shown.HIDDEN))

    add((*folders.hidden, *policy.mask), Shown.HIDDEN)
    add((*folders.tools, *policy.read), Shown.READ)
    add(policy.write, Shown.WRITE)
    if policy.level is Level.CONFINED and policy.scratch:
        add([policy.scratch], Shown.WRITE)
    for secret in folders.secrets:
        rules.setdefault(secret, Shown.HIDDEN)
    if policy.level is Level.SANDBOXED:  # Landlock does not keep from connecting to a file that is seen
        known = frozenset(rules)
        rules |= {
            path: Shown.HIDDEN
            for path in socket_files()
            if not any(p in known for p in (path, *_parents(path)))
        }
    if policy.level is not Level.SANDBOXED:
        return list(_needed(rules, ()))
    devices = {
        "/dev": Shown.HIDDEN
    }  # made anew for each process: what a checkout in /dev/shm needs is laid into it
    return [rule for rule in _needed({**rules, **devices}, folders.homes[:1]) if rule[0] not in devices]


def _needed(rules: Mapping[str, Shown], own: Collection[str]) -> Iterator[tuple[str, Shown]]:
    """The rules that change anything, parents before children. A folder that is the process's `own` has to be made
    where it lies in another that is empty within, as a HOME below /tmp does."""
    for path in sorted(rules, key=lambda p: (p.count("/"), p)):
        if path in own or rules[path] is not shown_in(os.path.dirname(path), rules):
            yield path, rules[path]


def _parents(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)
        yield path


def real(path: str) -> str:
    """The path without symbolic links."""
    return os.path.realpath(path)


_GONE = (
    "TEMP",
    "TMP",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
)
_CACHES = (
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "PIP_CACHE_DIR", "UV_CACHE_DIR",
    "NPM_CONFIG_CACHE", "npm_config_cache", "GOPATH", "GOCACHE", "GOMODCACHE", "CARGO_HOME", "DENO_DIR",
    "GRADLE_USER_HOME", "COMPOSER_HOME", "MIX_HOME", "HEX_HOME", "STACK_ROOT",
)  # fmt: skip
"""Folders that a tool must be able to write; without the variable it takes one below HOME."""


def walled_env(env: Mapping[str, str], policy: Policy, folders: Folders) -> dict[str, str]:
    """The environment as it is true within: temporary files in /tmp, caches where they can be written."""
    rules = {real(path): Shown.WRITE for path in policy.write} | dict.fromkeys(folders.hidden, Shown.WRITE)
    rules |= dict.fromkeys(folders.tools, Shown.READ)
    kept = {name: value for name, value in env.items() if name not in _GONE}
    for name in _CACHES:
        if name in kept and shown_in(real(kept[name]), rules) is not Shown.WRITE:
            del kept[name]
    rustup = next((t for home in folders.homes if (t := f"{home}/.rustup") in folders.tools), "")
    kept |= {"RUSTUP_HOME": rustup} if rustup and "RUSTUP_HOME" not in kept else {}
    if "PATH" in kept:
        kept["PATH"] = ":".join(_as_seen(place, folders.hidden) for place in kept["PATH"].split(":"))
    if policy.level is Level.CONFINED and policy.scratch:  # nothing can be laid over HOME and /tmp
        return {**kept, "HOME": f"{policy.scratch}/home", "TMPDIR": f"{policy.scratch}/tmp"}
    if "TMPDIR" in kept:
        kept["TMPDIR"] = folders.tmp
    if real(kept.get("HOME") or "/") not in folders.homes:
        kept["HOME"] = folders.tmp
    return {**_without_proxies(kept), **_BY_PROXY} if policy.way_out else kept


_WITHIN = f"http://127.0.0.1:{PROXY_PORT}"
_BY_PROXY = {
    **dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), _WITHIN
    ),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1"),
    "NODE_USE_ENV_PROXY": "1",  # Node's own `fetch` looks at the others from version 24 on, when this is set
}
"""How programs find the way out; what they start for themselves on loopback they reach without it."""


def _without_proxies(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.lower().endswith("_proxy")}


def _as_seen(place: str, hidden: tuple[str, ...]) -> str:
    """A folder of PATH: where a link in a hidden folder leads to it, by the path that is seen."""
    return real(place) if os.path.isabs(place) and _below(os.path.normpath(place), hidden) else place


def shown_in(path: str, rules: Mapping[str, Shown]) -> Shown:
    """How much of a path without links these rules show; what none of them is about is readable."""
    return next((rules[p] for p in (path, *_parents(path)) if p in rules), Shown.READ)


def find_folders(env: Mapping[str, str], program: str = "", *, masked: tuple[str, ...] = ()) -> Folders:
    """Look at this machine with the eyes of a process that has this environment and runs this program.

    `masked` are folders that a policy hides, too: the programs that PATH leads to in there are seen all the same.
    """
    named = tuple(env[name] for name in _TOOLS if env.get(name))
    return _folders(env.get("HOME", ""), env.get("PATH", os.defpath), named, program, masked)


@functools.lru_cache(maxsize=64)
def _folders(home: str, path: str, named: tuple[str, ...], program: str, masked: tuple[str, ...]) -> Folders:
    homes = tuple(
        dict.fromkeys(h for h in map(real, filter(None, (home, _recorded_home()))) if may_be_hidden(h))
    )
    hidden = tuple(dict.fromkeys(p for p in map(real, (*homes, *_SOCKETS, *masked)) if os.path.isdir(p)))
    places = [*path.split(":"), *([os.path.dirname(program)] if "/" in program else [])]
    tools = {PACKAGE, real(sys.prefix), real(sys.base_prefix), real("/etc/resolv.conf"), *map(real, named)}
    if os.path.isabs(program) and os.path.isfile(program):
        tools.add(real(program))  # its folder may be a home, and that is never shown
    for place in places:
        if os.path.isabs(place) and os.path.isdir(place) and _below(real(place), hidden):
            tools.update(_tool_folders(place, homes, hidden))
    return Folders(
        homes=homes,
        hidden=hidden,
        tools=tuple(t for t in sorted(tools) if _below(t, hidden) and t not in hidden),
        secrets=tuple(_secrets(homes)),
        tmp=real("/tmp"),
    )


def belongings(program: str, env: Mapping[str, str], *, masked: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a process has to see to use this file that a trusted text names by its whole path: the file, and the tool
    whose programs are in its folder. Empty where there is no such file, or nothing hides it.
    """
    if not os.path.isfile(program):
        return ()
    folders = find_folders(env, masked=masked)
    own = {real(program)}
    if os.path.basename(os.path.dirname(program)) in _FOLDERS_OF_PROGRAMS:
        own.update(_tool_folders(os.path.dirname(program), folders.homes, folders.hidden))
    return tuple(path for path in sorted(own) if _below(path, folders.hidden))


def _recorded_home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def may_be_hidden(path: str) -> bool:
    """Whether hiding this folder takes nothing of the system away."""
    system = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/nonexistent")
    return path != "/" and os.path.isdir(path) and not _below(path, system)


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == f or path.startswith(f.rstrip("/") + "/") for f in folders)


def _secrets(homes: Iterable[str]) -> Iterator[str]:
    temp = os.environ.get("RUNNER_TEMP", "")
    runner = os.path.dirname(os.path.dirname(real(temp))) if temp else ""
    known = [os.path.join(home, name) for home in homes for name in CREDENTIALS]
    known += [name for name in _SYSTEM_SECRETS if os.access(name, os.R_OK)]
    known += [os.path.join(runner, name) for name in _RUNNER_SECRETS if runner]
    for path in known:
        if os.path.lexists(path):
            yield real(path)


def _links_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_symlink()]
    except OSError:  # a folder of PATH that only others may list
        return []


def _tool_folders(place: str, homes: Iterable[str], hidden: tuple[str, ...]) -> Iterator[str]:
    """A folder of PATH below a hidden one, and whatever its programs need beside them."""
    yield real(place)
    yield _root(real(place), homes)
    for home in homes:
        others = _APART.get(os.path.relpath(real(place), home), ())
        yield from (real(f"{home}/{name}") for name in others if os.path.exists(f"{home}/{name}"))
    for link in _links_in(place):
        target = real(link)
        if os.path.isfile(target) and _below(target, hidden):
            yield _root(os.path.dirname(target), homes)


def _root(folder: str, homes: Iterable[str]) -> str:
    """The folder of the whole tool whose programs are in `folder`."""
    for home in homes:
        if folder.startswith(f"{home}/"):
            first = folder[len(home) + 1 :].split("/")[0]
            if first in _WHOLE:
                return os.path.join(home, first)
    parts = folder.split("/")
    if "node_modules" in parts:
        return "/".join(parts[: parts.index("node_modules") + 1])
    above = os.path.dirname(folder)
    shared = {*homes, *(f"{home}/{name}" for home in homes for name in (".local", ".cargo", "go"))}
    whole = above not in shared and any(os.path.exists(f"{above}/{name}") for name in _WITH_PROGRAMS)
    return above if whole else folder
