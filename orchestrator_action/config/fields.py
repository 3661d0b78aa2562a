"""How each key of the configuration may be written: durations, one or many, and the model that checks it.

Types are taken strictly; what may be written in several ways is made one value here.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import types
import typing
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from orchestrator_action.config.schema import TestCommand
from orchestrator_action.protocol.candidates import MOST_CANDIDATES
from orchestrator_action.protocol.model import Demand
from orchestrator_action.protocol.phases import IDS

_PART = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)"
_DURATION = re.compile(rf"\s*(?:(?P<seconds>\d+(?:\.\d+)?)|{_PART}(?:\s*{_PART})*)\s*\Z")
_LONGEST_S = 366 * 86400.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: object) -> float:
    """Seconds from `90`, `90s`, `45m`, `1.5h`, `1h30m`: each unit once, the largest first.

    Raises ValueError in words for the user.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a duration is a number of seconds or text such as 45m")
    match = _DURATION.match(str(value))
    if not match:
        raise ValueError(f"{value!r} is no duration; write 90s, 45m or 1h30m")
    parts = re.findall(_PART, str(value))
    units = [unit for _, unit in parts]
    if units != sorted(set(units), key=lambda u: -_UNITS[u]):
        raise ValueError(f"{value!r} is no duration; write each unit once, the largest first, as in 1h30m")
    seconds = float(match["seconds"] or 0.0) + sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST_S:
        raise ValueError(f"{str(value)[:40]!r} is longer than a year")
    return seconds


def _cache_for(value: object) -> object:
    """How long a pass counts: None for ever, 0 not at all. YAML 1.1 reads `on` and `off` as booleans."""
    if value is None or value is True or value == "on":
        return None
    return 0.0 if value is False or value == "off" else parse_duration(value)


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _test_commands(value: object) -> object:
    """Test commands as they are written: one or a list, each as text or with its own timeout."""
    if not isinstance(value, str | dict | list | tuple):
        return value
    several = value if isinstance(value, list | tuple) else [value]
    return [{"command": one} if isinstance(one, str) else one for one in several]


def _as_texts(value: object) -> object:
    """Candidates as they are written: a number, a name, or a list of names."""
    several = value if isinstance(value, list | tuple) else [value]
    return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in several]


def _candidates(value: tuple[str, ...]) -> tuple[str, ...]:
    numbers = [one for one in value if re.fullmatch(r"[-+]?[0-9]+", one)]
    if not value or (numbers and len(value) > 1) or any(not 1 <= int(n) <= MOST_CANDIDATES for n in numbers):
        raise ValueError(
            f"write a number from 1 to {MOST_CANDIDATES}, or names of agents, as [codex, gemini]"
        )
    if len(value) > MOST_CANDIDATES:
        raise ValueError(f"{len(value)} candidates, at most {MOST_CANDIDATES} are tried")
    return value


_ADDRESS = re.compile(r"https?://[^\s/]\S*|\$[A-Za-z_]\w*")


def _webhook(value: str) -> str:
    if value and not _ADDRESS.fullmatch(value):
        raise ValueError(
            "write an address that begins with https://, or $NAME for the variable that holds one"
        )
    return value


def _phase_id(value: str) -> str:
    if value not in IDS:
        near = difflib.get_close_matches(value, IDS, 1, 0.4)
        raise ValueError(f"no phase {value!r}" + (f"; did you mean {near[0]}?" if near else ""))
    return value


_Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=float | str),
    Field(description="seconds, or text such as 45m or 1h30m"),
]
_CacheFor = Annotated[
    float | None,
    BeforeValidator(_cache_for, json_schema_input_type=bool | float | str),
    Field(description="how long a pass counts: seconds, text such as 7d, or off"),
]
_Texts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_one_or_many, json_schema_input_type=str | list[str]),
    Field(strict=False),
]
_Hosts = Annotated[
    tuple[Annotated[str, Field(pattern=r"^((\*\.)?[\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$")], ...],
    BeforeValidator(_one_or_many, json_schema_input_type=str | list[str]),
    Field(strict=False),
]
_Candidates = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_as_texts, json_schema_input_type=int | str | list[str]),
    AfterValidator(_candidates),
    Field(strict=False),
]
_Phases = dict[Annotated[str, BeforeValidator(_phase_id)], Annotated[Demand, Field(strict=False)]]


def _tests() -> Any:
    """Of `test`: a command, one with a timeout of its own, or a list of both."""
    one: Any = model_of(TestCommand)
    return Annotated[
        tuple[one, ...],
        BeforeValidator(_test_commands, json_schema_input_type=str | one | list[str | one]),
        Field(strict=False),
    ]


def kebab(name: str) -> str:
    """A field's name as its key is written."""
    return name.replace("_", "-")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=kebab, frozen=True)


DURATIONS = {"timeout", "run_timeout", "test_timeout", "setup_timeout", "base_wait"}
"""Keys that take `45m` as well as seconds."""


_OF_THEIR_OWN: dict[str, Any] = {
    "phases": _Phases, "egress": _Hosts | None, "cache": _CacheFor, "candidates": _Candidates,
}  # fmt: skip
"""Keys that are written in more ways than their values have."""


def _annotation(field: dataclasses.Field[Any], hint: Any) -> Any:
    if field.name in DURATIONS:
        return _Duration if hint is float else _Duration | None
    if hint == tuple[TestCommand, ...]:
        return _tests()
    if field.name in _OF_THEIR_OWN:
        return _OF_THEIR_OWN[field.name]
    if field.name == "network":
        return Annotated[hint, BeforeValidator(_one_or_many), Field(strict=False)]
    if field.name == "webhook":
        return Annotated[str, AfterValidator(_webhook)]
    if hint == tuple[str, ...]:
        return _Texts
    if dataclasses.is_dataclass(hint):
        nested: Any = hint
        return model_of(nested)
    item: Any = hint.__args__[0] if isinstance(hint, types.GenericAlias) else None
    if dataclasses.is_dataclass(item):
        inner: Any = model_of(typing.cast("Any", item))
        return Annotated[tuple[inner, ...], Field(strict=False)]
    if hint is str and field.name in {"command", "name", "match"} and field.default is dataclasses.MISSING:
        return Annotated[str, Field(pattern=r"\S")]
    if hint in (int, float):
        least = 1 if field.name == "max_parallel" else 0
        return Annotated[
            hint, Field(ge=least, strict=hint is int, allow_inf_nan=None if hint is int else False)
        ]
    return hint


@functools.cache
def model_of(kind: Any) -> type[BaseModel]:
    """A strict pydantic model with the fields, defaults and kebab-case names of a dataclass."""
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        default: Any = ...
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        fields[field.name] = (_annotation(field, hints[field.name]), default)
    return create_model(kind.__name__, __base__=_Strict, __doc__=kind.__doc__, **fields)
