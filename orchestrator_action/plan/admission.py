"""The queue of labels: which of the open issues may run now, and what happens to the others.

A run takes all issues that carry the label, whatever event started it, so that ten labels set at once
are one parallel run and nothing is lost when GitHub evicts a pending one. Who set a label is read from
the forge's events, never from the payload: labels in an issue template are applied whoever opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol

from orchestrator_action.config.schema import END_LABELS, LABEL_FAILED, LABEL_RUNNING, Config
from orchestrator_action.errors import ForgeError, NothingToDo
from orchestrator_action.forge.base import Conversation, Forge, Queue
from orchestrator_action.plan import follow_up, rules
from orchestrator_action.plan.rules import IssueRequest
from orchestrator_action.plan.trigger import Trigger
from orchestrator_action.protocol.forge_values import Comment, History, Issue, IssueEvent
from orchestrator_action.protocol.lease import Lease, find_lease, is_dead
from orchestrator_action.text.limits import code, inline, marker, plain
from orchestrator_action.text.lookalikes import MARKER_NAME

CLAIM_TAKES_S = 900.0
"""A claim is written down within this time, or its run is not alive: every request of it has its patience."""
NOBODY_KNOWS = "unknown"
"""Stands for the run that took an issue and could not say who it was."""
MAX_COMMENTS = 30
"""Of an issue's maintainers that go into its text, the newest."""


ASK_AGAIN = "The pull request is as it was. People with write access can ask again: `/orchestrate fix …`, or a review."


class GitHub(Forge, Queue, Conversation, Protocol):
    """A forge with users."""


