"""Code that is right for the tests' own calls only: what changed tests ask, asked again with other arguments.

There is no oracle for another argument, so nothing here refutes. But some things are measured without one: equal
arguments get equal answers, the same call gets the same answer later, and a change does more than what its tests
ask. What a change cannot say for itself is a named exception: a reviewer is asked about it, and a person reads it.
How it is asked, and of which runners' tests, is in `calls`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orchestrator_action.protocol.paths import shown
from orchestrator_action.verify.exceptions import NamedTest

FEWEST_VARIED = 12
"""Other arguments that have to have an answer before it says anything that all of them are alike."""
FEWEST_CHANGED = 2
"""Calls to which the change gives another answer than the base; one may be an edge that nothing else shares."""
MOST_REFUSED = 0.5
FEWEST_ANSWERS = 3
EACH_ITS_OWN = 0.7
"""Answers for each call: functions that sort into few kinds have fewer."""
OTHERWISE = 0.1
"""Of the answers to other arguments: those that are not the answer to the call they were made from."""
_NO_ANSWER = "?"
_SMALL = re.compile(r"-?\d(?:\.\d)?|True|False|None|'.?'|\[\]|\{\}|")
"""Values that a function which counts or sorts gives often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that a test made: `=` and the value's text, or `!` and the kind of error; `?` where nobody can say."""

    file: str
    line: int
    module: str
    name: str
    test: str
    args: str
    answer: str
    last: str
    """Of the same call, after all others."""
    varied: tuple[tuple[str, str], ...]
    """Other arguments and their answers."""
    spelling: bool | None
    """Whether equal arguments that `repr` writes otherwise get another answer; None where nobody can say."""
    passed: bool
    """Whether its test did."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The same call at another commit."""
        return self.module, self.name, self.args


def suspicions(head: Sequence[Call], base: Sequence[Call]) -> list[NamedTest]:
    """Functions that answer their tests only, as far as it can be measured: one exception each."""
    before = {call.key: call for call in base}
    functions: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in head:
        if call.passed and call.answer != _NO_ANSWER:
            functions[call.module, call.name].append(call)
    found = []
    for calls in functions.values():
        there = [before.get(call.key) for call in calls]
        rules = (_by_spelling, _by_time, _like_base, _refuses, _hands_back, _closed)
        if why := next(filter(None, (rule(calls, there) for rule in rules)), ""):
            place = f"{shown(calls[0].file)}:{calls[0].line} {shown(calls[0].name)}"
            what = "may be right for its tests only"
            found.append(NamedTest(id=place, what=what, reason=why, kind="place"))
    return found


def _by_spelling(calls: Sequence[Call], there: Sequence[Call | None]) -> str:
    for call, old in zip(calls, there, strict=True):
        if call.spelling and not (old and old.spelling):
            return f"{_call(call)} gets another answer when an equal argument has another `repr`"
    return ""


def _by_time(calls: Sequence[Call], there: Sequence[Call | None]) -> str:
    for call, old in zip(calls, there, strict=True):
        if _NO_ANSWER not in (call.last, call.answer) and call.last != call.answer:
            if old and old.last != old.answer:
                continue
            number = len(call.varied)
            return (
                f"{_call(call)} gives {_told(call.answer)}, and {_told(call.last)} after {number} other calls"
            )
    return ""


def _like_base(calls: Sequence[Call], there: Sequence[Call | None]) -> str:
    """The change gives new answers to what its tests ask, and the base's answers to everything near it."""
    changed = [(c, old) for c, old in zip(calls, there, strict=True) if old and c.answer != old.answer]
    pairs = [pair for call, old in changed for pair in _pairs(call, old)]
    if len(changed) < FEWEST_CHANGED or len(pairs) < FEWEST_VARIED or any(a != b for a, b in pairs):
        return ""
    example = next(v for v, told in changed[0][0].varied if told != _NO_ANSWER)
    return (
        f"{len(changed)} calls of its tests get another answer than at the base, and none of {len(pairs)} calls "
        f"with other arguments does, such as {_call(changed[0][0], example)}"
    )


