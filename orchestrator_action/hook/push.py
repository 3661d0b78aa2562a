"""One push, judged: the ref lines in, 0 or a refusal out. Straight through, cheapest question first.

Every ref line counts, not the first only. Policy comes before gates, so a refused push costs no gate
run; remembered gates cost one lookup; only what is left starts processes.
"""

import os

from orchestrator_action.hook import base as bases
from orchestrator_action.hook import policy as rules
from orchestrator_action.hook.fast_git import PushSite, find_site, git, tell_user, without_login

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator_action.hook.base import Objects, PolicyBase
    from orchestrator_action.hook.policy import HookGate, PushPolicy

PRE_PUSH_USAGE = (
    "error: pre-push is started by `git push`, with the remote's name and URL and the refs on stdin"
)
SKIP = "ORCHESTRATOR_SKIP"
PROBE = "ORCHESTRATOR_PROBE"
"""As `probe` sets it."""
USUAL_REFS = ("refs/heads/", "refs/tags/")
RECORDS = ("refs/notes/", "refs/orchestrator/")
"""Where records about commits are kept; what else is pushed there is judged as code."""
TASK_PREFIX = "refs/heads/orchestrator/"
"""As core.config.BRANCH_PREFIX; a test keeps them equal."""
NOTHING = "nothing was pushed"


class Ref:
    """One line of the pre-push protocol. Source: githooks(5), "pre-push"."""

    __slots__ = ("local", "oid", "remote", "remote_oid")

    def __init__(self, local: str, oid: str, remote: str, remote_oid: str) -> None:
        self.local = local
        self.oid = oid
        self.remote = remote
        self.remote_oid = remote_oid

    @property
    def deletes(self) -> bool:
        """A deletion has a zero object id, of 40 or 64 digits."""
        return not self.oid.strip("0")

    @property
    def creates(self) -> bool:
        """Nothing is at the remote ref yet."""
        return not self.remote_oid.strip("0")


class PushWork:
    """Gates to run at one commit. `wanted` pairs each gate with the key its pass is kept under."""

    __slots__ = ("commit", "first", "refs", "wanted")

    def __init__(self, commit: str, first: Ref) -> None:
        self.commit = commit
        self.first = first
        """The pushed ref that gates are told about."""
        self.refs: dict[str, None] = {}
        """The names at the remote, in order: a push may have many thousands."""
        self.wanted: list[tuple[HookGate, str]] = []


class Push:
    """Where a push goes, and the commit whose word decides about it; `pushing` is False by hand."""

    __slots__ = ("base", "pushing", "remote", "remotes", "url")

    def __init__(self, remote: str, url: str, base: str, remotes: list[str], *, pushing: bool = True) -> None:
        self.remote = remote
        self.remotes = remotes
        """Every name it goes by, `remote` first."""
        self.url = url
        self.base = base
        self.pushing = pushing


def parse_refs(text: bytes) -> list[Ref]:
    """The ref lines. Local names may hold spaces (`HEAD@{5 minutes ago}`), so split from the right.

    Raises ValueError naming a line that is none.
    """
    refs = []
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        fields = line.rsplit(" ", 3)
        if len(fields) == 4 and all(len(oid) in (40, 64) for oid in (fields[1], fields[3])):
            refs.append(Ref(*fields))
        elif line:
            raise ValueError(line)
    return refs


def read_stdin() -> bytes | None:
    """All of stdin; None when there is none, or only a terminal that would be waited for."""
    try:
        if os.isatty(0):
            return None
        chunks = []
        while chunk := os.read(0, 65536):
            chunks.append(chunk)
    except OSError:
        return None
    return b"".join(chunks)


def judge_stdin(stub: str, arguments: "Sequence[str]") -> int:
    """The hook itself: `arguments` as git gives them, the refs on stdin; the exit code for git.

    `stub` is the installed hook's path, next to which an earlier hook may be kept; empty when another
    hook manager started us. The stub has read the first line already and gives it as a third argument.
    Does not return when there is a kept hook to hand over to.
    """
    text = read_stdin() if len(arguments) in (2, 3) else None
    if text is not None and len(arguments) == 3:
        text = os.fsencode(arguments[2]) + b"\n" + text
        arguments = arguments[:2]
    if text is None:
        tell_user(f"{PRE_PUSH_USAGE}\nhint: to judge a commit by hand: orchestrator-action hook run [REF]")
        return 2
    try:
        refs = parse_refs(text)
    except ValueError as exc:
        tell_user(f"error: not a line of the pre-push protocol: {exc}\n{NOTHING}")
        return 2
    code = judge_push(arguments[0], arguments[1], refs) if refs else 0
    if code == 0 and stub:
        _hand_over(stub, arguments, text)
    return code


