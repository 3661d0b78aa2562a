"""The other APIs that agents speak, told to the scripts as if they were the Messages API.

A script sees one shape of conversation and says one shape of message; a dialect turns both. The `Bash` tool of a
script becomes the shell that the agent offers.

Sources: platform.openai.com, "Responses" and "Chat Completions", streaming events of each;
ai.google.dev, "Gemini API", `models.streamGenerateContent`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.kit.messages_api.script import Json, Request, Say

SHELLS: Mapping[str, Callable[[str], Json]] = {
    "exec_command": lambda command: {"cmd": command, "yield_time_ms": 30000},
    "run_shell_command": lambda command: {
        "command": command,
        "description": "scripted",
        "is_background": False,
    },
    "bash": lambda command: {"command": command, "description": "scripted"},
}
"""How the shell of an agent is called, by its tool's name: codex; gemini and qwen; opencode and copilot."""


@dataclass(frozen=True)
class Dialect:
    """One API: where it listens, how a request is read, how an answer and an error are written."""

    path: re.Pattern[str]
    read: Callable[[Json], Json]
    """The request's body as the Messages API would have it."""
    events: Callable[[Request, Say], Iterator[str]]
    """The answer as the lines of server-sent events."""
    error: Callable[[int, str], Json]
    whole: Callable[[Request, Say], Json] | None = None


def dialect_of(path: str) -> Dialect | None:
    """The dialect that listens at this path."""
    return next((d for d in DIALECTS if d.path.search(path)), None)


def _calls(request: Request, said: Say) -> Iterator[tuple[str, str, Json]]:
    """Each call's id, tool and arguments, the shell's by the name that it has here."""
    turn = sum(m["role"] == "assistant" for m in request.messages)
    shell = next((name for name in SHELLS if name in request.tools), "bash")
    for index, (name, arguments) in enumerate(said.calls):
        if name == "Bash":
            name, arguments = shell, SHELLS[shell](arguments["command"])
        yield f"call_{turn}_{index}", name, arguments


def _texts(parts: object) -> str:
    if isinstance(parts, str):
        return parts
    return "\n".join(str(p.get("text", "")) for p in parts) if isinstance(parts, list) else ""


def _block_result(text: object) -> Json:
    return {"type": "tool_result", "content": text if isinstance(text, str) else json.dumps(text)}


def _user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def _assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def _joined(messages: Sequence[Json]) -> list[Json]:
    """Neighbours of one role as one message: some APIs give each call an item of its own."""
    joined = []
    for role, group in itertools.groupby(messages, key=lambda m: m["role"]):
        joined.append({"role": role, "content": [b for m in group for b in m["content"]]})
    return joined


def _data(event: Json, *, named: bool = False) -> str:
    head = f"event: {event['type']}\n" if named else ""
    return f"{head}data: {json.dumps(event)}\n\n"


# -- OpenAI, Responses


def _responses_read(body: Json) -> Json:
    messages, system = [], [str(body.get("instructions", ""))]
    for item in body["input"]:
        kind, role = item.get("type", "message"), item.get("role")
        if kind == "message" and role in {"developer", "system"}:
            system.append(_texts(item["content"]))
        elif kind == "message":
            block = {"type": "text", "text": _texts(item["content"])}
            messages.append(_user(block) if role == "user" else _assistant(block))
        elif kind == "function_call":
            messages.append(_assistant({"type": "tool_use", "name": item["name"]}))
        elif kind == "function_call_output":
            output = item["output"]
            messages.append(_user(_block_result(output if isinstance(output, str) else _texts(output))))
    tools = [{"name": t.get("name", "")} for t in body.get("tools", [])]
    return {"system": "\n".join(system), "messages": _joined(messages), "tools": tools, "stream": True}


def _responses_events(request: Request, said: Say) -> Iterator[str]:
    items: list[Json] = []
    if said.text or not said.calls:
        content = [{"type": "output_text", "text": said.text, "annotations": []}]
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "content": content})
    for call, name, arguments in _calls(request, said):
        items.append({"type": "function_call", "id": f"fc_{call}", "call_id": call, "name": name,
                      "arguments": json.dumps(arguments)})  # fmt: skip
    yield _data({"type": "response.created", "response": {"id": "resp_1"}}, named=True)
    for index, item in enumerate(items):
        yield _data({"type": "response.output_item.done", "output_index": index, "item": item}, named=True)
    used = {
        "input_tokens": said.usage.get("input_tokens", 0),
        "output_tokens": said.usage.get("output_tokens", 0),
    }
    usage = {
        **used,
        "total_tokens": sum(used.values()),
        "input_tokens_details": None,
        "output_tokens_details": None,
    }
    yield _data({"type": "response.completed", "response": {"id": "resp_1", "usage": usage}}, named=True)


