"""Where a set-up takes packages from, and whether that answers: what `doctor` tries before a run does.

A registry that answers anything at all is within reach: that a path is not there, or that a key is wanted, is another
matter. What is kept on the machine is counted where files tell it: modules of Go and crates of cargo need no registry
once they lie in the machine's own store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from orchestrator_action.sandbox.start import TimeoutExpired, run_to_end
from orchestrator_action.verify.ecosystems.base import SetupStep

LIMIT_S = 5.0
"""How long a registry may take to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A place that packages come from. A variable or a tool's own setting may name another one."""

    url: str
    variables: tuple[str, ...] = ()
    """Variables that name another address, the first that is set counts; the hint names the first."""
    setting: tuple[str, ...] = ()
    """A command that prints the address in force."""
    sure: bool = True
    """Whether a set-up that needs it fails without it; where other stores may serve, nobody knows before."""


REGISTRIES: Mapping[str, Registry] = {
    "PyPI": Registry(
        url="https://pypi.org/simple/",
        variables=("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
        setting=("python3", "-I", "-m", "pip", "config", "get", "global.index-url"),
    ),
    "npm": Registry(
        url="https://registry.npmjs.org/",
        variables=("npm_config_registry", "NPM_CONFIG_REGISTRY"),
        setting=("npm", "config", "get", "registry"),
    ),
    "Go modules": Registry(
        url="https://proxy.golang.org/", variables=("GOPROXY",), setting=("go", "env", "GOPROXY")
    ),
    "crates.io": Registry(url="https://index.crates.io/config.json"),
    "RubyGems": Registry(url="https://rubygems.org/", sure=False),
    "Packagist": Registry(url="https://repo.packagist.org/packages.json"),
    "Maven Central": Registry(url="https://repo.maven.apache.org/maven2/", sure=False),
    "NuGet": Registry(url="https://api.nuget.org/v3/index.json", sure=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfReach:
    """A registry that does not answer."""

    name: str
    url: str
    why: str
    needed_by: str
    """How the step was found that needs it."""
    sure: bool
    hint: str


def submodules_out_of_reach(tree: Path, modules: Path) -> Iterator[OutOfReach]:
    """The submodules that the user has no copy of below `modules`, and whose servers do not answer.

    Only addresses that a server answers over HTTP are tried; how others are reached is git's own affair.
    """
    text = _read(tree / ".gitmodules")
    for name, body in re.findall(r'(?ms)^\[submodule "([^"\n]+)"\](.*?)(?=^\[|\Z)', text):
        url = found[1] if (found := re.search(r"(?m)^\s*url\s*=\s*(https?://\S+)", body)) else ""
        if url and ".." not in name and not (modules / name).is_dir() and (why := _why_not(url)):
            yield OutOfReach(
                name=f"the submodule {name}", url=_without_key(url), why=why, needed_by="git submodule update",
                sure=True, hint="let this machine reach it, or have the submodule in your checkout",
            )  # fmt: skip


def out_of_reach(steps: Sequence[SetupStep], tree: Path, env: Mapping[str, str]) -> Iterator[OutOfReach]:
    """The registries that steps need and that do not answer, each once. `tree` is a checkout, only read."""
    needed = {s.registry: s for s in reversed(steps) if s.registry and not _is_kept(s, tree, env)}
    for name, step in reversed(needed.items()):
        registry = REGISTRIES[name]
        url = _address(registry, tree, env)
        if url and (why := _why_not(url)):
            cure = (
                f"let this machine reach it, or name a mirror in {registry.variables[0]}"
                if registry.variables
                else ""
            )
            yield OutOfReach(
                name=name, url=_without_key(url), why=why, needed_by=step.how, sure=registry.sure,
                hint=cure or "let this machine reach it",
            )  # fmt: skip


def _address(registry: Registry, tree: Path, env: Mapping[str, str]) -> str:
    """The address in force; empty where none is asked, as with `GOPROXY=off`."""
    said = next((env[v] for v in registry.variables if env.get(v)), "") or _set(registry.setting, tree, env)
    first = re.split(r"[,|]", said)[0].strip()
    if first in {"off", "direct"} or env.get("PIP_NO_INDEX", "0") not in {"", "0", "false"}:
        return ""
    return first if first.startswith(("http://", "https://")) else registry.url


def _set(command: Sequence[str], tree: Path, env: Mapping[str, str]) -> str:
    if not command:
        return ""
    try:
        done = run_to_end(command, env=env, cwd=tree, timeout_s=10.0)
    except (OSError, TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[-1] if done.returncode == 0 and done.stdout.strip() else ""


def _why_not(url: str) -> str:
    """Why an address does not answer; empty when it does, whatever it says."""
    import requests  # 15 ms, which runs that reach everything they need spend on nothing

    try:
        requests.head(url, timeout=LIMIT_S, allow_redirects=False).close()
    except requests.exceptions.SSLError:
        return ""  # it answers; the tools may trust more than we do
    except requests.exceptions.Timeout:
        return f"no answer within {LIMIT_S:g} s"
    except (requests.exceptions.RequestException, ValueError) as exc:
        return _plain(exc)
    return ""


def _plain(exc: Exception) -> str:
    """The end of the chain of causes that a connection's error has, in its own words."""
    said = str(exc).rstrip("')\"")
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)$", said)
    return found[1] if found else said.rpartition(": ")[2] or type(exc).__name__


def _without_key(url: str) -> str:
    """The address as it may be shown: without name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


# -- what the machine has already ------------------------------------------------------------------


def _is_kept(step: SetupStep, tree: Path, env: Mapping[str, str]) -> bool:
    if step.unless and step.registry == "PyPI":
        return _ends_well(step.unless, env)
    texts = {p: _read(tree / p) for p in step.inputs if p.rpartition("/")[2] in {"go.sum", "Cargo.lock"}}
    if step.registry == "Go modules" and texts:
        return all(_go_module(m, v, env).is_file() for t in texts.values() for m, v in _go_modules(t))
    if step.registry == "crates.io" and texts:
        home = Path(env.get("CARGO_HOME") or Path(env.get("HOME", "/nonexistent"), ".cargo"))
        crates = {p.name for p in home.glob("registry/cache/*/*.crate")}
        return all(
            f"{name}-{version}.crate" in crates for t in texts.values() for name, version in _crates(t)
        )
    return False


def _ends_well(command: str, env: Mapping[str, str]) -> bool:
    """Away from the tree, whose files may be called like a module."""
    try:
        return run_to_end(["/bin/sh", "-c", command], env=env, cwd=Path("/"), timeout_s=10.0).returncode == 0
    except (OSError, TimeoutExpired):
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _go_modules(text: str) -> list[tuple[str, str]]:
    """The modules whose contents `go.sum` has sums of. Source: go.dev/ref/mod, "go.sum files"."""
    return re.findall(r"(?m)^(\S+) (v[^\s/]+) h1:", text)


def _go_module(module: str, version: str, env: Mapping[str, str]) -> Path:
    """Where Go keeps a module; capital letters are written as `!` and the small one."""
    gopath = env.get("GOPATH", "").split(":")[0] or str(Path(env.get("HOME", "/nonexistent"), "go"))
    store = Path(env.get("GOMODCACHE") or Path(gopath, "pkg", "mod"))
    name, version = (re.sub(r"[A-Z]", lambda m: f"!{m[0].lower()}", word) for word in (module, version))
    return store / "cache" / "download" / name / "@v" / f"{version}.zip"


def _crates(text: str) -> list[tuple[str, str]]:
    """The packages of a `Cargo.lock` that come from a registry."""
    return re.findall(r'(?m)^name = "(.+)"\nversion = "(.+)"\nsource = "(?:registry|sparse)\+', text)
