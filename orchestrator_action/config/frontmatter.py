"""Markdown with YAML front matter, as a person writes it: read kindly, changed one key at a time.

Every scalar stays the text that was written: `12:30`, `on` and `No` are titles, not 750 or a truth
value (YAML 1.1 would make them that). Keys and comments that we do not know survive an edit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from orchestrator_action.errors import ForgeError
from orchestrator_action.text.markdown import first_heading, first_line

Value = str | tuple[str, ...]
"""What a key is read as."""
Written = Value | bool
"""What can be written; a truth value is read back as the text `true` or `false`."""

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_OPEN = re.compile(r"---[ \t]*(?:#[^\n]*)?\n")
_CLOSE = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
_KEY_LINE = re.compile(r"\s*(#|[\w.-]+\s*:(\s|$)|$)")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file taken apart. `lines` says where each key stands (1 is the first line of the file)."""

    name: str
    keys: Mapping[str, Value]
    body: str
    lines: Mapping[str, int] = field(default_factory=dict)

    def text(self, key: str, default: str = "") -> str:
        """A key's value on one line; `default` when it is missing or empty."""
        value = self.keys.get(key, "")
        if not isinstance(value, str):
            raise _error(self.name, self.lines[key], f"{key} must be text, not a list")
        return " ".join(value.split()) or default

    def names(self, key: str) -> tuple[str, ...]:
        """A key's value as a list; a single text is split at its commas. No name comes twice."""
        value = self.keys.get(key, ())
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(dict.fromkeys(" ".join(p.split()) for p in parts if p.strip()))

    @property
    def title(self) -> str:
        """The title given, else the first heading, else the first line with text, else nothing."""
        return self.text("title") or first_heading(self.body) or first_line(self.body)


def parse_document(text: str, *, name: str) -> Document:
    """Take `text` apart; `name` is the file's, for messages.

    Raises ForgeError, naming file and line, when there is front matter and it is broken.
    """
    text = _unix(text)
    block = _block(text, name)
    if block is None:
        return Document(name=name, keys={}, body=text)
    node = _compose(text[block[0] : block[1]], name)
    keys, lines = _keys(node, name)
    return Document(name=name, keys=keys, body=text[block[2] :].removeprefix("\n"), lines=lines)


def render(keys: Mapping[str, Written], body: str) -> str:
    """A file with this front matter and body; `parse_document` gives both back."""
    head = "".join(f"{key}: {_written(value)}\n" for key, value in keys.items())
    return f"---\n{head}---\n\n{body.rstrip()}\n" if body.strip() else f"---\n{head}---\n"


def edit(text: str, key: str, value: Written, *, name: str) -> str:
    """`text` with one key set and every other byte of it as it was, line ends included."""
    newline = "\r\n" if "\r\n" in text else "\n"
    bom, plain = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    plain = _unix(plain)
    block = _block(plain, name)
    line = f"{key}: {_written(value)}\n"
    if block is None:
        return bom + (f"---\n{line}---\n\n" + plain).replace("\n", newline)
    head = _edit_block(plain[block[0] : block[1]], key, line, name)
    return bom + (plain[: block[0]] + head + plain[block[1] :]).replace("\n", newline)


def _edit_block(block: str, key: str, line: str, name: str) -> str:
    node = _compose(block, name)
    pairs = node.value if node is not None else []
    if node is not None and node.flow_style:
        keys, _ = _keys(node, name)
        merged = {**{k: f"{k}: {_written(v)}\n" for k, v in keys.items()}, key: line}
        return "".join(merged.values())
    lines = block.splitlines(keepends=True)
    starts = [k.start_mark.line for k, _ in pairs] + [len(lines)]
    for i, (k, _) in enumerate(pairs):
        if k.value == key:
            old = lines[starts[i] : starts[i + 1]]
            kept = len(old)
            while kept > 1 and (not old[kept - 1].strip() or old[kept - 1].lstrip().startswith("#")):
                kept -= 1
            return "".join([*lines[: starts[i]], line, *old[kept:], *lines[starts[i + 1] :]])
    return block + line


def _unix(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def split(text: str) -> tuple[int, int, int] | None:
    """Start and end of the YAML and start of the body; None without front matter, or with one nobody closed."""
    opening = _OPEN.match(text)
    closing = _CLOSE.search(text, opening.end()) if opening else None
    if not opening or not closing:
        return None
    return opening.end(), closing.start(), min(closing.end() + 1, len(text))


def _block(text: str, name: str) -> tuple[int, int, int] | None:
    """As `split`; an error where somebody forgot the closing line."""
    opening, block = _OPEN.match(text), split(text)
    if opening and not block and _KEY_LINE.match(text, opening.end()):
        raise _error(name, 1, "the front matter is not closed by a line of ---")
    return block


def _compose(block: str, name: str) -> yaml.MappingNode | None:
    try:
        node = yaml.compose(block, Loader=_LOADER)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise _error(name, mark.line + 2 if mark else 2, exc.problem or "not YAML") from exc
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise _error(name, 2 + _bad_line(block), str(exc).splitlines()[0]) from exc
    if node is None or isinstance(node, yaml.MappingNode):
        return node
    raise _error(name, 2, "the front matter must be `key: value` lines")


def _bad_line(block: str) -> int:
    """The line of the first character YAML does not take, counted from 0."""
    bad = yaml.reader.Reader.NON_PRINTABLE.search(block)
    return block.count("\n", 0, bad.start()) if bad else 0


def _keys(node: yaml.MappingNode | None, name: str) -> tuple[dict[str, Value], dict[str, int]]:
    keys: dict[str, Value] = {}
    lines: dict[str, int] = {}
    for key, value in node.value if node is not None else []:
        line = key.start_mark.line + 2
        if not isinstance(key, yaml.ScalarNode):
            raise _error(name, line, "a key must be a word")
        if key.value in keys:
            raise _error(name, line, f"{key.value} is given twice")
        keys[key.value] = _value(value, name)
        lines[key.value] = line
    return keys, lines


def _value(node: yaml.Node, name: str) -> Value:
    if isinstance(node, yaml.ScalarNode):
        return "" if node.value == "~" and not node.style else str(node.value)
    if isinstance(node, yaml.SequenceNode) and all(isinstance(n, yaml.ScalarNode) for n in node.value):
        return tuple(str(n.value) for n in node.value)
    raise _error(name, node.start_mark.line + 2, "only a text or a list of texts can stand here")


def _written(value: Written) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_written(v) for v in value)}]"
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    quoted = json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return "".join(c if c.isprintable() else _escaped(c) for c in quoted)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _error(name: str, line: int, problem: str) -> ForgeError:
    return ForgeError(f"{name}:{line}: {problem}", hint="mend the lines between --- at the top of that file")
