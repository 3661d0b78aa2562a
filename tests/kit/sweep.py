"""One fault at one request of the whole flow, and what stands on GitHub afterwards.

A case is a run of the Action on one labelled issue with the n-th request failing in some way; the step
that settles follows, and the next run, as on a runner. What is wrong then is told in words.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.kit.github_server import AFTER, BEFORE, GitHubServer
from tests.kit.repos import make_repo
from tests.kit.runner import RUN_ID, Runner, Stepped, checked_out
from tests.kit.whole import GOOD, LIBRARY

UNCLEAR = ("500", "502", "504", "html", "reset", "truncated", "cut-json", "hang")
"""What passes, and may have been carried out before it failed."""
WAITED = ("secondary", "429", "primary")
"""A refusal that names a time."""
REFUSED = ("401", "403", "404", "410", "422", "301", "307")
LASTING = ("500", "401", "primary", "reset", "404", "410")
AN_HOUR_S = 3600
"""Until a limit that lasts is over: longer than anybody waits for."""
KINDS = (
    *((k, when) for k in UNCLEAR for when in (BEFORE, AFTER)),
    *((k, BEFORE) for k in (*WAITED, *REFUSED)),
)


@dataclass(frozen=True)
class Case:
    """`kind` strikes the request number `position`, counted from 0; without `graphql`, as on a server
    that has none."""

    position: int
    kind: str
    when: str = BEFORE
    graphql: bool = True
    lasting: bool = False
    """Every request from that one on, until the run has ended and the step that settles has, too."""

    def __str__(self) -> str:
        way = "graphql" if self.graphql else "rest"
        return f"{self.position}-{self.kind}-{self.when}-{way}{'-lasting' if self.lasting else ''}"

    @property
    def passes(self) -> bool:
        """Whether the run is to get over it without anybody noticing."""
        return self.kind in {*UNCLEAR, *WAITED} and not self.lasting


LONG_AGO_S = 3600.0
"""Before the next run; a claim that could not be written down counts as a dead run's by then."""
REQUESTS = {True: 18, False: 22}
"""Of such a run, with GraphQL and without; a test counts them."""
ALIKE = 10
"""The first of them are the same in both."""


def sample() -> list[Case]:
    """Every request with one fault, another at each, and a few that last: what the suite has time for."""
    quick = [(k, w) for k, w in KINDS if k != "hang"]
    cases = []
    for graphql, count in REQUESTS.items():
        for position in range(0 if graphql else ALIKE, count):
            kind, when = quick[(7 * position + 3 * graphql) % len(quick)]
            cases.append(Case(position, kind, when, graphql))
    return cases + [Case(p, LASTING[p % len(LASTING)], lasting=True) for p in range(REQUESTS[True])]


def lasting() -> list[Case]:
    """Every request of a run failing for good from there on, in every way that lasts, until the run has settled."""
    return [Case(p, k, lasting=True) for p in range(REQUESTS[True]) for k in LASTING]


def whole() -> list[Case]:
    """Every fault at every request; what lasts too."""
    every = [(p, graphql) for graphql, count in REQUESTS.items() for p in range(count)]
    once = [Case(p, k, w, graphql) for p, graphql in every for k, w in KINDS]
    return once + [Case(p, k, BEFORE, graphql, lasting=True) for p, graphql in every for k in LASTING]


@dataclass(frozen=True)
class Played:
    """What became of a case."""

    struck: bool
    """Whether there was such a request."""
    wrong: list[str]
    request: str
    """The one that was struck first, by method and path."""
    end: str
    """How the run ended, and what the next run left: exit code, labels, how many pull requests and comments."""


