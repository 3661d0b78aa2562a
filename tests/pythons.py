"""The tests given, on every Python of this machine that we promise: `python -m tests.pythons PATH …`.

Each gets an environment of its own in `.venv-pythons`, with the newest versions of what pyproject.toml asks for,
extras included; the lock's versions are tested by the suite itself. So one run covers old Pythons and new libraries.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-pythons"
OLDEST = (3, 11)
TOOLS = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "jsonschema")
_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])), sys.version_info[3] == 'final')"


def candidates() -> Iterator[Path]:
    """Programs that may be a Python: the system's, those on PATH, and those of pyenv."""
    yield Path("/usr/bin/python3")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob("versions/*/bin/python3"))
    for folder in map(Path, os.environ.get("PATH", os.defpath).split(os.pathsep)):
        if folder.is_dir() and folder != root / "shims":
            yield from sorted(p for p in folder.iterdir() if re.fullmatch(r"python3\.\d+", p.name))


def pythons() -> dict[str, Path]:
    """A program for each released version from 3.11 on, by version."""
    found: dict[str, Path] = {}
    for program in candidates():
        done = subprocess.run([program, "-I", "-c", _VERSION], capture_output=True, text=True, check=False)
        version, _, final = done.stdout.strip().partition(" ")
        if done.returncode == 0 and final == "True" and tuple(map(int, version.split(".")[:2])) >= OLDEST:
            found.setdefault(version, program)
    return dict(sorted(found.items(), key=lambda pair: tuple(map(int, pair[0].split(".")))))


def environment(version: str, program: Path) -> Path:
    """The Python of an environment with the project's dependencies, made when it is not there."""
    python = FOLDER / version / "bin" / "python"
    whole = FOLDER / version / "whole"  # what was broken off is made anew
    if not whole.exists():
        shutil.rmtree(FOLDER / version, ignore_errors=True)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        needs = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
        subprocess.run([program, "-m", "venv", FOLDER / version], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *needs, *TOOLS], check=True)
        whole.touch()
    return python


def main(paths: Sequence[str]) -> int:
    """Run them all, also after one has failed; 1 when any did."""
    there = pythons()
    if not there:
        print("no Python from 3.11 on was found", file=sys.stderr)
        return 1
    failed = []
    for version, program in there.items():
        print(f"== Python {version} ({program})", flush=True)
        try:
            command = [
                environment(version, program),
                "-P",
                "-m",
                "pytest",
                "-q",
                "-n",
                "auto",
                "-m",
                "not slow",
            ]
        except subprocess.CalledProcessError as exc:
            shutil.rmtree(FOLDER / version, ignore_errors=True)
            print(f"error: {exc}", file=sys.stderr)
            failed.append(version)
            continue
        if subprocess.run([*command, "-p", "no:cacheprovider", *paths], cwd=ROOT, check=False).returncode:
            failed.append(version)
    print(
        f"== {len(there) - len(failed)} of {len(there)} Pythons passed"
        + "".join(f"; failed: {v}" for v in failed)
    )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
