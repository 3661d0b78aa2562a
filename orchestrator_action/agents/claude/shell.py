"""The simple commands in a piece of shell, as far as they can be told without running it.

Enough of the grammar to tell a command from a string that mentions one: quoting, comments, lists and
pipelines, redirections, here-documents, command substitution, and variables set in the same text. It
never raises; what it cannot tell (a name made at run time) it leaves as it stands.
Source: POSIX.1-2017, "Shell Command Language".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_RESERVED = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "time", "coproc"})
_DEEPEST = 12
SUBSTITUTION = "\x00"
"""Stands in a word for the output of a command substitution."""


@dataclass
class SimpleCommand:
    """One command: what it assigns, its words, and what is written to or fed into it."""

    words: list[str] = field(default_factory=list)
    assigned: dict[str, str] = field(default_factory=dict)
    writes_to: list[str] = field(default_factory=list)
    """Targets of output redirections."""
    here: list[str] = field(default_factory=list)
    """Texts of its here-documents and here-strings."""
    piped_from: SimpleCommand | None = None


def commands(text: str) -> list[SimpleCommand]:
    """Every simple command in `text`, those of command substitutions included."""
    return _Parser(text, 0, {}).run()


class _Parser:
    """One pass over a text; substitutions are parsed by parsers of their own."""

    def __init__(self, text: str, depth: int, known: dict[str, str]) -> None:
        self.text = text.replace("\\\r\n", "").replace("\\\n", "")
        self.at = 0
        self.depth = depth
        self.known = known
        self.found: list[SimpleCommand] = []
        self.current = SimpleCommand()
        self.waiting: list[tuple[str, bool, SimpleCommand]] = []

    def run(self) -> list[SimpleCommand]:
        while self.at < len(self.text):
            self._step(self.text[self.at])
        self._end()
        return self.found

    def _step(self, char: str) -> None:
        if char == "\n":
            self.at += 1
            self._end()
            self._skip_here_documents()
        elif char in " \t\r":
            self.at += 1
        elif char == "#":
            newline = self.text.find("\n", self.at)
            self.at = len(self.text) if newline < 0 else newline
        elif char == "&" and self.text.startswith("&>", self.at):
            self.at += 3 if self.text.startswith("&>>", self.at) else 2
            self.current.writes_to.append(self._next_word())
        elif char in ";&|()":
            self._operator(char)
        elif char in "<>" or self._is_numbered_redirection():
            self._redirection()
        else:
            self._take(self._word())

    def _operator(self, char: str) -> None:
        piped = char == "|" and not self.text.startswith("||", self.at)
        self.at += 2 if self.text[self.at : self.at + 2] in {"&&", "||", "|&", ";;"} else 1
        before = self._end()
        if piped:
            self.current.piped_from = before

    def _is_numbered_redirection(self) -> bool:
        return re.compile(r"\d+[<>]").match(self.text, self.at) is not None

    def _redirection(self) -> None:
        form = re.compile(r"\d*(<<<|<<-|<<|<>|>>|>\||[<>]&|[<>])").match(self.text, self.at)
        operator = form[1] if form else self.text[self.at]
        self.at = form.end() if form else self.at + 1
        if operator in {"<", ">"} and self.text.startswith("(", self.at):
            self.at += 1
            self._substitute(self._until_closed())
            return
        target = self._next_word(raw=operator in {"<<", "<<-"})
        if operator in {"<<", "<<-"}:
            self.waiting.append((re.sub(r"[\"'\\]", "", target), operator == "<<-", self.current))
        elif operator == "<<<":
            self.current.here.append(target)
        elif ">" in operator and not operator.endswith("&"):
            self.current.writes_to.append(target)

    def _skip_here_documents(self) -> None:
        for delimiter, tabs, command in self.waiting:
            body = []
            while self.at < len(self.text):
                newline = self.text.find("\n", self.at)
                end = len(self.text) if newline < 0 else newline
                line = self.text[self.at : end]
                self.at = end + 1
                if (line.lstrip("\t") if tabs else line).rstrip("\r") == delimiter:
                    break
                body.append(line)
            command.here.append("\n".join(body))
        self.waiting = []

    def _next_word(self, *, raw: bool = False) -> str:
        while self.text[self.at : self.at + 1] in {" ", "\t"}:
            self.at += 1
        start = self.at
        word = self._word()
        return self.text[start : self.at] if raw else self._expanded(word)

    def _word(self) -> str:
        out: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\r\n;&|()<>":
                break
            self.at += 1
            if char == "'":
                out.append(self._single_quoted())
            elif char == '"':
                out.append(self._double_quoted())
            elif char == "\\":
                out.append(self.text[self.at : self.at + 1])
                self.at += 1
            elif char in "$`":
                out.append(self._dollar(char))
            else:
                out.append(char)
        return "".join(out)

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.at)
        end = len(self.text) if end < 0 else end
        inner, self.at = self.text[self.at : end], end + 1
        return inner

    def _double_quoted(self) -> str:
        out: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == '"':
                break
            if char == "\\" and self.text[self.at : self.at + 1] in set('"\\$`'):
                out.append(self.text[self.at])
                self.at += 1
            elif char in "$`":
                out.append(self._dollar(char))
            else:
                out.append(char)
        return "".join(out)

    def _dollar(self, char: str) -> str:
        if char == "`":
            end = self.text.find("`", self.at)
            end = len(self.text) if end < 0 else end
            inner, self.at = self.text[self.at : end], end + 1
            self._substitute(inner)
            return SUBSTITUTION
        if self.text.startswith("(", self.at):
            self.at += 1
            self._substitute(self._until_closed())
            return SUBSTITUTION
        if self.text.startswith("'", self.at):
            self.at += 1
            return self._single_quoted()
        return "$"

    def _until_closed(self) -> str:
        """The text up to the `)` that closes here; quotes inside are honoured."""
        start, open_ = self.at, 1
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == "\\":
                self.at += 1
            elif char == "'":
                self._single_quoted()
            elif char == '"':
                end = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL).match(self.text, self.at)
                self.at = end.end() if end else len(self.text)
            elif char in "()":
                open_ += 1 if char == "(" else -1
                if not open_:
                    return self.text[start : self.at - 1]
        return self.text[start:]

    def _substitute(self, inner: str) -> None:
        if self.depth < _DEEPEST:
            self.found += _Parser(inner, self.depth + 1, self.known).run()

    def _take(self, word: str) -> None:
        if not self.current.words:
            if word in _RESERVED:
                return
            assignment = _ASSIGNMENT.fullmatch(word)
            if assignment:
                self.current.assigned[assignment[1]] = self._expanded(assignment[2])
                return
        if _VARIABLE.fullmatch(word):
            self.current.words += self._expanded(word).split() or [word]
        else:
            self.current.words.append(self._expanded(word))

    def _expanded(self, word: str) -> str:
        return _VARIABLE.sub(lambda m: self.known.get(m[1] or m[2], m[0]), word)

    def _end(self) -> SimpleCommand:
        ended, self.current = self.current, SimpleCommand()
        if ended.words or ended.writes_to or ended.assigned or ended.here:
            self.found.append(ended)
        if not ended.words:
            self.known.update(ended.assigned)
        elif ended.words[0] in {"export", "declare", "local", "readonly", "typeset"}:
            self.known.update(_assignments(ended.words[1:]))
        return ended


def _assignments(words: list[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        found = _ASSIGNMENT.fullmatch(word)
        if found:
            yield found[1], found[2]