def play(case: Case, root: Path) -> Played:
    """One run with this fault, its settling, and the next run."""
    library = make_repo(root / "lib", LIBRARY)
    with GitHubServer(library.remote) as github:
        github.graphql = case.graphql
        github.state.clock = lambda: time.time() - LONG_AGO_S
        github.state.runs[RUN_ID] = {"id": RUN_ID, "status": "in_progress", "conclusion": None}
        temp = root / "runner-temp"
        temp.mkdir()
        runner = Runner(github, checked_out(github, library, root / "work"), temp)
        issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate", "bug"))
        payload = runner.labeled(issue.number)
        times = 10_000 if case.lasting else 1
        wait_s = AN_HOUR_S if case.lasting else 1
        fault = github.fail(case.kind, when=case.when, after=case.position, wait_s=wait_s, times=times)
        steps = [runner.step(event="issues", payload=payload)]
        first = steps[0]
        if not case.passes:
            steps.append(runner.step("settle"))
            fault.times = 0
            github.state.clock = time.time
            github.state.runs[RUN_ID] |= {"status": "completed", "conclusion": "failure"}
            runner.env["GITHUB_RUN_ID"] = str(RUN_ID + 1)
            github.state.runs[RUN_ID + 1] = {"id": RUN_ID + 1, "status": "in_progress", "conclusion": None}
            steps.append(runner.step())
        wrong = [w for step in steps for w in _ill(step, github)]
        wrong += _twice(github) + _labels(github, first) + _exit(case, first) + github.invalid
        github.invalid.clear()
        request, end = _request(github, case.position), f"{first.code}, then {_left(github)}"
    return Played(
        bool(fault.struck), [*wrong, *(["\n".join(s.log for s in steps)] if wrong else [])], request, end
    )


def _request(github: GitHubServer, position: int) -> str:
    """The request at a position, numbers and commits replaced."""
    made = github.requests[position] if position < len(github.requests) else None
    if made is None:
        return "–"
    path = re.sub(
        r"[0-9a-f]{40}|(?<=/)[0-9]+|(?<=issue-).*", "N", made.path.removeprefix(f"/repos/{github.repository}")
    )
    field = re.match(r"\w+", str((made.body or {}).get("query", "")))
    return f"{made.method} {path or '/'}" + (f" {field[0]}" if field else "")


def _left(github: GitHubServer) -> str:
    """What stands on GitHub, in a few words."""
    state = github.state
    label = next((n.partition(":")[2] for n in state.issues[1].labels if ":" in n), "no label")
    pulls = sum(bool(i.pull) and i.state == "open" for i in state.issues.values())
    return f"{label}, {pulls} open pull, {len(state.comments)} comments"


def _ill(step: Stepped, github: GitHubServer) -> list[str]:
    told = step.log + step.summary + "".join(step.outputs.values())
    return [
        *(["a traceback"] if "Traceback" in told else []),
        *(["the token was printed"] if github.token in told else []),
        *([f"exit code {step.code}"] if step.code not in {0, 1, 4} else []),
    ]


def _twice(github: GitHubServer) -> list[str]:
    state = github.state
    counts = Counter((c.number, c.body.partition("\n")[0]) for c in state.comments.values())
    pulls = Counter((i.pull.head, i.state) for i in state.issues.values() if i.pull)
    checks = Counter((c.head_sha, c.external_id) for c in state.checks.values())
    issues = [i for i in state.issues.values() if not i.pull]
    wrong = [f"twice: {what}" for what, n in {**counts, **pulls, **checks}.items() if n > 1]
    wrong += [f"{len(issues)} issues"] if len(issues) != 1 else []
    wrong += [f"a check is left {c.status}" for c in state.checks.values() if c.status != "completed"]
    return wrong


def _labels(github: GitHubServer, first: Stepped) -> list[str]:
    labels = sorted(github.state.issues[1].labels)
    ends = [["bug", "orchestrate:done"], ["bug", "orchestrate:failed"]]
    refused = any(
        c.body.startswith("<!-- orchestrator-action:refused") for c in github.state.comments.values()
    )
    if labels not in ends and not (refused and labels == ["bug"]):
        return [f"the issue is left with {labels}"]
    said = first.outputs.get("conclusion")
    return [f"success was told, and {labels}"] if said == "success" and labels != ends[0] else []


def _exit(case: Case, first: Stepped) -> list[str]:
    """0 with success, else 1 or 4 with failure; what passes by itself is no failure."""
    said = first.outputs.get("conclusion")
    if case.passes:
        return [] if (first.code, said) == (0, "success") else [f"exit {first.code}, {said}"]
    good = {(0, "success"), (0, "neutral"), (1, "failure"), (4, "failure")}
    return [] if (first.code, said) in good else [f"exit {first.code}, {said}"]
