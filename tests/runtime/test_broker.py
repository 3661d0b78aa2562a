"""The broker answers or cuts off; nobody stops it for the others."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import threading

import pytest

from orchestrator_action.errors import BrokerError
from orchestrator_action.protocol.connection import ask
from orchestrator_action.protocol.wire import MAX_REQUEST_BYTES, SOCKET_VARIABLE, PhaseAnswer, PhaseRequest
from orchestrator_action.work.broker import Broker


@pytest.fixture
def broker():
    with Broker(request_within_s=0.3) as opened:
        yield opened


def raw(broker, data: bytes, *, close: bool = True) -> dict:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(broker.path))
        try:
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        received = b""
        while b"\n" not in received:
            received += connection.recv(65536)
    return json.loads(received)


def echo(name: str):
    return lambda request: PhaseAnswer(ok=True, message=f"{name}: {request.phase}")


def test_a_token_opens_its_own_task_only(broker):
    one, two = broker.register(echo("one")), broker.register(echo("two"))
    env = {SOCKET_VARIABLE: str(broker.path)}

    assert "one: testing" == ask(PhaseRequest(token=one, verb="done", phase="testing"), env).message
    assert "two: testing" == ask(PhaseRequest(token=two, verb="done", phase="testing"), env).message


@pytest.mark.parametrize("token", ["", "guess", "ünï"])
def test_an_unknown_token_opens_nothing(broker, token):
    broker.register(echo("one"))
    answer = ask(PhaseRequest(token=token, verb="show"), {SOCKET_VARIABLE: str(broker.path)})

    assert not answer.ok
    assert "opens no task" in answer.message


def test_a_revoked_token_opens_nothing(broker):
    token = broker.register(echo("one"))
    broker.revoke(token)

    assert not ask(PhaseRequest(token=token, verb="show"), {SOCKET_VARIABLE: str(broker.path)}).ok


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not json\n", "one line of JSON"),
        (b"", "ended before its newline"),
        (b'{"v":1', "ended before its newline"),
        (b"\xff\xfe\n", "one line of JSON"),
        (b"x" * (MAX_REQUEST_BYTES + 100_000), "larger than"),
    ],
)
def test_a_malformed_request_is_answered(broker, data, words):
    answer = raw(broker, data)

    assert not answer["ok"]
    assert words in answer["message"]


def test_a_dribbling_client_is_cut_off_and_others_are_served_meanwhile(broker):
    token = broker.register(echo("one"))
    slow = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    try:
        for connection in slow:
            connection.connect(str(broker.path))
            connection.sendall(b"{")
        assert ask(PhaseRequest(token=token, verb="show"), {SOCKET_VARIABLE: str(broker.path)}).ok
        for connection in slow:
            connection.settimeout(10)
            assert b"not complete after" in connection.recv(65536)
    finally:
        for connection in slow:
            connection.close()


def test_a_client_that_leaves_before_the_answer_harms_nobody(broker):
    token = broker.register(echo("one"))
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(broker.path))

    assert ask(PhaseRequest(token=token, verb="show"), {SOCKET_VARIABLE: str(broker.path)}).ok


def test_a_bug_of_ours_is_said_and_does_not_stop_the_broker(broker):
    def broken(request):
        raise ZeroDivisionError

    env = {SOCKET_VARIABLE: str(broker.path)}
    answer = ask(PhaseRequest(token=broker.register(broken), verb="show"), env)

    assert not answer.ok and "bug of ours" in answer.message
    assert ask(PhaseRequest(token=broker.register(echo("x")), verb="show"), env).ok


def test_forty_requests_at_once_are_all_answered(broker):
    token, answers = broker.register(echo("one")), []

    def one(n: int) -> None:
        answers.append(
            ask(
                PhaseRequest(token=token, verb="done", phase=str(n)), {SOCKET_VARIABLE: str(broker.path)}
            ).message
        )

    threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(f"one: {n}" for n in range(40)) == sorted(answers)


def test_a_flood_of_idle_connections_makes_others_wait_and_not_fail(broker):
    """More than there is room for, here and in the system's own queue."""
    token, idle = broker.register(echo("one")), []

    def hold() -> None:
        connection = socket.socket(socket.AF_UNIX)
        idle.append(connection)
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connection.connect(str(broker.path))

    for _ in range(1500):
        hold()
    try:
        assert (
            "one: testing"
            == ask(
                PhaseRequest(token=token, verb="done", phase="testing"), {SOCKET_VARIABLE: str(broker.path)}
            ).message
        )
    finally:
        for connection in idle:
            connection.close()


def test_bytes_that_are_no_text_reach_the_handler_as_text(broker):
    """An argument such as $'\\xff' comes as half a character, which no file would take."""
    said: list[str] = []
    token = broker.register(lambda request: said.append(request.note) or PhaseAnswer(ok=True, message="ok"))

    ask(
        PhaseRequest(token=token, verb="done", phase="testing", note="a\udcffb"),
        {SOCKET_VARIABLE: str(broker.path)},
    )

    assert ["a?b"] == said


def test_the_socket_is_short_private_and_gone_afterwards():
    with Broker() as opened:
        assert len(str(opened.path)) < 60
        assert 0o700 == stat.S_IMODE(opened.directory.stat().st_mode)
        assert 0o600 == stat.S_IMODE(opened.path.stat().st_mode)
        kept = opened.directory
    assert not kept.exists()


def test_without_a_broker_the_client_says_so():
    with pytest.raises(BrokerError, match="ORCHESTRATOR_SOCKET is not set"):
        ask(PhaseRequest(token="", verb="show"), {})
