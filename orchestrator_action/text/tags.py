"""HTML in an issue's text: what a browser would not show of it.

In prose a tag counts when CommonMark lets it through; in a raw HTML block everything does, so there the
rules are those of a browser (html.spec.whatwg.org, "Tokenization"): quotes matter only after `=`, and a
tag goes on to the next `>` whatever stands between.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator_action.text.markdown import Kind
from orchestrator_action.text.styles import hides, is_paper
from orchestrator_action.text.view import Edit, View

# No possessive quantifiers and no atomic groups: they are broken in `re` before Python 3.11.5 (gh-106052), which
# Debian 12 has. A lookahead and a reference to what it matched are as good: nobody goes back into a lookahead.
_STRICT = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9-]*)"
    r"""(?P<attrs>(?:\s+[A-Za-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?)*\s*/?)>"""
)
_BROWSER = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][^\s/>]*)(?![^\s/>])(?P<attrs>"
    r"""(?:(?=(?P<piece>[\s/]+|[^\s/>][^\s/>=]*(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>"'][^\s>]*)?)?))(?P=piece))*)>"""
)
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s/>][^\s/>=]*)(?:\s*=\s*(?:"(?P<a>[^"]*)"|'(?P<b>[^']*)'|(?P<c>[^\s>"'][^\s>]*)?)?)?"""
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_SHOWN = _words(
    "script style template noscript iframe object embed applet head title meta link base noembed noframes"
    " datalist dialog audio video canvas map area svg math frame frameset param track textarea xmp plaintext"
    " select option optgroup input button rp"
)
_RAW_TEXT = _words("script style textarea title xmp iframe noembed noframes plaintext")
_VOID = _words("area base br col embed hr img input link meta param source track wbr frame")
_KNOWN = _words(
    "a abbr address article aside b bdi bdo blockquote body br caption center cite code col colgroup dd del"
    " details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 h7 h8 header hr html i img ins"
    " kbd label li main mark nav ol p picture pre q rt ruby s samp section small source span strike strong"
    " sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr"
)
WEB_TARGET = r"(?![a-z][a-z0-9+.-]*:)|https?:|mailto:"
"""How the target of a link begins that a page keeps; others (`javascript:`, `data:`) it takes away."""
_TARGET = re.compile(rf"(?:{WEB_TARGET})\S*", re.IGNORECASE)
_KEPT_ATTRIBUTES = {
    "href": _TARGET,
    "src": _TARGET,
    "open": re.compile(""),
    "align": re.compile("left|right|center|justify", re.IGNORECASE),
    **dict.fromkeys(("start", "colspan", "rowspan"), re.compile(r"-?\d{1,6}")),
}
"""With what their values may be: no words."""
_HIDING_CLASSES = _words("hidden hide d-none sr-only visually-hidden invisible screen-reader-text offscreen")


def _attributes(raw: str) -> dict[str, str]:
    """Names in lower case, values as a browser reads them; the first of two wins."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(raw):
        value = match["a"] or match["b"] or match["c"] or ""
        found.setdefault(match["name"].lower(), html.unescape(value))
    return found


def _is_hidden(name: str, attributes: dict[str, str]) -> bool:
    """Whether nobody would see the element."""
    if name in _NEVER_SHOWN or "hidden" in attributes:
        return True
    if attributes.get("aria-hidden", "").strip().lower() == "true":
        return True
    if _HIDING_CLASSES & set(attributes.get("class", "").lower().split()):
        return True
    if {attributes.get("width", "").strip(), attributes.get("height", "").strip()} & {
        "0",
        "0px",
        "0%",
        "1",
        "1px",
    }:
        return True
    if name == "font" and (
        is_paper(attributes.get("color", "")) or attributes.get("size", "").strip() == "0"
    ):
        return True
    return hides(attributes.get("style", ""))


@dataclass(frozen=True, slots=True)
class _Token:
    """A tag, or with an empty name something a browser swallows: a comment, or a tag that never ends."""

    start: int
    end: int
    name: str = ""
    spelled: str = ""
    attrs: str = ""
    closes: bool = False
    sure: bool = True
    """False in what one reading of the paragraph takes for code."""


def _comment(view: View, at: int, *, raw: bool, limit: int) -> _Token | None:
    """The comment that begins at `at`. A page swallows all that follows one its block leaves open."""
    text = view.text
    if text.startswith(("<!-->", "<!--->"), at):
        return _Token(at, text.index(">", at) + 1)
    ends = [text.find(end, at + 4, limit) + len(end) for end in ("-->", "--!>")]
    ends = [end for end in ends if end > at + 4]
    if ends:
        return _Token(at, min(ends))
    if not raw:
        return None
    return _Token(at, limit if text.startswith("<!--", view.content(at)) else len(text))


def _escaped(text: str, at: int) -> bool:
    """Whether an odd number of backslashes stands before `at`."""
    before = at
    while before and text[before - 1] == "\\":
        before -= 1
    return bool((at - before) % 2)


def _instruction_end(text: str, at: int, closer: str, limit: int) -> int:
    """Where an instruction, declaration or CDATA section ends. Markdown waits for its closer, a browser
    for the first `>`; where that makes a difference to markup, the text is built to deceive."""
    found = text.find(closer, at + 2, limit)
    first = text.find(">", at + 2, limit)
    end = found + len(closer) if found >= 0 else limit
    return len(text) if 0 <= first < end and "<" in text[first:end] else end


def _token_at(view: View, at: int) -> _Token | None:
    """What begins at this `<`, as the page's reader would have it; None when it is text."""
    text = view.text
    kind, limit = view.leaf(at)
    raw = kind is Kind.HTML
    if not raw and _escaped(text, at):
        return None  # `\<` is a character
    if text.startswith("<!--", at):
        return _comment(view, at, raw=raw, limit=limit)
    if text.startswith(("<?", "<!"), at):
        closer = {"<?": "?>", "<!": "]]>" if text.startswith("<![CDATA[", at) else ">"}[text[at : at + 2]]
        markup = text[at + 1] == "?" or text[at + 2 : at + 3].isalpha() or closer == "]]>"
        if not raw and not (markup and text.find(closer, at + 2, limit) >= 0):
            return None
        return _Token(at, _instruction_end(text, at, closer, limit))
    match = (_BROWSER if raw else _STRICT).match(text, at, limit)
    if match:
        return _Token(
            start=at,
            end=match.end(),
            name=match["name"].lower(),
            spelled=match["name"],
            attrs=match["attrs"],
            closes=bool(match["close"]),
            sure=not view.maybe_code(at),
        )
    if raw and re.match(r"</?[A-Za-z]", text[at : at + 3]):
        return _Token(at, len(text) if re.search(r"""=\s*["']""", text[at:limit]) else limit)
    return None


def _tokens(view: View) -> Iterator[_Token]:
    """All of them outside code, in order."""
    at = 0
    while (at := view.text.find("<", at)) >= 0:
        if skip := view.code_end(at):
            at = skip
            continue
        token = _token_at(view, at)
        if token:
            yield token
        at = token.end if token else at + 1


def _element_end(view: View, tokens: Sequence[_Token], index: int) -> int:
    """Where the element opened by that token ends; the end of the text when it is never closed.

    A slash at the end of a tag closes nothing in HTML. In doubt the element is longer.
    """
    opened = tokens[index]
    raw = opened.name if opened.name in _RAW_TEXT else ""
    depth = 1
    for token in tokens[index + 1 :]:
        if token.closes and not token.sure:
            continue
        if raw and raw != opened.name:  # inside a script and its like, only its own end counts
            raw = "" if token.closes and token.name == raw else raw
            continue
        if token.name == opened.name:
            depth += -1 if token.closes else not raw
            if not depth:
                return token.end
        elif not raw and not token.closes and token.name in _RAW_TEXT:
            raw = token.name
    return len(view.text)


def _bare(view: View, tag: _Token) -> str:
    """The tag without what it hides. Of unknown names only what reads as a type's argument stays."""
    if not tag.name or tag.name in _NEVER_SHOWN:
        return ""
    if tag.name not in _KNOWN:
        generic = re.fullmatch(r"[A-Z][A-Za-z0-9]{0,24}", tag.spelled) and not tag.attrs
        attached = tag.start > 0 and (view.text[tag.start - 1].isalnum() or view.text[tag.start - 1] in "_>")
        return f"<{tag.spelled}>" if generic and attached and not tag.closes else ""
    if tag.closes:
        return f"</{tag.spelled}>"
    kept = "".join(
        f' {name}="{html.escape(value)}"' if value else f" {name}"
        for name, value in _attributes(tag.attrs).items()
        if name in _KEPT_ATTRIBUTES and _KEPT_ATTRIBUTES[name].fullmatch(value)
    )
    slash = "/" if tag.attrs == "/" else " /" if tag.attrs.endswith(" /") else ""
    return f"<{tag.spelled}{kept}{slash}>"


def unseen_html(view: View) -> list[Edit]:
    """Comments, hidden elements, attributes: all in one reading, as each decides what the next one is."""
    edits: list[Edit] = []
    tokens = list(_tokens(view))
    done = 0
    for index, token in enumerate(tokens):
        if token.start < done:
            continue
        if token.name and not token.closes and _is_hidden(token.name, _attributes(token.attrs)):
            done = token.end if token.name in _VOID else _element_end(view, tokens, index)
            edits.append(Edit(token.start, done, "", "hidden element"))
            continue
        new = _bare(view, token)
        if new != view.text[token.start : token.end]:
            kind = "html attribute" if token.name else "html comment"
            edits.append(Edit(token.start, token.end, new, kind))
    return edits


def stray_comments(view: View) -> list[Edit]:
    """What is left of comments once all a page hides is gone: it shows them, but they were meant as such."""
    edits: list[Edit] = []
    at = 0
    while (at := view.text.find("<!--", at)) >= 0:
        if skip := view.code_end(at):
            at = skip
            continue
        found = view.text.find("-->", at + 2, view.next_fence(at))
        end = found + 3 if found >= 0 else at + 4
        edits.append(Edit(at, end, "", "html comment"))
        at = end
    return edits
