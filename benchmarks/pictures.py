"""The pictures of the README: the page of a demo's run, light and dark, as a real browser shows it.

`make pictures` writes them. They are of a real run: what they show was said and measured in it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SIZE = "1180,760"
SCHEMES = {"dark": "0", "light": "1"}
"""Chromium's numbers for `prefers-color-scheme`."""


def main() -> int:
    """Run the demo, and photograph its page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if not browser:
        print("error: Chromium is not installed\nhint: apt-get install chromium")
        return 2
    with tempfile.TemporaryDirectory(prefix="pictures-") as place:
        folder = Path(place)
        subprocess.run(
            [sys.executable, "-I", "-m", "orchestrator_action.cli.main", "demo", "--dir", str(folder / "greetings")],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        PICTURES.mkdir(exist_ok=True)
        for scheme, number in SCHEMES.items():
            subprocess.run(
                [
                    browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    f"--user-data-dir={folder}/{scheme}", f"--blink-settings=preferredColorScheme={number}",
                    f"--window-size={SIZE}", f"--screenshot={PICTURES / f'report-{scheme}.png'}",
                    (folder / "greetings/report.html").as_uri(),
                ],
                check=True, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            print(f"written: {PICTURES / f'report-{scheme}.png'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
