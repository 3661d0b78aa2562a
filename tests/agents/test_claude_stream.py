"""The fold of stream-json lines: what counts as success, whatever a log looks like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.agents.claude.stream import ClaudeReader
from orchestrator_action.protocol.attempt import AgentReport, Ending, Mark, Outcome

WANTED = "agent:workflow-manager"
INIT = {
    "type": "system",
    "subtype": "init",
    "session_id": "s1",
    "model": "claude-x",
    "slash_commands": ["clear", WANTED],
    "plugin_errors": None,
}
SAID = {"type": "assistant", "message": {"id": "m1", "model": "claude-x", "content": []}, "session_id": "s1"}
RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "num_turns": 3,
    "result": "done",
    "total_cost_usd": 0.25,
    "session_id": "s1",
    "uuid": "u1",
}
GOOD = [INIT, SAID, RESULT]
ENDED = Outcome(ending=Ending.EXITED, exit_code=0)


def fold(*events: object, outcome: Outcome = ENDED, wanted: str = WANTED) -> AgentReport:
    reader = ClaudeReader(wanted)
    for event in events:
        reader.feed(event if isinstance(event, bytes) else json.dumps(event).encode())
    return reader.report(outcome)


def test_a_good_session_is_told_in_full():
    report = fold(*GOOD)

    assert AgentReport(session_id="s1", model="claude-x", turns=3, cost_usd=0.25, text="done") == report


@pytest.mark.parametrize(
    ("events", "outcome", "says"),
    [
        (GOOD, Outcome(ending=Ending.EXITED, exit_code=1), "exit code 1"),
        (GOOD, Outcome(ending=Ending.EXITED, signal=15), "signal 15"),
        (GOOD, Outcome(ending=Ending.TIMEOUT, signal=9, error="45m"), "timeout: 45m"),
        ([INIT, SAID], ENDED, "no result event"),
        ([RESULT], ENDED, "no init event"),
        ([], ENDED, "no init event"),
        ([INIT, {**RESULT, "subtype": "error_during_execution"}], ENDED, "error_during_execution"),
        ([INIT, {**RESULT, "is_error": True, "result": "API Error: 500 boom"}], ENDED, "API Error: 500 boom"),
        ([INIT, {**RESULT, "num_turns": 0, "result": "Unknown command"}], ENDED, "Unknown command"),
        ([INIT, {k: v for k, v in RESULT.items() if k != "is_error"}], ENDED, "error"),
        ([INIT, {k: v for k, v in RESULT.items() if k != "num_turns"}], ENDED, "no turn"),
        ([{**INIT, "slash_commands": ["clear"]}, RESULT], ENDED, "does not know the command"),
        ([{**INIT, "slash_commands": None}, RESULT], ENDED, "does not know the command"),
        ([{**INIT, "plugin_errors": [{"plugin": "agent", "error": "bad json"}]}, RESULT], ENDED, "bad json"),
        (
            [*GOOD, {**RESULT, "uuid": "u2", "is_error": True, "result": "then it broke"}],
            ENDED,
            "then it broke",
        ),
    ],
)
def test_each_sign_against_a_session_is_named(events, outcome, says):
    """All signs must agree; one against is enough."""
    problems = fold(*events, outcome=outcome).problems

    assert any(says in p for p in problems), problems


def test_a_session_without_our_command_is_given_up_at_its_init_event():
    reader = ClaudeReader(WANTED)

    assert Mark.STARTED is reader.feed(json.dumps({**INIT, "slash_commands": []}).encode())
    assert WANTED in reader.abort


def test_a_refused_key_is_waited_for_until_the_api_says_so_in_its_own_words():
    """The CLI's retries are bounded; ending it at the first would lose what the API says."""
    reader = ClaudeReader(WANTED)
    reader.feed(json.dumps(INIT).encode())
    retry = {
        "type": "system",
        "subtype": "api_retry",
        "attempt": 1,
        "error_status": 401,
        "error": "authentication_failed",
    }

    assert reader.feed(json.dumps(retry).encode()) is None
    assert "" == reader.abort
    report = reader.report(Outcome(ending=Ending.CANCELLED, signal=9))
    assert any("401" in p for p in report.problems)
    assert not report.transient


def test_a_hang_after_a_good_result_counts_by_its_result():
    """Ended by us after the grace: that is no fault of the session."""
    assert () == fold(*GOOD, outcome=Outcome(ending=Ending.RESULT_GRACE, signal=15)).problems


def test_hooks_may_speak_before_the_session_does():
    assert () == fold({"type": "system", "subtype": "hook_started"}, *GOOD).problems


def test_a_result_printed_twice_counts_once():
    report = fold(*GOOD, RESULT)

    assert ((), 3, 0.25) == (report.problems, report.turns, report.cost_usd)


