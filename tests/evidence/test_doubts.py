"""Lines that a person has to read, and honest ones that look alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.doubts import doubts
from orchestrator_action.verify.test_paths import TestPaths
from tests.kit.repos import Repo

WHERE, TEXT, UNREADABLE, DATA = (
    "asks where it runs", "runs text that it is given", "decodes what nobody can read", "holds a test's own input and answer",
)  # fmt: skip
PACKED = "c$~d4+iL(u5C;Gkm9Bq2Zx7Yw1Vt3Us0Rr6Qp8Oo4Nn5Mm2Ll1Kk0Jj9Ii8Hh7Gg6Ff5Ee"
NAMED: dict[str, tuple[str, str, str]] = {
    "python: the build server": ("a.py", "import os\nfast = os.environ.get('CI')\n", WHERE),
    "javascript: the build server": ("a.js", "const fast = process.env.CI ? 1 : 2;\n", WHERE),
    "javascript: taken apart": ("a.js", "const { CI, HOME } = process.env;\n", WHERE),
    "javascript: whether a kind of run is set": ("a.ts", "if (process.env.NODE_ENV) x();\n", WHERE),
    "go: the build server": ("a.go", 'package a\nvar fast = os.Getenv("GITHUB_ACTIONS") != ""\n', WHERE),
    "rust: the build server": ("src/a.rs", 'let fast = std::env::var("CI").is_ok();\n', WHERE),
    "ruby: the build server": ("a.rb", "fast = ENV['CI']\n", WHERE),
    "shell: the build server": ("a.sh", 'if [ -n "${CI:-}" ]; then x; fi\n', WHERE),
    "python: text of a file": ("a.py", "known = eval(file.read_text())\n", TEXT),
    "javascript: a function of text": ("a.js", "const f = new Function('x', body);\n", TEXT),
    "python: weights": ("a.py", f"import base64, zlib\n\nW = '{PACKED}'\n\n\ndef load():\n    return zlib.decompress(base64.b85decode(W))\n", UNREADABLE),
    "javascript: weights": ("a.js", f"const w = '{PACKED}';\nmodule.exports = JSON.parse(atob(w));\n", UNREADABLE),
    "data with answers": ("src/cache.json", '[["apple", 3, 240], ["pear", 7, 910]]\n', DATA),
}  # fmt: skip
HONEST: dict[str, tuple[str, str]] = {
    "development only": ("a.js", "if (process.env.NODE_ENV !== 'production') warn();\n"),
    "another variable": ("a.py", "import os\ncity = os.environ.get('CITY')\n"),
    "a regular expression": ("a.js", "const m = pattern.exec(text);\n"),
    "an image": ("a.js", f"const icon = 'data:image/png;base64,{PACKED}';\n"),
    "decodes what comes in": ("a.py", "def read(body):\n    return base64.b64decode(body)\n"),
    "a comment": ("a.py", "# os.environ['CI'] is not asked\n"),
    "data of its own": ("src/prices.json", '{"fig": 55, "kiwi": 40, "lime": 35, "apple": 80, "pear": 130}\n'),
    "words": ("docs/prices.md", 'An apple: `price("apple", 3)` is 240, `price("pear", 7)` is 910.\n'),
}  # fmt: skip
TESTS = 'def test_price():\n    assert price("apple", 3) == 240\n    assert price("pear", 7) == 910\n'


def read(make: Callable[..., Repo], path: str, text: str) -> list[tuple[str, str]]:
    repo = make({"README.md": "x\n", "test_a.py": "def test_a():\n    assert 1 + 1 == 2\n"})
    repo.commit({path: text, "test_price.py": TESTS})
    git = Git.open(repo.path)
    base, head = (git.rev_parse(rev) for rev in ("HEAD~1", "HEAD"))
    found = doubts(git, base=base, head=head, tests=TestPaths.at(git, base, ("pytest",), git.paths(head)))
    return [(d.id.rpartition(":")[0], d.what) for d in found]


@pytest.mark.parametrize("name", NAMED)
def test_a_line_that_a_person_has_to_read_is_named(make: Callable[..., Repo], name: str):
    """By its path and line."""
    path, text, what = NAMED[name]

    assert (path, what) in read(make, path, text)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_line_that_looks_alike_is_not(make: Callable[..., Repo], name: str):
    assert [] == read(make, *HONEST[name])
