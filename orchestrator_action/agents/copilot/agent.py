"""GitHub's Copilot CLI in its headless mode, `copilot --output-format json`, with a model of one's own vendor.

Copilot's own models want a token of GitHub, and no process of an agent gets one. So it is used with a key of OpenAI
or of a service that speaks the same API, in its offline mode: it asks no host but that one. A checkout that nobody
trusted sets neither hooks nor servers, and its instruction files are off. Measured with 1.0.102.
"""

from __future__ import annotations

from orchestrator_action.agents.event_line import AgentEvent
from orchestrator_action.agents.headless import Cli, Session, Start, Told, number_of, part_of, text_of
from orchestrator_action.agents.words import shell_words, tool_words
from orchestrator_action.protocol.attempt import Mark

_ADDRESS = "https://api.openai.com/v1"
_WIRE = "COPILOT_PROVIDER_WIRE_API"
"""`responses`, for models that OpenAI serves by that API only."""
_VERBS = {"view": "reads", "create": "writes", "edit": "edits"}
_READS_ONLY = ("--deny-tool=shell", "--deny-tool=write")


def start(given: Start) -> Session:
    """`copilot`, with the prompt on stdin."""
    argv = (
        given.executable, "--output-format", "json", "--allow-all-tools", "--allow-all-paths", "--no-auto-update",
        "--no-custom-instructions", "--disable-builtin-mcps", "--excluded-tools=skill",
        *(_READS_ONLY if given.reads_only else ()),
        *((f"--resume={given.resume}",) if given.resume else ()), *given.args,
    )  # fmt: skip
    env = {
        "COPILOT_HOME": str(given.private),
        "COPILOT_OFFLINE": "true",
        "COPILOT_PROVIDER_TYPE": "openai",
        "COPILOT_PROVIDER_WIRE_API": given.env.get(_WIRE, "completions"),
        "COPILOT_PROVIDER_BASE_URL": given.env.get("OPENAI_BASE_URL", _ADDRESS),
        "COPILOT_PROVIDER_API_KEY": given.env.get("OPENAI_API_KEY", ""),
        "OPENAI_API_KEY": "",  # copilot keeps its own variable from its tools, and knows nothing of this one
    }
    return Session(argv=argv, env=env)


def tell(event: AgentEvent) -> Told:
    """One line of JSON: `session.*`, `assistant.*`, `model.*`, `tool.*` or `result`."""
    kind, data = event["type"], part_of(event, "data")
    if kind == "session.tools_updated":
        model = text_of(data, "model")
        return Told(mark=Mark.STARTED, model=model, does=f"session begins, model {model or 'unknown'}")
    if kind == "assistant.turn_start":
        return Told(finished=False)
    if kind == "assistant.message":
        return Told(turns=1, tokens=int(number_of(data, "outputTokens") or 0), says=text_of(data, "content"))
    if kind == "tool.execution_start":
        return Told(does=_doing(data))
    if kind in {"session.error", "model.call_failure"}:
        return Told(mark=None, fault=_fault(data))
    return _result(event) if kind == "result" else Told()


def _result(event: AgentEvent) -> Told:
    """The end, with the session by which it can be taken up again. Copilot does not tell what was asked."""
    finished = number_of(event, "exitCode") == 0
    return Told(mark=Mark.RESULT, session_id=text_of(event, "sessionId"), finished=finished)


def _fault(data: AgentEvent) -> str:
    status = number_of(data, "statusCode")
    words = text_of(data, "message") or text_of(data, "errorMessage") or "the API refused a request"
    return f"{status:.0f} {words}" if status and f"{status:.0f}" not in words else words


def _doing(data: AgentEvent) -> str:
    tool, given = text_of(data, "toolName"), part_of(data, "arguments")
    if tool == "bash":
        return shell_words(text_of(given, "command"))
    return tool_words(tool, text_of(given, "path"), _VERBS)


CLI = Cli(
    name="copilot",
    keys=("OPENAI_API_KEY", "OPENAI_BASE_URL", _WIRE),
    start=start,
    tell=tell,
    address=lambda _: ("OPENAI_BASE_URL", _ADDRESS),
)
