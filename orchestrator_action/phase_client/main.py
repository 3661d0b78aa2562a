"""`orchestrator-phase`: how an agent claims phases. It asks the broker and prints what the broker says.

Standard library only, directly and indirectly: an agent calls it a dozen times per task. It holds a
capability token for its own task and nothing else.

Exit codes: 0 it holds · 1 it does not, the text says why · 2 usage · 3 still being measured · 4 no broker.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from orchestrator_action.errors import BrokerError
from orchestrator_action.protocol.connection import ask
from orchestrator_action.protocol.phases import IDS
from orchestrator_action.protocol.wire import (
    CONTEXT_VARIABLE,
    MAX_REQUEST_BYTES,
    TOKEN_VARIABLE,
    PhaseRequest,
    context_digest,
)

HELD, OPEN, USAGE, PENDING, NO_BROKER = 0, 1, 2, 3, 4


COMMANDS = ("show", "status", "start", "done", "wait", "stop")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and what to do in another, as every command of ours."""

    def error(self, message: str) -> NoReturn:
        wrong = re.match(r"argument (PHASE|VERB): invalid choice: '(.*?)'", message)
        hint = f"{self.prog} --help"
        if wrong:
            import difflib  # for mistakes only: a claim need not wait for it

            names = IDS if wrong[1] == "PHASE" else COMMANDS
            near = difflib.get_close_matches(wrong[2], names, 1, 0.4)
            message = f"no {wrong[1].lower()} {wrong[2]!r}"
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(names)}"
        self.exit(USAGE, f"error: {message}\nhint: {hint}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="orchestrator-phase",
        description="Claim the phases of your task. A claim is measured at once; the answer says what is open.",
        epilog="example: orchestrator-phase done research-and-planning --file /tmp/plan.md",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("show", help="print the task, its phases and how each stands")
    verbs.add_parser("status", help="print how each phase stands")
    for verb, text in (
        ("start", "say that you begin a phase"),
        ("done", "claim a phase and have it measured"),
        ("wait", "wait for a measurement that is still running"),
    ):
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("phase", choices=IDS, metavar="PHASE", help=", ".join(IDS))
        if verb != "done":
            continue
        sub.add_argument(
            "--note", default="", help="what you have to say: a title, answers, names of deleted tests"
        )
        sub.add_argument(
            "--file", metavar="F", help="a text to hand in: the plan, the pull request's body; - is stdin"
        )
        sub.add_argument("--no-change-needed", metavar="WHY", help="nothing is to be changed, and why")
        sub.add_argument("--waive", metavar="WHY", help="leave a waivable phase out, and why")
    stop = verbs.add_parser("stop", help="say that you cannot do this task; an honest end, not a failure")
    stop.add_argument("--because", metavar="WHY", required=True, help="why it cannot be done here")
    stop.add_argument("--needs", metavar="WHAT", help="what somebody would have to give or decide")
    verbs.add_parser("mcp", help="offer these as tools of an MCP server on stdin and stdout (extra `mcp`)")
    for hidden in ("hook-stop", "hook-pre-tool"):
        verbs.add_parser(hidden)
    verbs.add_parser("opening").add_argument("part", type=int)
    return parser


def _read(path: str | None) -> str:
    """The text to hand in, as much of it as shows that it is too large."""
    if path is None:
        return ""
    if path == "-":
        return sys.stdin.read(MAX_REQUEST_BYTES)
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        return file.read(MAX_REQUEST_BYTES)


def digest_of_context(env: Mapping[str, str]) -> str:
    """The digest of the context file as it stands; empty when it cannot be read."""
    try:
        return context_digest(json.loads(Path(env[CONTEXT_VARIABLE]).read_text(encoding="utf-8")))
    except (KeyError, OSError, ValueError):
        return ""


def _context(env: Mapping[str, str]) -> dict[str, Any]:
    """The task context. Raises BrokerError when there is none."""
    path = env.get(CONTEXT_VARIABLE, "")
    try:
        context: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        hint = f"{CONTEXT_VARIABLE} names it; this command works inside a task only"
        raise BrokerError(f"no task context at {path or 'an empty path'}: {exc}", hint=hint) from exc
    return context


def prompt_of_context(env: Mapping[str, str]) -> str:
    """The task as the agent was told it; why it cannot be read, when it cannot."""
    context = Path(env.get(CONTEXT_VARIABLE, ""))
    try:
        prompt = json.loads(context.read_text(encoding="utf-8"))["prompt_path"]
        return Path(prompt).read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError) as exc:
        return f"(cannot read the task context {context}: {exc})"


