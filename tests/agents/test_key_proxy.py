"""The key of a model stays in our process; what requests used is counted, and a budget is held to the request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import requests

from orchestrator_action.agents.key_proxy import ModelRoute, kept_keys
from orchestrator_action.agents.meter import BUDGET_SPENT, Meter, error_words, used_tokens
from orchestrator_action.config.schema import ModelPrice
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


def ask(given: Mapping[str, str], key: str | None = None, path: str = "/v1/messages") -> requests.Response:
    headers = {"x-api-key": given[WAY.key] if key is None else key}
    return requests.post(given[WAY.address] + path, json=ASK, headers=headers, timeout=20)


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
    env = {WAY.key: KEY, WAY.address: "http://127.0.0.1:9"}
    with kept_keys([WAY], env, Meter()) as given:
        answer = ask(given)

    assert 502 == answer.status_code
    assert "cannot be reached" in answer.text


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
