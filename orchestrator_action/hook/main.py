"""The pre-push hook's verbs: `pre-push` from git, `pre-commit` from that manager, `compile`, and the user's.

Nothing but `os` and `sys` is imported before it is known what is asked: `git push` waits for this.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(argv: "list[str] | None" = None) -> int:
    """Run one verb; the exit code. Never raises: a hook that breaks must refuse and say so."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return 130
    except Exception as exc:  # noqa: BLE001 - the last word to a user who only wanted to push
        try:
            return _explain(exc, arguments)
        except Exception:  # noqa: BLE001 - not even our own package is whole
            os.write(2, f"error: orchestrator-action is damaged: {exc}\n".encode())
            os.write(
                2, b"hint: install it again, then: orchestrator-action hook install\nnothing was pushed\n"
            )
            return 70


def _run(arguments: "list[str]") -> int:
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb == "pre-push":
        from orchestrator_action.hook.push import judge_stdin

        # The stub gives its own path first; another manager's line gives git's two arguments only.
        return judge_stdin(rest[0], rest[1:]) if len(rest) > 2 else judge_stdin("", rest)
    from orchestrator_action.hook.verbs import command

    return command(verb, rest)


def _explain(exc: Exception, arguments: "list[str]") -> int:
    from orchestrator_action.hook.crash import explain_crash

    return explain_crash(exc, pushing=arguments[:1] in (["pre-push"], ["pre-commit"]))


def exit_at_once(code: int) -> "NoReturn":
    """End this process: taking the interpreter apart would cost every push 2 ms."""
    if sys.stdout is not None:
        sys.stdout.flush()
    os._exit(code)
