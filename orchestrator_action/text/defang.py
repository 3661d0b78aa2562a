"""Agent text on its way to a forge: it may be read, but it calls nobody, links nothing and closes nothing.

An agent's words appear under our name. So mentions, references, closing keywords, commands of bots,
images, HTML and our own markers lose their power and keep their look: a zero-width space, written as
the character reference `&#x200B;`, stands where GitHub would begin to act. Code stays as it is.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable

from orchestrator_action.text import markdown as blocks
from orchestrator_action.text.inline import InlineSpan, code_spans
from orchestrator_action.text.lookalikes import marker_spans
from orchestrator_action.text.markdown import FENCED, Kind
from orchestrator_action.text.redact import mask
from orchestrator_action.text.unicode import clean, strip_invisible

BREAK = "&#x200B;"
"""A zero-width space, in a spelling that survives every tool and reads as no reference itself."""

# Any at sign before something that could be a name; an e-mail address is not a mention.
_MENTION = re.compile(r"(?<![A-Za-z0-9])@(?=[A-Za-z0-9_])|(?<=[A-Za-z0-9])@(?=[0-9a-fA-F]{7,40}\b)")
_NUMBER = re.compile(r"#(?=\d)")
_ISSUE = re.compile(r"(?<!&)#(?=\d)")
_GH = re.compile(r"(?i)(?<![A-Za-z0-9])(GH)-(?=\d)")
# A link to an issue, pull, commit or discussion leaves a note there. redirect.github.com leads to the
# same page and leaves none.
_HOST = re.compile(
    r"(?i)(?P<scheme>(?:\bhttps?:)?//|(?<![\w./-]))(?P<www>www\.)?github\.com(?=/[\w.-]+/[\w.-]+/)"
)
_OTHER_HOST = re.compile(
    r"(?i)(\bhttps?://(?!redirect\.github\.com/)[\w.:-]+/[\w.-]+/[\w.-]+/(?:issues|pulls?|commits?|discussions)/)(?=[0-9a-f])"
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_PLAIN = re.compile(r"[A-Za-z0-9@#/:._-]+")
_IMAGE = re.compile(r"!(?=\[)")
_DEFINITION = re.compile(r"(?P<mark>\[)(?=(?:[^\[\]\\\n]|\\.)+\]:)")
_SLASH = re.compile(r"/(?=[A-Za-z])")
_CODE_SLASH = re.compile(r"(?m)^/(?=[A-Za-z][\w-]*(?:[ \t]|\r?$))")
_ROUNDS = 6


def _code(text: str) -> tuple[tuple[InlineSpan, ...], tuple[InlineSpan, ...]]:
    """The spans of fences, and of fences and code spans together."""
    lines = blocks.line_kinds(text)
    fenced = tuple((line.content, line.end) for line in lines if line.kind in FENCED)
    return fenced, tuple(sorted((*fenced, *code_spans(text, lines)[0])))


def _outside(text: str, spans: tuple[InlineSpan, ...], change: Callable[[str], str]) -> str:
    """`change` applied to each stretch between `spans`."""
    parts: list[str] = []
    at = 0
    for start, end in spans:
        parts += [change(text[at:start]), text[start:end]]
        at = end
    return "".join((*parts, change(text[at:])))


def _inside(text: str, spans: tuple[InlineSpan, ...], pattern: re.Pattern[str], new: str) -> str:
    """`pattern` replaced where its match begins outside `spans`; the pattern may look around."""

    def replaced(match: re.Match[str]) -> str:
        index = bisect_right(spans, (match.start(), len(text) + 1)) - 1
        if index >= 0 and match.start() < spans[index][1]:
            return match[0]
        return match.expand(new)

    return pattern.sub(replaced, text)


def _spell_out(stretch: str) -> str:
    """Character references to plain characters written as those, so that what follows sees them."""

    def plain(match: re.Match[str]) -> str:
        shown = html.unescape(match[0])
        return shown if _PLAIN.fullmatch(shown) else match[0]

    return _ENTITY.sub(plain, stretch)


def _visible(stretch: str) -> str:
    """Without references to characters that show nothing, which would only split words for those who look."""

    def seen(match: re.Match[str]) -> str:
        shown = html.unescape(match[0])
        return match[0] if strip_invisible(shown) else ""

    return _ENTITY.sub(seen, stretch)


def without_markers(text: str) -> str:
    """The text with `[marker]` for each marker of ours and each spelling that looks like one."""
    for start, end in reversed(tuple(marker_spans(text))):
        text = text[:start] + "[marker]" + text[end:]
    return text


def _quiet_lines(text: str) -> str:
    """No line begins with a command for a bot, and none defines a link."""
    parts: list[str] = []
    for line in blocks.line_kinds(text):
        raw = text[line.start : line.end]
        if line.kind in FENCED:
            parts.append(_CODE_SLASH.sub(" /", raw))
            continue
        lead = line.content - line.start
        head = len(raw) - len(raw[lead:].lstrip(" \t"))
        body = raw[head:]
        if line.kind is Kind.TEXT and _DEFINITION.match(body):
            body = "\\" + body
        if _SLASH.match(body) or _SLASH.match(raw.lstrip()):
            body = "\\" + body
        parts.append(raw[:head] + body)
    return "".join(parts)


def _round(text: str) -> str:
    """One pass over prose; escaping HTML can turn what was raw HTML into prose or code."""
    _, code = _code(text)
    text = _outside(text, code, lambda s: _spell_out(s).replace("<", "&lt;"))
    _, code = _code(text)
    for pattern, new in (
        (_IMAGE, "(image) "),
        (_HOST, r"\g<scheme>redirect.github.com"),
        (_OTHER_HOST, rf"\1{BREAK}"),
        (_GH, rf"\1-{BREAK}"),
        (_ISSUE, f"#{BREAK}"),
        (_MENTION, f"@{BREAK}"),
    ):
        before, text = text, _inside(text, code, pattern, new)
        if text != before:
            _, code = _code(text)
    return _quiet_lines(text)


def close_fence(text: str) -> str:
    """The text with the fence it leaves open closed, so that what follows is not code."""
    fence = blocks.open_fence(text)
    if not fence:
        return text
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}\n"


def defang(text: str, secrets: Iterable[str] = ()) -> str:
    """Markdown by an agent, fit to appear under our name.

    `secrets` are values we hold; they and everything shaped like a token become `[redacted]`.
    """
    held = tuple(secrets)
    text = text.replace("\r\n", "\n")
    text = _outside(text, _code(text)[1], _visible)
    for _ in range(_ROUNDS):
        before = text
        text = _round(without_markers(mask(clean(text)[0], held)))
        if text == before:
            break
    return close_fence(text)


_MARKUP = re.compile(r"([\\`*_\[\]<>|~#@$!&])")
_SPACE = re.compile(r"\s+")


SKIPS_CI = re.compile(r"\[(skip ci|ci skip|no ci|skip actions|actions skip)\]", re.IGNORECASE)
"""Source: docs.github.com, "Skipping workflow runs"."""


def let_ci_run(text: str) -> str:
    """A title without the words by which GitHub leaves out workflows: in round brackets they only say what they say."""
    return SKIPS_CI.sub(r"(\1)", text)


def plain(text: str, secrets: Iterable[str] = (), *, limit: int = 300) -> str:
    """One line for where Markdown is not rendered (titles, annotations, terminals), at most `limit` long.

    A title may end up as a commit message, where mentions and closing keywords act: these lose
    their joint to a space.
    """
    line = _visible(_spell_out(clean(text)[0]))
    line = _SPACE.sub(" ", without_markers(mask(line, secrets))).strip()
    line = _MENTION.sub("@ ", _NUMBER.sub("# ", _GH.sub(r"\1 ", line)))
    line = _HOST.sub(r"\g<scheme>redirect.github.com", line)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def inline(text: str, secrets: Iterable[str] = (), *, limit: int = 300) -> str:
    """One line of Markdown that shows `text` as it is, also inside a table cell."""
    line = _visible(_spell_out(clean(text)[0]))
    line = _SPACE.sub(" ", without_markers(mask(line, secrets))).strip()
    if len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    line = _HOST.sub(r"\g<scheme>redirect.github.com", line)
    escaped = _MARKUP.sub(lambda m: "&lt;" if m[0] == "<" else "\\" + m[0], line)
    escaped = re.sub(r"\\([@#])(?=\w)", rf"\1{BREAK}", escaped)
    escaped = _OTHER_HOST.sub(rf"\1{BREAK}", _GH.sub(rf"\1-{BREAK}", escaped))
    return re.sub(r"^(?=[/+-]|\d+[.)] )", r"\\", escaped) if not escaped[:1].isdigit() else escaped


def code(text: str, *, limit: int = 300, cell: bool = False) -> str:
    """A code span that shows `text` as it is, `–` when there is nothing; with `cell`, inside a table."""
    line = _SPACE.sub(" ", without_markers(mask(clean(text)[0]))).strip()
    if not line:
        return "–"
    if len(line) > limit:
        line = line[: limit - 1] + "…"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    shown = line.replace("|", r"\|") if cell else line
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def fenced(text: str, language: str = "", *, limit: int = 4000) -> str:
    """A fenced block that shows `text` whatever it holds; of a long one the end, which tells most."""
    shown = without_markers(mask(clean(text.replace("\r\n", "\n"))[0])).rstrip("\n")
    if len(shown) > limit:
        shown = f"… {len(shown) - limit:,} characters left out …\n" + shown[-limit:].partition("\n")[2]
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{_CODE_SLASH.sub(' /', shown)}\n{ticks}"


_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~!$&'*+,;=:@%/?#-]*)?")


def web_address(url: str) -> str:
    """The address when it is one of the web and cannot break out of a link; else an empty string."""
    return url if _ADDRESS.fullmatch(url) else ""
