"""Path patterns as people write them in `docs`, `protected` and `inputs`, and paths found in prose.

The patterns are those of .gitignore, as far as a list of them makes sense: `*` and `?` stop at a slash,
`**` does not, a pattern without a slash matches at any depth when it is one name, a trailing slash or the
name of a directory matches all below it, `!` takes back what an earlier pattern matched. Matching is
case-sensitive, as git is. Pure.

Source: git-scm.com/docs/gitignore, "PATTERN FORMAT".
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable

_NAME = re.compile(r"[\w@+~.\-\[\]()]+")
_FENCE = re.compile(r"`+([^`\n]+)`+")
_WORD = re.compile(r"[^\s`'\"<>|,;]+")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_EDGES = "`'\"()[]{}<>*_,;:!?"
_KNOWN_BARE = frozenset(
    {"Makefile", "Dockerfile", "LICENSE", "README", "CHANGELOG", "NOTICE", "CODEOWNERS", "Justfile",
     "Procfile", "Gemfile", "Rakefile", "Jenkinsfile", "Vagrantfile", "justfile", "makefile"}
)  # fmt: skip


@functools.lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of one pattern without its `!`. A full match means: this path or below it."""
    body = pattern.strip().removeprefix("./").rstrip("/")
    anchored = "/" in body
    body = body.lstrip("/")
    if body.endswith("/**"):
        body = body.removesuffix("/**")
    out, i = [], 0
    while i < len(body):
        if body.startswith("**/", i) and (i == 0 or body[i - 1] == "/"):
            out.append("(?:.*/)?")
            i += 3
        elif body.startswith("**", i):
            out.append(".*")
            i += 2
        elif body[i] == "*":
            out.append("[^/]*")
            i += 1
        elif body[i] == "?":
            out.append("[^/]")
            i += 1
        elif body[i] == "[" and (end := body.find("]", i + 2)) > 0:
            inner = body[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append("(?!/)[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]")
            i = end + 1
        elif body[i] == "\\" and i + 1 < len(body):
            out.append(re.escape(body[i + 1]))
            i += 2
        else:
            out.append(re.escape(body[i]))
            i += 1
    prefix = "" if anchored else "(?:.*/)?"
    try:
        return re.compile(prefix + "".join(out) + "(?:/.*)?", re.DOTALL)
    except re.error:
        return re.compile(prefix + re.escape(body) + "(?:/.*)?", re.DOTALL)


def matches(path: str, patterns: Iterable[str]) -> str:
    """The pattern that decides that `path` is meant, or an empty string when it is not.

    The last pattern that matches wins, so `["docs/**", "!docs/api/**"]` leaves the second out.
    """
    decided = ""
    for pattern in patterns:
        body = pattern.removeprefix("!")
        if not body.strip("/ "):
            continue
        if _compiled(body).fullmatch(path):
            decided = "" if pattern.startswith("!") else pattern
    return decided


def matching(paths: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Those of `paths` that any of `patterns` means, in their order."""
    kept = tuple(patterns)
    return tuple(p for p in paths if matches(p, kept))


def shown(path: str) -> str:
    """`path` as it can be printed anywhere: bytes that are not UTF-8 and control characters escaped."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def listed(paths: Iterable[str], *, at_most: int = 5) -> str:
    """`a, b, c and 4 more`, printable."""
    names = [shown(p) for p in paths]
    rest = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {rest} more" if rest > 0 else "")


def is_safe(path: str) -> bool:
    """Whether `path` is a plain relative path that stays inside its root."""
    if not path or path.startswith(("/", "~")) or "\0" in path or "\\" in path:
        return False
    return posixpath.normpath(path).split("/")[0] != ".."


def mentioned(text: str) -> tuple[str, ...]:
    """Words of `text` that look like relative paths, in order, each once.

    In backticks or a Markdown link nearly anything counts that could be a path; in running prose a word
    needs a slash or a file ending, so that "and/or" and "e.g." are not taken for files.
    """
    found: dict[str, None] = {}
    for match in (*_FENCE.finditer(text), *_LINK.finditer(text)):
        for word in match.group(1).split():
            if (path := _as_path(word, quoted=True)) is not None:
                found.setdefault(path)
    for match in _WORD.finditer(_LINK.sub(" ", text)):
        if (path := _as_path(match.group(0), quoted=False)) is not None:
            found.setdefault(path)
    return tuple(found)


def _as_path(word: str, *, quoted: bool) -> str | None:
    word = word.strip(_EDGES).rstrip(".").split("#")[0]
    word = re.sub(r"(?::\d+){1,2}$", "", word)
    if "://" in word or word.startswith(("-", "@", "$")):
        return None
    word = word.removeprefix("./")
    trimmed = word.rstrip("/")
    if not trimmed or not is_safe(trimmed) or len(trimmed) > 1024:
        return None
    parts = trimmed.split("/")
    if not all(_NAME.fullmatch(p) for p in parts):
        return None
    last = parts[-1]
    if last in _KNOWN_BARE or (quoted and last.startswith(".") and len(last) > 1):
        return trimmed
    if word.endswith("/"):
        return trimmed
    if re.search(r"\w\.[A-Za-z][\w+-]{0,9}$", last) or (last.startswith(".") and len(last) > 2):
        is_dotted_prose = last.lower() in {"e.g", "i.e", "etc.", "a.m", "p.m"}
        return None if is_dotted_prose else trimmed
    # A slash without an ending: a directory or a bare file in backticks; "and/or" in prose is neither.
    return trimmed if len(parts) > 1 and (quoted or len(parts) > 2) else None
