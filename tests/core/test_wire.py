"""One line each way; whatever is not a request is refused in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.errors import BrokerError
from orchestrator_action.protocol.wire import (
    MAX_ANSWER_BYTES,
    PhaseAnswer,
    PhaseRequest,
    context_digest,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)


@given(st.text(), st.text())
def test_a_request_survives_its_line(note, file):
    request = PhaseRequest(token="t", verb="done", phase="testing", note=note, file=file)
    line = encode_request(request)

    assert 1 == line.count(b"\n")
    assert request == decode_request(line)


@given(st.binary(max_size=300))
def test_garbage_is_refused_never_raised_otherwise(line):
    with pytest.raises(BrokerError):
        decode_request(line)


@pytest.mark.parametrize(
    "body",
    [
        [], {}, {"v": 2, "verb": "show"}, {"v": 1, "verb": "push"}, {"v": 1, "verb": "show", "x": "1"},
        {"v": 1, "verb": "done", "note": 5}, {"v": 1, "verb": "done", "waive": "x" * 5000}, {"v": 1},
    ],
)  # fmt: skip
def test_an_ill_formed_request_is_refused(body):
    with pytest.raises(BrokerError):
        decode_request(json.dumps(body).encode())


def test_deep_nesting_does_not_break_the_parser():
    with pytest.raises(BrokerError):
        decode_request(b"[" * 100_000)


def test_an_answer_too_large_is_cut_not_broken():
    answer = PhaseAnswer(ok=True, message="x" * (MAX_ANSWER_BYTES + 5))

    assert decode_answer(encode_answer(answer)).message.endswith("[cut]")


def test_half_an_answer_is_no_answer():
    with pytest.raises(BrokerError, match="cut off"):
        decode_answer(encode_answer(PhaseAnswer(ok=True, message="fine"))[:-10])


def test_the_digest_does_not_cover_itself():
    assert context_digest({"a": 1}) == context_digest({"digest": "x", "a": 1})
    assert context_digest({"a": 1}) != context_digest({"a": 2})
