"""The file that installed hooks call by its path: `python -I -S -E …/hook.py pre-push STUB REMOTE URL`.

With -S there are no site-packages and with -I no current directory on `sys.path`, so that nothing of the
checkout is ever imported. The package finds itself by this file's place; its parent directory goes last,
so that nothing there can stand in for the standard library. The folder `hook/` beside it has the code; for
an import the folder wins over this file, which stays for the hooks that were installed with its path.
"""

import os
import sys

_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _PARENT not in sys.path:
    sys.path.append(_PARENT)

if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - a hook finds whatever its interpreter has become
        found = ".".join(map(str, sys.version_info[:2]))
        words = f"error: {sys.executable} is Python {found}; orchestrator-action needs 3.11 or newer\n"
        os.write(2, words.encode())
        os.write(2, b"hint: install it for a newer Python, then: orchestrator-action hook install\n")
        os.write(2, b"nothing was pushed\n")
        os._exit(70)
    try:
        from orchestrator_action.hook.main import exit_at_once, main
    except (
        ImportError,
        SyntaxError,
        AttributeError,
    ) as exc:  # half of the package is gone: a reason, no traceback
        os.write(2, f"error: orchestrator-action is damaged: {exc}\n".encode())
        os.write(2, b"hint: install it again, then: orchestrator-action hook install\nnothing was pushed\n")
        os._exit(70)
    exit_at_once(main())
