"""The key of a model stays in our process; what requests used is counted, and a budget is held to the request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import requests

from orchestrator_action.agents.key_proxy import ModelRoute, kept_keys
from orchestrator_action.agents.meter import (
    BUDGET_SPENT,
    TURNS_TAKEN,
    Meter,
    error_words,
    metered,
    used_tokens,
)
from orchestrator_action.config.schema import ModelPrice
from orchestrator_action.protocol.attempt import AgentReport, Ending, Outcome
from orchestrator_action.state.failure import Failure, failure_of
from tests.kit.messages_api import Fault, MessagesApi, Say, messages_api, steps

KEY = "sk-ant-the-real-one"
WAY = ModelRoute(key="ANTHROPIC_API_KEY", address="ANTHROPIC_BASE_URL", vendor="https://vendor.invalid")
ASK = {
    "model": "m",
    "max_tokens": 9,
    "stream": True,
    "tools": [{"name": "Bash"}],
    "messages": [{"role": "user", "content": "hello"}],
}


@contextmanager
def proxied(
    meter: Meter | None = None, *, fault: Fault | None = None
) -> Iterator[tuple[MessagesApi, Mapping[str, str]]]:
    """A scripted API, and what an agent's process is given to find it."""
    with messages_api(steps(*[Say("hello")] * 9), faults=[fault] if fault else []) as api:
        env = {WAY.key: KEY, WAY.address: api.url, "PATH": "/bin"}
        with kept_keys([WAY], env, meter or Meter()) as given:
            yield api, given


def ask(
    given: Mapping[str, str], key: str | None = None, path: str = "/v1/messages", **body: object
) -> requests.Response:
    headers = {"x-api-key": given[WAY.key] if key is None else key}
    return requests.post(given[WAY.address] + path, json={**ASK, **body}, headers=headers, timeout=20)


def test_the_vendor_gets_the_key_and_the_agent_a_stand_in() -> None:
    with proxied() as (api, given):
        answer = ask(given)

    assert (200, True) == (answer.status_code, "hello" in answer.text)
    assert KEY not in json.dumps(dict(given))
    [request] = api.requests
    assert KEY == request.headers["x-api-key"]
    assert given[WAY.key] not in json.dumps(dict(request.headers))


@pytest.mark.parametrize("key", ["", "sk-guessed", KEY])
def test_another_key_than_the_stand_in_opens_nothing(key: str) -> None:
    """Not even the real one: whoever has that does not need us."""
    with proxied() as (api, given):
        answer = ask(given, key=key)

    assert (401, []) == (answer.status_code, api.requests)


def test_only_the_vendor_is_reached() -> None:
    """A path that looks like another host is a path at the vendor's; another way is none."""
    with proxied() as (api, given):
        elsewhere = ask(given, path="/http://127.0.0.1:9/v1/messages")
        root = given[WAY.address].rpartition("/")[0]
        nowhere = requests.get(f"{root}/7/x", headers={"x-api-key": given[WAY.key]}, timeout=20)

    assert 404 == nowhere.status_code
    assert elsewhere.status_code in {200, 404}
    assert all(KEY == r.headers["x-api-key"] for r in api.requests)


def test_after_the_attempt_nobody_answers_there() -> None:
    with proxied() as (_, given):
        pass

    with pytest.raises(requests.ConnectionError):
        ask(given)


def test_a_vendor_that_is_not_there_is_said() -> None:
    """To the agent, and in what its attempt amounts to: it may be there a little later."""
    meter = Meter(counts_turns=True, max_turns=1)
    env = {WAY.key: KEY, WAY.address: "http://127.0.0.1:9"}
    with kept_keys([WAY], env, meter) as given:
        answers = [ask(given) for _ in range(2)]

    assert [502, 502] == [a.status_code for a in answers]
    assert "cannot be reached" in answers[-1].text
    report = metered(AgentReport(problems=("exit code 1",)), meter)
    assert ("exit code 1", "the vendor cannot be reached: ConnectionError") == report.problems
    assert report.transient


@pytest.mark.parametrize("known", ["", "internal.example"])
def test_an_agent_does_not_ask_a_company_s_proxy_for_ours(known: str) -> None:
    env = {WAY.key: KEY, "HTTPS_PROXY": "http://proxy.invalid:3128", "NO_PROXY": known}
    with kept_keys([WAY], env, Meter()) as given:
        hosts = given["NO_PROXY"].split(",")

    assert given["no_proxy"] == given["NO_PROXY"]
    assert [*([known] if known else []), "127.0.0.1"] == hosts


