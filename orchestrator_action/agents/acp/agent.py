"""Any program that speaks the Agent Client Protocol, started as `agent-command` says.

A worker of ours starts it, gives it the prompt, answers what it asks to be allowed, and prints what it tells as lines
of JSON. What the program reads of a checkout is its own affair: give it arguments and variables that switch that off.

Source: agentclientprotocol.com, "Protocol".
"""

from __future__ import annotations

import functools
import sys

from orchestrator_action.agents.event_line import AgentEvent
from orchestrator_action.agents.headless import Cli, Session, Start, Told, number_of, private_folder, text_of
from orchestrator_action.agents.words import shell_words
from orchestrator_action.config.schema import AgentCommand
from orchestrator_action.protocol.attempt import Mark

_WORKER = "orchestrator_action.agents.acp.worker"
STOP_REASONS = {"max_turn_requests": "max-turns"}
_WELL = "end_turn"


def start(settings: AgentCommand, given: Start) -> Session:
    """The worker, with the program behind it; the prompt comes on stdin."""
    reads = ("--reads-only",) if given.reads_only else ()
    resume = ("--session", given.resume) if given.resume else ()
    program = (*(word.replace("{model}", settings.model) for word in settings.argv), *given.args)
    argv = (sys.executable, "-I", "-m", _WORKER, *reads, *resume, "--", *program)
    return Session(argv=argv, env={"XDG_STATE_HOME": str(private_folder(given.private / "state"))})


def tell(event: AgentEvent) -> Told:
    """One line of the worker: `session`, `text`, `tool`, `end` or `error`."""
    kind = event["type"]
    if kind == "session":
        does = f"session begins with {text_of(event, 'agent') or 'an agent'}"
        return Told(mark=Mark.STARTED, session_id=text_of(event, "id"), does=does)
    if kind == "text":
        return Told(says=text_of(event, "text"), joins=True)
    if kind == "tool":
        return Told(turns=1, does=_doing(event))
    if kind == "error":
        return Told(mark=Mark.RESULT, fault=text_of(event, "message") or "an error without words")
    return _end(event) if kind == "end" else Told()


def _end(event: AgentEvent) -> Told:
    """A turn of the protocol is a whole session of work; its tool calls and its last answer are counted instead."""
    why, cost = text_of(event, "why"), number_of(event, "cost_usd")
    if why == _WELL:
        return Told(mark=Mark.RESULT, finished=True, turns=1, cost_usd=cost)
    fault = f"the agent stopped: {why or 'no reason given'}"
    return Told(mark=Mark.RESULT, fault=fault, cost_usd=cost, limit=STOP_REASONS.get(why, ""))


def _doing(event: AgentEvent) -> str:
    command, title = text_of(event, "command"), text_of(event, "title")
    if event.get("kind") == "execute":
        return shell_words(command or title)
    return title or "uses a tool"


def cli_of(settings: AgentCommand) -> Cli:
    """What `agent-command` starts, as a program with a headless mode."""
    return Cli(name="acp", keys=settings.env, start=functools.partial(start, settings), tell=tell)
