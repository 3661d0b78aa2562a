"""What makes a JavaScript tree ready: the packages of its lock file, by the manager that the repository names. Pure.

pnpm, Yarn and Bun are seldom on a machine. One that is missing or does not start is taken from corepack, else from
npm's registry, into a folder of the tree: the test command and the scripts it calls find it there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from orchestrator_action.verify.ecosystems.base import Files, SetupStep, table

LOCKS = {
    "pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun",
    "package-lock.json": "npm", "npm-shrinkwrap.json": "npm",
}  # fmt: skip
_OWN = ".package-manager"
_SETTINGS = frozenset({"package.json", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "bunfig.toml",
                       "pnpm-workspace.yaml", ".node-version", ".nvmrc", *LOCKS})  # fmt: skip


def read_package(text: str) -> Mapping[str, Any]:
    """A `package.json`; empty when it cannot be read."""
    try:
        package = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return package if isinstance(package, dict) else {}


def package_manager_of(files: Files, package: Mapping[str, Any]) -> str:
    """npm, pnpm, yarn or bun: as the manifest names it, else by the lock file."""
    named = _named(package)[0]
    if named in {"npm", "pnpm", "yarn", "bun"}:
        return named
    return next((m for lock, m in LOCKS.items() if lock in files.paths), "npm")


def _named(package: Mapping[str, Any]) -> tuple[str, str]:
    """Name and version of `packageManager` or `devEngines`. Source: nodejs.org/api/packages.html."""
    name, _, version = str(package.get("packageManager", "")).partition("@")
    engine = table(package, "devEngines", "packageManager")
    name, version = (name, version) if name else (str(engine.get("name", "")), str(engine.get("version", "")))
    found = re.match(r"[\w.-]+", version)
    return name, found[0] if found else ""


def is_berry(files: Files, package: Mapping[str, Any]) -> bool:
    """Whether it is a Yarn of version 2 or later."""
    return ".yarnrc.yml" in files.paths or re.match(r"yarn@[2-9]", "@".join(_named(package))) is not None


def setup(files: Files) -> SetupStep | None:
    """The packages of the lock file, or of the manifest where there is none."""
    if "package.json" not in files.paths:
        return None
    package = read_package(files.text("package.json"))
    manager = package_manager_of(files, package)
    needs = any(
        package.get(k) for k in ("dependencies", "devDependencies", "optionalDependencies", "workspaces")
    )
    locked = [lock for lock, owner in LOCKS.items() if lock in files.paths and owner == manager]
    if not needs and not locked and "pnpm-workspace.yaml" not in files.paths:
        return None
    install = _install(manager, bool(locked), files, package)
    command = install
    if install.endswith("--non-interactive"):
        # Yarn 1 refuses a package that asks for a newer Node, although the tests may do without it: npm only warns.
        command = f"{{ {install} || {install} --ignore-engines; }}"
    inputs = sorted(p for p in files.paths if p.rpartition("/")[2] in _SETTINGS and "node_modules/" not in p)
    inputs += sorted(
        p for p in files.paths if p.startswith(("patches/", ".yarn/patches/", ".yarn/releases/"))
    )
    folders = sorted({p.rpartition("/")[0] for p in inputs if p.endswith("package.json")})
    own = manager != "npm"
    return SetupStep(
        how=f"JavaScript: {install} ({locked[0] if locked else 'package.json'})",
        commands=(f"{_bring(manager, files, package)} && {command}" if own else command,),
        inputs=tuple(inputs),
        keeps=()
        if _compiles(files, package)
        else (
            *tuple(f"{f}/node_modules" if f else "node_modules" for f in folders),
            ".pnp.cjs",
            ".pnp.loader.mjs",
            *((_OWN,) if own else ()),
        ),
        again=_own_scripts(manager, files, package),
        tools=("node", "npm"),
        env={
            "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
            "COREPACK_ENABLE_STRICT": "0",
            "COREPACK_HOME": f"{{tree}}/{_OWN}/node_modules/.corepack",
        },
        path=(f"{_OWN}/node_modules/.bin",) if own else (),
        provides=(manager,) if own else (),
        registry="npm" if _from_others(files) else "",
    )


_AT_INSTALL = ("preinstall", "install", "postinstall", "prepare")
"""Scripts of the project itself that installing runs. Source: docs.npmjs.com/cli/using-npm/scripts, "Life Cycle"."""


def _compiles(files: Files, package: Mapping[str, Any]) -> bool:
    """Whether installing builds an addon of the project's own, by a rule of npm's and by no script."""
    return "binding.gyp" in files.paths and not table(package, "scripts").keys() & {"install", "preinstall"}


def _own_scripts(manager: str, files: Files, package: Mapping[str, Any]) -> tuple[str, ...]:
    """A build by `prepare` and the like, of the members first: what they make lies beside the sources, not in
    `node_modules`."""
    berry = manager == "yarn" and is_berry(files, package)  # it leaves `prepare` out
    members = [
        p for p in sorted(files.texts) if p.endswith("/package.json") and _is_member(p, files, package)
    ]
    found = []
    for manifest in [*members, "package.json"]:
        folder, scripts = manifest.rpartition("/")[0], table(read_package(files.text(manifest)), "scripts")
        names = [name for name in _AT_INSTALL if name in scripts and (name != "prepare" or not berry)]
        if "install" in names:  # it brings the two around it
            names = [name for name in names if name not in {"preinstall", "postinstall"}]
        found += [
            f"{f'cd {shlex.quote(folder)} && ' if folder else ''}{manager} run {name}" for name in names
        ]
    path = f'export PATH="$PWD/{_OWN}/node_modules/.bin:$PATH"; ' if manager != "npm" else ""
    return tuple(f"{path}{command}" for command in found)


def _is_member(manifest: str, files: Files, package: Mapping[str, Any]) -> bool:
    """Whether a manifest is of a workspace: npm, Yarn and Bun name them in the first one, pnpm in a file of its own."""
    named = package.get("workspaces", [])
    globs = named.get("packages", []) if isinstance(named, dict) else named
    listed = re.findall(r"(?m)^\s*-\s*['\"]?([^'\"#\s]+)", files.text("pnpm-workspace.yaml"))
    folder = manifest.rpartition("/")[0]

    def is_named(glob: str) -> bool:
        pattern = (
            re.escape(glob.removeprefix("./").rstrip("/")).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        )
        return re.fullmatch(pattern, folder) is not None

    said = [*map(str, globs if isinstance(globs, list) else ()), *listed]
    left_out = [g[1:] for g in said if g.startswith("!")]
    return any(map(is_named, said)) and not any(map(is_named, left_out))


_OUR_OWN = re.compile(r"(?:file|link|portal|workspace|git\+ssh|git\+file):|\.{0,2}/")


def _from_others(files: Files) -> bool:
    """Whether any manifest asks for a package that is not the repository's own."""
    packages = [read_package(t) for p, t in files.texts.items() if p.rpartition("/")[2] == "package.json"]
    kinds = ("dependencies", "devDependencies", "optionalDependencies")
    wanted = [str(v) for package in packages for kind in kinds for v in table(package, kind).values()]
    return any(not _OUR_OWN.match(version) for version in wanted)


