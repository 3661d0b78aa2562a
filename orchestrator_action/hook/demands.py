"""What would be demanded of a push from here: for `hook run`, which does it, and `hook status`, which says it."""

import os

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.hook import base as bases
from orchestrator_action.hook import policy as rules
from orchestrator_action.hook.fast_git import find_site, git, lines_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator_action.hook.push import Ref


class Demands:
    """The policy for a push to `remote`, the base that says so, and what is known of the objects asked for."""

    __slots__ = ("_top", "base", "known", "policy", "remote", "url")

    def __init__(self, refs: "Sequence[Ref]") -> None:
        from orchestrator_action.hook.push import object_specs, policy_of

        where = find_site()
        self._top = where.top
        self.remote = _default_remote()
        self.url = os.fsdecode(git("remote", "get-url", "--push", self.remote)[1]).strip()
        memory = bases.remembered_base(where, self.remote, self.url)
        self.known = bases.ask_objects([*bases.base_specs(self.remote, memory), *object_specs(refs)])
        self.base = bases.find_base(self.remote, self.url, self.known, memory, where, ask=False)
        self.policy = policy_of(self.base, refs, self.known, where)

    def lines(self) -> list[str]:
        """Who demands what, in words. No remote is asked: it is what is known here of the default branch."""
        protected = rules.protected_at(self.policy, [self.remote], self.url)
        gates = ", ".join(gate.name for gate in self.policy.gates)
        return [
            f"judged by: {self._who()}",
            f"protected: {', '.join(protected) or 'nothing'}",
            f"gates: {gates or f'none (hook.gates in {bases.CONFIG_PATH})'}",
            *self.not_yet(),
        ]

    def not_yet(self) -> list[str]:
        """A line that says of a configuration in the checkout that it does not count yet; none where it does."""
        file = os.path.join(self._top, bases.CONFIG_PATH)
        if not self.base.commit or not self._top or not os.path.isfile(file):
            return []
        blob = git("hash-object", f"--path={bases.CONFIG_PATH}", file)[1].decode().strip()
        if blob in ("", self.base.blob):
            return []
        return [f"not yet: {bases.CONFIG_PATH} in your checkout; it counts once it is on {self._branch()}"]

    def _who(self) -> str:
        if self.base.blob:
            return f"{bases.CONFIG_PATH} of {self.base.commit[:12]} ({self._branch()})"
        if self.base.commit:
            return f"the default policy; {self._branch()} has no {bases.CONFIG_PATH} yet"
        return f"the default policy, and {bases.CONFIG_PATH} of what is pushed; no remote branch is known"

    def _branch(self) -> str:
        return self.base.ref.removeprefix("refs/remotes/") or self.remote


def demands_in_words() -> list[str]:
    """As `Demands.lines`, or why nothing can be pushed as it stands."""
    try:
        return Demands([]).lines()
    except OrchestratorError as exc:
        return [f"every push is refused: {exc.message}", *([f"hint: {exc.hint}"] if exc.hint else [])]


def _default_remote() -> str:
    """Where `git push` would go, as far as it is configured; else `origin`."""
    _, out = git("rev-parse", "--abbrev-ref", "@{push}")
    _, names = git("remote")
    known = lines_of(names)
    target = os.fsdecode(out).strip()
    fitting = [name for name in known if target.startswith(f"{name}/")]
    if fitting:
        return max(fitting, key=len)
    return "origin" if "origin" in known or not known else known[0]