def _pairs(call: Call, old: Call) -> list[tuple[str, str]]:
    """The answers at the head and at the base to the same other arguments."""
    known = dict(old.varied)
    found = [(told, known.get(args, _NO_ANSWER)) for args, told in call.varied]
    return [pair for pair in found if _NO_ANSWER not in pair]


def _refuses(calls: Sequence[Call], there: Sequence[Call | None]) -> str:
    """The base answers, and the head raises, although none of its tests asks for an error."""
    if any(call.answer.startswith("!") for call in calls):
        return ""
    pairs = [p for c, old in zip(calls, there, strict=True) if old for p in _pairs(c, old) if p[1][0] == "="]
    refused = [a for a, _ in pairs if a.startswith("!")]
    if len(pairs) < FEWEST_VARIED or len(refused) < MOST_REFUSED * len(pairs):
        return ""
    return (
        f"it raises {refused[0][1:]} for {len(refused)} of {len(pairs)} other arguments that the base answers"
    )


def _hands_back(calls: Sequence[Call], there: Sequence[Call | None]) -> str:
    """Whatever is asked, the answer is one of the arguments, in one place: the test brings its own answer."""
    if all(old and old.answer == c.answer for c, old in zip(calls, there, strict=True)):
        return ""
    rows = [(c.args, c.answer) for c in calls] + [v for c in calls for v in c.varied if v[1] != _NO_ANSWER]
    given = [(_arguments(args), _value(told)) for args, told in rows]
    given = [(arguments, value) for arguments, value in given if len(arguments) > 1]
    places = (
        set.intersection(*({k for k, v in a.items() if v == value} for a, value in given)) if given else set()
    )
    if not places or len({c.answer for c in calls}) < FEWEST_CHANGED or len(given) < FEWEST_VARIED:
        return ""
    return f"{len(given)} calls get back what they hand in as argument {sorted(places)[0]}, such as {_call(calls[0])}"


def _arguments(text: str) -> dict[str, str]:
    """Arguments of a call by their place or name, each as it is written; empty where that cannot be read."""
    for name, value in (("null", "None"), ("true", "True"), ("false", "False")):  # JavaScript's words
        text = re.sub(rf"(?<![\w\"']){name}(?![\w\"'])", value, text)
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    assert isinstance(call, ast.Call)
    named = {k.arg: ast.unparse(k.value) for k in call.keywords if k.arg}
    return {**{str(n): ast.unparse(a) for n, a in enumerate(call.args, 1)}, **named}


def _value(answer: str) -> str:
    """An answer as an argument would be written; empty for an error."""
    text = answer[1:].partition(" ")[2] or answer[1:] if answer.startswith("=") else ""
    return next(iter(_arguments(text).values()), "")


def _closed(calls: Sequence[Call], there: Sequence[Call | None]) -> str:
    """Whatever is asked, the answer is that of one of the tests."""
    if all(old and old.answer == c.answer for c, old in zip(calls, there, strict=True)):
        return ""
    answers = {c.answer for c in calls if c.answer.startswith("=")}
    rows = [(c, told) for c in calls for _, told in c.varied if told != _NO_ANSWER]
    values = [(c, told) for c, told in rows if told.startswith("=")]
    other = sum(told != c.answer for c, told in values)
    if (
        len(answers) < max(FEWEST_ANSWERS, EACH_ITS_OWN * len(calls))
        or len(rows) < FEWEST_VARIED
        or other < OTHERWISE * len(rows)
        or len(others := {told for _, told in values} - answers) > _may_have_a_default(answers)
    ):
        return ""
    default = f" and {_told(others.pop())}" if others else ""
    asked = f"the {len(answers)} that its tests ask for{default}"
    return f"{len(rows)} calls with other arguments get no answer but {asked}"


def _may_have_a_default(answers: Collection[str]) -> bool:
    """Whether a table with these answers is told from a count or a kind by one answer to all else, too."""
    values = [_value(answer) for answer in answers]
    return len(values) > FEWEST_ANSWERS and not any(_SMALL.fullmatch(value) for value in values)


def _call(call: Call, args: str = "") -> str:
    return f"`{call.name.rpartition('.')[2]}({(args or call.args)[:80]})`"


def _told(answer: str) -> str:
    return f"`{answer[1:].partition(' ')[2][:60] or answer[1:61]}`"
