"""How the command line begins and ends: open streams, one exit code, no traceback for a user's fault."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import signal
import sys
import tempfile
import traceback
from typing import Any, NoReturn

import typer

from orchestrator_action import __version__
from orchestrator_action.cli.app import app
from orchestrator_action.cli.terminal import Terminal, say
from orchestrator_action.errors import OrchestratorError


def enter() -> NoReturn:
    """Run the command that `sys.argv` names, and end this process."""
    prepare_streams()
    level = os.environ.get("ORCHESTRATOR_LOG", "WARNING").upper()
    logging.basicConfig(
        stream=sys.stderr, level=level if level.isalpha() else "WARNING", format="%(levelname)s %(message)s"
    )
    leave(_called())


def prepare_streams() -> None:
    """Three open descriptors whatever we were given, and a stderr that nobody can hold up."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(fd)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that a terminal cannot show is no failure
    sys.stderr = Terminal(2)


def _called() -> int:
    """Run the command; its exit code. A fault of the user's is two lines, never a traceback."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = app(standalone_mode=False)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except OrchestratorError as exc:
        say(f"error: {exc.message}" + (f"\nhint: {exc.hint}" if exc.hint else ""))
        return exc.exit_code
    except BrokenPipeError:
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as exc:  # noqa: BLE001 - the outermost door
        return _usage(exc) if hasattr(exc, "format_message") else _crash(exc)
    return code if isinstance(code, int) else 0


_NO_NUMBER = re.compile(r"Input should be a valid (integer|number)\b.*")
_NUMBERS = {"integer": "a whole number is needed", "number": "a number is needed"}
"""In place of typer's words for programmers."""


def _usage(exc: Any) -> int:
    """What typer found wrong with the words of the command line, or its help where there were none."""
    context = getattr(exc, "ctx", None)
    name = context.command_path if context is not None else "orchestrator-action"
    if type(exc).__name__ == "NoArgsIsHelpError":
        say(exc.format_message())
        return 2
    words = _NO_NUMBER.sub(lambda m: _NUMBERS[m[1]], " ".join(exc.format_message().split()))
    say(f"error: {words[:1].lower()}{words[1:].rstrip('.')}\nhint: {name} --help")
    return 2


def _crash(exc: BaseException) -> int:
    """A bug of ours: the whole story goes to a file, its name to the user."""
    fd, name = tempfile.mkstemp(prefix="orchestrator-crash-", suffix=".txt")
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as out:
        out.write(f"orchestrator-action {__version__}\nargv {sys.argv}\npython {sys.version}\n\n")
        traceback.print_exception(exc, file=out)
    say(f"error: a bug of ours: {type(exc).__name__}: {exc}\nhint: please report it with {name}")
    return 70


def leave(code: int) -> NoReturn:
    """End this process. Words for a reader that reads none, and threads that hang, do not keep it."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    if isinstance(sys.stderr, Terminal):
        sys.stderr.drain(0.3 if code == 130 else 10.0)
    os._exit(code)
