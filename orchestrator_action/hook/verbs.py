"""`orchestrator-action hook …`: the verbs, for the command line and for other hook managers."""

from orchestrator_action.errors import ConfigError, GitError
from orchestrator_action.hook import base as bases
from orchestrator_action.hook.fast_git import find_site, git, tell_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

HOOK_USAGE = (
    "orchestrator-action hook install | uninstall | status | run [--gate NAME] [--all] [REF] | audit | clean"
)


def command(verb: str, arguments: "Sequence[str]") -> int:
    """Run one verb; its exit code. Raises OrchestratorError for what the user can mend."""
    match verb, list(arguments):
        case "install" | "uninstall" | "status", []:
            from orchestrator_action.hook import install

            verbs = {
                "install": install.install_hook,
                "uninstall": install.uninstall_hook,
                "status": install.print_status,
            }
            return verbs[verb]()
        case "audit", []:
            from orchestrator_action.hook.audit import print_audit

            return print_audit()
        case "clean", []:
            from orchestrator_action.hook.litter import clean_litter

            print("\n".join(clean_litter()) or "nothing to remove")
            return 0
        case "run", _:
            return run_here(*_run_options(arguments))
        case "pre-commit", []:
            from orchestrator_action.hook.pre_commit import from_pre_commit

            return from_pre_commit()
        case "walls", []:
            from orchestrator_action.hook import make_walls

            return make_walls.main()
        case "setup", [question]:
            from orchestrator_action.hook import make_setup

            return make_setup.main(question)
        case "compile", []:
            from orchestrator_action.hook.compile_policy import main

            return main()
        case _:
            raise ConfigError(
                f"not a hook command: {' '.join([verb, *arguments]).strip()!r}", hint=HOOK_USAGE
            )


def _run_options(arguments: "Sequence[str]") -> "tuple[str, list[str], bool]":
    """`[--gate NAME]… [--all] [REF]`: the commit, the gates asked for, whether to run all of them anew."""
    refs, names, anew = [], [], False
    words = iter(arguments)
    for word in words:
        if word == "--gate":
            names.append(next(words, ""))
        elif word == "--all":
            anew = True
        elif word.startswith("-"):
            raise ConfigError(f"not an option of `hook run`: {word}", hint=HOOK_USAGE)
        else:
            refs.append(word)
    if len(refs) > 1:
        raise ConfigError("`hook run` takes one commit", hint=HOOK_USAGE)
    return (refs or ["HEAD"])[0], names, anew


def run_here(ref: str, names: "Sequence[str]" = (), anew: bool = False) -> int:
    """Run the gates of `ref` as a push would, and remember what passes: then the push runs none.

    `names` are the gates to run, all when empty; `anew` runs those that have passed before, too.
    Raises GitError when there is no such commit, ConfigError when there is no such gate.
    """
    from orchestrator_action.hook.demands import Demands
    from orchestrator_action.hook.push import Push, Ref, find_work, run_gates

    where = find_site()
    code, out = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if code:
        raise GitError(f"there is no commit {ref!r}", hint="give a branch, a tag or a commit id")
    commit = out.decode().strip()
    refs = [Ref(ref, commit, "refs/heads/(none)", "0" * len(commit))]
    demands = Demands(refs)
    policy = demands.policy
    if names:
        policy.gates = [gate for gate in policy.gates if gate.name in names]
        unknown = [name for name in names if name not in [gate.name for gate in policy.gates]]
        if unknown:
            raise ConfigError(
                f"there is no gate {unknown[0]!r}", hint=f"see hook.gates in {bases.CONFIG_PATH} of the base"
            )
    if not policy.gates:
        tell_user(
            "orchestrator: no gates are configured (hook.gates in .github/orchestrator.yml of the base)"
        )
        for line in demands.not_yet():
            tell_user(f"orchestrator: {line}")
        return 0
    push = Push(demands.remote, demands.url, demands.base.commit, [demands.remote], pushing=False)
    work = find_work(policy, refs, demands.known, where, push, anew=anew)
    if not work:
        tell_user(f"orchestrator: every gate has passed at {commit[:12]} before; a push runs none")
    return run_gates(policy, work, where, push)