def _install(manager: str, locked: bool, files: Files, package: Mapping[str, Any]) -> str:
    if manager == "npm":
        quiet = "--no-audit --no-fund --loglevel=error"
        return f"npm ci {quiet}" if locked else f"npm install --no-package-lock {quiet}"
    if manager == "bun":
        return "bun install --frozen-lockfile" if locked else "bun install --no-save"
    berry = manager == "yarn" and is_berry(files, package)
    frozen = "--immutable" if berry else "--frozen-lockfile"
    arguments = f"install {frozen}" if locked else "install"
    return f"{manager} {arguments}{' --non-interactive' if manager == 'yarn' and not berry else ''}"


def _bring(manager: str, files: Files, package: Mapping[str, Any]) -> str:
    """Lets `manager` be found: the machine's, else corepack's, which brings the version named, else the registry's."""
    folder = f"{_OWN}/node_modules/.bin"
    works = f"{manager} --version >/dev/null 2>&1"
    says_why = f"{manager} --version"  # one that needs another Node says so
    return (
        f'export PATH="$PWD/{folder}:$PATH"; '
        f"{works} || {{ mkdir -p {folder} && printf '*\\n' > {_OWN}/.gitignore; "
        f"corepack enable --install-directory {folder} {manager} >/dev/null 2>&1 && {works}; }} || "
        f"{{ rm -rf {folder} && npm install --prefix {_OWN} --no-save --no-audit --no-fund --loglevel=error "
        f"--no-update-notifier {_from_registry(manager, files, package)} && {says_why}; }}"
    )


def _from_registry(manager: str, files: Files, package: Mapping[str, Any]) -> str:
    """The package of a manager, at the version named or at one that reads the lock file."""
    name, version = _named(package)
    version = version if name == manager else ""
    if manager == "yarn":
        released = any(p.startswith(".yarn/releases/") for p in files.paths)
        berry = (
            is_berry(files, package) and not released
        )  # Yarn 1 hands on to a release that lies in the tree
        return f"@yarnpkg/cli-dist@{version or 4}" if berry else "yarn@1"
    return f"{manager}@{version or {'pnpm': '10', 'bun': 'latest'}[manager]}"
