"""Plan, Bundle and Verdict document as files: written canonically, read strictly, with a schema each.

What a step reads was written on another machine, perhaps by somebody who wants something: unknown keys,
wrong types, other schema numbers and files that are too large are refused in one line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator_action.config.records import adapter_of, to_record
from orchestrator_action.errors import ConfigError
from orchestrator_action.protocol.documents import (
    DOCUMENT_SCHEMA,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Bundle,
    Plan,
    VerdictDocument,
    canonical,
)

MAX_DOCUMENT_BYTES = 32 * 1024**2
"""Of one document. The facts of a large change take some hundred KiB."""

T = TypeVar("T")
D = TypeVar("D", Plan, Bundle, VerdictDocument)
_NAMES: dict[type[Any], str] = {Plan: "plan", Bundle: "bundle", VerdictDocument: "verdict document"}


def encode_document(document: Plan | Bundle | VerdictDocument) -> bytes:
    """The document as it is written to a file."""
    if isinstance(document, VerdictDocument):
        return canonical(document.statement()) + b"\n"
    return canonical(to_record(document)) + b"\n"


def document_digest(document: VerdictDocument) -> str:
    """SHA-256 of a verdict document's file in hex, as `sha256sum` prints it and an attestation names it."""
    return hashlib.sha256(encode_document(document)).hexdigest()


def decode_document(kind: type[D], body: bytes, *, source: str) -> D:
    """A document from a file's bytes. Raises ConfigError naming `source` and the first thing that is wrong."""
    name = _NAMES[kind]
    if len(body) > MAX_DOCUMENT_BYTES:
        raise ConfigError(
            f"{source} is {len(body)} bytes, too large for a {name}",
            hint=f"at most {MAX_DOCUMENT_BYTES} bytes",
        )
    try:
        value = strict_json(body)
    except ValueError as exc:
        raise ConfigError(f"{source} is no JSON: {exc}", hint=f"it should be a {name}") from None
    if kind is VerdictDocument:
        value = _predicate_of(value, source)
    _refuse_unknown(kind, value, source)
    try:
        found: D = adapter_of(kind).validate_python(value, strict=False)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ConfigError(f"{source} is no {name}: {where}: {first['msg'].lower()}", hint=_HINT) from None
    if found.schema != DOCUMENT_SCHEMA:
        raise ConfigError(
            f"{source} has schema {found.schema}, this version knows {DOCUMENT_SCHEMA}",
            hint="use the same version of orchestrator-action for every step",
        )
    return found


_HINT = "write it with the step before, and do not edit it"


def read_as(kind: type[T], body: bytes) -> T:
    """A value of a dataclass from the bytes of its JSON. Raises ValueError saying the first thing that is wrong."""
    value = strict_json(body)
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    if unknown := sorted(set(value) - {f.name for f in dataclasses.fields(kind)}):  # type: ignore[arg-type]
        raise ValueError(f"it has an unknown key {unknown[0][:60]!r}")
    try:
        found: T = adapter_of(kind).validate_python(value)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg'].lower()}") from None
    return found


def strict_json(body: bytes) -> Any:
    """The value of JSON in UTF-8 that every reader would read in the same way. Raises ValueError for any other.

    So no key twice, no half of a character, and no number that JSON has not.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_refuse_doubles)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("its brackets are too deep") from None
    except (UnicodeDecodeError, UnicodeEncodeError) as exc:
        raise ValueError(f"a text in it is no UTF-8: {exc.reason}") from None
    return value


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _refuse_unknown(kind: type[Any], value: Any, source: str) -> None:
    """A key nobody knows is a document of another version, or an attempt to smuggle something."""
    if not isinstance(value, dict):
        raise ConfigError(f"{source} is no {_NAMES[kind]}: it is not an object", hint=_HINT)
    unknown = sorted(set(value) - set(kind.__dataclass_fields__))
    if unknown:
        raise ConfigError(f"{source} has an unknown key {unknown[0][:60]!r}", hint=_HINT)


def _predicate_of(value: Any, source: str) -> dict[str, Any]:
    """The fields of a Verdict document from its in-toto Statement."""
    wrong = ConfigError(f"{source} is no verdict document: not an in-toto Statement of ours", hint=_HINT)
    if not isinstance(value, dict) or set(value) != {"_type", "subject", "predicateType", "predicate"}:
        raise wrong
    subject, predicate = value["subject"], value["predicate"]
    if value["_type"] != STATEMENT_TYPE or value["predicateType"] != PREDICATE_TYPE:
        raise wrong
    if not isinstance(subject, list) or len(subject) != 1 or not isinstance(predicate, dict):
        raise wrong
    first = subject[0]
    if (
        not isinstance(first, dict)
        or set(first) != {"name", "digest"}
        or not isinstance(first["digest"], dict)
    ):
        raise wrong
    if set(first["digest"]) != {"gitCommit"} or {"name", "commit"} & set(predicate):
        raise wrong
    return {**predicate, "name": first["name"], "commit": first["digest"]["gitCommit"]}


def schema(kind: type[Plan] | type[Bundle] | type[VerdictDocument]) -> dict[str, Any]:
    """The JSON schema of a document's file."""
    inner: dict[str, Any] = adapter_of(kind).json_schema(mode="validation")
    if kind is not VerdictDocument:
        return {**inner, "additionalProperties": False}
    properties = {k: v for k, v in inner["properties"].items() if k not in {"name", "commit"}}
    required = sorted(set(inner.get("required", ())) - {"name", "commit"})
    return {
        "$defs": inner.get("$defs", {}),
        "title": "Verdict document",
        "type": "object",
        "additionalProperties": False,
        "required": ["_type", "subject", "predicateType", "predicate"],
        "properties": {
            "_type": {"const": STATEMENT_TYPE},
            "predicateType": {"const": PREDICATE_TYPE},
            "subject": {
                "type": "array", "minItems": 1, "maxItems": 1,
                "items": {
                    "type": "object", "required": ["name", "digest"], "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string"},
                        "digest": {
                            "type": "object", "required": ["gitCommit"], "additionalProperties": False,
                            "properties": {"gitCommit": {"type": "string", "pattern": "^[0-9a-f]{40}([0-9a-f]{24})?$"}},
                        },
                    },
                },
            },
            "predicate": {
                "type": "object", "additionalProperties": False, "properties": properties, "required": required,
            },
        },
    }  # fmt: skip