def test_an_agent_without_a_key_is_left_alone() -> None:
    env = {"PATH": "/bin"}
    with kept_keys([WAY], env, Meter()) as given:
        assert env == given


def test_a_budget_stops_within_one_request() -> None:
    """The request that passes it is the last one that the vendor sees."""
    meter = Meter(prices=[ModelPrice(model="m", input=1.0, output=5.0)], limit_usd=0.0003)
    with proxied(meter) as (api, given):
        answers = [ask(given) for _ in range(4)]

    assert [200, 200, 403, 403] == [a.status_code for a in answers]  # 100 and 20 tokens: 0.0002 each
    assert BUDGET_SPENT in answers[-1].text
    assert (2, 2, 200, 40) == (len(api.requests), meter.refused, meter.input_tokens, meter.output_tokens)
    assert 0.0004 == meter.cost_usd


def test_the_turns_of_a_session_are_limited_to_the_request() -> None:
    """A turn is a request that offers tools and is answered well: neither a title nor a refusal is one."""
    meter = Meter(counts_turns=True, max_turns=2)
    with proxied(meter, fault=Fault(status=429, times=1)) as (api, given):
        turns = [ask(given) for _ in range(5)]
        title = ask(given, tools=[])

    assert [429, 200, 200, 403, 403] == [a.status_code for a in turns]
    assert TURNS_TAKEN in turns[-1].text
    assert 200 == title.status_code
    assert (2, 2, "m") == (meter.turns, meter.refused, meter.model)
    assert 3 == len(api.requests)

    report = metered(AgentReport(turns=9), meter)
    assert (2, "max-turns", (TURNS_TAKEN,), "m") == (
        report.turns,
        report.limit,
        report.problems,
        report.model,
    )


def test_each_request_of_a_program_that_offers_no_tools_is_a_turn() -> None:
    meter = Meter(counts_turns=True, asks_plainly=True, max_turns=1)
    with proxied(meter) as (_, given):
        counted = ask(given, path="/v1/messages/count_tokens", tools=[])
        answers = [ask(given, tools=[]).status_code for _ in range(2)]

    assert (200, [200, 403], 1) == (counted.status_code, answers, meter.turns)


def test_the_turns_of_a_program_that_counts_them_are_its_own() -> None:
    """Those of its sub-agents are none of them, and the model is the one that it names."""
    meter = Meter(max_turns=1)
    with proxied(meter) as (_, given):
        assert [200, 200] == [ask(given).status_code for _ in range(2)]

    report = metered(AgentReport(turns=1, model="told"), meter)
    assert (1, "told", "") == (report.turns, report.model, report.limit)


@pytest.mark.parametrize(
    ("fault", "asked", "why"),
    [
        (Fault(status=429, message="You exceeded your current quota, please check your plan"), 1, "exceeded"),
        (Fault(status=429, message="slow down", headers={"Retry-After": "3600"}), 1, "slow down"),
        (Fault(status=503, message="overloaded"), 3, "again and again"),
        (Fault(status=429, message="You exceeded your current quota. Please retry in 7s."), 3, "again and again"),
        (Fault(status=401, message="no such key"), 3, "again and again"),
    ],
)  # fmt: skip
def test_an_attempt_is_given_up_when_it_is_no_use_to_ask_again(fault: Fault, asked: int, why: str) -> None:
    """At once when the vendor is out of reach for long; for a program that asks for ever after three refusals."""
    given_up: list[str] = []
    meter = Meter(most_refusals=3, give_up=given_up.append)
    with proxied(meter, fault=fault) as (_, given):
        for number in range(1, 5):
            ask(given)
            assert bool(given_up) is (asked <= number), number

    assert why in "".join(given_up)
    assert meter.gave_up == "".join(given_up)


def test_a_good_answer_between_refusals_begins_the_count_anew() -> None:
    given_up: list[str] = []
    faults = [Fault(status=503, times=2), Fault(status=503, after=3, times=2)]
    with messages_api(steps(*[Say("hello")] * 9), faults=faults) as api:
        meter = Meter(most_refusals=3, give_up=given_up.append)
        with kept_keys([WAY], {WAY.key: KEY, WAY.address: api.url}, meter) as given:
            answers = [ask(given).status_code for _ in range(5)]

    assert ([503, 503, 200, 503, 503], []) == (answers, given_up)


