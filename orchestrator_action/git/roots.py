"""The folder for trees: outside the checkout, on a path without a component that begins with a dot.

Test runners, file servers and watchers pass over such folders, and tools that look upwards from a tree
inside the checkout would find the checkout's own packages and settings. The trees of tasks and those of a
push's gates lie in it. Standard library only, and paths are strings: a push waits for this.
"""

import os
import stat

from orchestrator_action.errors import WorktreeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED_TEMP = "/var/tmp"  # noqa: S108 - the folder made in it is checked for its owner
"""On disk, and not emptied when the machine starts."""
TREES_FOLDER = "orchestrator"
_ELSEWHERE = "name another folder with `trees` in the configuration"


def trees_root(env: "Mapping[str, str]", setting: str = "") -> str:
    """The folder for all trees: as configured, the runner's own, or one of the user's in `/var/tmp`.

    `setting` is `trees` of the configuration. Nothing is made here. Raises WorktreeError for a setting that
    is no absolute path, or has a component that begins with a dot.
    """
    if setting:
        return _configured(os.path.normpath(os.path.expanduser(setting)))
    runner = env.get("RUNNER_TEMP", "")
    if os.path.isabs(runner) and os.path.isdir(runner) and not _is_hidden(runner):
        return os.path.join(runner, TREES_FOLDER)
    return f"{SHARED_TEMP}/{TREES_FOLDER}-{os.geteuid()}"


def _configured(path: str) -> str:
    if not os.path.isabs(path):
        raise WorktreeError(f"trees: {path} is not absolute", hint="give a path that begins with /")
    if _is_hidden(path):
        raise WorktreeError(
            f"trees: {path} has a folder that begins with a dot",
            hint="name one without: test tools pass over hidden folders",
        )
    return path


def _is_hidden(path: str) -> bool:
    return "/." in path


def make_root(root: str) -> str:
    """Make the folder for trees, open to its owner only; returns its real path.

    Raises WorktreeError when it is a link, or belongs to somebody else.
    """
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        found = os.lstat(root)
    except FileExistsError:
        raise WorktreeError(f"{root} is not a directory", hint=_ELSEWHERE) from None
    except OSError as exc:
        raise WorktreeError(f"{root} cannot be made: {exc.strerror}", hint=_ELSEWHERE) from exc
    if not stat.S_ISDIR(found.st_mode):
        raise WorktreeError(f"{root} is not a directory", hint=_ELSEWHERE)
    if found.st_uid != os.geteuid():
        raise WorktreeError(f"{root} belongs to somebody else (uid {found.st_uid})", hint=_ELSEWHERE)
    if found.st_mode & 0o077:
        os.chmod(root, 0o700)
    return os.path.realpath(root)
