"""What decides is measured after the agent's last process has gone, anew: EVIDENCE § A, "at the wrong moment"."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.whole import House, new_file

SERVER = """import http.server, pathlib, sys

server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
pathlib.Path(sys.argv[1]).write_text(str(server.server_port))
server.serve_forever()
"""
ASKS = """import pathlib
import socket
import unittest


class Served(unittest.TestCase):
    def test_served(self):
        port = int(pathlib.Path({file!r}).read_text())
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
"""
LOOKS = """import pathlib
import unittest


class There(unittest.TestCase):
    def test_there(self):
        self.assertTrue(pathlib.Path({file!r}).exists())
"""
MOMENTS = {
    "a server that the agent leaves running": (
        ASKS, 'python3 -c "$SERVER" "$FILE" >/dev/null 2>&1 & while [ ! -s "$FILE" ]; do sleep 0.1; done; "$@"; exit 0',
    ),
    "a file that goes when the agent does": (LOOKS, ': > "$FILE"; "$@"; rm "$FILE"; exit 0'),
}  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_tests_that_pass_only_while_the_agent_lives_prove_nothing(
    home: House, conduct, tmp_path: Path, moment: str
):
    """They passed when they were claimed, and do not at the end."""
    test, piece = MOMENTS[moment]
    file = tmp_path / "file"
    home.issue(1, "Add a test", new_file("tests/test_moment.py", test.format(file=str(file))))

    ran = conduct(slots=1, shell={"issue-1": f"FILE={file}; SERVER='{SERVER}'; {piece}"}).end(100)

    task = ran.task("issue-1")
    facts = [e["data"] for e in home.events() if e["kind"] == "fact" and e["data"]["rule"] == "suite"]
    assert facts[0]["holds"], "the trap does not work: it was red while the agent lived"
    assert "failed" == task["status"], ran.err
    assert "test_moment" in task["error"]
