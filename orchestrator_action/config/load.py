"""YAML, front matter and flags become configuration and prompts; every finding is reported at once.

YAML 1.1 has traps (`on` is True, `12:30` is 750, the last of two equal keys wins), so types are taken
strictly and duplicate keys refused, each finding with its line and column. The JSON schema that is
published with the package comes from the same models.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import inspect
import itertools
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from orchestrator_action.config.fields import kebab, model_of
from orchestrator_action.config.frontmatter import split
from orchestrator_action.config.schema import Config
from orchestrator_action.config.yaml_document import (
    MAX_YAML_BYTES,
    KeyPath,
    at_offset,
    compose,
    config_error,
    place_of,
    shown_value,
)
from orchestrator_action.errors import ConfigError
from orchestrator_action.protocol.model import Prompt

SCHEMA_FILE = Path(__file__).with_name("orchestrator.schema.json")
"""The JSON schema of the configuration, as published with the package."""
_SAYS = {
    "string_type": "must be text; put it in quotes if it is meant as text",
    "string_pattern_mismatch": "must not be empty",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "model_attributes_type": "must hold keys and values",
}
"""pydantic's kinds of errors in words for whoever wrote the file; the others speak for themselves."""


def _attribute_docs() -> dict[str, dict[str, str]]:
    """By class of the configuration and key: the text that stands below its field in the source."""
    found: dict[str, dict[str, str]] = {}
    for kind in ast.parse(Path(inspect.getsourcefile(Config) or "").read_text(encoding="utf-8")).body:
        if isinstance(kind, ast.ClassDef):
            for field, below in itertools.pairwise(kind.body):
                if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                    text = ast.literal_eval(below.value)
                    found.setdefault(kind.name, {})[kebab(ast.unparse(field.target))] = " ".join(text.split())
    return found


def config_schema() -> dict[str, Any]:
    """The JSON schema of `.github/orchestrator.yml`."""
    schema = TypeAdapter(model_of(Config)).json_schema(by_alias=True, mode="validation")
    for name, part in [("Config", schema), *schema["$defs"].items()]:
        for key, says in _attribute_docs().get(name, {}).items():
            part["properties"][key]["description"] = says
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def load_text(text: str, *, source: str) -> Config:
    """The configuration of a YAML text. `source` is the name in messages.

    Raises ConfigError listing every finding as `file:line:column: what`.
    """
    if len(text) > MAX_YAML_BYTES:
        raise config_error([f"{source}:1:1: the file is larger than {MAX_YAML_BYTES // 1024} KiB"])
    tree, marks, problems = compose(text, source)
    if not isinstance(tree, dict):
        raise config_error([f"{source}:1:1: the file must hold keys and values"])
    config, findings = _validate(tree)
    problems += [f"{place_of(source, marks, at)}: {what}" for at, what in findings]
    if problems or config is None:
        raise config_error(sorted(problems, key=_by_place))
    return config


