"""The console script `orchestrator-action`.

A token leaves the environment before anything else is done, see `own_environment`.

A push waits for `hook pre-push`, so that goes straight to the hook's own door and imports nothing but the
standard library's smallest parts. Everything else is a command with options, see `app`.
"""

import sys

WAITED_FOR = (["hook", "pre-push"], ["hook", "pre-commit"])
"""What hook managers start while somebody waits for a push."""


def main() -> None:
    """Do what the command line says, and end this process."""
    if sys.argv[1:3] in WAITED_FOR and "--help" not in sys.argv:
        from orchestrator_action.hook import main as hook

        hook.exit_at_once(hook.main(sys.argv[2:]))
    import gc
    import signal

    gc.set_threshold(10_000)  # what is imported stays: looking for garbage in it took a tenth of the start
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # until `enter`, which ends in words: no traceback of an import
    from orchestrator_action.process.own_environment import take_secrets

    if sys.argv[1:2] != ["hook"] and take_secrets():
        from orchestrator_action.process.table import make_undumpable

        make_undumpable()
    from orchestrator_action.cli.entry import enter

    enter()


if __name__ == "__main__":
    main()
