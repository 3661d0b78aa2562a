"""Verdict documents as SARIF 2.1.0, for code scanning and editors: one result for each fact that does not hold.

Pure. Texts are an agent's or a test's words, so they are masked; SARIF's own fields show them as plain text.
Source: docs.oasis-open.org/sarif/sarif/v2.1.0; docs.github.com, "SARIF support for code scanning".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from orchestrator_action import __version__
from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.phases import PHASES
from orchestrator_action.text.redact import mask

_SCHEMA_OF_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
MOST_LOCATIONS = 50


def sarif(documents: Sequence[VerdictDocument], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """One SARIF log with a run for each document."""
    held = tuple(secrets)
    return {"$schema": _SCHEMA_OF_SARIF, "version": "2.1.0", "runs": [_run(d, held) for d in documents]}


def _run(document: VerdictDocument, secrets: tuple[str, ...]) -> dict[str, Any]:
    results = [r for f in document.facts if not f.holds for r in _results(f, secrets)]
    return {
        "tool": {"driver": {"name": "orchestrator-action", "version": __version__, "rules": _rules()}},
        "automationDetails": {"id": f"orchestrator/{document.name}/"},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }


def _rules() -> list[dict[str, Any]]:
    return [
        {
            "id": f"{phase.id}/{rule.id}",
            "shortDescription": {"text": rule.says},
            "help": {"text": rule.cure},
        }
        for phase in PHASES
        for rule in phase.rules
    ]


def _results(fact: Fact, secrets: tuple[str, ...]) -> list[dict[str, Any]]:
    """One result with its places; a fact that names no file is one about the repository's root."""
    places = [p for p in _places(fact.detail) if p is not None][:MOST_LOCATIONS]
    return [
        {
            "ruleId": f"{fact.phase}/{fact.rule}",
            "level": "warning" if fact.detail.get("unproven") else "error",
            "message": {"text": mask(fact.message, secrets) or fact.rule},
            "partialFingerprints": {"orchestratorFact/v1": f"{fact.phase}/{fact.rule}/{number}"},
            "locations": [{"physicalLocation": place}],
        }
        for number, place in enumerate(places or [_ROOT])
    ]


_ROOT: dict[str, Any] = {"artifactLocation": {"uri": ".", "uriBaseId": "%SRCROOT%"}}


def _places(detail: Mapping[str, Any]) -> Iterable[dict[str, Any] | None]:
    for key in ("lines", "lost", "failing", "changed", "paths"):
        found = detail.get(key)
        for given in found if isinstance(found, (list, tuple)) else ():
            one = {"path": given} if isinstance(given, str) else given
            if isinstance(one, Mapping):
                yield _place(str(one.get("path") or one.get("file") or ""), one.get("line") or 0)


def _place(path: str, line: object) -> dict[str, Any] | None:
    if not path or path.startswith("/"):
        return None
    region = {"region": {"startLine": line}} if isinstance(line, int) and line > 0 else {}
    return {"artifactLocation": {"uri": quote(path), "uriBaseId": "%SRCROOT%"}, **region}
