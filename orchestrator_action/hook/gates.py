"""Gates, run in parallel at exactly the pushed commit, and ended with whoever waits for them.

Each gate runs under a guard (see `process`): when this process, or the `git push` above it, is gone, however
it went, the guard ends its gate and everything that gate started, daemons included.
"""

import os
import time

from orchestrator_action.hook import passes as memory
from orchestrator_action.hook.fast_git import PushSite, tell_user
from orchestrator_action.hook.gate_checkout import GateTree, inside_gate, take_tree
from orchestrator_action.hook.gate_env import GATE_MARK, checkouts, gate_env
from orchestrator_action.hook.gate_places import note_place, repository_root
from orchestrator_action.hook.gate_report import (
    GateResult,
    LiveOutput,
    changed_files,
    failure,
    gate_log_path,
    last_durations,
    note_duration,
)
from orchestrator_action.hook.gate_setup import AS_IT_IS, set_up
from orchestrator_action.hook.gate_walls import walls_for
from orchestrator_action.hook.links import link_folders, unlinked_dependencies
from orchestrator_action.hook.push import NOTHING
from orchestrator_action.hook.push_facts import facts_of, filled
from orchestrator_action.hook.push_watch import PushWatch, Stopped
from orchestrator_action.hook.push_watch import pushing as processes_above
from orchestrator_action.process.together import GuardedPrograms, Supervised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator_action.hook.policy import HookGate, PushPolicy
    from orchestrator_action.hook.push import Push, PushWork

GATE_STOP_GRACE_S = 0.4
"""Between asking a gate's processes to end and killing them; the promise is one second."""
STOP_PATIENCE_S = 8.0
"""For the guards to report that everything is gone."""
LOG_LIMIT_BYTES = 256 * 1024**2
SLOW_S = 30.0
"""After this long the remote may have hung up: the connection is open while gates run."""


def run_work(work: "Sequence[PushWork]", policy: "PushPolicy", site: PushSite, push: "Push") -> int:
    """Run the gates of a push, commit by commit; 0, 1 when one failed, 130 when it was ended.

    Passes are remembered, failures explained on stderr.
    """
    root = repository_root(site, policy.trees)
    if inside_gate(site, root):
        tell_user(
            "orchestrator: this push comes from a gate of the same repository; its gates are not run again"
        )
        return 0
    started = time.monotonic()
    _warn_of_ssh(work, site, push)
    try:
        bad = _run_commits(work, policy, site, root, push, started)
    except (Stopped, KeyboardInterrupt):
        tell_user("orchestrator: stopped; no gate runs any more and none is remembered")
        if push.pushing:
            tell_user(NOTHING)
        return 130
    seconds = time.monotonic() - started
    if push.pushing and seconds > SLOW_S:
        tell_user(
            f"orchestrator: the connection to the remote was open for these {seconds:.0f} s; should it have "
            "been closed, push again: what passed is not run again (or use `orchestrator-action hook run`)"
        )
    if bad and push.pushing:
        tell_user(NOTHING)
    return 1 if bad else 0


def _warn_of_ssh(work: "Sequence[PushWork]", site: PushSite, push: "Push") -> None:
    """Say before, as far as it is known, that these gates may outlast a connection by ssh, open meanwhile."""
    by_ssh = push.url.startswith("ssh://") or ("://" not in push.url and ":" in push.url.partition("/")[0])
    if not push.pushing or not by_ssh:
        return
    seconds = last_durations(site)
    longest = max((seconds.get(gate.name, 0.0) for item in work for gate, _ in item.wanted), default=0.0)
    if longest > SLOW_S:
        tell_user(
            f"orchestrator: these gates took {longest:.0f} s last time, and the remote may hang up meanwhile; "
            "safer: orchestrator-action hook run, then git push"
        )


def _run_commits(
    work: "Sequence[PushWork]", policy: "PushPolicy", site: PushSite, root: str, push: "Push", started: float
) -> int:
    """The gates of every commit: how many did not pass."""
    until = started + policy.timeout_s if policy.timeout_s > 0 else float("inf")
    watch = PushWatch(processes_above() if push.pushing else [])
    tree = take_tree(site, root, watch, until=until)
    note_place(site, root, policy.trees)
    bad = 0
    try:
        tree.refresh(work[0].commit, clean=policy.clean)
        with GuardedPrograms(held=[tree.lock]) as programs:
            for number, item in enumerate(work):
                if watch.gone():
                    raise Stopped
                if number:
                    tree.refresh(item.commit, clean=policy.clean)
                bad += _OneCommit(item, policy, tree, push, programs, watch, until).run()
    finally:
        tree.release()
    return bad


