"""Plan, Bundle and Verdict document: what is written is read again, what does not fit is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from orchestrator_action.errors import ConfigError
from orchestrator_action.protocol.documents import Bundle, ForgeRequest, Plan, VerdictDocument, digest_of
from orchestrator_action.protocol.forge_values import Issue
from orchestrator_action.protocol.model import Claim, Fact, Status, Task
from orchestrator_action.state.documents import decode_document, encode_document, schema

SHA, BASE = "a" * 40, "b" * 40
PLAN = Plan(
    run_id="20260101-000000-abcdef", repository="o/r", forge="github", base_branch="main", base_sha=BASE,
    config={"label": "orchestrate"}, policy_digest="0" * 64, shards=(("issue-7",),), test_commands=("pytest -q",),
    tasks=(
        Task(
            id="issue-7", title="Größe", text="x\u2028y", branch="orchestrator/issue-7",
            issue=Issue(number=7, title="Größe", body="x", url="https://example.invalid/7"),
        ),
    ),
)  # fmt: skip
BUNDLE = Bundle(
    run_id=PLAN.run_id, task_id="issue-7", branch="orchestrator/issue-7", base_sha=BASE, head_sha=SHA,
    status=Status.SUCCESS, trail="c" * 64,
    claims=(Claim(phase="testing", head_sha=SHA, note="all pass"),),
    requests=(ForgeRequest(kind="pull-request", title="T", body="B"),), cost_usd=0.05,
)  # fmt: skip
VERDICT = VerdictDocument(
    commit=SHA, name="orchestrator/issue-7", base=BASE, conclusion="success", isolation="sandboxed",
    facts=(Fact(phase="testing", rule="suite", commit=SHA, holds=True, message="12 pass", detail={"passed": 12}),),
    environment={"git": "2.39.5"},
)  # fmt: skip
ALL = [PLAN, BUNDLE, VERDICT]


@pytest.mark.parametrize("document", ALL, ids=lambda d: type(d).__name__)
def test_what_is_written_is_read_again(document: Any) -> None:
    """Whole, and it fits its schema."""
    body = encode_document(document)

    assert document == decode_document(type(document), body, source="f")
    jsonschema.Draft202012Validator.check_schema(schema(type(document)))
    jsonschema.validate(json.loads(body), schema(type(document)))


@pytest.mark.parametrize("document", ALL, ids=lambda d: type(d).__name__)
@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda v: v | {"extra": 1}, "unknown key|not an in-toto"),
        (lambda v: [v], "not an object|not an in-toto"),
        (lambda v: _set(v, "schema", 2), "has schema 2"),
        (lambda v: _set(v, "schema", "one"), "schema"),
    ],
    ids=["extra key", "a list", "newer", "wrong type"],
)
def test_what_does_not_fit_is_refused_in_one_line(document: Any, harm: Any, says: str) -> None:
    """With the file's name and the place."""
    body = json.dumps(harm(json.loads(encode_document(document)))).encode()

    with pytest.raises(ConfigError, match=says) as refused:
        decode_document(type(document), body, source="f.json")

    assert "f.json" in refused.value.message
    assert "\n" not in refused.value.message


def _set(value: dict[str, Any], key: str, to: Any) -> dict[str, Any]:
    """Change a field, in a Statement that of its predicate."""
    if "predicate" in value:
        return value | {"predicate": value["predicate"] | {key: to}}
    return value | {key: to}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000], ids=repr)
def test_what_is_no_json_is_said(body: bytes) -> None:
    """Also what would recurse for ever."""
    with pytest.raises(ConfigError, match=r"f is no|JSON|unknown key"):
        decode_document(Plan, body, source="f")


def test_a_statement_cannot_name_another_commit_inside() -> None:
    """The subject alone says which commit was measured."""
    value = json.loads(encode_document(VERDICT))
    value["predicate"]["commit"] = "c" * 40

    with pytest.raises(ConfigError, match="not an in-toto Statement of ours"):
        decode_document(VerdictDocument, json.dumps(value).encode(), source="f")


def test_a_digest_tells_any_change() -> None:
    """And nothing but a change: the order of keys does not matter."""
    same = VerdictDocument(**{f: getattr(VERDICT, f) for f in reversed(VERDICT.__dataclass_fields__)})

    assert digest_of(VERDICT.statement()) == digest_of(same.statement())
    assert digest_of(VERDICT.statement()) != digest_of(replace(VERDICT, conclusion="neutral").statement())
