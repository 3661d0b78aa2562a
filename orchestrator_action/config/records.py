"""Values as JSON and back, by the shape of their dataclass: one codec for all but events and the wire.

A key that nobody knows is left out, as a later version of ours may have written it; a key that is missing takes its
default. So what one version wrote the next one reads. What does not fit is a ValueError that says where.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Kept = TypeVar("Kept")


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def adapter_of(kind: type[Kept]) -> TypeAdapter[Kept]:
    """What reads and writes values of a dataclass; made when it is first asked for, as that takes milliseconds."""
    return _ADAPTERS.get(kind) or _ADAPTERS.setdefault(kind, TypeAdapter(kind))


def to_record(value: Any) -> dict[str, Any]:
    """A dataclass as what `json` can write."""
    record: dict[str, Any] = adapter_of(type(value)).dump_python(value, mode="json")
    return record


def from_record(kind: type[Kept], record: Any) -> Kept:
    """The value of a record. Raises ValueError naming the first place that does not fit."""
    try:
        value: Kept = adapter_of(kind).validate_python(record)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or kind.__name__
        raise ValueError(f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
    return value