def judge_push(remote: str, url: str, refs: "Sequence[Ref]") -> int:
    """0 when every ref may go, 1 when one may not, 130 after a signal; says why on stderr."""
    if PROBE in os.environ:
        return _answer_probe()
    waiting = os.getppid()
    where = find_site()
    if SKIP in os.environ:
        return _skip(where, remote, refs)
    memory = bases.remembered_base(where, remote, url)
    known = bases.ask_objects([*bases.base_specs(remote, memory), *object_specs(refs)])
    base = bases.find_base(remote, url, known, memory, where)
    policy = policy_of(base, refs, known, where)
    remotes = rules.remote_names(policy, remote, url)
    problems = _protection(policy, base, refs, remotes, url) + _broken_configs(base, refs, known, where)
    tasks = [ref for ref in refs if ref.remote.startswith(TASK_PREFIX) and not ref.deletes]
    if tasks and not problems:
        from orchestrator_action.hook.tasks import open_phases

        problems = open_phases(where, tasks, known, policy.phases)
    if problems:
        tell_user("\n".join([*problems, NOTHING]))
        _record(where, "refused", remote, refs)
        return 1
    if os.getppid() != waiting:
        raise KeyboardInterrupt  # the push was killed, and nobody waits for its gates
    push = Push(remote, url, base.commit, remotes)
    work = find_work(policy, refs, known, where, push) if policy.gates else []
    code = run_gates(policy, work, where, push)
    _record(where, "allowed" if code == 0 else "refused", remote, refs)
    return code


def object_specs(refs: "Iterable[Ref]") -> list[str]:
    """What to ask about the pushed objects: the commit, its tree and its configuration."""
    oids = dict.fromkeys(ref.oid for ref in refs if not ref.deletes)
    return [spec for oid in oids for spec in (f"{oid}^{{tree}}", *bases.commit_specs(oid))]


def policy_of(base: "PolicyBase", refs: "Sequence[Ref]", known: "Objects", where: PushSite) -> "PushPolicy":
    """What is demanded of this push: the base's word, or without any base the pushed commit's.

    Raises ConfigError when something that is no configuration stands in its place.
    """
    if base.fault:
        from orchestrator_action.errors import ConfigError

        raise ConfigError(
            f"the configuration of {base.commit[:12]} cannot be used: {base.fault}",
            hint="mend that; a push that mends it needs ORCHESTRATOR_SKIP='mends the configuration'",
        )
    if base.blob:
        return rules.load_policy(base.blob, where.state, commit=base.commit)
    if base.commit:
        return rules.default_policy()
    for ref in sorted(refs, key=lambda ref: ref.remote not in ("refs/heads/main", "refs/heads/master")):
        blob, _ = bases.config_text_at(ref.oid, known)
        if blob:
            policy = rules.load_policy(blob, where.state, commit=ref.oid)
            policy.protected += [p for p in rules.DEFAULT_PROTECTED if p not in policy.protected]
            return policy
    return rules.default_policy()


def _protection(
    policy: "PushPolicy", base: "PolicyBase", refs: "Sequence[Ref]", remotes: list[str], url: str
) -> list[str]:
    """One line per ref that may not be pushed, and the way out."""
    by = f"{bases.CONFIG_PATH} of {base.commit[:12]}" if base.blob else "the default policy"
    lines = [
        f"error: {ref.remote} is neither a branch nor a tag, which {by} refuses"
        for ref in refs
        if policy.other_refs == "refuse" and not ref.remote.startswith(USUAL_REFS)
    ]
    protected = rules.protected_at(policy, remotes, url)
    hit = [ref for ref in refs if any(rules.protects(p, ref.remote) for p in protected)]
    if hit and not base.seen and all(ref.creates and not ref.deletes for ref in hit) and _is_empty(url):
        return lines  # the first push makes the branch there is to protect
    lines += [f"error: {ref.remote} is protected by {by}" for ref in hit]
    if hit:
        lines.append(
            "hint: push a branch of your own and open a pull request: git push origin HEAD:refs/heads/my-change"
        )
    return lines


def _is_empty(url: str) -> bool:
    """Whether the remote has no branch at all. Asked only when this clone has never seen any of it."""
    code, out = git("ls-remote", "--heads", "--", url, timeout_s=20.0, stderr=2)
    return code == 0 and not out.strip()


def _broken_configs(
    base: "PolicyBase", refs: "Sequence[Ref]", known: "Objects", where: PushSite
) -> list[str]:
    """Faults of a configuration that is about to arrive: once merged, it would stop every push."""
    problems = []
    judged = {base.blob, ""}
    for ref in refs:
        if not ref.remote.startswith("refs/heads/") or ref.deletes:
            continue
        blob, fault = bases.config_text_at(ref.oid, known)
        if fault:
            problems += [f"error: {ref.oid[:12]}: {fault}", f"hint: mend it in {ref.remote} and push again"]
        if blob in judged:
            continue
        judged.add(blob)
        try:
            arriving = rules.load_policy(blob, where.state, commit=ref.oid)
        except Exception as exc:
            if getattr(exc, "exit_code", 0) != 2:
                raise
            problems += [f"error: {exc}", f"hint: mend it in {ref.remote} and push again"]
        else:
            if arriving.gates and base.commit and not base.blob:
                tell_user(
                    f"orchestrator: the gates in {ref.remote} count once they are on the default branch"
                )
    return problems