def load_bytes(body: bytes, *, source: str) -> Config:
    """As `load_text`, for a file as it is stored. One that is not UTF-8 is a finding as well."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        place = at_offset(body[: exc.start].decode("utf-8", "replace"))
        raise config_error([f"{source}:{place}: the file is not text in UTF-8"]) from None
    return load_text(text, source=source)


def label_in(body: bytes) -> str:
    """The label that a configuration asks for, also where the rest of it cannot be read: whoever set it is told so."""
    lines = body.decode("utf-8-sig", "replace").splitlines()
    for line in reversed([line for line in lines if line.startswith("label:")]):
        with contextlib.suppress(ConfigError):
            return load_text(line, source="label").label
    return Config().label


def _by_place(problem: str) -> tuple[int, int]:
    match = re.search(r":(\d+):(\d+): ", problem)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def with_flags(config: Config, flags: Mapping[str, Any]) -> Config:
    """`config` with flags laid over it. `flags` by field name; None and empty tuples mean "not given".

    Raises ConfigError naming the flag.
    """
    given = {kebab(k): v for k, v in flags.items() if v is not None and v != ()}
    checked, findings = _validate(given)
    if findings or checked is None:
        wrong = "\n".join(f"--{'.'.join(map(str, at))}: {what}" for at, what in findings)
        raise ConfigError(wrong, hint="--help says what each option takes")
    if "agent" in given and given["agent"].partition(":")[0] != config.agent.partition(":")[0]:
        config = dataclasses.replace(
            config, agent_args=(), agent_model=""
        )  # another agent does not know them
    return dataclasses.replace(
        config, **{k.replace("-", "_"): getattr(checked, k.replace("-", "_")) for k in given}
    )


def _validate(tree: Mapping[str, Any]) -> tuple[Config | None, list[tuple[KeyPath, str]]]:
    try:
        model = model_of(Config).model_validate(tree)
    except ValidationError as exc:
        return None, [(tuple(e["loc"]), _words(e)) for e in exc.errors()]
    config: Config = _back(Config, model)
    return config, []


def _back(kind: type, model: BaseModel) -> Any:
    """The dataclass of a validated model."""
    hints = typing.get_type_hints(kind)

    def value(name: str) -> Any:
        given, hint = getattr(model, name), hints[name]
        if isinstance(given, BaseModel):
            return _back(hint, given)
        if isinstance(given, tuple) and given and isinstance(given[0], BaseModel):
            return tuple(_back(hint.__args__[0], one) for one in given)
        return given

    return kind(**{f.name: value(f.name) for f in dataclasses.fields(kind)})


def _words(error: Mapping[str, Any], kind: Any = Config) -> str:
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        known = _known_keys(tuple(error["loc"][:-1]), kind)
        near = difflib.get_close_matches(key, known, 1, 0.5)
        return f"unknown key {key!r}" + (
            f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
        )
    if error["type"] == "missing":
        return f"the key {str(error['loc'][-1])!r} is missing"
    got = error.get("input")
    if got is None:
        return "has no value; give it one, or take the key out"
    message = _SAYS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "must be")
    plain = isinstance(got, str | int | float | bool) and repr(got) not in message
    shown = f" (got {shown_value(got)})" if plain else ""
    return message[:1].lower() + message[1:] + shown


def _known_keys(at: KeyPath, kind: Any) -> list[str]:
    for part in at:
        if isinstance(part, int):
            continue
        hint = typing.get_type_hints(kind).get(part.replace("-", "_"), Config)
        kind = hint.__args__[0] if isinstance(hint, types.GenericAlias) else hint
    return [kebab(f.name) for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Front:
    """Front matter of a prompt file."""

    title: str = ""
    labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    agent: str = ""
    test: tuple[str, ...] = ()


def prompt_file(path: Path) -> Prompt:
    """A Markdown file with optional YAML front matter.

    Raises ConfigError when it is missing, not text, empty, or its front matter is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"no prompt file {path}", hint="give the path of a Markdown file") from None
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not text in UTF-8"
        raise ConfigError(f"cannot read {path}: {why}", hint="give the path of a Markdown file") from None
    block = split(text)
    front, body = (text[block[0] : block[1]], text[block[2] :]) if block else (None, text)
    if not body.strip():
        raise ConfigError(f"{path} has no text", hint="say in it what is to be done")
    # the line of the opening dashes is counted too
    tree, marks, problems = compose(f"\n{front}", str(path)) if front is not None else ({}, {}, [])
    if not isinstance(tree, dict):
        raise config_error([f"{path}:2:1: front matter must hold keys and values"])
    if not isinstance(tree.get("title", ""), str | list | dict | None):
        tree["title"] = _plain_title(front or "")
    try:
        fields = model_of(_Front).model_validate(tree)
    except ValidationError as exc:
        problems += [
            f"{place_of(str(path), marks, tuple(e['loc']))}: {_words(e, _Front)}" for e in exc.errors()
        ]
    if problems:
        raise config_error(sorted(problems, key=_by_place))
    return Prompt(path=str(path), stem=path.stem, text=body, **fields.model_dump())


def _plain_title(front: str) -> str:
    """The title as it was written, where YAML 1.1 made a number or a truth value of it."""
    match = re.search(r"^title:\s*(.*?)\s*$", front, re.MULTILINE)
    return match[1] if match else ""


if __name__ == "__main__":
    print(json.dumps(config_schema(), indent=2))  # noqa: T201 - how the published schema is made
