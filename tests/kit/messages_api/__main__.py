"""Serve a script from a file: `python -m tests.kit.messages_api SCRIPT.yml [--port N] [--log FILE]`.

Prints the URL as its first line and serves until it is ended. The file (YAML or JSON) is what
`from_json` takes, either by itself or as `{"script": ..., "faults": [{"status": 529, "times": 2}]}`.
With `--log` each model request is appended to FILE as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from collections.abc import Generator
from pathlib import Path

import yaml

from tests.kit.messages_api.script import Request, Say, Script, Turn, from_json
from tests.kit.messages_api.server import Fault, MessagesApi


def _logged(script: Script, log: Path) -> Script:
    def run(request: Request) -> Generator[Say, Turn, None]:
        with log.open("a", encoding="utf-8") as out:
            out.write(json.dumps(request.body) + "\n")
        yield from script(request)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    spec = yaml.safe_load(options.script.read_text(encoding="utf-8"))
    wrapped = isinstance(spec, dict) and "script" in spec
    script = from_json(spec["script"] if wrapped else spec)
    faults = [Fault(**f) for f in spec.get("faults", [])] if wrapped else []
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    api = MessagesApi(
        _logged(script, options.log) if options.log else script, faults=faults, port=options.port
    )
    print(api.url, flush=True)
    ended.wait()
    api.close()


if __name__ == "__main__":
    main()
