"""`orchestrator-action hook …`: the verbs, for the command line and for other hook managers."""

import os

from orchestrator_action.errors import ConfigError, GitError
from orchestrator_action.hook import policy as rules
from orchestrator_action.hook.fast_git import find_site, git, tell_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = "orchestrator-action hook install | uninstall | status | run [REF] | audit"


def command(verb: str, arguments: "Sequence[str]") -> int:
    """Run one verb; its exit code. Raises OrchestratorError for what the user can mend."""
    match verb, list(arguments):
        case "install" | "uninstall" | "status", []:
            from orchestrator_action.hook import install

            return int(getattr(install, verb)())
        case "audit", []:
            from orchestrator_action.hook.audit import audit

            return audit()
        case "run", [] | [_]:
            return run_here(arguments[0] if arguments else "HEAD")
        case "pre-commit", []:
            from orchestrator_action.hook.pre_commit import from_pre_commit

            return from_pre_commit()
        case "compile", []:
            from orchestrator_action.hook.compile_policy import main

            return main()
        case _:
            raise ConfigError(f"not a hook command: {' '.join([verb, *arguments]).strip()!r}", hint=USAGE)


def run_here(ref: str) -> int:
    """Run the gates of `ref` as a push would, and remember what passes: then the push runs none.

    Raises GitError when there is no such commit.
    """
    from orchestrator_action.hook.push import Ref, find_work, object_specs, policy_of, run_gates

    where = find_site()
    code, out = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if code:
        raise GitError(f"there is no commit {ref!r}", hint="give a branch, a tag or a commit id")
    commit, remote = out.decode().strip(), _default_remote()
    refs = [Ref(ref, commit, ref, "0" * len(commit))]
    known = rules.ask_objects([*rules.base_specs(remote), *object_specs(refs)])
    policy = policy_of(rules.find_base(remote, known), refs, known, where)
    if not policy.gates:
        tell_user(
            "orchestrator: no gates are configured (hook.gates in .github/orchestrator.yml of the base)"
        )
        return 0
    work = find_work(policy, refs, known, where)
    if not work:
        tell_user(f"orchestrator: every gate has passed at {commit[:12]} before; a push runs none")
    return run_gates(policy, work, where, pushing=False)


def _default_remote() -> str:
    """Where `git push` would go, as far as it is configured; else `origin`."""
    _, out = git("rev-parse", "--abbrev-ref", "@{push}")
    _, names = git("remote")
    known = os.fsdecode(names).splitlines()
    target = os.fsdecode(out).strip()
    fitting = [name for name in known if target.startswith(f"{name}/")]
    if fitting:
        return max(fitting, key=len)
    return "origin" if "origin" in known or not known else known[0]
