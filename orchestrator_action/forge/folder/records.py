"""The JSON of a local forge: checks and label events, indented where a person reads them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from orchestrator_action.config.records import from_record, to_record
from orchestrator_action.errors import ForgeError
from orchestrator_action.protocol.forge_values import Annotation, Check, Conclusion, IssueEvent

_SHA = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """A check and the key its maker gave it."""

    external_id: str
    check: Check


def check_directory(head_sha: str) -> str:
    """The directory of a commit's checks. Raises ForgeError (422) for what is not a SHA."""
    if not _SHA.fullmatch(head_sha):
        raise ForgeError(f"{head_sha!r} is not a commit", hint="give the full SHA", status=422)
    return head_sha


def file_of(head_sha: str, name: str) -> str:
    """`<sha>/<name>.json`, with what a file name cannot hold written as %XX."""
    safe = (
        quote(name, safe=" ()+,=@").replace(".", "%2E", 1)
        if name.startswith(".")
        else quote(name, safe=" ()+,=@")
    )
    if not name.strip():
        raise ForgeError("a check needs a name", status=422)
    if len(safe) > 150:
        safe = (
            f"{safe[:130].rpartition('%')[0] or safe[:130]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        )
    return f"{check_directory(head_sha)}/{safe}.json"


def finished(
    check: Check,
    conclusion: Conclusion,
    title: str,
    summary: str,
    text: str,
    annotations: Sequence[Annotation],
) -> Check:
    """The check as it is when completed."""
    return dataclasses.replace(
        check, status="completed", conclusion=conclusion, title=title, summary=summary, text=text,
        annotations=tuple(annotations),
    )  # fmt: skip


def with_url(check: Check, url: str) -> Check:
    """The check with where it is to be read; a file does not say where it lies."""
    return dataclasses.replace(check, url=url)


def render_check(record: CheckRecord, *, at: str) -> str:
    """The file of a check."""
    fields = to_record(record.check)
    del fields["url"], fields["kind"]  # where the file lies, and what it is
    whole = {**fields, "external_id": record.external_id, "updated_at": at}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def parse_check(text: str | None, name: str) -> CheckRecord | None:
    """The check in a file; None without a file.

    Raises ForgeError, naming file and line, when it is broken.
    """
    if text is None:
        return None
    fields = _object(text, name)
    status = "completed" if fields.get("conclusion") else "in_progress"
    try:
        check = from_record(Check, {"id": 0, "status": status, "conclusion": None, **fields})
    except ValueError as exc:
        raise ForgeError(f"{name}:1: not a check: {exc}", hint="mend or delete that file") from None
    return CheckRecord(str(fields.get("external_id", "")), check)


def render_event(event: IssueEvent) -> str:
    """One line of an issue's events."""
    fields = {"id": event.id, "kind": event.kind, "actor": event.actor, "at": event.at, "label": event.label}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def parse_events(text: str, name: str) -> Iterator[IssueEvent]:
    """The events of an issue, oldest first."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        fields = _object(line, name, first=number)
        try:
            yield from_record(IssueEvent, {**fields, "actor_type": "User"})
        except ValueError as exc:
            raise ForgeError(f"{name}:{number}: not an event: {exc}", hint="mend that line") from None


def _object(text: str, name: str, *, first: int = 1) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ForgeError(
            f"{name}:{first + exc.lineno - 1}: {exc.msg}", hint="mend or delete that file"
        ) from exc
    if not isinstance(fields, dict):
        raise ForgeError(f"{name}:{first}: not a JSON object", hint="mend or delete that file")
    return fields
