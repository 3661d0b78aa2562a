"""Set-up of a gate tree, as a run's trees have it: asked of a helper process with the whole package.

Only where the configuration says `setup: true` and a gate has to run: a push that is remembered installs nothing.
"""

import json
import os
import time

from orchestrator_action.hook.fast_git import read_file, tell_user, tool_python, write_file
from orchestrator_action.hook.gate_env import git_env, is_secret
from orchestrator_action.hook.push_watch import PushWatch, run_watched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator_action.hook.gate_checkout import GateTree
    from orchestrator_action.hook.policy import PushPolicy


class ReadyTree:
    """What a tree that was set up gives its gates: folders for PATH, variables."""

    __slots__ = ("_path", "_variables")

    def __init__(self, path: list[str], variables: dict[str, str]) -> None:
        self._path = path
        self._variables = variables

    def within(self, env: dict[str, str]) -> dict[str, str]:
        """An environment with the tree's own programs first."""
        path = os.pathsep.join([*self._path, env.get("PATH", "")]) if self._path else env.get("PATH", "")
        return {**env, **self._variables, "PATH": path}


AS_IT_IS = ReadyTree([], {})


def set_up(policy: "PushPolicy", tree: "GateTree", *, until: float, watch: PushWatch) -> ReadyTree:
    """Make the tree ready by `setup` of the configuration, or as its files ask for.

    Raises ConfigError naming the command that failed, Stopped when nobody waits for it any more.
    """
    if not policy.setup:
        return AS_IT_IS
    asked, answered, log = (
        os.path.join(tree.home, f"setup{end}") for end in (".json", "-answer.json", ".log")
    )
    left_s = until - time.monotonic()
    question = {
        "tree": tree.tree, "home": tree.home, "own": [tree.tree, tree.git_dir],
        "common": tree.site.common, "checkout": tree.site.top,
        "cache": os.path.join(tree.site.state, "setup"), "commands": policy.setup_commands,
        "timeout_s": min(policy.setup_timeout_s or left_s, left_s), "isolation": policy.isolation,
        "network": policy.network, "read": policy.sandbox_read, "write": policy.sandbox_write,
        "env": {k: v for k, v in git_env(os.environ).items() if not is_secret(k, v)}, "answer": answered,
    }  # fmt: skip
    write_file(asked, json.dumps(question).encode())
    code = _run(asked, log, watch)
    words = (read_file(log) or b"").decode("utf-8", "replace").strip()
    if code == 0:
        answer = json.loads(read_file(answered) or b"{}")
        for line in answer["did"]:
            tell_user(f"orchestrator: set-up: {line}")
        return ReadyTree(answer["path"], answer["variables"])
    if code != 2:
        raise RuntimeError(f"the set-up of the gates' tree failed with exit code {code}: {words}")
    from orchestrator_action.errors import ConfigError

    what, _, hint = words.partition("\n")
    raise ConfigError(what, hint=hint)


def _run(asked: str, log: str, watch: PushWatch) -> int:
    door = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hook.py")
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        words = (tool_python(), "-I", door, "setup", asked)
        return run_watched(words, git_env(os.environ), stderr=fd, watch=watch)
    finally:
        os.close(fd)