def _opening(env: Mapping[str, str], part: int) -> int:
    """A part of the prompt, as much as Claude Code takes from one command of the plugin; part 0 is all of it."""
    from orchestrator_action.agents.opening import opening, opening_part

    context = _context(env)
    prompt = Path(context["prompt_path"]).read_text(encoding="utf-8")
    text = opening(prompt, worktree=context["worktree_path"], base_sha=context.get("base_sha", ""))
    print(opening_part(text, part) if part else text)
    return HELD


def _stop_hook(env: Mapping[str, str]) -> int:
    """Claude Code's Stop hook: exit 2 sends the agent back with stderr as the reason."""
    answer = ask(PhaseRequest(token=env.get(TOKEN_VARIABLE, ""), verb="open"), env)
    if not answer.detail.get("block"):
        return 0
    print(answer.message, file=sys.stderr)
    return 2


def _pre_tool_hook(env: Mapping[str, str]) -> int:
    """Claude Code's PreToolUse hook: exit 2 refuses the call with stderr as the reason."""
    from orchestrator_action.agents.claude.tool_guard import (
        pre_tool,  # the hook's only: claims need not wait for it
    )

    context = _context(env)
    event: dict[str, Any] = json.load(sys.stdin)
    reason = pre_tool(event, context["worktree_path"], env.get("ORCHESTRATOR_NOTES", ""))
    if not reason:
        return 0
    print(reason, file=sys.stderr)
    return 2


def _mcp(env: Mapping[str, str]) -> int:
    """Serve until stdin ends."""
    try:
        from orchestrator_action.phase_client.mcp_server import make_server
    except ModuleNotFoundError as exc:
        print(f"error: {exc}\nhint: pip install 'orchestrator-action[mcp]'", file=sys.stderr)
        return USAGE
    make_server(env).run("stdio")
    return HELD


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    given = parser.parse_args(argv)
    for option in ("waive", "no_change_needed", "because", "needs"):
        if (why := getattr(given, option, None)) is not None and not why.strip():
            parser.error(f"--{option.replace('_', '-')} needs a reason")
    if given.verb == "hook-pre-tool":
        return _pre_tool_hook(env)
    if given.verb == "hook-stop":
        return _stop_hook(env)
    if given.verb == "mcp":
        return _mcp(env)
    if given.verb == "opening":
        return _opening(env, given.part)
    try:
        text = _read(getattr(given, "file", None))
    except OSError as exc:
        print(
            f"error: cannot read {given.file}: {exc.strerror}\nhint: --file takes a readable file",
            file=sys.stderr,
        )
        return USAGE
    request = PhaseRequest(
        token=env.get(TOKEN_VARIABLE, ""),
        verb=given.verb,
        phase=getattr(given, "phase", ""),
        note=getattr(given, "note", ""),
        file=text,
        digest=digest_of_context(env) if getattr(given, "phase", "") == "initial-setup" else "",
        no_change=getattr(given, "no_change_needed", None) or "",
        waive=getattr(given, "waive", None) or "",
        because=getattr(given, "because", None) or "",
        needs=getattr(given, "needs", None) or "",
    )
    answer = ask(request, env)
    if given.verb == "show":
        print(prompt_of_context(env))
    print(answer.message)
    if answer.pending:
        return PENDING
    return HELD if answer.ok else OPEN


def main() -> None:
    """The console script."""
    try:
        code = run(sys.argv[1:], os.environ)
        sys.stdout.flush()
    except BrokerError as exc:
        hint = f"\nhint: {exc.hint}" if exc.hint else ""
        print(f"error: {exc.message}{hint}", file=sys.stderr)
        code = NO_BROKER
    except OSError as exc:
        print(f"error: the broker does not answer: {exc}\nhint: the run may have ended", file=sys.stderr)
        code = NO_BROKER
    sys.exit(code)


if __name__ == "__main__":
    main()
