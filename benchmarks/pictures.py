"""The pictures of README and docs: what a run of the demo shows, light and dark, as a real browser draws it.

`make pictures` writes them. They are of one real run: what they show was said and measured in it. The board is
the run's own terminal. Comment, check and summary are the texts that the run wrote, drawn as GitHub Flavored
Markdown by markdown-it with a plain style of ours: they are no pictures of github.com.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt

from orchestrator_action.publish.progress import times
from orchestrator_action.publish.report.overview import job_summary
from orchestrator_action.run.past_runs import report_from
from orchestrator_action.state.journal import read_events
from tests.kit.recording import Recording, record

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SCHEMES = {"dark": "0", "light": "1"}
"""Chromium's numbers for `prefers-color-scheme`."""
WIDTH, REPORT_HEIGHT, MOST_HEIGHT = 1180, 760, 1600
NARROW = 860
"""Of texts: about as wide as a comment on a forge."""
COLUMNS, ROWS = 140, 16
STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --bg: #fff; --soft: #59636e; --line: #d1d9e0; --code: #eff1f3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f0f6fc; --bg: #0d1117; --soft: #9198a1; --line: #3d444d; --code: #212830; }
}
body { margin: 0; padding: 20px 24px; background: var(--bg); color: var(--ink); }
body { font: 14px/1.5 "DejaVu Sans", "Noto Color Emoji", sans-serif; }
h2, h3 { line-height: 1.25; margin: 0 0 12px; } h2 { border-bottom: 1px solid var(--line); padding-bottom: 6px; }
p, ul, table, pre, blockquote, details { margin: 0 0 12px; } a { color: #4493f8; } sub { color: var(--soft); }
table { border-collapse: collapse; font-size: 13px; } td, th { border: 1px solid var(--line); padding: 5px 11px; }
code, pre { font: 12px/1.45 "DejaVu Sans Mono", monospace; background: var(--code); border-radius: 5px; }
code { padding: 1px 5px; } pre { padding: 12px; white-space: pre-wrap; } pre code { padding: 0; }
blockquote { border-left: 4px solid var(--line); padding: 0 14px; color: var(--soft); }
"""
BOARD = """
body { margin: 0; background: #16191d; } b { color: #fff; }
pre { margin: 0; padding: 18px 22px; color: #d7dce1; font: 15px/1.4 "DejaVu Sans Mono", monospace; }
i { font-style: normal; } .green { color: #6fd6a0; } .red { color: #ff9a92; } .cyan { color: #7db8f5; }
"""
_COLOURS = {"green", "red", "cyan"}


def main(_: Sequence[str] = ()) -> int:
    """Run the demo on a terminal, and photograph what it shows and writes; only where it is asked for by name."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if not browser:
        print("error: Chromium is not installed\nhint: apt-get install chromium fonts-noto-color-emoji")
        return 2
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as place:
        folder = Path(place)
        board = run_demo(folder / "greetings")
        shots = {"board": (f"<style>{BOARD}</style><pre>{board}</pre>", COLUMNS * 9 + 60)}
        shots |= {name: (markdown(text), NARROW) for name, text in texts_of(folder / "greetings")}
        for name, (page, width) in shots.items():
            (folder / f"{name}.html").write_text(
                f"<!doctype html><meta charset=utf-8>{page}", encoding="utf-8"
            )
            for scheme in ("dark",) if name == "board" else SCHEMES:
                suffix = "" if name == "board" else f"-{scheme}"
                shoot(browser, folder, folder / f"{name}.html", f"{name}{suffix}", width, scheme)
        for scheme in SCHEMES:
            page = folder / "greetings/report.html"
            shoot(browser, folder, page, f"report-{scheme}", WIDTH, scheme, height=REPORT_HEIGHT)
    return 0


def run_demo(folder: Path) -> str:
    """Run the demo in `folder` on a terminal; the fullest screen of its board, as HTML."""
    fullest, most = "", -1

    def look(recording: Recording, _: Callable[[int], None]) -> None:
        nonlocal fullest, most
        rows = [line for line in recording.last if re.match(r"issue-\d .*\d+/11 ", line)]
        done = [int(found) for row in rows for found in re.findall(r"(\d+)/11 ", row)[:1]]
        worth = sum(done) if "at work" in "".join(recording.last) else -1
        open_ = sum(not re.search(r"(success|failed|no-change) after", row) for row in rows)
        if len(rows) == 4 and worth + 100 * open_ > most:
            fullest, most = board_html(recording), worth + 100 * open_

    argv = [sys.executable, "-I", "-m", "orchestrator_action.cli.main", "demo", "--dir", str(folder)]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder.parent), "LANG": "C.UTF-8"}
    recording = record(argv, cwd=folder.parent, env=env, columns=COLUMNS, rows=ROWS, look=look)
    assert recording.code == 0, "\n".join(recording.last)
    assert fullest, "no board was seen"
    return fullest


def board_html(recording: Recording) -> str:
    """The board's lines of a screen with their colours."""
    assert recording.terminal is not None
    shown = recording.last
    first = next(n for n, line in enumerate(shown) if line.startswith("task "))
    lines = [n for n in range(first, len(shown)) if shown[n]]
    return "\n".join("".join(_coloured(recording, n)) for n in lines)


def _coloured(recording: Recording, line: int) -> Iterator[str]:
    assert recording.terminal is not None
    cells = recording.terminal.buffer[line]
    for column in range(len(recording.last[line])):
        cell, shown = cells[column], html.escape(cells[column].data)
        if cell.bold:
            yield f"<b>{shown}</b>"
        else:
            yield f'<i class="{cell.fg}">{shown}</i>' if cell.fg in _COLOURS else shown


def texts_of(folder: Path) -> Iterator[tuple[str, str]]:
    """The comment and the check on the task that says what is not so, and the summary of the run; as Markdown."""
    [comment] = (folder / "forge/comments/3").glob("*.md")
    yield (
        "comment",
        re.sub(r"\A---.*?^---$", "", comment.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL),
    )
    checks = [json.loads(p.read_text(encoding="utf-8")) for p in (folder / "forge/checks").glob("*/*.json")]
    [red] = [c for c in checks if c["conclusion"] == "failure"]
    yield "check", f"## {red['title'].replace('_', chr(92) + '_')}\n\n{red['summary']}"
    [run] = (folder / "repo/.git/orchestrator/runs").iterdir()
    report = report_from(json.loads((run / "report.json").read_text(encoding="utf-8")))
    yield "summary", job_summary(report, times=times(read_events(run / "journal.jsonl")))


def markdown(text: str) -> str:
    """A text as GitHub Flavored Markdown, as a page."""
    drawn = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    return f"<style>{STYLE}</style>{drawn}"


def shoot(
    browser: str, folder: Path, page: Path, name: str, width: int, scheme: str, *, height: int = 0
) -> None:
    """A picture of a page, as high as the page is where no height is given."""
    common = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={folder}/{scheme}", f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
    ]  # fmt: skip
    height = height or min(MOST_HEIGHT, _height(common, folder, page, width))
    subprocess.run(
        [*common, f"--window-size={width},{height}", f"--screenshot={PICTURES / f'{name}.png'}", page.as_uri()],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    print(f"written: {PICTURES / f'{name}.png'}")


def _height(common: list[str], folder: Path, page: Path, width: int) -> int:
    measuring = folder / "measuring.html"
    script = "<script>addEventListener('load', () => document.title = document.documentElement.scrollHeight)</script>"
    measuring.write_text(page.read_text(encoding="utf-8") + script, encoding="utf-8")
    done = subprocess.run(
        [*common, f"--window-size={width},100", "--dump-dom", measuring.as_uri()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.search(r"<title>(\d+)</title>", done.stdout)
    assert found is not None
    return int(found[1])


if __name__ == "__main__":
    raise SystemExit(main())
