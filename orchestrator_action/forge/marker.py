"""What we write on a forge: the hidden marker by which we find it again, texts cut to its limits.

A marker is an HTML comment on the first line of a body: invisible on the page, safe from a cut at
the end, and not to be forged by text that we quote further down.
"""

from __future__ import annotations

import re

from orchestrator_action.core.model import ReviewFinding
from orchestrator_action.errors import ForgeError

_MARKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/=+@#-]*")
_NOTE = "\n\n… cut here: {shown} of {total} characters shown"
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def hidden(marker: str) -> str:
    """The marker as it stands in a body. `marker` is a short key such as `orchestrator:task issue-7`."""
    key = marker.strip().removeprefix("<!--").removesuffix("-->").strip()
    if not _MARKER.fullmatch(key) or "--" in key:
        raise ForgeError(f"{marker!r} cannot be a hidden marker", hint="use letters, digits and .:/_=-")
    return f"<!-- {key} -->"


def mark(body: str, marker: str) -> str:
    """`body` with the marker as its first line; unchanged when it stands there already."""
    if carries(body, marker):
        return body
    return f"{hidden(marker)}\n{body}"


def carries(body: str | None, marker: str) -> bool:
    """True when the first line of `body` is this marker and nothing else."""
    first, _, _ = (body or "").lstrip("\ufeff").partition("\n")
    return first.strip() == hidden(marker)


def cut(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8 (so at most as many characters), saying so when cut.

    Never ends inside a character, and closes a code fence that the cut left open.
    """
    if len(text.encode("utf-8", "replace")) <= limit:
        return text.encode("utf-8", "replace").decode()
    room = limit - len((_NOTE.format(shown=len(text), total=len(text)) + "\n" + "`" * 20).encode())
    shown = text.encode("utf-8", "replace")[: max(room, 0)].decode("utf-8", "ignore")
    fence = _open_fence(shown)
    note = _NOTE.format(shown=len(shown), total=len(text))
    return shown + (f"\n{fence}" if 0 < len(fence) <= 20 else "") + note if room > 0 else note.strip()[:limit]


def finding_text(finding: ReviewFinding) -> str:
    """A finding as a paragraph that names its line."""
    at = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return f"**{finding.id}** {finding.severity}, `{at}`: {finding.text}"


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