# -- OpenAI, Chat Completions


def _chat_read(body: Json) -> Json:
    messages, system = [], []
    for message in body["messages"]:
        text = {"type": "text", "text": _texts(message.get("content"))}
        if message["role"] in {"system", "developer"}:
            system.append(text["text"])
        elif message["role"] == "tool":
            messages.append(_user(_block_result(text["text"])))
        elif message["role"] == "user":
            messages.append(_user(text))
        else:
            messages.append(_assistant(text))
    tools = [{"name": t["function"]["name"]} for t in body.get("tools", [])]
    stream = bool(body.get("stream"))
    return {"system": "\n".join(system), "messages": _joined(messages), "tools": tools, "stream": stream}


def _chat_whole(request: Request, said: Say) -> Json:
    """The answer where no stream was asked for."""
    calls = [
        {"id": call, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for call, name, arguments in _calls(request, said)
    ]
    message = {"role": "assistant", "content": said.text, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = _chat_usage(said)
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": "scripted", "choices": [choice], "usage": usage
    }  # fmt: skip


def _chat_usage(said: Say) -> Json:
    prompt, completion = said.usage.get("input_tokens", 0), said.usage.get("output_tokens", 0)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _chat_events(request: Request, said: Say) -> Iterator[str]:
    def chunk(delta: Json, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
        body = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "scripted",
            "choices": [choice],
        }
        return _data({**body, **more})

    yield chunk({"role": "assistant", "content": said.text})
    calls = list(_calls(request, said))
    for index, (call, name, arguments) in enumerate(calls):
        function = {"name": name, "arguments": json.dumps(arguments)}
        yield chunk({"tool_calls": [{"index": index, "id": call, "type": "function", "function": function}]})
    yield chunk({}, finish="tool_calls" if calls else "stop", usage=_chat_usage(said))
    yield "data: [DONE]\n\n"


# -- Gemini


def _gemini_read(body: Json) -> Json:
    messages = []
    for content in body["contents"]:
        blocks = []
        for part in content["parts"]:
            if "functionResponse" in part:
                blocks.append(_block_result(part["functionResponse"].get("response")))
            elif "functionCall" in part:
                blocks.append({"type": "tool_use", "name": part["functionCall"]["name"]})
            else:
                blocks.append({"type": "text", "text": part.get("text", "")})
        messages.append(_assistant(*blocks) if content.get("role") == "model" else _user(*blocks))
    offered = [f["name"] for t in body.get("tools", []) for f in t.get("functionDeclarations", [])]
    system = _texts((body.get("systemInstruction") or {}).get("parts", []))
    tools = [{"name": name} for name in offered]
    return {"system": system, "messages": _joined(messages), "tools": tools, "stream": True}


def _gemini_events(request: Request, said: Say) -> Iterator[str]:
    parts: list[Json] = [{"text": said.text}] if said.text or not said.calls else []
    parts += [{"functionCall": {"id": i, "name": n, "args": a}} for i, n, a in _calls(request, said)]
    prompt, output = said.usage.get("input_tokens", 0), said.usage.get("output_tokens", 0)
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": output, "totalTokenCount": prompt + output}
    candidate = {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
    yield _data({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"})


def _openai_error(status: int, message: str) -> Json:
    kinds = {401: "invalid_request_error", 404: "invalid_request_error", 429: "rate_limit_error"}
    codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
    return {
        "error": {"message": message, "type": kinds.get(status, "server_error"), "code": codes.get(status)}
    }


def _gemini_error(status: int, message: str) -> Json:
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
             429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}  # fmt: skip
    return {"error": {"code": status, "message": message, "status": names.get(status, "INTERNAL")}}


DIALECTS = (
    Dialect(re.compile(r"/responses$"), _responses_read, _responses_events, _openai_error),
    Dialect(re.compile(r"/chat/completions$"), _chat_read, _chat_events, _openai_error, _chat_whole),
    Dialect(
        re.compile(r":streamGenerateContent\b"),
        _gemini_read,
        _gemini_events,
        _gemini_error,
    ),
)
