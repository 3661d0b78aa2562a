"""YAML with the place of every value, read so that no text a person can write stops the reader.

A fault is a finding with line and column: duplicate keys, tabs, characters YAML does not know, tags that
do not fit, anchors that refer to themselves. Where YAML 1.1 alone takes a word for a truth value or a
number (`on`, `12:30`), the word stays what it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from orchestrator_action.errors import ConfigError

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Position = tuple[int, int]
"""Line and column, from 0."""
KeyPath = tuple[str | int, ...]
"""Keys and indexes that lead to a value."""

MAX_YAML_BYTES = 256 * 1024
_MAX_DEPTH = 20
_MAX_VALUES = 20_000
"""Bounds of a file that a person wrote: beyond them the parser itself, or an anchor in an anchor, gives way."""
_UNPRINTABLE = re.compile(r"[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML takes in no place. Source: yaml.org/spec/1.2.2, "c-printable"."""


def place_of(source: str, marks: Mapping[KeyPath, Position], at: KeyPath) -> str:
    """Where a value stands, as `source:line:column`; of one that is not there, where it belongs."""
    while at and at not in marks:
        named = tuple(part for part in at if isinstance(part, str))
        at = named if named in marks else at[:-1]
    line, column = marks.get(at, (0, 0))
    return f"{source}:{line + 1}:{column + 1}"


def config_error(problems: Sequence[str]) -> ConfigError:
    """All findings of a file as one error."""
    return ConfigError(
        "\n".join(problems), hint="mend the places named; orchestrator-action doctor checks a file"
    )


def compose(text: str, source: str) -> tuple[Any, dict[KeyPath, Position], list[str]]:
    """The values of a YAML text, the position of each, and duplicate keys as findings."""
    marks: dict[KeyPath, Position] = {}
    problems: list[str] = []
    if odd := _UNPRINTABLE.search(text):
        where = f"{source}:{at_offset(text[: odd.start()])}"
        raise config_error([f"{where}: the character U+{ord(odd[0]):04X} may not stand in YAML"])
    loader = Loader(text)
    try:
        _refuse_depth(text)
        node = loader.get_single_node()
        if node is None:
            return {}, marks, problems
        value = _build(loader, node, (), marks, problems, source)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else f"{source}:1:1"
        what = exc.problem or exc.context or "not YAML"
        if mark and _char_at(text, mark) == "\t":
            what = "a tab stands here; YAML is indented with spaces"
        raise config_error([f"{where}: {what}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise config_error([f"{source}:1:1: {str(exc).splitlines()[0]}"]) from None
    finally:
        loader.dispose()
    return value, marks, problems


def _char_at(text: str, mark: Any) -> str:
    line = text.splitlines()[mark.line : mark.line + 1]
    return line[0][mark.column : mark.column + 1] if line else ""


def _refuse_depth(text: str) -> None:
    """Raise before the parser runs out of stack: its composer goes down as deep as the text does."""
    try:
        _walk_down(text, Loader)
    except yaml.MarkedYAMLError as exc:
        if "nesting depth" not in str(exc.problem):
            raise
        # From PyYAML 6.0.4 on the C scanner has a limit of its own, which it meets while it looks ahead.
        _walk_down(text, yaml.SafeLoader)


def _walk_down(text: str, loader: Any) -> None:
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="this is nested too deep", problem_mark=event.start_mark)


def _build(
    loader: Any, node: Any, at: KeyPath, marks: dict[KeyPath, Position], problems: list[str], source: str
) -> Any:
    marks.setdefault(at, (node.start_mark.line, node.start_mark.column))
    if len(at) > _MAX_DEPTH or len(marks) > _MAX_VALUES:
        what = "this refers to itself, or to too much"
        raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, n, (*at, i), marks, problems, source) for i, n in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return node.value if _only_in_yaml_1_1(node) else _scalar(loader, node)
    built: dict[Any, Any] = {}
    merged: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        here = (key_node.start_mark.line, key_node.start_mark.column)
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(f"{source}:{here[0] + 1}:{here[1] + 1}: a key must be a name")
            continue
        if key_node.tag == "tag:yaml.org,2002:merge":  # not the loader's: that one grows without bounds
            found = _build(loader, value_node, (*at, "<<"), marks, problems, source)
            merged |= _merged(found, value_node)
            continue
        key = key_node.value  # keys are names here: `on:` stays "on", whatever YAML 1.1 says
        if key in built:
            problems.append(
                f"{source}:{here[0] + 1}:{here[1] + 1}: the key {key!r} stands here a second time"
            )
        marks[(*at, key)] = here
        built[key] = _build(loader, value_node, (*at, key), marks, problems, source)
    return {**merged, **built}


def _merged(found: Any, node: Any) -> dict[Any, Any]:
    """What a `<<` brings; of several the first wins."""
    several = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in several):
        raise yaml.MarkedYAMLError(problem="only keys and values can be merged", problem_mark=node.start_mark)
    return {key: value for one in reversed(several) for key, value in one.items()}


def _scalar(loader: Any, node: Any) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except yaml.YAMLError:
        raise
    except Exception as exc:  # whatever a tag such as `!!timestamp` makes of a text it does not fit
        what = f"{shown_value(node.value)} is not what its tag {node.tag.rpartition(':')[2]!r} says"
        raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark) from exc


def _only_in_yaml_1_1(node: Any) -> bool:
    """Whether a plain scalar is a truth value or a number by YAML 1.1 only: `on`, `No`, `12:30`."""
    if node.tag == "tag:yaml.org,2002:bool":
        return node.value.lower() not in {"true", "false"}
    return node.tag in {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"} and ":" in node.value


def shown_value(got: object) -> str:
    """A value as it can be shown in a finding."""
    text = repr(got)
    return text if len(text) <= 60 else f"{text[:60]}…"


def at_offset(before: str) -> str:
    """The place, as `line:column`, that comes after this much text."""
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
