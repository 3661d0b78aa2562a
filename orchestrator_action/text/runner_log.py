"""What a GitHub runner takes for a command, and how nothing an agent prints becomes one.

The runner trims a line (all Unicode space) and takes `::name …::` at its start for a command; of the
older form it takes `##[name …]` anywhere in the line. Its reader ends lines at CR, LF and CRLF.
Source: actions/runner, ActionCommand.cs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator_action.text.redact import mask
from orchestrator_action.text.unicode import clean

_COMMANDS = (
    "set-output|save-state|set-env|add-path|add-mask|debug|notice|warning|error|group|endgroup|echo"
    "|stop-commands|add-matcher|remove-matcher|set-repo-path|internal-[a-z-]+"
)
_LEAD = re.compile(r"\W*")
_COLON = re.compile(":(?=:)")
_NAMED = re.compile(rf"(?i):(?=:(?:{_COMMANDS})\b[^\n]*?::)")
_OLD = re.compile(r"(?i)##(?=(?:vso)?\[)")
_BREAKS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


def escape_data(value: str) -> str:
    """A workflow command's message. Source: actions/toolkit, command.ts, `escapeData`."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(value: str) -> str:
    """A workflow command's property value. Source: actions/toolkit, command.ts, `escapeProperty`."""
    return escape_data(value).replace(":", "%3A").replace(",", "%2C")


def harmless_log_line(line: str, secrets: Iterable[str] = ()) -> str:
    """One line of an agent's output as it may be printed on a runner: no command, no secret, no colours.

    Idempotent; always exactly one line.
    """
    line = clean(_BREAKS.sub(" ", line))[0].replace("\n", " ")
    line = clean(mask(line, secrets))[0]
    line = _OLD.sub("## ", line)
    line = _NAMED.sub(": ", line)
    lead = _LEAD.match(line)
    start = lead.end() if lead else 0
    return _COLON.sub(": ", line[:start]) + line[start:]
