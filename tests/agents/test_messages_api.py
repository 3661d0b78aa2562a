"""The scripted Messages API itself: a test bench that is wrong proves nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.kit.messages_api import Fault, Say, bash, by_session, from_json, messages_api, steps

ROOT = Path(__file__).resolve().parents[2]
TOOLS = [{"name": "Bash", "input_schema": {}}]


def ask(url: str, *messages: dict[str, object], system: str = "", stream: bool = False) -> dict:
    body = {
        "model": "m",
        "max_tokens": 100,
        "messages": messages,
        "tools": TOOLS,
        "system": system,
        "stream": stream,
    }
    request = urllib.request.Request(f"{url}/v1/messages", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    return {"events": text} if stream else json.loads(text)


def user(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


def result(text: str) -> dict[str, object]:
    block = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": text}]}
    return {"role": "user", "content": [block]}


def heard(answer: dict) -> dict[str, object]:
    return {"role": "assistant", "content": answer["content"]}


def test_a_script_is_a_function_of_the_conversation():
    """The same request gives the same answer, in any order and any number of sessions."""
    with messages_api(steps(bash("one"), bash("two"), Say("end"))) as api:
        first = ask(api.url, user("go"))
        second = ask(api.url, user("go"), heard(first), result("ok"))
        last = ask(api.url, user("go"), heard(first), result("ok"), heard(second), result("ok"))
        again = ask(api.url, user("go"))

    assert ["one", "two"] == [a["content"][0]["input"]["command"] for a in (first, second)]
    assert ("end", "end_turn", "tool_use") == (
        last["content"][0]["text"],
        last["stop_reason"],
        first["stop_reason"],
    )
    assert first == again


def test_a_script_from_a_file_can_branch_and_repeat():
    spec = [
        {"until": "ready", "most": 3, "do": [{"bash": "try"}]},
        {"when": "ready", "then": [{"say": "good"}], "else": [{"say": "bad"}]},
    ]
    with messages_api(from_json(spec)) as api:
        first = ask(api.url, user("go"))
        repeated = ask(api.url, user("go"), heard(first), result("not yet"))
        ready = ask(api.url, user("go"), heard(first), result("not yet"), heard(repeated), result("ready"))

    assert "try" == repeated["content"][0]["input"]["command"]
    assert "good" == ready["content"][0]["text"]


def test_sessions_are_told_apart_by_what_opens_them():
    script = by_session(("You review", steps(Say("found"))), ("", steps(Say("made"))))
    with messages_api(script) as api:
        said = [ask(api.url, user(t))["content"][0]["text"] for t in ("You review one change", "You are …")]

    assert ["found", "made"] == said


def test_events_come_in_the_order_of_the_protocol():
    with messages_api(steps(bash("x"))) as api:
        events = ask(api.url, user("go"), stream=True)["events"]

    names = [line.split(": ")[1] for line in events.splitlines() if line.startswith("event: ")]
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert ["message_start", *block, "message_delta", "message_stop"] == names


def test_faults_hit_as_often_as_they_say():
    with messages_api(steps(Say("fine")), faults=[Fault(status=529, times=2, after=1)]) as api:
        codes = []
        for _ in range(4):
            try:
                codes.append(ask(api.url, user("go"))["stop_reason"])
            except urllib.error.HTTPError as error:
                codes.append(json.load(error)["error"]["type"])

    assert ["end_turn", "overloaded_error", "overloaded_error", "end_turn"] == codes


def test_a_script_that_fails_fails_the_test():
    def broken(request):
        yield Say(str(1 // 0))

    with (
        pytest.raises(ZeroDivisionError),
        messages_api(broken) as api,
        pytest.raises(urllib.error.HTTPError),
    ):
        ask(api.url, user("go"))


def test_it_serves_a_file_as_a_process_of_its_own(tmp_path: Path):
    """As runs of act need it: URL first, requests to a log, an end when asked to."""
    script, log = tmp_path / "script.yml", tmp_path / "log.jsonl"
    script.write_text(
        "script: {sessions: [{match: go, steps: [{say: hello}]}]}\nfaults: [{status: 500, times: 1}]\n"
    )
    argv = [sys.executable, "-m", "tests.kit.messages_api", str(script), "--log", str(log)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        with pytest.raises(urllib.error.HTTPError):
            ask(url, user("go"))
        said = ask(url, user("go"))["content"][0]["text"]
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(timeout=10)

    assert "hello" == said
    assert 1 == len(log.read_text().splitlines())
