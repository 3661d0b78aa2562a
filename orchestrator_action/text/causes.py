"""Which line of a tool's output says why it failed.

What a package manager prints last is seldom the cause: npm names a log file, composer its usage, Maven a page of help,
pip that the fault is not pip's. The rules are of what the tools really printed; tests/text/test_causes.py has it.
"""

from __future__ import annotations

import re

from orchestrator_action.text.unicode import strip_ansi

_OTHER_VERSION = re.compile(
    r"(?i)\brequires (?:at least |a different |an? newer |version of )*(?:node|python|ruby|php|go|java|rustc?)\b"
    r"|engine \"\w+\" is incompatible|\brustc \S+ is not supported|your php version .* does not satisfy"
)
_OUT_OF_REACH = re.compile(
    r"(?i)\bname or service not known|\bno such host\b|\bunknown ?host\b|\bcould not (?:resolve|reach|connect)\b"
    r"|\bcould not be downloaded\b|\bE(?:NOTFOUND|CONNREFUSED|TIMEDOUT|AI_AGAIN)\b"
    r"|\bconnection (?:refused|reset|timed out)\b|\bnetwork is unreachable\b|\btemporary failure in name\b"
    r"|\bcertificate verify failed\b|\b40[13] (?:unauthorized|forbidden)\b"
)
_EXCEPTION = re.compile(r"(?:[A-Za-z_][\w.]*)?(?:Error|Exception): \S")
_ERROR = re.compile(r"(?i)(?:(?:npm |\[)?(?:err|error|fatal)\b|err_[a-z]).*\w")
_SAYS_NOTHING = re.compile(
    r"(?i)log of this run|\bfor more information\b|\bre-run\b|\[help \d|see full trace|-failed$"
    r"|subprocess-exited-with-error$"
)
_WRAPPED_FROM = 60
"""A line of so many characters may go on in the next one."""
_FEWEST_WORDS = 5
"""`npm error code ECONNREFUSED` does not say what was out of reach."""


def cause_of(output: str) -> str:
    """The line of `output` that says why, without colours, its spaces folded; empty where there is no line.

    In this order: the first that wants another version of a language; the first that names what cannot be reached; the
    last of an exception; the last that speaks of an error and says more than where to look; the last that says more.
    """
    lines = [" ".join(strip_ansi(part).split()) for part in output.splitlines()]
    found = (
        [n for n, line in enumerate(lines) if _OTHER_VERSION.search(line)][:1]
        or [n for n, line in enumerate(lines) if _is_out_of_reach(line)][:1]
        or [n for n, line in enumerate(lines) if _EXCEPTION.match(line)]
        or [n for n, line in enumerate(lines) if _ERROR.match(line) and not _SAYS_NOTHING.search(line)]
        or [n for n, line in enumerate(lines) if line and not _SAYS_NOTHING.search(line)]
        or [n for n, line in enumerate(lines) if line]
    )
    return _unwrapped(lines, found[-1]) if found else ""


def last_said(output: str) -> str:
    """The last line of `output` that says more than where to look; the last one where none does; empty without any."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next(
        (line for line in reversed(lines) if not _SAYS_NOTHING.search(line)), lines[-1] if lines else ""
    )


def _is_out_of_reach(line: str) -> bool:
    return len(line.split()) >= _FEWEST_WORDS and _OUT_OF_REACH.search(line) is not None


def _unwrapped(lines: list[str], at: int) -> str:
    """The line at `at`, and the next one where that goes on in the middle of the sentence."""
    line, after = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
    first = after.split(" ", 1)[0]
    goes_on = (
        re.match(r"[a-z]|: ", after)
        and first not in ("at", line.split(" ", 1)[0])
        and first[1:].find(":") < 0
    )
    return f"{line} {after}" if goes_on and len(line) >= _WRAPPED_FROM and line[-1] not in ".!" else line