def find_work(
    policy: "PushPolicy",
    refs: "Iterable[Ref]",
    known: "Objects",
    where: PushSite,
    push: Push,
    *,
    anew: bool = False,
) -> list[PushWork]:
    """The gates that have not passed yet, once per thing that each is about: a tree, or a commit."""
    from orchestrator_action.hook import passes as memory

    by_commit: dict[str, tuple[str, list[Ref]]] = {}
    for ref in refs:
        commit, tree = known.get(f"{ref.oid}^{{commit}}"), known.get(f"{ref.oid}^{{tree}}")
        if commit and tree and not ref.deletes and _is_gated(policy, ref):
            by_commit.setdefault(commit, (tree, []))[1].append(ref)
    keys = memory.Keys(where.top, policy)
    work: dict[tuple[str, str], PushWork] = {}
    seen: dict[str, PushWork | None] = {}
    for commit, (tree, pushed) in by_commit.items():
        for gate in policy.gates:
            for told in _told_apart(gate, pushed):
                first, names = told[0], dict.fromkeys(ref.remote for ref in told)
                if push.pushing and not _is_for(gate, names, push):
                    continue
                about = f"{first.remote} {first.remote_oid} {push.base} {push.url}"
                key = keys.of(gate, commit, tree, about)
                item = seen.get(key)
                if key not in seen and (anew or not memory.passed(where.state, key, cache_s=gate.cache_s)):
                    item = work.setdefault((commit, first.remote), PushWork(commit, first))
                    item.wanted.append((gate, key))
                seen[key] = item
                if item:
                    item.refs |= names
    return list(work.values())


def _told_apart(gate: "HookGate", refs: list[Ref]) -> list[list[Ref]]:
    """The refs at one commit, apart as far as the gate's command is told other things of them."""
    from orchestrator_action.hook.passes import asks_about_push, asks_about_ref

    if not asks_about_push(gate):
        return [refs]
    by_ref = asks_about_ref(gate)
    apart: dict[str, list[Ref]] = {}
    for ref in refs:
        apart.setdefault(ref.remote if by_ref else ref.remote_oid, []).append(ref)
    return list(apart.values())


def _is_for(gate: "HookGate", refs: "Iterable[str]", push: Push) -> bool:
    """Whether a gate is for one of these refs, under any name of the remote."""
    return any(rules.applies(gate, ref, name, push.url) for ref in refs for name in push.remotes)


def _is_gated(policy: "PushPolicy", ref: Ref) -> bool:
    """Whether a pushed commit is code to judge: always on branches and tags, elsewhere by policy."""
    if ref.remote.startswith(USUAL_REFS):
        return True
    if policy.other_refs == "allow":
        return False
    if not ref.remote.startswith(RECORDS):
        return True
    from orchestrator_action.hook.records import is_record

    return not is_record(ref.oid)


def run_gates(policy: "PushPolicy", work: list[PushWork], where: PushSite, push: Push) -> int:
    """Run what is left to run, if anything."""
    if not work:
        return 0
    from orchestrator_action.hook.gates import run_work

    return run_work(work, policy, where, push)


def _answer_probe() -> int:
    """Leave a sign for `hook status` that the hook was started; and refuse, whoever set the variable."""
    try:
        with open(os.path.join(os.environ[PROBE], "started"), "x", encoding="ascii"):
            pass
    except OSError:
        pass
    tell_user(f"orchestrator: a probe by `hook status` ({PROBE} is set); {NOTHING}")
    return 1


def _skip(where: PushSite, remote: str, refs: "Sequence[Ref]") -> int:
    reason = " ".join(os.environ[SKIP].split())
    if not reason:
        tell_user(
            f"error: {SKIP} is set without a reason\nhint: {SKIP}='why' git push …, or unset it\n{NOTHING}"
        )
        return 1
    try:
        _journal(where, "skipped", remote, refs, reason)
    except OSError as exc:
        tell_user(
            f"error: a skip must be recorded and cannot be: {exc}\nhint: git push --no-verify\n{NOTHING}"
        )
        return 1
    tell_user(f"orchestrator: not judged, {SKIP}={reason}; recorded, see: orchestrator-action hook audit")
    return 0


def _record(where: PushSite, word: str, remote: str, refs: "Sequence[Ref]") -> None:
    try:
        _journal(where, word, remote, refs, "")
    except OSError as exc:
        tell_user(f"orchestrator: this push is not on record for `hook audit`: {exc}")


def _journal(where: PushSite, word: str, remote: str, refs: "Sequence[Ref]", reason: str) -> None:
    from orchestrator_action.hook.journal import append_lines

    append_lines(where.state, word, without_login(remote), [(ref.remote, ref.oid) for ref in refs], reason)


def _hand_over(stub: str, arguments: "Sequence[str]", text: bytes) -> None:
    kept = f"{stub}.orchestrator-kept"
    if os.access(kept, os.X_OK):
        from orchestrator_action.hook.chain import become

        become(kept, arguments, text)