@pytest.mark.parametrize(
    ("fault", "failure", "wait_s"),
    [
        (Fault(status=429, message="slow down", headers={"Retry-After": "7"}), Failure.OVERLOADED, 7.0),
        (Fault(status=503, message="try again in 20s"), Failure.OVERLOADED, 20.0),
        (Fault(status=429, message="slow down", headers={"Retry-After": "3600"}), Failure.QUOTA, 3600.0),
        (Fault(status=429, message="x", headers={"Retry-After": "Tue, 01 Dec 2026 00:00:00 GMT"}),
         Failure.OVERLOADED, 0.0),
        (Fault(status=401, message="no such key"), Failure.AUTHENTICATION, 0.0),
    ],
)  # fmt: skip
def test_a_program_that_says_little_fails_for_the_reason_that_its_vendor_gave(
    fault: Fault, failure: Failure, wait_s: float
) -> None:
    meter = Meter()
    with proxied(meter, fault=fault) as (_, given):
        ask(given)

    report = metered(AgentReport(problems=("exit code 1",)), meter)

    assert failure is failure_of(Outcome(ending=Ending.EXITED, exit_code=1), report)
    assert wait_s == report.retry_after_s
    assert fault.message in report.problems[-1]


def test_what_the_vendor_says_of_a_refusal_is_kept_until_it_answers_well() -> None:
    meter = Meter()
    with (
        messages_api(
            steps(Say("hello")), faults=[Fault(status=429, message="No quota left", times=1)]
        ) as api,
        kept_keys([WAY], {WAY.key: KEY, WAY.address: api.url}, meter) as given,
    ):
        assert 429 == ask(given).status_code
        assert "No quota left" in meter.vendor_says
        assert meter.vendor_says.startswith("429 ")
        assert 200 == ask(given).status_code

    assert "" == meter.vendor_says


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"error": {"message": "No", "code": "insufficient_quota"}}', "No (insufficient_quota)"),
        (
            b'{"type": "error", "error": {"type": "rate_limit_error", "message": "No"}}',
            "No (rate_limit_error)",
        ),
        (b'[{"error": {"code": 429, "message": "No", "status": "RESOURCE_EXHAUSTED"}}]', "No"),
        (b"<html>Bad Gateway</html>", "<html>Bad Gateway</html>"),
        (b'{"error": "No"}', '{"error": "No"}'),
        (b"[]", "[]"),
        (b'{"error": {"code": 1}}', '{"error": {"code": 1}}'),
    ],
)
def test_the_words_of_an_error_are_the_vendors(answer: bytes, words: str) -> None:
    assert words == error_words(answer)


def test_money_of_a_model_without_a_price_is_not_guessed() -> None:
    meter = Meter(prices=[ModelPrice(model="other", input=1.0, output=5.0)], limit_usd=0.0003)
    with proxied(meter) as (_, given):
        ask(given)

    assert (None, 100, 20) == (meter.cost_usd, meter.input_tokens, meter.output_tokens)


@pytest.mark.parametrize(
    ("answer", "used"),
    [
        (b'{"usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5}}', (7, 5)),
        (b'{"usage": {"prompt_tokens": 3, "completion_tokens": 5}}', (3, 5)),
        (
            (
                b'event: message_start\ndata: {"message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}\n\n'
                b'data: {"usage": {"output_tokens": 5}}\n\ndata: {"usage": {"output_tokens": 9}}\n'
            ),
            (3, 9),
        ),
        (b'data: {"response": {"usage": {"input_tokens": 3, "output_tokens": 5}}}\n\ndata: [DONE]\n', (3, 5)),
        (
            (
                b'[{"usageMetadata": {"promptTokenCount": 3}}, '
                b'{"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 1}}]'
            ),
            (3, 5),
        ),
        (b"not JSON at all", (0, 0)),
        (b'data: {"usage": {"input_tokens": true, "output_tokens": "9"}}', (0, 0)),
        (b"", (0, 0)),
    ],
)
def test_tokens_are_read_from_what_the_vendor_answers(answer: bytes, used: tuple[int, int]) -> None:
    assert used == used_tokens(answer)
