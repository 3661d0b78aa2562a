"""Two runs of a suite, test by test: which tests passed at the base and do not at the head. Pure.

A test is known by its id without what differs between two runs of the same code (addresses, UUIDs, temporary
paths, dates). One that moved to another file under its name is not lost. One whose name is gone while its file
has as many new ones may have been renamed: whether it was, the base's own test on the head's sources decides.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator_action.verify.ecosystems.base import CaseResult

_VARIES = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), "<uuid>"),
    (re.compile(r"\b0x[0-9a-f]{4,}\b", re.I), "<address>"),
    (re.compile(r"(?:/private)?/(?:var/folders|var/tmp|tmp|dev/shm)/[^\s\]\)'\",:]*"), "<path>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<date>"),
    (re.compile(r"\b(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:[.,]\d+)?\b"), "<clock>"),
    (re.compile(r"\b1[5-9]\d{8}(?:\.\d+|\d{3})?\b"), "<time>"),
)
"""What two runs of the same tests give different names by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTest:
    """A test that passed at the base and does not pass at the head."""

    id: str
    file: str
    how: str
    """`gone`, `skipped` or `failed`."""
    renamed_to: str = ""
    """A new test of the same function or file that may be this one under another name."""


def normal_id(case_id: str) -> str:
    """The id without what differs from run to run."""
    for pattern, word in _VARIES:
        case_id = pattern.sub(word, case_id)
    return case_id


def name_in_file(case: CaseResult) -> str:
    """What the test is called within its file, classes and parameters included."""
    rest = case.id
    if case.file:
        dotted = re.sub(r"\.\w+$", "", case.file).replace("/", ".")
        for start in (case.file, dotted):
            if rest.startswith(start):
                rest = rest[len(start) :].lstrip(":. >") or rest
                break
    return normal_id(rest)


def function_of(case: CaseResult) -> str:
    """The test without its parameters or subtests."""
    name = name_in_file(case)
    return re.split(r"[\[/({<]| - | #\d| with data set ", name, maxsplit=1)[0].rstrip() or name


def lost_tests(
    base: Sequence[CaseResult], head: Sequence[CaseResult], renames: Mapping[str, str] | None = None
) -> tuple[LostTest, ...]:
    """Every test that passed at the base and does not at the head, in the order of the base.

    `renames` maps a file of the base to what git says it is called at the head.
    """
    renames = renames or {}
    there = _Passed(head)
    left = [c for c in base if c.outcome == "passed" and not there.take(_moved_id(c, renames))]
    left = [c for c in left if not there.take_name(name_in_file(c))]
    ends = {normal_id(c.id): c.outcome for c in head if c.outcome != "passed"}
    found = [_lost(c, ends.get(_moved_id(c, renames), "")) for c in left]
    new = there.new(base)
    return tuple(_with_new_names(list(zip(left, found, strict=True)), new, renames))


def _moved_id(case: CaseResult, renames: Mapping[str, str]) -> str:
    now = renames.get(case.file)
    if not now:
        return normal_id(case.id)
    for old, new in ((case.file, now), (_dotted(case.file), _dotted(now))):
        if case.id.startswith(old):
            return normal_id(new + case.id[len(old) :])
    return normal_id(case.id)


def _dotted(path: str) -> str:
    return re.sub(r"\.\w+$", "", path).replace("/", ".")


def _lost(case: CaseResult, ended: str) -> LostTest:
    how = {"skipped": "skipped", "failed": "failed", "error": "failed"}.get(ended, "gone")
    return LostTest(id=case.id, file=case.file, how=how)


class _Passed:
    """What passed at the head; each takes the place of one test of the base."""

    def __init__(self, head: Iterable[CaseResult]) -> None:
        self.cases = [c for c in head if c.outcome == "passed"]
        self.ids = Counter(normal_id(c.id) for c in self.cases)
        self.taken: Counter[str] = Counter()
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for case in self.cases:
            self._by_name[name_in_file(case)].append(normal_id(case.id))

    def take(self, case_id: str) -> bool:
        """Whether a test of this id is there that takes no other's place."""
        if self.taken[case_id] >= self.ids[case_id]:
            return False
        self.taken[case_id] += 1
        return True

    def take_name(self, name: str) -> bool:
        """The same by its name in any file."""
        return any(self.take(case_id) for case_id in self._by_name.get(name, ()))

    def _free(self) -> list[CaseResult]:
        return [c for c in self.cases if self.taken[normal_id(c.id)] < self.ids[normal_id(c.id)]]

    def new(self, base: Iterable[CaseResult]) -> list[CaseResult]:
        """Those that take nobody's place and were not there before, whatever their end was."""
        before = {normal_id(c.id) for c in base}
        return [c for c in self._free() if normal_id(c.id) not in before]


def _with_new_names(
    lost: Sequence[tuple[CaseResult, LostTest]], new: Sequence[CaseResult], renames: Mapping[str, str]
) -> list[LostTest]:
    """Pair what is gone with what is new, of the same function first, then of the same file."""
    free = list(new)
    names: dict[int, str] = {}
    for same in (_same_function, _same_file):
        by_key: dict[tuple[str, ...], list[CaseResult]] = defaultdict(list)
        for case in free:
            by_key[same(case, case.file)].append(case)
        for n, (case, test) in enumerate(lost):
            candidates = by_key[same(case, renames.get(case.file, case.file))]
            if test.how == "gone" and n not in names and candidates:
                taken = candidates.pop(0)
                names[n] = taken.id
                free.remove(taken)
    return [
        LostTest(id=test.id, file=test.file, how=test.how, renamed_to=names.get(n, ""))
        for n, (_, test) in enumerate(lost)
    ]


def _same_function(case: CaseResult, file: str) -> tuple[str, ...]:
    return (file, function_of(case))


def _same_file(_: CaseResult, file: str) -> tuple[str, ...]:
    return (file,)
