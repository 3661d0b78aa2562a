"""What we write on a forge: the hidden marker by which we find it again, texts cut to its limits.

A marker is an HTML comment on the first line of a body: invisible on the page, safe from a cut at
the end, and not to be forged by text that we quote further down.
"""

from __future__ import annotations

import re

from orchestrator_action.errors import ForgeError
from orchestrator_action.protocol.forge_values import ReviewFinding
from orchestrator_action.text.defang import code

_MARKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/=+@#-]*")
_NOTE = "\n\n… cut here: {shown} of {total} characters shown"
_FENCE_ROOM = 24
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def hidden(marker: str) -> str:
    """The marker as it stands in a body. `marker` is a short key such as `orchestrator:task issue-7`."""
    key = marker.strip().removeprefix("<!--").removesuffix("-->").strip()
    if not _MARKER.fullmatch(key) or "--" in key:
        raise ForgeError(f"{marker!r} cannot be a hidden marker", hint="use letters, digits and .:/_=-")
    return f"<!-- {key} -->"


def mark(body: str, marker: str) -> str:
    """`body` with the marker as its first line; unchanged when it stands there already."""
    if carries_marker(body, marker):
        return body
    return f"{hidden(marker)}\n{body}"


def carries_marker(body: str | None, marker: str) -> bool:
    """True when the first line of `body` is this marker and nothing else."""
    first, _, _ = (body or "").lstrip("\ufeff").partition("\n")
    return first.strip() == hidden(marker)


def cut_to_bytes(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8 (so at most as many characters), saying so when cut.

    Never ends inside a character, and closes a code fence that the cut left open.
    """
    whole = text.encode("utf-8", "replace")
    if len(whole) <= limit:
        return whole.decode()
    note = _NOTE.format(shown=len(text), total=len(text))  # as long as it can get
    room = limit - len(note.encode()) - _FENCE_ROOM
    if room <= 0:
        return whole[: max(limit, 0)].decode("utf-8", "ignore")
    shown = whole[:room].decode("utf-8", "ignore")
    fence = _open_fence(shown)
    closed = f"\n{fence}" if 0 < len(fence) < _FENCE_ROOM else ""
    return shown + closed + _NOTE.format(shown=len(shown), total=len(text))


def one_line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters, with `…` at its end when cut."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def finding_text(finding: ReviewFinding) -> str:
    """A finding as a paragraph that names its line."""
    at = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return f"**{finding.id}** {finding.severity}, {code(at)}: {finding.text}"


def _open_fence(text: str) -> str:
    """The fence that would close the code block `text` ends in, or an empty string."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if not found:
            continue
        if not fence:
            fence = found[1]
        elif found[1][0] == fence[0] and len(found[1]) >= len(fence) and line.strip() == found[1]:
            fence = ""
    return fence
