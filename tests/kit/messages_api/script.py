"""What the scripted model says: a conversation so far in, the next message out.

A script is a generator that yields one `Say` per turn and is sent back the `Turn` that followed it
(tool results and what the user side said). The Messages API keeps no state, and so does this: for
each request the script is replayed from the start against the history the request carries. That
makes retries, resumed sessions and many sessions at once come out right by themselves. A script
must therefore be deterministic in what it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """What the user side said last: prompt, tool results or a hook's feedback."""

    text: str
    """All of it as one text, tool results included."""
    results: tuple[str, ...] = ()
    """Each tool result by itself."""
    failed: bool = False
    """Whether a tool result was an error."""


@dataclass(frozen=True)
class Say:
    """One assistant message: text, tool calls, or both. Without tool calls it ends the turn."""

    text: str = ""
    calls: tuple[tuple[str, Json], ...] = ()
    usage: Mapping[str, int] = field(default_factory=lambda: {"input_tokens": 100, "output_tokens": 20})
    stop_reason: str = ""
    wait_s: float = 0.0
    """Held back for this long before answering; ends early when the server closes."""


Script = Callable[["Request"], Generator[Say, Turn, None]]


def bash(command: str, *, text: str = "", timeout_ms: int = 0, background: bool = False) -> Say:
    """Call the Bash tool."""
    arguments: Json = {"command": command, "description": "scripted"}
    if timeout_ms:
        arguments["timeout"] = timeout_ms
    if background:
        arguments["run_in_background"] = True
    return Say(text=text, calls=(("Bash", arguments),))


def write(path: str, content: str) -> Say:
    """Call the Write tool; `path` must be absolute."""
    return Say(calls=(("Write", {"file_path": path, "content": content}),))


def structured(value: Json) -> Say:
    """Answer a `--json-schema` session the way a model does: through the StructuredOutput tool."""
    return Say(calls=(("StructuredOutput", value),))


@dataclass(frozen=True)
class Request:
    """One recorded `POST /v1/messages`."""

    path: str
    headers: Mapping[str, str]
    body: Json

    @property
    def system(self) -> str:
        """The system prompt as one text."""
        return _text(self.body.get("system", ""))

    @property
    def messages(self) -> Sequence[Json]:
        """The conversation."""
        messages: Sequence[Json] = self.body.get("messages", [])
        return messages

    @property
    def first(self) -> str:
        """Everything the user side said before the model's first word."""
        out = []
        for message in self.messages:
            if message["role"] == "assistant":
                break
            out.append(_text(message["content"]))
        return "\n".join(out)

    @property
    def last(self) -> Turn:
        """What the user side said last."""
        return _turns(self.messages)[-1]

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools offered."""
        return tuple(t.get("name", "") for t in self.body.get("tools", []))

    @property
    def cwd(self) -> str:
        """The working directory the CLI told the model of, or an empty string."""
        found = re.search(r"[Ww]orking directory: *(\S[^\n]*)", f"{self.system}\n{self.first}")
        return found[1].strip() if found else ""

    @property
    def is_side_request(self) -> bool:
        """True for the CLI's own small requests: session titles, summaries, quota probes."""
        return not self.tools or self.body.get("max_tokens", 2) <= 1


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = []
    for block in content:
        if isinstance(block, str):
            parts.append(block)
        elif block.get("type") == "text":
            parts.append(block["text"])
        elif block.get("type") == "tool_result":
            parts.append(_text(block.get("content", "")))
    return "\n".join(parts)


def _turns(messages: Sequence[Json]) -> list[Turn]:
    """The user side's turns: before the first assistant message, and after each."""
    turns: list[list[Json]] = [[]]
    for message in messages:
        if message["role"] == "assistant":
            turns.append([])
        else:
            turns[-1].append(message)
    return [_turn(said) for said in turns]


def _turn(said: Sequence[Json]) -> Turn:
    blocks = [b for m in said if isinstance(m["content"], list) for b in m["content"]]
    results = [b for b in blocks if b.get("type") == "tool_result"]
    return Turn(
        text="\n".join(_text(m["content"]) for m in said),
        results=tuple(_text(b.get("content", "")) for b in results),
        failed=any(b.get("is_error") for b in results),
    )


def answer(script: Script, request: Request) -> Say:
    """The script's next message for the conversation in `request`; after its end, a plain closing word."""
    talk = script(request)
    turns = _turns(request.messages)
    try:
        said = next(talk)
        for turn in turns[1:]:
            said = talk.send(turn)
    except StopIteration:
        return Say("I have nothing more to say.")
    return said


def steps(*said: Say) -> Script:
    """A script that says these in order, whatever comes back."""

    def run(request: Request) -> Generator[Say, Turn, None]:
        for one in said:  # noqa: UP028 - an iterator cannot be sent the turns
            yield one

    return run


def by_session(*cases: tuple[str, Script]) -> Script:
    """Choose a script by the first pattern found in the system prompt or the first user turn."""

    def run(request: Request) -> Generator[Say, Turn, None]:
        seen = f"{request.system}\n{request.first}"
        for pattern, script in cases:
            if re.search(pattern, seen):
                yield from script(request)
                return

    return run


def from_json(spec: Any) -> Script:
    """A script from plain data: a list of steps, or `{"sessions": [{"match": RE, "steps": [...]}]}`.

    A step is one of `{"say": TEXT}`, `{"bash": COMMAND}`, `{"write": PATH, "content": TEXT}`,
    `{"tool": NAME, "input": {...}}`, `{"structured": {...}}`, each with an optional `usage`, or
    `{"when": RE, "then": [...], "else": [...]}` on what the user side said last, or
    `{"until": RE, "most": N, "do": [...]}`. `{cwd}` in a path is the working directory.
    """
    if isinstance(spec, Mapping):
        return by_session(*((case.get("match", ""), from_json(case["steps"])) for case in spec["sessions"]))

    def run(request: Request) -> Generator[Say, Turn, None]:
        yield from _run_steps(spec, request, [_turns(request.messages)[0]])

    return run


def _run_steps(spec: Sequence[Json], request: Request, last: list[Turn]) -> Generator[Say, Turn, None]:
    for step in spec:
        if "when" in step:
            chosen = "then" if re.search(step["when"], last[0].text) else "else"
            yield from _run_steps(step.get(chosen, []), request, last)
        elif "until" in step:
            for _ in range(step.get("most", 10)):
                yield from _run_steps(step["do"], request, last)
                if re.search(step["until"], last[0].text):
                    break
        else:
            last[0] = yield _step(step, request)


def _step(step: Json, request: Request) -> Say:
    calls: list[tuple[str, Json]] = []
    if "bash" in step:
        calls.append(("Bash", {"command": step["bash"], "description": "scripted"}))
    if "write" in step:
        path = step["write"].replace("{cwd}", request.cwd)
        calls.append(("Write", {"file_path": path, "content": step.get("content", "")}))
    if "tool" in step:
        calls.append((step["tool"], step.get("input", {})))
    if "structured" in step:
        calls.append(("StructuredOutput", step["structured"]))
    usage = step.get("usage", {"input_tokens": 100, "output_tokens": 20})
    return Say(step.get("say", ""), tuple(calls), usage, wait_s=step.get("wait_s", 0.0))
