"""What was built for a release is looked at: `python -m tests.built [--tag TAG | --notes TAG | --pythons] [DIST]`.

With `--pythons` the wheel is installed into an empty environment of each Python of this machine, as pipx and uvx do
it, and its demo is run there. Standard library only: the job that publishes runs it, too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

from tests.pythons import pythons

ROOT = Path(__file__).resolve().parents[1]
IN_SDIST = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "action.yml", "pyproject.toml",
    "hatch_build.py",
    "requirements.lock", "requirements-otel.lock", "requirements-dev.lock", "orchestrator_action/__init__.py",
    "examples/on-label.yml", "tests/built.py", "docs/command.md", ".github/workflows/release.yml",
)  # fmt: skip
"""Without these nobody can build, test or read it from the sdist alone."""
IN_WHEEL = (
    "orchestrator_action/examples/on-label.yml", "orchestrator_action/config/orchestrator.schema.json",
    "orchestrator_action/agents/claude/plugin/.claude-plugin/plugin.json",
)  # fmt: skip


_RELATIVE = re.compile(r"""\]\((?![a-z]+:|#)([^)\s]+)\)|(?:src|srcset)="(?![a-z]+:)""")


def version() -> str:
    """As pyproject.toml has it."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def notes(tag: str) -> str:
    """The CHANGELOG's section of a version, or of what is not released yet. Raises LookupError without one."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in (tag.removeprefix("v"), "Unreleased"):
        if found := re.search(rf"^## \[?{re.escape(name)}\]?[^\n]*\n(.*?)(?=^## |\Z)", text, re.M | re.S):
            return found[1].strip() + "\n"
    raise LookupError(f"CHANGELOG.md has no section of {tag}")


def problems(dist: Path, tag: str = "") -> list[str]:
    """What is wrong with the files in a folder; nothing is installed."""
    sdists, wheels = sorted(dist.glob("*.tar.gz")), sorted(dist.glob("*.whl"))
    if len(sdists) != 1 or len(wheels) != 1:
        return [f"{dist} holds {len(sdists)} sdists and {len(wheels)} wheels"]
    with tarfile.open(sdists[0]) as archive:
        there = {n.partition("/")[2] for n in archive.getnames()}
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = set(wheel.namelist())
        shown = "".join(wheel.read(n).decode() for n in names if n.endswith(".dist-info/METADATA"))
    wrong = [f"{name} is not in the sdist" for name in IN_SDIST if name not in there]
    wrong += [f"{name} is not in the wheel" for name in IN_WHEEL if name not in names]
    wrong += [f"{name} is in the wheel" for name in names if name.startswith("tests/")]
    wrong += [f"PyPI would show a link that leads nowhere: {link}" for link in _RELATIVE.findall(shown)]
    if tag and tag != f"v{version()}":
        wrong.append(f"the tag is {tag}, the version {version()}")
    return wrong


def installed_version(dist: Path) -> str:
    """What the wheel's own command says, in an environment of its own. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory(prefix="oa-built-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        [wheel] = dist.glob("*.whl")
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
        command = Path(folder, "bin", "orchestrator-action")
        return subprocess.run([command, "version"], check=True, capture_output=True, text=True).stdout.strip()


def demo_ends(python: Path, dist: Path) -> str:
    """The last words of the demo of the wheel, from an empty environment. Raises CalledProcessError."""
    [wheel] = dist.glob("*.whl")
    with tempfile.TemporaryDirectory(prefix="oa-built-") as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        own = Path(folder, "bin")
        subprocess.run([own / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
        kept = {k: os.environ[k] for k in ("HOME", "LANG", "TMPDIR") if k in os.environ}
        env = {**kept, "PATH": f"{own}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        command = [own / "orchestrator-action", "demo", "--dir", Path(folder, "demo")]
        done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        return next((n for n in (done.stdout + done.stderr).splitlines() if n.startswith("Everything")), "")


def on_each_python(dist: Path) -> int:
    """1 when the wheel does not do everywhere what it does here."""
    wrong = 0
    for number, program in pythons().items():
        try:
            said = demo_ends(program, dist)
        except subprocess.CalledProcessError as exc:
            said = f"error: {exc}\n{exc.stderr or ''}"
        wrong += not said.startswith("Everything ended as expected")
        print(f"Python {number} ({program}): {said}", flush=True)
    return int(bool(wrong))


def main(args: list[str]) -> int:
    """1 when anything is wrong."""
    if args[:1] == ["--notes"]:
        sys.stdout.write(notes(args[1]))
        return 0
    if args[:1] == ["--pythons"]:
        return on_each_python(Path(args[1]))
    tag = args[1] if args[:1] == ["--tag"] else ""
    dist = Path(args[-1])
    wrong = problems(dist, tag)
    if not wrong and (said := installed_version(dist)) != version():
        wrong = [f"the wheel calls itself {said}, pyproject.toml {version()}"]
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