def test_turns_of_several_results_add_up_and_their_cost_is_the_last():
    """A background shell that ends later gives a second result; cost is cumulative, turns are not."""
    report = fold(*GOOD, {**RESULT, "uuid": "u2", "num_turns": 1, "total_cost_usd": 0.3, "result": "more"})

    assert (4, 0.3, "more", ()) == (report.turns, report.cost_usd, report.text, report.problems)


def test_a_session_that_was_ended_knows_the_turns_it_took():
    """Two blocks of one message are one turn; a subagent's are not the session's."""
    report = fold(
        INIT,
        SAID,
        SAID,
        {**SAID, "message": {"id": "m2"}},
        {**SAID, "message": {"id": "m3"}, "parent_tool_use_id": "t"},
    )

    assert (2, None) == (report.turns, report.cost_usd)


@pytest.mark.parametrize(
    ("subtype", "limit"), [("error_max_turns", "max-turns"), ("error_max_budget_usd", "max-budget")]
)
def test_limits_are_named_and_do_not_pass_by_themselves(subtype, limit):
    report = fold(INIT, {**RESULT, "subtype": subtype, "is_error": True, "api_error_status": 529})

    assert (limit, False) == (report.limit, report.transient)
    assert report.problems


@pytest.mark.parametrize(
    ("status", "words", "transient"),
    [
        (429, "API Error: Request rejected (429)", True),
        (500, "API Error: 500", True),
        (503, "API Error: 503", True),
        (529, "API Error: 529 Overloaded", True),
        (400, "API Error: 400 prompt is too long", False),
        (401, "Invalid API key", False),
        (403, "API Error: 403", False),
        (404, "no such model", False),
        (None, "API Error: Connection error.", True),
        (None, "API Error: Unable to connect to API (ECONNREFUSED)", True),
        (None, "Not logged in · Please run /login", False),
        (None, "Credit balance is too low", False),
        (None, "something else", False),
    ],
)
def test_only_what_may_pass_is_worth_another_try(status, words, transient):
    bad = {**RESULT, "is_error": True, "api_error_status": status, "result": words}
    report = fold(INIT, bad, outcome=Outcome(ending=Ending.EXITED, exit_code=1))

    assert transient is report.transient
    assert any(words in p for p in report.problems)


def test_a_wait_the_api_asked_for_is_passed_on():
    """As the CLI's own last retry told it; of a `Retry-After` it gave up on it prints nothing."""
    retry = {"type": "system", "subtype": "api_retry", "retry_delay_ms": 2500, "error_status": 429}
    bad = {**RESULT, "is_error": True, "api_error_status": 429, "result": "slow down"}

    assert 2.5 == fold(INIT, retry, bad).retry_after_s


def test_what_the_cli_says_before_it_starts_is_passed_on():
    """Root without IS_SANDBOX, a bad option, a missing loader: only words on stderr."""
    report = fold(
        b"error: unknown option '--setting-sauces'", outcome=Outcome(ending=Ending.EXITED, exit_code=1)
    )

    assert any("--setting-sauces" in p for p in report.problems)


LINE = json.dumps(RESULT).encode()


@pytest.mark.parametrize(
    "cut", [LINE[:-1], LINE[: len(LINE) // 2], LINE[5:], LINE + b"x", LINE.replace(b"{", b"[")]
)
def test_a_cut_result_is_no_result(cut):
    assert "no result event" in fold(INIT, cut).problems


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted(
    {*INIT, *RESULT, *SAID, "error", "errors", "error_status", "rate_limit_info", "parent_tool_use_id"}
)
ODD = st.fixed_dictionaries(
    {"type": st.sampled_from(["system", "assistant", "user", "result", "rate_limit_event", "x"])},
    optional={k: JSON | st.sampled_from(["init", "api_retry", "success"]) for k in KEYS if k != "type"},
)


@given(st.lists(st.binary(max_size=200) | ODD.map(lambda e: json.dumps(e).encode()), max_size=12))
def test_no_line_whatever_stops_the_reader(lines):
    """Garbage, wrong types and nesting included; and none of it makes a success."""
    reader = ClaudeReader(WANTED)
    for line in lines:
        reader.feed(line)

    assert reader.report(Outcome(ending=Ending.EXITED, exit_code=1)).problems


@given(
    st.lists(st.binary(max_size=100).filter(lambda b: not b.lstrip().startswith(b"{")), max_size=8),
    st.randoms(),
)
def test_noise_around_a_good_session_changes_nothing(noise, random):
    """Half lines of a progress bar, binary output, a debug line: the session's own lines decide."""
    lines = [json.dumps(e).encode() for e in GOOD]
    for line in noise:
        lines.insert(random.randrange(len(lines) + 1), line)

    assert () == fold(*lines).problems


def test_nesting_beyond_the_parsers_depth_is_garbage():
    assert () == fold(b'{"type":' + b"[" * 200_000, *GOOD).problems
