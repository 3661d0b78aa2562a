"""The environment of a measurement: nothing of a person's home, and nothing that leads back to the checkout.

With an editable install of the checkout in an active virtual environment, `import pkg` would test the checkout,
dirty as it is, and not the commit: the folders that such an install names are given again, as they are in the
clean checkout, where they come first. The user site and HOME are anybody's to write, an agent's too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

_TOOL_HOMES = {
    "RUSTUP_HOME": ".rustup", "CARGO_HOME": ".cargo", "GRADLE_USER_HOME": ".gradle", "GOPATH": "go",
    "PYENV_ROOT": ".pyenv", "NVM_DIR": ".nvm", "npm_config_cache": ".npm", "PIP_CACHE_DIR": ".cache/pip",
    "UV_CACHE_DIR": ".cache/uv", "GOCACHE": ".cache/go-build", "DENO_DIR": ".cache/deno", "MIX_HOME": ".mix",
    "HEX_HOME": ".hex", "COMPOSER_HOME": ".composer", "STACK_ROOT": ".stack", "RBENV_ROOT": ".rbenv",
    "SDKMAN_DIR": ".sdkman", "VOLTA_HOME": ".volta", "PLAYWRIGHT_BROWSERS_PATH": ".cache/ms-playwright",
}  # fmt: skip
"""Where tools and their caches are that take them from HOME when no variable names them."""


def clean_env(
    env: Mapping[str, str], *, tree: Path, roots: Sequence[Path] = (), home: Path | None = None
) -> dict[str, str]:
    """`env` for commands that run in the clean checkout `tree`.

    `roots` are the checkouts whose editable installs must not be tested in its place. `home` is an empty folder
    to be HOME; None where a sandbox gives one.
    """
    given = {**env, "PYTHONNOUSERSITE": "1", "PWD": str(tree)}
    if home is not None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        given |= _homes_of_tools(env) | {"HOME": str(home)}
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            given.pop(name, None)
    moved = [_moved(path, roots, tree) for path in _editable(env, roots)]
    paths = [*(p for p in moved if p), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    if paths:
        given["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return given


def _homes_of_tools(env: Mapping[str, str]) -> dict[str, str]:
    """Tools that are installed below the old HOME are still found, and their caches used."""
    if not env.get("HOME"):
        return {}
    old = Path(env["HOME"])
    found = {n: str(old / sub) for n, sub in _TOOL_HOMES.items() if n not in env and (old / sub).is_dir()}
    options, local = env.get("MAVEN_OPTS", ""), old / ".m2" / "repository"
    if local.is_dir() and "maven.repo.local" not in options:
        found["MAVEN_OPTS"] = f"{options} -Dmaven.repo.local={local}".strip()
    return found


def _moved(path: Path, roots: Sequence[Path], tree: Path) -> str:
    """A folder inside one of `roots` as it is in the tree; empty where the tree has none."""
    for root in roots:
        if path.is_relative_to(root):
            there = tree / path.relative_to(root)
            return str(there) if there.is_dir() else ""
    return ""


def _editable(env: Mapping[str, str], roots: Sequence[Path]) -> Iterator[Path]:
    """Folders of `roots` that a Python on PATH imports from: .pth files and editable finders name them."""
    for site in dict.fromkeys(_sites(env)) if roots else ():
        for file in sorted(_entries(site)):
            if file.suffix == ".pth" or (file.suffix == ".py" and "editable" in file.name):
                yield from _named_in(file, roots)


def _sites(env: Mapping[str, str]) -> Iterator[Path]:
    prefixes = [Path(env[n]) for n in ("VIRTUAL_ENV", "CONDA_PREFIX") if env.get(n)]
    folders = [Path(f) for f in env.get("PATH", "").split(os.pathsep) if f]
    prefixes += [f.parent for f in folders if os.access(f / "python3", os.X_OK)]  # where we may look
    for prefix in dict.fromkeys(prefixes):
        if str(prefix) != "/usr":  # the system's own packages are nobody's checkout
            versions = [v for v in _entries(prefix / "lib") if v.name.startswith("python")]
            yield from (v / kind for v in versions for kind in ("site-packages", "dist-packages"))


def _entries(folder: Path) -> Iterable[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return ()


def _named_in(file: Path, roots: Sequence[Path]) -> Iterator[Path]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for root in map(str, roots):
        for piece in text.split(root)[1:]:
            end = min((i for i in map(piece.find, "'\"\n\r;,") if i >= 0), default=len(piece))
            if piece[:end] and not piece.startswith("/"):
                continue  # another folder whose name begins with ours
            found = Path(root + piece[:end].rstrip())
            found = found.parent if found.name == "__init__.py" else found
            yield found.parent if found.is_file() or (found / "__init__.py").is_file() else found
