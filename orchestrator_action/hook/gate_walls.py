"""The walls that gates run within, at the level that holds here; remembered, for a push cannot wait for a probe.

A gate may write its tree, its repository and a private HOME and /tmp; it reads the system, the objects of
the user's repository and what `link` and `sandbox.read` name.
"""

import json
import os
import time

from orchestrator_action import __version__
from orchestrator_action.git.file_formats import object_folders
from orchestrator_action.hook.fast_git import read_file, run_program, tool_python, write_file
from orchestrator_action.hook.passes import program_words, short_digest
from orchestrator_action.sandbox.sockets import socket_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator_action.hook.gate_checkout import GateTree
    from orchestrator_action.hook.policy import PushPolicy

_HIDDEN_ANYWAY = ("/tmp/", "/run/", "/var/run/", "/var/tmp/")  # noqa: S108 - nothing is made there
"""Socket files there, and in a home, come and go, and change nothing of the walls."""
WALLS_ASKED_AGAIN_AFTER_S = 3600.0
_VOLATILE = ("_", "SHLVL", "OLDPWD", "WINDOWID", "ORCHESTRATOR_GATE", "COLUMNS", "LINES")
"""Variables that have nothing to do with walls and are others in every push."""


class GateWalls:
    """What stands before a gate's command, and the environment within."""

    __slots__ = ("_set", "_unset", "level", "prefix", "said")

    def __init__(self, answer: dict[str, object]) -> None:
        self.level = str(answer["level"])
        self.said = str(answer["said"])
        self.prefix: list[str] = list(answer["prefix"])  # type: ignore[call-overload]
        self._set: dict[str, str] = dict(answer["set"])  # type: ignore[call-overload]
        self._unset: list[str] = list(answer["unset"])  # type: ignore[call-overload]

    def within(self, env: "Mapping[str, str]") -> dict[str, str]:
        """An environment as it is true within the walls."""
        return {k: v for k, v in {**env, **self._set}.items() if k not in self._unset}


def walls_for(
    policy: "PushPolicy", tree: "GateTree", env: "Mapping[str, str]", *, command: str, links: "list[str]"
) -> GateWalls | None:
    """The walls of a gate; None when isolation is off.

    Raises ConfigError when the configuration requires more than holds here.
    """
    if policy.isolation == "off":
        return None
    question = {
        "isolation": policy.isolation,
        "network": policy.network,
        "read": policy.sandbox_read,
        "write": policy.sandbox_write,
        "env": {k: v for k, v in env.items() if k not in _VOLATILE},
        "own": [tree.tree, tree.git_dir],
        "reads": [
            *object_folders(os.path.join(tree.site.common, "objects")),
            *links,
            *_named_tools(command),
            f"{tree.home}/changed-files",
        ],
        "scratch": f"{tree.home}/scratch",
        "cwd": tree.tree,
        "checkout": tree.site.top,
        "sockets": [
            path
            for path in socket_files()
            if not path.startswith((*_HIDDEN_ANYWAY, f"{env.get('HOME', '/root')}/"))
        ],
    }
    text = json.dumps(question, sort_keys=True).encode()
    kept = os.path.join(tree.home, f"walls-{short_digest(text + __version__.encode(), 8)}")
    answer = _remembered(kept) or _ask(text)
    if "at" not in answer:
        write_file(kept, json.dumps({**answer, "at": time.time()}).encode())
    for name in ("home", "tmp"):
        os.makedirs(os.path.join(tree.home, "scratch", name), mode=0o700, exist_ok=True)
    return GateWalls(answer)


def _remembered(path: str) -> dict[str, object]:
    try:
        answer: dict[str, object] = json.loads(read_file(path) or b"{}")
        fresh = 0 <= time.time() - float(str(answer.get("at", 0))) < WALLS_ASKED_AGAIN_AFTER_S
    except ValueError:
        return {}
    return answer if fresh else {}


def _ask(question: bytes) -> dict[str, object]:
    door = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hook.py")
    reader, writer = os.pipe()
    try:
        code, out = run_program((tool_python(), "-I", door, "walls"), stdin=question, stderr=writer)
    finally:
        os.close(writer)
    with open(reader, "rb") as stream:
        words = stream.read().decode("utf-8", "replace").strip()
    if code == 0:
        answer: dict[str, object] = json.loads(out)
        return answer
    if code != 2:
        raise RuntimeError(f"looking for walls failed with exit code {code}: {words}")
    from orchestrator_action.errors import ConfigError

    what, _, hint = words.partition("\n")
    raise ConfigError(what, hint=hint)


def _named_tools(command: str) -> "Iterator[str]":
    """The programs that a command names by their whole path, each with the environment it belongs to."""
    for word in program_words(command):
        if os.path.isabs(word) and os.path.isfile(word) and os.access(word, os.X_OK):
            yield os.path.realpath(word)
            prefix = os.path.dirname(os.path.dirname(word))
            yield prefix if os.path.isfile(f"{prefix}/pyvenv.cfg") else word
