"""`demo` does what it foretells, and what README and docs show of it is what it does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_action.cli.demo import STORIES
from tests.kit.repos import clean_env

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMES_BACK = (ROOT / "docs/what-comes-back.md").read_text(encoding="utf-8")


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "orchestrator_action.cli.main", "demo", "--dir", str(folder)],
        env=clean_env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A demo's folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "here"
    done = demo(folder)
    assert 0 == done.returncode, done.stdout + done.stderr
    return folder, done.stdout + done.stderr


def plain(text: str) -> list[str]:
    """Lines without what differs from run to run: times, ids, and how many a machine had alive at once."""
    text = re.sub(r"at most \d+", "at most N", text)
    text = re.sub(r"`[0-9a-f]{7}`", "`SHA`", text)
    text = re.sub(r"/\S+/repo/", "/TREE/repo/", text)
    text = re.sub(r"\b\d+(?:\.\d+)? s\b", "0.0", text)
    text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}", "RUN", text)
    text = re.sub(r"\S*…", "…", text)  # where a line is cut depends on how wide the times are
    text = re.sub(r"#\d+", "#N", re.sub(r"\d+\.\d+( s)?", "0.0", text))
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


def test_what_the_readme_prints_of_the_demo_is_what_it_prints(shown: tuple[Path, str]):
    [block] = re.findall(r"^```text\n(Expected:.*?)^```", README, re.MULTILINE | re.DOTALL)
    printed = "\n".join(plain(shown[1]))

    for line in filter(None, plain(block)):
        if line != "…" and not line.startswith("---"):
            assert line in printed, line


def test_the_comment_in_the_docs_is_the_comment_of_the_demo(shown: tuple[Path, str]):
    quoted = re.search(r"<!-- comment -->\n((?:>.*\n)+)", COMES_BACK)
    assert quoted is not None
    lying = 1 + next(n for n, story in enumerate(STORIES) if "all tests pass" in story.text)
    [written] = (shown[0] / "forge/comments" / str(lying)).iterdir()

    said = plain(written.read_text(encoding="utf-8").split("-->\n")[-1])

    assert [line for line in said if line] == [
        line for line in plain(re.sub(r"(?m)^> ?", "", quoted[1])) if line
    ]


def test_a_demo_overwrites_nothing(tmp_path: Path):
    (tmp_path / "mine").write_text("precious")

    done = demo(tmp_path)

    assert (2, True) == (done.returncode, "is not empty" in done.stderr), done.stderr
    assert ["mine"] == [p.name for p in tmp_path.iterdir()]