class _OneCommit:
    """The gates of one commit in its tree."""

    def __init__(
        self, item: "PushWork", policy: "PushPolicy", tree: GateTree, push: "Push", programs: GuardedPrograms,
        watch: PushWatch, until: float,
    ) -> None:  # fmt: skip
        self.item = item
        self.policy = policy
        self.tree = tree
        self.push = push
        self.programs = programs
        self.watch = watch
        self.until = until
        self.ready = AS_IT_IS
        self.withheld: set[str] = set()
        self.walls = ""
        self.logs: dict[str, str] = {}
        self.results: dict[str, GateResult] = {}

    def run(self) -> int:
        """Run them all and say what failed; how many did not pass."""
        item, site = self.item, self.tree.site
        self.ready = set_up(self.policy, self.tree, until=self.until, watch=self.watch)
        links = [name for gate, _ in item.wanted for name in gate.link]
        missing = link_folders(links, top=site.top, tree=self.tree.tree)
        unlinked = unlinked_dependencies(top=site.top, tree=self.tree.tree)
        self.facts = facts_of(item, self.push, folder=self.tree.home)
        names = ", ".join(gate.name for gate, _ in item.wanted)
        tell_user(f"orchestrator: {item.commit[:12]}: {names}")
        self._run_gates()
        changed = self.tree.changed()
        results = [
            self.results[gate.name + key] for gate, key in item.wanted if gate.name + key in self.results
        ]
        for result in results:
            if not result.why and not changed:
                self._remember(result)
        bad = [result for result in results if result.why]
        for result in bad:
            tell_user(
                failure(
                    result, item, withheld=sorted(self.withheld), missing=missing, unlinked=unlinked,
                    walls=self.walls,
                )
            )  # fmt: skip
        if changed:
            tell_user(changed_files(changed, item, names))
        return len(bad) + bool(changed)

    def _remember(self, result: GateResult) -> None:
        note_duration(self.tree.site, result.gate.name, result.seconds)
        if result.gate.cache_s != 0:
            memory.remember(self.tree.site.state, result.key, commit=self.item.commit, at=time.time())
        if not self.push.pushing:
            tell_user(f"ok: {result.gate.name}, {result.seconds:.1f} s")

    def _run_gates(self) -> None:
        """Start the gates, as many at once as may run, and wait for all of them.

        Raises Stopped or KeyboardInterrupt, with nothing left running, when nobody waits for us.
        """
        waiting = list(self.item.wanted)
        live = LiveOutput()
        at_once = self.policy.jobs or len(waiting)
        try:
            while waiting or self.programs.running:
                while waiting and len(self.programs.running) < at_once:
                    self._start(*waiting.pop(0))
                if not self.programs.running:
                    continue  # there was nothing to run a command on
                ended = self.programs.wait(min(self.watch.tick_s, live.tick_s), also=self.watch.fds)
                if self.watch.gone():
                    raise Stopped
                live.show({self._label(one): self.logs[one.name] for one in (*self.programs.running, *ended)})
                for one in ended:
                    self._record(one)
                if self.policy.fail_fast and any(result.why for result in self.results.values()):
                    waiting = []
                    self._stop_others()
        except BaseException:
            self.programs.stop("nobody waits for it", patience_s=STOP_PATIENCE_S)
            raise

    def _stop_others(self) -> None:
        others = list(self.programs.running)
        self.programs.stop("another gate failed", patience_s=STOP_PATIENCE_S)
        for one in others:
            self._record(one)

    def _label(self, one: Supervised) -> str:
        return next(gate.name for gate, key in self.item.wanted if gate.name + key == one.name)

    def _start(self, gate: "HookGate", key: str) -> None:
        tree, site = self.tree, self.tree.site
        if "{files}" in gate.command and not self.facts.files:
            self.results[gate.name + key] = GateResult(gate, key, "", 0.0, os.devnull)
            return
        env, hidden = gate_env(
            os.environ, named=gate.env, tree=tree.tree, top=site.top, roots=checkouts(site),
            command=gate.command, mark=tree.token,
        )  # fmt: skip
        env = self.ready.within(env)
        self.withheld.update(hidden)
        name = gate.name + key
        self.logs[name] = gate_log_path(
            site, tree.home, self.item.commit, gate.name, f"{tree.token}.{len(self.logs):04d}"
        )
        left_s = self.until - time.monotonic()
        wall_s = min((s for s in (gate.timeout_s, left_s) if 0 < s < float("inf")), default=0.0)
        command, variables = filled(gate.command, self.facts)
        links = [os.path.join(site.top, name) for name in gate.link]
        walls = walls_for(self.policy, tree, env, command=gate.command, links=links)
        if walls:
            env = walls.within(env)
            self.walls = walls.said
        self.programs.start(
            name, ("/bin/sh", "-c", command), env={**env, **variables, GATE_MARK: tree.token}, cwd=tree.tree,
            log=self.logs[name], prefix=walls.prefix if walls else (),
            limits={"wall_s": max(wall_s, 0.001 if left_s <= 0 else 0.0), "stop_grace_s": GATE_STOP_GRACE_S,
                    "log_bytes": LOG_LIMIT_BYTES},
        )  # fmt: skip

    def _record(self, one: Supervised) -> None:
        gate, key = next((gate, key) for gate, key in self.item.wanted if gate.name + key == one.name)
        seconds = time.monotonic() - one.started_at
        why = _why(one.outcome, gate, self.until)
        self.results[one.name] = GateResult(gate, key, why, seconds, self.logs[one.name])


def _why(outcome: dict[str, object], gate: "HookGate", until: float) -> str:
    """Why a gate did not pass, in words; empty when it did."""
    ending, code, number = outcome["ending"], outcome.get("exit_code"), outcome.get("signal")
    if ending == "timeout":
        if time.monotonic() >= until:
            return "timed out: the limit for all gates of one push was reached"
        return f"timed out after {gate.timeout_s:g} s"
    if ending == "log-limit":
        return f"stopped: more than {LOG_LIMIT_BYTES // 1024**2} MiB of output"
    if ending != "exited":
        return f"{ending}: {outcome.get('error') or 'no reason is known'}"
    if outcome.get("survivors"):
        return f"left processes that cannot be ended: {outcome.get('error')}"
    if number:
        return f"killed by signal {number}"
    return {0: "", 126: "exit 126: a program it names is not executable",
            127: "exit 127: a program it names was not found"}.get(int(str(code)), f"exit {code}")  # fmt: skip
