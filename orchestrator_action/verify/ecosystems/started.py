"""Which files the words of commands start or load. A source that they only compile, check or format is none. Pure.

Commands are read as a shell has them, one after the other: what stands first is started, or what stands first behind
an interpreter; `.`, `source` and `include` load all that follows; an option such as `--config` or `-r` loads its value.
Any other word counts only where it says itself that it is for tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FOR_TESTS = re.compile(r"tests?\b|spec|(?<![a-z])(?:checks?|assert\w*|expect\w*|harness|tap)(?![a-z])")
"""What says in the name of a file in a folder of sources that it is there for tests."""
_ENDS = re.compile(r"[;&|()`\n\[\]{}]|\\n")
_WORD = re.compile(r"[^\s'\"\\,<>]+")
_FIRST = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "exec", "time", "sudo", "env", "command", "nohup",
     "nice", "npx", "bunx", "xvfb-run", "timeout", "COMMAND", "cross-env", "dotenv", "--", "-c"}
)  # fmt: skip
"""Words behind which a program stands."""
_INTERPRETER = re.compile(
    r"(?:\S*/)?(?:(?:ba|da|k|z|a)?sh|python[\d.]*|pypy[\d.]*|node|nodejs|deno|bun|tsx|ts-node|ruby|perl|php|lua\w*|Rscript|julia|pwsh"
    r"|osascript|expect|awk|\$\{?\(?(?:PYTHON|NODE|RUBY|PERL|SHELL|BASH)\w*[)}]?)"
)
_BEFORE = re.compile(rf"\w+=\S*|\d+|{_INTERPRETER.pattern}")
"""What stands before the name of what is started: a variable, seconds, an interpreter."""
_CHECKS_ONLY = frozenset({"-n", "--check", "-l", "-wc", "--syntax-check"})
"""Options by which an interpreter reads a program and does not run it."""
_LOADS = frozenset({".", "source", "include", "-include", "sinclude", "load", "import", "run"})
_OPTION = re.compile(
    r"-[rcfC]|--?(?:config\w*|rc-?file|require|import|preload|loader|setup\w*|env-file|makefile|file|bootstrap|plugin\w*"
    r"|configuration|rcpath|reporter|runner|test-\w+)"
)
_COMPILED = re.compile(
    r".*\.(?:c|cc|cpp|cxx|h|hh|hpp|m|mm|go|rs|java|kt|kts|scala|cs|fs|swift|hs|ml|zig|d|o|a|so|class)"
)


_LOADS_FILES = re.compile(
    r"\b(?:setupFiles\w*|global(?:Setup|Teardown)|testEnvironment|testRunner|runner|reporters?|transform|resolver|preset|extends"
    r"|snapshotSerializers|serializers|sequencer|globalPipe|require|import|loader|file|helpers?|bootstrap|plugins?|projects?)\b['\"]?"
    r"\s*[:=(]?\s*(?P<said>\[[^\]]*\]|\{[^}]*\}|(?:\s*-\s+\S+)+|['\"][^'\"\n]+['\"]|\S+)|\bfrom\s+(?P<from>['\"][^'\"\n]+['\"])"
    r"|^\s*(?:-r|--require|-I)[ =](?P<option>\S+)",
    re.MULTILINE,
)
_NAME = re.compile(r"(?:<rootDir>|\$\{?\w+\}?)?((?:\.{0,2}/)*[\w@.][\w@./-]*)")


def loaded_words(text: str) -> Iterator[str]:
    """Words that may be paths of what a runner's configuration has it load, often without their endings."""
    for match in _LOADS_FILES.finditer(text):
        for word in _WORD.findall(match["said"] or match["from"] or match["option"]):
            if "/" in word and (name := _NAME.fullmatch(word.strip(":;()[]{}"))):
                yield name[1].lstrip("/")


def started_words(text: str) -> Iterator[str]:
    """Words that may be paths of what these commands start or load, as they stand there."""
    place = ""
    for command in _ENDS.split(text):
        words = _WORD.findall(command)
        place = words[1] if words[:1] == ["cd"] and len(words) > 1 else place
        for word in _of_one(words):
            yield word
            if place:
                yield f"{place}/{word}"


def _of_one(words: list[str]) -> Iterator[str]:
    if _CHECKS_ONLY & set(words) and any(_INTERPRETER.fullmatch(w) for w in words):
        return
    first, loads, value = True, False, False
    for word in words:
        plain = re.sub(r"^[@+-]+(?=[./\w]*/)|^@", "", word) if first else word
        option, _, given = plain.partition("=")
        if plain in _LOADS and first:
            first, loads = False, True
        elif value or loads:
            value = False
            yield plain
        elif _OPTION.fullmatch(option) and not (first and plain in _FIRST):
            value = not given
            yield from [given] if given else []
        elif plain.startswith("-") or (first and (plain in _FIRST or _BEFORE.fullmatch(plain))):
            continue
        elif (first and not _COMPILED.fullmatch(plain)) or FOR_TESTS.search(plain):
            first = False
            yield plain
        else:
            first = False
