"""GitHub's published description of its API: answers filled to it, requests and answers checked against it.

Source: npm @octokit/openapi, trimmed by tests/npm/trim_openapi.py to the operations we use.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

FILE = Path(__file__).parents[2] / "npm" / "github_openapi.json"
EVERYWHERE = frozenset({304, 401, 403, 404, 410, 422})
"""Refusals that GitHub gives at any operation, whether its description names them there or not."""
STAMP = "2026-01-02T03:04:05Z"


@functools.cache
def description() -> dict[str, Any]:
    """The trimmed description, its nullable enumerations mended (null must be one of their values)."""
    spec: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    waiting: list[Any] = [spec]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if (
                node.get("nullable") is True
                and isinstance(node.get("enum"), list)
                and None not in node["enum"]
            ):
                node["enum"].append(None)
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    for path in spec["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values() if isinstance(operation, dict) else ():
                answer.setdefault("description", "") if "$ref" not in answer else None
    for answer in spec["components"]["responses"].values():
        answer.setdefault("description", "")
    return spec


@functools.cache
def _openapi() -> OpenAPI:
    spec = {**description(), "servers": [{"url": "/"}]}
    return OpenAPI.from_dict(spec, config=Config(spec_validator_cls=None))


def fill(name: str, given: Mapping[str, Any], *, api: str) -> dict[str, Any]:
    """An object of schema `name`: what is given, and a plain value for every other required field."""
    return {**_defaults(name, api), **given}


@functools.lru_cache(maxsize=200)
def _defaults(name: str, api: str) -> dict[str, Any]:
    """Every required field of a schema with its plain value; not to be changed by anybody."""
    return _fill(description()["components"]["schemas"][name], {}, f"{api}/{name}")


def _fill(schema: dict[str, Any], given: Mapping[str, Any], url: str) -> dict[str, Any]:
    properties = schema.get("properties", {})
    made = {k: _plain(properties.get(k, {}), k, url) for k in schema.get("required", ()) if k not in given}
    return {**made, **given}


def _plain(schema: dict[str, Any], name: str, url: str) -> Any:
    while "$ref" in schema:
        schema = description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("nullable"):
        return None
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return _plain(schema[choice][0], name, url)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "date-time":
        return STAMP
    if schema.get("format") == "uri" or name.endswith(("_url", "href")):
        return f"{url}/{name}"
    plain = {"string": name, "integer": 0, "number": 0, "boolean": False, "array": []}
    if schema.get("type") in plain:
        return plain[schema["type"]]
    return _fill(schema, {}, url)


@dataclass
class _Request:
    host_url: str
    path: str
    method: str
    content_type: str
    body: bytes | None
    parameters: RequestParameters = field(default_factory=RequestParameters)


@dataclass
class _Response:
    status_code: int
    content_type: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, by the template of its path."""

    method: str
    template: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int = 0
    answer: Any = None


def _request(exchange: Exchange) -> _Request:
    path = exchange.template.format(**{k: quote(v, safe="") for k, v in exchange.params.items()})
    parameters = RequestParameters(
        query=ImmutableMultiDict(exchange.query),
        header=Headers(dict(exchange.headers)),
        path=dict(exchange.params),
    )
    return _Request(
        "http://127.0.0.1",
        path,
        exchange.method.lower(),
        "application/json",
        exchange.body or None,
        parameters,
    )


def faults_of_request(exchange: Exchange) -> list[str]:
    """What GitHub's description objects to in a request; remembered, numbers and pages taken as alike."""
    params = {k: "1" if v.isdecimal() else v for k, v in exchange.params.items()}
    query = {k: "1" if k == "page" and v.isdecimal() else v for k, v in exchange.query.items()}
    pairs = (tuple(sorted(params.items())), tuple(sorted(query.items())))
    return list(_faults_of_request(exchange.method, exchange.template, *pairs, exchange.body))


@functools.lru_cache(maxsize=2000)
def _faults_of_request(
    method: str, template: str, params: tuple[Any, ...], query: tuple[Any, ...], body: bytes
) -> tuple[str, ...]:
    exchange = Exchange(method, template, dict(params), dict(query), {}, body)
    try:
        _openapi().validate_request(_request(exchange))
    except OpenAPIError as exc:
        return (f"request {method} {template}: {_words(exc)}",)
    return ()


def faults_of_answer(exchange: Exchange) -> list[str]:
    """What GitHub's description objects to in our answer; of lists the first three items are checked."""
    described = description()["paths"][exchange.template][exchange.method.lower()]["responses"]
    if str(exchange.status) not in described and exchange.status in EVERYWHERE:
        return []
    shown = exchange.answer[:3] if isinstance(exchange.answer, list) else exchange.answer
    data = b"" if shown is None else json.dumps(shown).encode()
    try:
        _openapi().validate_response(_request(exchange), _Response(exchange.status, "application/json", data))
    except OpenAPIError as exc:
        return [f"answer {exchange.status} to {exchange.method} {exchange.template}: {_words(exc)}"]
    return []


def _words(exc: BaseException) -> str:
    words = [f"{type(exc).__name__}: {exc}"[:400]]
    cause = exc.__cause__ or exc.__context__
    words.extend(str(e.message)[:300] for e in getattr(exc, "schema_errors", None) or ())
    if cause is not None and len(words) == 1:
        words.append(_words(cause))
    if cause is not None:
        errors = getattr(cause, "schema_errors", ()) or ()
        words.extend(f"{'/'.join(map(str, e.absolute_path))}: {str(e.message)[:300]}" for e in errors)
    return " | ".join(dict.fromkeys(words))