@dataclass(slots=True)
class Admission:
    """Lets issues into a run. `run` is this run's leaseholder; with `dry`, nothing is written.

    `asked` are issues somebody named by number: for them whoever started the run is asked about, unless
    an event of theirs started it.
    """

    trigger: Trigger
    run: str
    say: Callable[[str], None]
    asked: Collection[int] = ()
    dry: bool = False
    dead: str = ""
    """A run that somebody who knows says is dead."""
    now: float = 0.0
    """Seconds since the epoch; tells whether a claim that was never written down can still be under way."""
    refused: dict[int, str] = field(default_factory=dict)
    """Issues that were turned away, and why."""
    _roles: dict[str, str] = field(default_factory=dict)
    _histories: Mapping[int, History] = field(default_factory=dict)
    _accounts: dict[str, str] = field(default_factory=dict)

    def __call__(self, forge: Any, config: Config, issues: Sequence[Issue]) -> list[Issue]:
        """Those of `issues`, and those commanded or left behind, that may run."""
        if not forge.has_users:
            return [replace(i, left_by=self.dead) for i in issues]
        wrong = self.trigger.label and self.trigger.label.casefold() != config.label.casefold()
        if wrong and not self.asked:
            raise NothingToDo(f"the label {self.trigger.label!r} asks for nothing", hint="")
        wanted = {i.number: i for i in (*issues, *self._commanded(forge))}
        others = () if self.asked else tuple(forge.issues(LABEL_RUNNING))
        found = {**{i.number: i for i in others}, **wanted}
        if self.trigger.follow_up and not self.asked:
            found = {n: i for n, i in found.items() if i.asked}
        free = [
            one
            for n, issue in sorted(found.items())
            for one in self._free(forge, config, issue, wanted=n in wanted)
        ]
        self._foresee(forge, config, free)
        return [one for issue in free for one in self._admitted(forge, config, issue)]

    def _foresee(self, forge: GitHub, config: Config, issues: Collection[Issue]) -> None:
        """Ask in few requests what each issue will be asked about; not of the event's own, whose text is known as
        it was."""
        own = self.trigger.number if self.trigger.seen is not None else 0
        self._histories = forge.histories(config.label, [i.number for i in issues if i.number != own])

    def _events(self, forge: GitHub, config: Config, issue: Issue) -> Sequence[IssueEvent]:
        """Of one left behind all that ever happened counts, so that is asked about by itself."""
        known = self._histories.get(issue.number) if not issue.left_by else None
        return (known and rules.since(known, config.label)) or forge.events(issue.number)

    def _commanded(self, forge: GitHub) -> Iterable[Issue]:
        if self.trigger.follow_up and not self.asked:
            yield from self._followed_up(forge)
            return
        if self.trigger.command is not None and not self.asked:
            issue = forge.issue(self.trigger.number)
            if issue.state == "open":
                yield issue

    def _followed_up(self, forge: GitHub) -> Iterable[Issue]:
        """The issue whose pull request a person wrote on; of what is nobody's wish to us the log tells."""
        pull = forge.pull(self.trigger.number)
        number = follow_up.issue_of(forge, pull)
        if not number:
            raise NothingToDo(f"#{pull.number} is no open pull request of ours", hint="")
        asked = follow_up.read_follow_up(forge, self.trigger.follow_up, seen=self.trigger.said)
        if not asked.remarks:
            raise NothingToDo(f"the review of #{pull.number} says nothing", hint="")
        yield replace(forge.issue(number), asked=asked)

    def _free(self, forge: GitHub, config: Config, issue: Issue, *, wanted: bool) -> Iterable[Issue]:
        """The issue unless a living run is at it; `wanted` when more than a claim says it is to be done."""
        if LABEL_RUNNING not in issue.labels:
            yield issue
            return
        label = config.label
        comment = forge.ours(issue.number, marker("task", f"issue-{issue.number}"))
        claim = find_lease(comment.body) if comment else None
        ended = claim is None or claim.state != "running"
        if ended and not wanted and (left := self._unclaimed(forge, issue, label, claim)):
            yield left
        elif claim is None and not wanted:
            self.say(f"#{issue.number} carries {LABEL_RUNNING!r} without a claim of ours; left alone")
        elif claim is not None and claim.state == "running":
            if claim.run == self.dead or is_dead(claim.run, self.run, forge.run_alive):
                yield from self._left(forge, issue, claim)
            elif issue.asked:
                why = f"run {claim.run} is at work on issue #{issue.number}; ask again when it has ended"
                self._refuse(forge, config, issue, why)
            else:
                self.say(
                    f"#{issue.number} is being worked on by run {claim.run}; "
                    f"if that is not so, take the label {LABEL_RUNNING!r} off"
                )
        elif wanted:
            yield issue
        elif claim is not None:
            self._relabel(forge, issue, claim.state)

    def _left(self, forge: GitHub, issue: Issue, claim: Lease) -> Iterable[Issue]:
        """What a dead run was at. What somebody had asked on a pull request is read there again."""
        asked = issue.asked
        if asked is None and follow_up.is_key(claim.request):
            try:
                asked = follow_up.read_follow_up(forge, claim.request)
            except ForgeError as exc:
                if exc.status != 404:
                    raise
                self.say(f"#{issue.number} is given back: {exc.message}, which a dead run was at")
                self._relabel(forge, issue, "failed")
                return
        yield replace(issue, left_by=claim.run, request=claim.request, asked=asked)

    def _unclaimed(self, forge: GitHub, issue: Issue, label: str, claim: Lease | None) -> Issue | None:
        """The issue when a run of ours took it and could not say so any more, long enough ago to be dead."""
        events = forge.events(issue.number)
        wish = self._taken_for(forge, issue, label, events)
        if wish is None or (claim and self._is_same(forge, issue, claim.request, wish, events)):
            return None
        taken = rules.when(events[-1].at)
        if taken is None or self.now - taken.timestamp() < CLAIM_TAKES_S:
            return None
        return replace(issue, left_by=NOBODY_KNOWS, request=wish.key)

    def _taken_for(
        self, forge: GitHub, issue: Issue, label: str, events: Sequence[IssueEvent]
    ) -> IssueRequest | None:
        """What a run of ours that took an issue was asked for: by the label, which it took off, or by a command."""
        if rules.is_taken_by(events, label, forge.viewer()):
            return rules.request_of(events, label)
        begun = rules.request_of(events, LABEL_RUNNING)
        if begun is None or begun.actor != forge.viewer():
            return None
        commands = [c for c in forge.comments(issue.number) if rules.asks_for_work(c.body)]
        return next(
            (
                rules.request_in(c)
                for c in reversed(commands)
                if rules.not_before(begun.at, c.created_at) and self._role(forge, c.author) in rules.WRITERS
            ),
            None,
        )

    def _relabel(self, forge: GitHub, issue: Issue, state: str) -> None:
        """A run that ended could not change the labels any more."""
        if not self.dry:
            forge.set_labels(issue.number, add=[END_LABELS.get(state, LABEL_FAILED)], remove=[LABEL_RUNNING])

    def _admitted(self, forge: GitHub, config: Config, issue: Issue) -> Iterable[Issue]:
        try:
            admitted = self._judged(forge, config, issue)
        except ForgeError as exc:
            if exc.status not in {404, 410}:
                raise
            self.say(f"#{issue.number} is passed over: {exc.message}")
            return
        if admitted is not None:
            yield admitted

    def _judged(self, forge: GitHub, config: Config, issue: Issue) -> Issue | None:
        events = self._events(forge, config, issue)
        comments = list(forge.comments(issue.number)) if issue.comments else []
        request = self._request(forge, events, config, issue, comments)
        why = self.may_not(forge, config, request) if request else "nobody is known to have set the label"
        if request is None or why:
            self._refuse(forge, config, issue, why)
            return None
        if self._handled(forge, config, issue, request, events, comments):
            return None
        strict = config.edited_after_label != "allow"
        if strict and (what := self._edited(forge, issue, request, events, comments)):
            why = f"{what} was edited after {request.actor} asked for it at {request.at}"
            person = request.actor if config.edited_after_label == "ask" else ""
            self._refuse(forge, config, issue, why, asked=person)
            return None
        readable = [c for c in comments if self._may_be_read(forge, c, request)][-MAX_COMMENTS:]
        body = rules.with_comments(issue.body, readable) if readable else issue.body
        return replace(issue, body=body, labeled_by=request.actor, request=request.key)

    def _request(
        self,
        forge: GitHub,
        events: Sequence[IssueEvent],
        config: Config,
        issue: Issue,
        comments: Sequence[Comment],
    ) -> IssueRequest | None:
        if issue.asked is not None:
            return IssueRequest(actor=issue.asked.by, at=issue.asked.at, key=issue.asked.key)
        if self.trigger.command is not None and issue.number == self.trigger.number:
            return self.trigger.command
        if issue.left_by and config.label not in issue.labels:
            again = rules.request_again(issue.request, events, comments)
            if again or not self.asked:
                return again or rules.request_of(events, config.label)
        if issue.number in self.asked and issue.number != self.trigger.number:
            return IssueRequest(
                actor=self.trigger.actor or forge.viewer()
            )  # without an event: the token's owner
        return rules.request_of(events, config.label)

    def may_not(self, forge: GitHub, config: Config, request: IssueRequest) -> str:
        """Why whoever asks is not heard; empty when they are."""
        listed = rules.named(request.actor, config.allowed_bots)
        account = self._account(forge, request.actor) if listed or not request.actor_type else ""
        account = account or request.actor_type
        permission = "none" if account == "Bot" else self._role(forge, request.actor)
        return rules.may_not(request, account=account, permission=permission, bots=config.allowed_bots)

    def _role(self, forge: GitHub, login: str) -> str:
        if login not in self._roles:
            self._roles[login] = forge.permission(login)
        return self._roles[login]

    def _account(self, forge: GitHub, login: str) -> str:
        if login not in self._accounts:
            self._accounts[login] = forge.account_type(login)
        return self._accounts[login]

    def _handled(
        self,
        forge: GitHub,
        config: Config,
        issue: Issue,
        request: IssueRequest,
        events: Sequence[IssueEvent],
        comments: Sequence[Comment],
    ) -> bool:
        """Whether this very request was worked on to its end; then only the label is left over."""
        if issue.asked is not None:
            answered = forge.ours(issue.asked.pull, marker("asked", issue.asked.key))
            if answered:
                self.say(f"#{issue.asked.pull}: this was answered already")
            return answered is not None
        first = marker("task", f"issue-{issue.number}")
        told = [c for c in comments if c.body.partition("\n")[0].strip() == first]
        claim = next((find_lease(c.body) for c in told if c.author == forge.viewer()), None)
        if claim is None or not request.key or claim.state == "running":
            return False
        if not self._is_same(forge, issue, claim.request, request, events):
            return False
        self.say(f"#{issue.number} was worked on for this label already, by run {claim.run}")
        if not self.dry and config.label.casefold() in map(str.casefold, issue.labels):
            forge.take_label(issue.number, config.label)
        return True

    def _is_same(
        self,
        forge: GitHub,
        issue: Issue,
        key: str,
        request: IssueRequest,
        events: Sequence[IssueEvent],
    ) -> bool:
        """Whether `key`, which a claim names, is that of the request. A version before wrote the event's id."""
        if key == request.key or not key.isdecimal():
            return key == request.key
        known = events if all(e.id for e in events) else forge.events(issue.number)
        return any(rules.names(key, e, known) and rules.names(request.key, e, known) for e in known)

    def _edited(
        self,
        forge: GitHub,
        issue: Issue,
        request: IssueRequest,
        events: Sequence[IssueEvent],
        comments: Sequence[Comment],
    ) -> str:
        if issue.asked is not None and issue.asked.edited:
            return "what was asked"
        seen = self._seen(issue, request, events)
        known = self._histories.get(issue.number)
        if known is None and seen is None and request.at:
            known = forge.histories(self.trigger.label, [issue.number]).get(issue.number)
        edited_at = None if known is None else known.edited_at
        told = [c for c in comments if not c.body.startswith(f"<!-- {MARKER_NAME}:refused:")]
        return rules.edited_since(issue, request, events, edited_at=edited_at, seen=seen, comments=told)

    def _seen(self, issue: Issue, request: IssueRequest, events: Sequence[IssueEvent]) -> Issue | None:
        """The issue as the event showed it, unless the label was set again since."""
        seen = self.trigger.seen
        if seen is None or seen.number != issue.number:
            return None
        wishes = [
            e for e in events if e.kind == "labeled" and e.label.casefold() == self.trigger.label.casefold()
        ]
        shown, asked = rules.when(seen.updated_at), rules.when(request.at)
        same = len(wishes) == 1 or bool(shown and asked and asked <= shown + timedelta(seconds=5))
        return seen if same else None

    def _may_be_read(self, forge: GitHub, comment: Comment, request: IssueRequest) -> bool:
        if not rules.may_be_read(comment, request) or comment.body.startswith(f"<!-- {MARKER_NAME}:"):
            return False
        return self._role(forge, comment.author) in rules.WRITERS

    def _refuse(self, forge: GitHub, config: Config, issue: Issue, why: str, *, asked: str = "") -> None:
        """Say so once, on the issue, and give the label back; with `asked` that person is asked, and it stays."""
        self.refused[issue.number] = why
        self.say(f"#{issue.number} is not started: {why}")
        if self.dry:
            return
        if issue.asked is not None:
            body = f"### orchestrator: not started\n\n{inline(plain(why, limit=400))}.\n\n{ASK_AGAIN}\n"
            forge.comment(issue.asked.pull, marker=marker("asked", issue.asked.key), body=body)
            if issue.left_by:
                self._relabel(forge, issue, "failed")
            return
        ways = (
            f"@{asked}, shall it be worked on as it is now? Answer `/orchestrate`, or take the label "
            f"{code(config.label)} off and set it again; until then it waits.\n"
            if asked
            else f"Somebody with write access who has read the issue as it is now can set the label "
            f"{code(config.label)} again.\n"
        )
        body = f"### orchestrator: not started\n\n{inline(plain(why, limit=400))}.\n\n{ways}"
        forge.comment(issue.number, marker=marker("refused", f"issue-{issue.number}"), body=body)
        for label in (LABEL_RUNNING,) if asked else (config.label, LABEL_RUNNING):
            if label.casefold() in map(str.casefold, issue.labels):
                forge.take_label(issue.number, label)
