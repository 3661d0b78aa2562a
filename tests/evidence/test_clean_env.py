"""What is measured is the commit: not the checkout through an editable install, not a person's HOME."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_action.verify.clean_env import clean_env
from tests.evidence.judge import Court, apply, bench_of
from tests.kit.repos import Repo

TEST = """import sys
import unittest

sys.path.append("src")
from pkg import answer


class T(unittest.TestCase):
    def test_a(self):
        self.assertEqual(42, answer())
"""
GOOD, BAD = (f"def answer():\n    return {n}\n" for n in (42, 41))
BASE = {"src/pkg/__init__.py": GOOD, "tests/test_a.py": TEST, "README.md": "x\n"}


def environment(folder: Path, checkout: Path) -> Path:
    """A virtual environment in which the checkout's `src` is installed as editable; its bin folder."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python3").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    site = folder / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    site.mkdir(parents=True)
    (site / "__editable__.pkg.pth").write_text(f"{checkout}/src\n")
    return folder / "bin"


def test_an_editable_install_of_the_checkout_is_not_what_is_tested(court: Court, make, tmp_path: Path):
    """The commit breaks the only test while the checkout has the old code."""
    repo: Repo = make(BASE)
    bin_ = environment(tmp_path / "venv", repo.path)
    apply(repo, {"src/pkg/__init__.py": BAD})
    head = repo.commit({})
    repo.write({"src/pkg/__init__.py": GOOD})
    command = "python3 -m unittest discover -s tests"
    path = f"{bin_}:/usr/bin:/bin"

    open_to_it = bench_of(repo, tmp_path / "a", command, PATH=path).suite(head)
    closed = bench_of(repo, tmp_path / "b", command, roots=(repo.path,), PATH=path).suite(head)

    assert open_to_it.passed, "the trap does not work"
    assert not closed.passed and "41" in closed.runs[0].tail


def test_a_user_site_file_reaches_no_measurement(make, tmp_path: Path):
    """HOME is an empty folder of ours, and the user site is off."""
    home, python = tmp_path / "home", f"{sys.base_prefix}/bin/python3"
    site = home / f".local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    site.mkdir(parents=True)
    (site / "usercustomize.py").write_text(
        "print('9 passed, 0 failed', flush=True); import os; os._exit(0)\n"
    )
    trap = subprocess.run(
        [python, "-c", ""], env={"HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert "9 passed" in trap.stdout, "the trap does not work"
    repo: Repo = make({"src/pkg/__init__.py": BAD, "tests/test_a.py": TEST})
    bench = bench_of(repo, tmp_path / "w", f"{python} -m unittest discover -s tests", HOME=str(home))

    run = bench.suite(bench.git.head())

    assert not run.passed and "41" in run.runs[0].tail, run.runs[0].tail


@pytest.mark.parametrize("name", ["RUSTUP_HOME", "npm_config_cache"])
def test_tools_below_the_old_home_are_still_found(tmp_path: Path, name: str):
    """Only where no variable names them already."""
    for folder in (".rustup", ".npm"):
        (tmp_path / folder).mkdir()

    env = clean_env({"HOME": str(tmp_path)}, tree=tmp_path, home=tmp_path / "new")
    told = clean_env({"HOME": str(tmp_path), name: "/elsewhere"}, tree=tmp_path, home=tmp_path / "new")

    assert env[name].startswith(f"{tmp_path}/.") and "/elsewhere" == told[name]
    assert env["HOME"] == str(tmp_path / "new")
