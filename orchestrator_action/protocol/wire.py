"""The protocol between `orchestrator-phase` and the broker: one line of JSON each way.

A request names its capability token, a verb and its fields; the answer says `ok`, what is open, and
the words for the agent. Sizes are bounded on both sides. Pure: bytes in, values out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator_action.errors import BrokerError

VERBS = frozenset({"show", "start", "done", "wait", "open", "status", "stop"})
MAX_REQUEST_BYTES = 1024 * 1024
"""A plan or a pull's body fits; a log does not."""
MAX_ANSWER_BYTES = 4 * 1024 * 1024
ANSWER_WITHIN_S = 90.0
"""Below the two minutes after which an agent's shell tool gives up."""

SOCKET_VARIABLE = "ORCHESTRATOR_SOCKET"
TOKEN_VARIABLE = "ORCHESTRATOR_CAPABILITY"  # noqa: S105 - the variable's name
CONTEXT_VARIABLE = "ORCHESTRATOR_CONTEXT"

_LIMITS = {
    "note": 64 * 1024,
    "file": 512 * 1024,
    "no_change": 4096,
    "waive": 4096,
    "because": 4096,
    "needs": 4096,
    "digest": 128,
    "phase": 64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRequest:
    """What the agent asks."""

    token: str
    verb: str
    phase: str = ""
    note: str = ""
    file: str = ""
    digest: str = ""
    no_change: str = ""
    waive: str = ""
    because: str = ""
    """Why the agent cannot do the task."""
    needs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseAnswer:
    """What the broker says. `pending` means: still measuring, ask `wait`."""

    ok: bool
    message: str
    pending: bool = False
    findings: tuple[Mapping[str, str], ...] = ()
    open: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


def encode_request(request: PhaseRequest) -> bytes:
    """The request as one line, newline included."""
    return json.dumps({"v": 1, **asdict(request)}).encode() + b"\n"


def decode_request(line: bytes) -> PhaseRequest:
    """The request of one line.

    Half a character, as a shell hands on bytes that are no UTF-8, becomes a question mark: what is said goes
    into files and texts. Raises BrokerError, in words for the agent, for anything that is not well-formed.
    """
    try:
        body = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BrokerError("the request is not one line of JSON in UTF-8") from None
    if not isinstance(body, dict) or body.pop("v", None) != 1:
        raise BrokerError("the request is not of version 1 of this protocol")
    wrong = [k for k, v in body.items() if not isinstance(v, str)]
    unknown = sorted(set(body) - set(PhaseRequest.__slots__))
    if wrong or unknown:
        raise BrokerError(f"unknown or ill-typed field {(wrong + unknown)[0]!r}")
    if body.get("verb") not in VERBS:
        raise BrokerError(
            f"unknown verb {str(body.get('verb'))[:40]!r}", hint=f"one of {', '.join(sorted(VERBS))}"
        )
    for name, limit in _LIMITS.items():
        if len(body.get(name, "").encode("utf-8", "replace")) > limit:
            raise BrokerError(f"{name} is larger than {limit} bytes", hint="shorten it")
    whole = {name: value.encode("utf-8", "replace").decode() for name, value in body.items()}
    return PhaseRequest(**{"token": "", **whole})


def encode_answer(answer: PhaseAnswer) -> bytes:
    """The answer as one line, newline included; its message is cut rather than the line broken."""
    line = json.dumps(asdict(answer)).encode()
    if len(line) > MAX_ANSWER_BYTES:
        short = PhaseAnswer(
            ok=answer.ok, message=answer.message[:10_000] + " [cut]", pending=answer.pending, open=answer.open
        )
        line = json.dumps(asdict(short)).encode()
    return line + b"\n"


def decode_answer(line: bytes) -> PhaseAnswer:
    """The answer of one line. Raises BrokerError when it is none."""
    try:
        body = json.loads(line)
        return PhaseAnswer(
            ok=bool(body["ok"]),
            message=str(body["message"]),
            pending=bool(body.get("pending")),
            findings=tuple(body.get("findings", ())),
            open=tuple(body.get("open", ())),
            detail=body.get("detail", {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BrokerError("the orchestrator's answer was cut off", hint="ask again") from None


def context_digest(context: Mapping[str, Any]) -> str:
    """The digest of a task context: SHA-256 over its canonical JSON without the `digest` key."""
    body = {k: v for k, v in context.items() if k != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
