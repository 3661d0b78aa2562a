"""A bundle: a folder with `bundle.json` and git's own `commits.bundle`. Written by work, believed by nobody.

`read_bundle` looks at the files, `check_bundle` compares what they say with the plan, `take_bundle` brings the
commits into our private repository and reads the trail. Each refusal is a BundleError whose kind names the rule.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator_action.config.records import from_record
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import BundleError, ConfigError, GitError
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git import commit_bundle
from orchestrator_action.git.cache import SHA
from orchestrator_action.git.repo import Git
from orchestrator_action.process.files import replace_file
from orchestrator_action.protocol.candidates import tasks_at_work
from orchestrator_action.protocol.documents import Bundle, Plan, canonical, digest_of
from orchestrator_action.protocol.events import Event, Ledger, claim_data, encode_event, fold
from orchestrator_action.protocol.forge_values import ReviewFinding
from orchestrator_action.protocol.model import Claim, Declined, Task
from orchestrator_action.protocol.phases import IDS
from orchestrator_action.protocol.review import MAX_FINDINGS
from orchestrator_action.run.steps.bundle_lfs import LFS_FILE, check_lfs, take_lfs, write_lfs
from orchestrator_action.run.steps.bundle_paths import UNSEEN, check_changes
from orchestrator_action.run.steps.files import digest_of_bytes, read_plain
from orchestrator_action.state.documents import decode_document, encode_document

DOCUMENT, COMMITS = "bundle.json", "commits.bundle"
_MAX_BUNDLE_JSON_BYTES = 4 * 1024**2
MAX_TEXT = 65_536
"""Characters of one text: a title is shorter still."""
MAX_TITLE = 300
MAX_CLAIM = 640 * 1024
"""Characters of a note and a file together, which is what an agent can claim with. Source: `protocol.wire`."""
MAX_COMMITS = 1000
MAX_EVENTS = 10_000
MAX_TRAIL_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBundle:
    """The files of a bundle, as they were read once; nothing is read again."""

    folder: Path
    bundle: Bundle
    commits: bytes | None
    digest: str
    """Of both files together. It names those of git-lfs too: their digests stand in the commits."""
    lfs: tuple[str, ...] = ()
    """The names of its files of git-lfs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a bundle brought, checked. All that it says is a claim of the machine that made it."""

    bundle: Bundle
    digest: str
    ledger: Ledger
    events: tuple[Event, ...] = ()

    @property
    def head(self) -> str:
        """The commit that the branch is at; empty when nothing came."""
        return self.bundle.head_sha


def bundle_digest(document: bytes, commits: bytes | None) -> str:
    """How one file names a bundle: SHA-256 over the digests of its files."""
    files = {DOCUMENT: digest_of_bytes(document)}
    return digest_of(files if commits is None else {**files, COMMITS: digest_of_bytes(commits)})


def write_bundle(folder: Path, bundle: Bundle, git: Git, refs: Collection[str], *, plan_base: str) -> str:
    """Write a bundle, in the place of one that was there; returns its digest.

    `git` has the commits of `refs`; those that grew from the plan's base go in, also of what the task depends on.
    """
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        if refs:
            commit_bundle.write_commits(git, refs, plan_base, (fresh / COMMITS).absolute())
            if bundle.head_sha:
                write_lfs(fresh, git, plan_base, bundle.head_sha)
        replace_file(fresh / DOCUMENT, encode_document(bundle))
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except OSError as exc:
        raise ConfigError(f"cannot write the bundle {folder}: {exc.strerror}", hint="check --out") from None
    return read_bundle(folder).digest


# -- its files --------------------------------------------------------------------------------------


def read_bundle(folder: Path) -> ReadBundle:
    """The files of a bundle. Raises BundleError when they are not exactly that, plain and of a bounded size."""
    try:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            raise BundleError("no-folder", f"{folder} is no folder")
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as exc:
        raise BundleError("no-folder", f"{folder} cannot be read: {exc.strerror}") from None
    lfs = tuple(n for n in names if LFS_FILE.fullmatch(n))
    check_lfs(folder, lfs)
    if strange := [n for n in names if n not in {DOCUMENT, COMMITS, *lfs}]:
        raise BundleError("strange-file", f"it holds {len(strange)} files more, such as {strange[0][:60]!r}")
    document = read_plain(folder / DOCUMENT, _MAX_BUNDLE_JSON_BYTES)
    commits = read_plain(folder / COMMITS, commit_bundle.MAX_FILE_BYTES) if COMMITS in names else None
    try:
        bundle = decode_document(Bundle, document, source=DOCUMENT)
    except ConfigError as exc:
        raise BundleError("bad-document", exc.message) from None
    return ReadBundle(
        folder=folder, bundle=bundle, commits=commits, digest=bundle_digest(document, commits), lfs=lfs
    )


# -- what it says -----------------------------------------------------------------------------------


def check_bundle(bundle: Bundle, plan: Plan) -> Task:
    """The task of the plan that a bundle is about. Raises BundleError where the two do not agree."""
    if bundle.run_id != plan.run_id:
        raise BundleError("other-run", f"it belongs to run {bundle.run_id[:40]!r}, not to {plan.run_id}")
    task = next((t for t in tasks_at_work(plan) if t.id == bundle.task_id), None)
    if task is None:
        raise BundleError("unknown-task", f"the plan has no task {bundle.task_id[:60]!r}")
    if bundle.branch != task.branch:
        raise BundleError("other-branch", f"its branch is {bundle.branch[:80]!r}, not {task.branch}")
    grown = task.depends_on and SHA.fullmatch(
        bundle.base_sha
    )  # `publish` knows from which commit it may grow
    if bundle.base_sha != plan.base_sha and not grown:
        raise BundleError("other-base", f"its base is {bundle.base_sha[:12]!r}, not {plan.base_sha[:12]}")
    if bundle.head_sha and not SHA.fullmatch(bundle.head_sha):
        raise BundleError("bad-head", f"{bundle.head_sha[:60]!r} is not the name of a commit")
    _check_figures(bundle)
    _check_texts(bundle)
    _check_claims(bundle.claims)
    return task


def _check_figures(bundle: Bundle) -> None:
    figures = (bundle.wall_s, bundle.cost_usd or 0.0, bundle.turns or 0, bundle.attempts)
    if not all(0 <= f < 1e9 for f in figures):
        raise BundleError("bad-figures", "a time, a cost or a count is negative or beyond belief")


def _check_texts(bundle: Bundle) -> None:
    if len(bundle.requests) > 1:
        raise BundleError("unknown-request", f"it makes {len(bundle.requests)} requests, at most 1 is taken")
    for request in bundle.requests:
        if request.kind != "pull-request":
            raise BundleError("unknown-request", f"it asks for {request.kind[:40]!r}")
        if UNSEEN.search(request.title) or "\n" in request.title or "\t" in request.title:
            raise BundleError("control-characters", "the title that it asks for holds control characters")
        if len(request.title) > MAX_TITLE:
            raise BundleError("oversized-text", f"a title has {len(request.title)} characters")
        _check_text("the body that it asks for", request.body)
    _check_text("its error", bundle.error)
    _check_text("what the agent said", bundle.said)
    declined = bundle.declined or Declined(because="")
    _check_text("why the agent declined", f"{declined.because}\n{declined.needs}")
    if not re.fullmatch(r"[0-9a-f]{0,64}", bundle.trail) or not re.fullmatch(
        r"[0-9a-f]{0,64}", bundle.machine
    ):
        raise BundleError("bad-document", "its trail or its machine is no digest")


def _check_text(what: str, text: str) -> None:
    if len(text) > MAX_TEXT:
        raise BundleError(
            "oversized-text", f"{what} has {len(text)} characters, at most {MAX_TEXT} are taken"
        )
    if UNSEEN.search(text.replace("\r\n", "\n")):
        raise BundleError("control-characters", f"{what} holds control characters")


def _check_claims(claims: Sequence[Claim]) -> None:
    phases = [c.phase for c in claims]
    if strange := [p for p in phases if p not in IDS]:
        raise BundleError("unknown-phase", f"it claims {strange[0][:40]!r}")
    if len(set(phases)) != len(phases):
        raise BundleError("claim-twice", "it claims a phase twice")
    for claim in claims:
        for text in (claim.note, claim.text, claim.no_change, claim.waive):
            if len(text) > MAX_CLAIM:
                raise BundleError("oversized-text", f"the claim of {claim.phase} has {len(text)} characters")


# -- its commits ------------------------------------------------------------------------------------


def take_bundle(private: Git, read: ReadBundle, task: Task, config: Config, plan_base: str) -> Work:
    """Bring the commits of a checked bundle into our private repository and read its trail. Raises BundleError."""
    try:
        return _taken(private, read, task, config, plan_base)
    except GitError as exc:  # whatever git cannot read is this bundle's fault, not that of the others
        raise BundleError("unreadable", f"git cannot read it: {exc.message}") from None


def _taken(private: Git, read: ReadBundle, task: Task, config: Config, plan_base: str) -> Work:
    bundle = read.bundle
    grown = bundle.base_sha != plan_base
    head = "" if bundle.head_sha == bundle.base_sha else bundle.head_sha
    if read.commits is None:
        if head or bundle.trail or bundle.claims or read.lfs:
            raise BundleError("missing-commits", f"it has no {COMMITS}, but speaks of a branch or of claims")
        return Work(bundle=bundle, digest=read.digest, ledger=Ledger(task=task.id))
    header = commit_bundle.read_header(read.commits)
    trail_ref = audit.ref_of(task.id)
    wanted = {f"refs/heads/{task.branch}": bundle.head_sha} if head or (grown and bundle.head_sha) else {}
    commit_bundle.check_refs(header, {**wanted, trail_ref: header.refs.get(trail_ref, "")})
    commit_bundle.take_in(private, read.commits, header, plan_base)
    if grown:
        _check_commits(private, plan_base, bundle.base_sha)
    take_lfs(private, read.folder, read.lfs, plan_base, bundle.head_sha)
    if head:
        _check_commits(private, bundle.base_sha, head)
        check_changes(private, bundle.base_sha, head, config)
    events = _trail(private, header.refs[trail_ref], bundle)
    return Work(bundle=bundle, digest=read.digest, ledger=_ledger(events, bundle), events=events)


def _check_commits(private: Git, base: str, head: str) -> None:
    if not private.rev_parse(head):
        raise BundleError("missing-commits", f"the commit {head[:12]} is not in it")
    if private.rev_parse(head) != head:
        raise BundleError("bad-head", f"{head[:12]} is no commit, but a tag of one")
    if not private.is_ancestor(base, head):
        raise BundleError("other-base", f"its branch does not grow from {base[:12]}")
    commits = private.commits(base, head)
    if len(commits) > MAX_COMMITS:
        raise BundleError("too-many-commits", f"{len(commits)} commits, at most {MAX_COMMITS} are taken")
    if private.text("rev-list", "--max-parents=0", head, f"^{base}"):
        raise BundleError("foreign-history", "its branch brings a history of its own")


# -- its trail --------------------------------------------------------------------------------------


def _trail(private: Git, tip: str, bundle: Bundle) -> tuple[Event, ...]:
    name = f"{bundle.run_id}{audit.SUFFIX}"
    try:
        names = private.text("ls-tree", "--name-only", "--full-tree", tip).splitlines()
        if names != [name]:
            raise BundleError("foreign-trail", f"its trail holds {len(names)} files, not {name} alone")
        if (private.sizes([f"{tip}:{name}"])[0] or 0) > MAX_TRAIL_BYTES:
            raise BundleError("oversized", f"its trail is larger than {MAX_TRAIL_BYTES} bytes")
        if len(private.text("rev-list", "--max-count", str(MAX_EVENTS + 1), tip).split()) > MAX_EVENTS:
            raise BundleError("oversized", f"its trail has more than {MAX_EVENTS} commits")
        found = audit.read(private, tip, bundle.task_id)
    except (GitError, ValueError, LookupError, TypeError, RecursionError) as exc:
        raise BundleError("forged-trail", f"its trail cannot be read: {exc}") from None
    if found.problems:
        raise BundleError("forged-trail", found.problems[0])
    if not found.events or found.events[-1].hash != bundle.trail:
        raise BundleError("cut-trail", "its trail does not end with the event that the bundle names")
    if len(found.events) > MAX_EVENTS:
        raise BundleError("oversized", f"its trail has more than {MAX_EVENTS} events")
    if private.file(tip, name) != "".join(encode_event(e) + "\n" for e in found.events).encode():
        raise BundleError("forged-trail", "its trail is not written as we write it")
    return found.events


def _ledger(events: Sequence[Event], bundle: Bundle) -> Ledger:
    """The ledger of a trail, every value of the type it should be. Raises BundleError."""
    try:
        for event in events:
            _check_event(event)
        ledger = fold(events, bundle.task_id)
        if ledger.declined:
            from_record(Declined, asdict(ledger.declined))
            _check_text("why its agent declined", str(ledger.declined))
        for claim in ledger.claims.values():
            from_record(Claim, {**claim_data(claim), "seq": claim.seq})
        for finding in ledger.findings:
            from_record(ReviewFinding, {n: getattr(finding, n) for n in ReviewFinding.__dataclass_fields__})
        texts = [v for a in ledger.answers.values() for v in (a.finding, a.fixed_in, a.declined)]
        if not all(isinstance(v, str) and len(v) <= MAX_CLAIM for v in (*texts, ledger.plan)):
            raise ValueError("an answer is no text")
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise BundleError("forged-trail", f"its trail does not say what a trail says: {exc}") from None
    if (ledger.run, ledger.base_sha, ledger.branch) != (bundle.run_id, bundle.base_sha, bundle.branch):
        raise BundleError("foreign-trail", "its trail speaks of another base, branch or run")
    said = {c.phase: claim_data(c) for c in bundle.claims}
    if said != {c.phase: claim_data(c) for c in ledger.claims.values()}:
        raise BundleError("claims-differ", "its claims are not those of its trail")
    if bundle.declined != ledger.declined and bundle.declined is not None:
        raise BundleError("claims-differ", "it declines, and its trail does not")
    return ledger


def _check_event(event: Event) -> None:
    """Raise ValueError for an event that no part of ours would have written."""
    if type(event.seq) is not int or not 0 <= event.seq < 1e9:
        raise ValueError("an event has no number")
    if type(event.at) not in {int, float} or not 0 <= event.at < 1e12:
        raise ValueError("an event has no time")
    canonical(event.data)  # what is no UTF-8 could be written nowhere
    if event.kind == "review":
        if not SHA.fullmatch(event.data["head"]):
            raise ValueError("a review is of no commit")
        if len(event.data["findings"]) > MAX_FINDINGS:
            raise ValueError(f"a review has more than {MAX_FINDINGS} findings")
