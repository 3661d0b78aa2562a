"""What is demanded of a push, in a form that is read in microseconds.

YAML needs PyYAML, which the hook must not import; the file is compiled once per blob, by a helper
process, to a few lines of text kept under `.git/orchestrator/hook/policy/`.
"""

import os

from orchestrator_action import __version__
from orchestrator_action.hook.base import CONFIG_PATH
from orchestrator_action.hook.fast_git import git, lines_of, read_file, run_program, tool_python, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PROTECTED = ("main", "master", "release/*")
"""As core.config.HookConfig; a test keeps them equal."""
DEFAULT_TIMEOUT_S = 600.0

_HEADER = "orchestrator pre-push policy 5"
_WORDS, _SWITCHES = ("isolation", "other_refs", "trees"), ("fail_fast", "clean", "setup")
_POLICY_LISTS = ("protected", "network", "sandbox_read", "sandbox_write", "setup_commands")
_LISTS = ("inputs", "link", "env", "only", "skip")


class HookGate:
    """One configured gate. `timeout_s` in seconds; the rest as config.schema.Gate."""

    __slots__ = ("cache_s", "command", "env", "inputs", "key", "link", "name", "only", "skip", "timeout_s")

    def __init__(
        self, name: str, command: str, timeout_s: float, key: str = "auto", cache_s: float | None = None
    ) -> None:
        self.name = name
        self.command = command
        self.timeout_s = timeout_s
        self.key = key
        self.cache_s = cache_s
        self.inputs: list[str] = []
        self.link: list[str] = []
        self.env: list[str] = []
        self.only: list[str] = []
        self.skip: list[str] = []


class PushPolicy:
    """What is demanded. `phases` holds only what differs from the default."""

    __slots__ = (
        "clean", "fail_fast", "gates", "isolation", "jobs", "network", "other_refs", "phases", "protected",
        "remotes", "sandbox_read", "sandbox_write", "setup", "setup_commands", "setup_timeout_s", "timeout_s", "trees",
    )  # fmt: skip

    def __init__(self) -> None:
        self.protected: list[str] = []
        self.remotes: list[tuple[str, list[str]]] = []
        """Pairs of a remote's name or URL, with `*` for anything, and the branches protected there."""
        self.other_refs = "judge"
        self.timeout_s = DEFAULT_TIMEOUT_S
        self.jobs = 0
        self.fail_fast = False
        self.clean = True
        self.setup = False
        self.setup_timeout_s = 0.0
        self.setup_commands: list[str] = []
        self.isolation = "auto"
        self.trees = ""
        self.network: list[str] = []
        self.sandbox_read: list[str] = []
        self.sandbox_write: list[str] = []
        self.phases: dict[str, str] = {}
        self.gates: list[HookGate] = []


def default_policy() -> PushPolicy:
    """What holds in a repository without a configuration."""
    policy = PushPolicy()
    policy.protected.extend(DEFAULT_PROTECTED)
    return policy


def load_policy(blob: str, state: str, *, commit: str) -> PushPolicy:
    """The policy in a configuration blob; compiled at most once per blob and version of this tool.

    Raises ConfigError with file and line of every fault.
    """
    path = os.path.join(state, "policy", f"{blob}-{__version__}")
    kept = read_file(path)
    policy = decode_policy(kept) if kept else None
    if policy:
        return policy
    code, text = git("cat-file", "blob", blob)
    if code:  # only our own repository has it: the default branch was never fetched
        code, text = git(f"--git-dir={state}/base.git", "cat-file", "blob", blob)
    if code:
        from orchestrator_action.errors import GitError

        raise GitError(f"{CONFIG_PATH} of {commit[:12]} cannot be read", hint="git fetch, and push again")
    compiled = _compile(text, commit)
    policy = decode_policy(compiled)
    if policy is None:
        raise RuntimeError(f"the compiled policy cannot be read back: {compiled!r}")
    try:
        write_file(path, compiled)
    except OSError:
        pass  # a repository that cannot be written to is only slower
    return policy


def _compile(text: bytes, commit: str) -> bytes:
    """Run the compiler in a full interpreter: the one thing of the hook that needs site-packages."""
    door = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hook.py")
    reader, writer = os.pipe()
    try:
        code, out = run_program((tool_python(), "-I", door, "compile"), stdin=text, stderr=writer)
    finally:
        os.close(writer)
    with open(reader, "rb") as stream:
        words = stream.read().decode("utf-8", "replace").strip()
    if code == 0:
        return out
    if code != 2:
        raise RuntimeError(f"compiling {CONFIG_PATH} failed with exit code {code}: {words}")
    from orchestrator_action.errors import ConfigError

    raise ConfigError(
        f"{CONFIG_PATH} of {commit[:12]} cannot be used:\n{words}",
        hint="mend that file; a push that mends it needs ORCHESTRATOR_SKIP='mends the configuration'",
    )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    plain = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    parts = text.split("\\\\")
    return "\\".join(_unescape_part(part, plain) for part in parts)


def _unescape_part(text: str, plain: dict[str, str]) -> str:
    head, *rest = text.split("\\")
    return head + "".join(plain.get(piece[:1], piece[:1]) + piece[1:] for piece in rest)


def encode_policy(policy: PushPolicy) -> bytes:
    """A policy as lines of tab-separated fields, with an end line that shows a torn file."""
    rows: list[tuple[str, ...]] = [
        (_HEADER,),
        ("timeout", str(policy.timeout_s)),
        ("setup-timeout", str(policy.setup_timeout_s)),
        ("jobs", str(policy.jobs)),
    ]
    rows += [(name, str(getattr(policy, name))) for name in (*_WORDS, *_SWITCHES)]
    rows += [(name, value) for name in _POLICY_LISTS for value in getattr(policy, name)]
    rows += [("remote", match, *patterns) for match, patterns in policy.remotes]
    rows += [("phase", phase, demand) for phase, demand in policy.phases.items()]
    for gate in policy.gates:
        cache = "" if gate.cache_s is None else str(gate.cache_s)
        rows.append(("gate", gate.name, gate.command, str(gate.timeout_s), gate.key, cache))
        rows += [(kind, value) for kind in _LISTS for value in getattr(gate, kind)]
    rows.append(("end", str(len(rows))))
    return "".join("\t".join(map(_escape, row)) + "\n" for row in rows).encode("utf-8", "surrogateescape")


def decode_policy(text: bytes) -> PushPolicy | None:
    """The policy `encode` wrote, or None for anything else: torn, older, not ours."""
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) < 3 or lines[0] != _HEADER or lines[-1] or lines[-2] != f"end\t{len(lines) - 2}":
        return None
    try:
        return _decode(lines[1:-2])
    except (IndexError, ValueError, AttributeError):
        return None


def _decode(lines: list[str]) -> PushPolicy:
    policy = PushPolicy()
    for line in lines:
        kind, *values = map(_unescape, line.split("\t"))
        match kind:
            case "remote":
                policy.remotes.append((values[0], values[1:]))
            case "timeout":
                policy.timeout_s = float(values[0])
            case "setup-timeout":
                policy.setup_timeout_s = float(values[0])
            case "jobs":
                policy.jobs = int(values[0])
            case _ if kind in _WORDS:
                setattr(policy, kind, values[0])
            case _ if kind in _SWITCHES:
                setattr(policy, kind, values[0] == "True")
            case _ if kind in _POLICY_LISTS:
                getattr(policy, kind).append(values[0])
            case "phase":
                policy.phases[values[0]] = values[1]
            case "gate":
                cache_s = float(values[4]) if values[4] else None
                policy.gates.append(HookGate(values[0], values[1], float(values[2]), values[3], cache_s))
            case _ if kind in _LISTS:
                getattr(policy.gates[-1], kind).append(values[0])
            case _:
                raise ValueError(kind)
    return policy


def protects(pattern: str, ref: str) -> bool:
    """Whether a protected-branches pattern means this remote ref. Branches only, unless it says refs/.

    `*` and `?` stay within one name, `**` crosses any number of them: `release/*` means `release/1.2`
    and not `release/1.2/hot`.
    """
    if not pattern.startswith("refs/"):
        pattern = f"refs/heads/{pattern}"
    return _match_names(pattern.split("/"), ref.split("/"))


def remote_names(policy: PushPolicy, remote: str, url: str) -> list[str]:
    """The names that a remote goes by: its own, and those of every other remote at the same URL.

    Whatever a rule says of one name, the other may say more: a second name for a remote opens nothing. Asked of
    git only where the policy speaks of remotes.
    """
    named = any(p.startswith("remote:") for gate in policy.gates for p in (*gate.only, *gate.skip))
    if not named and not policy.remotes:
        return [remote]
    _, out = git("remote", "-v")
    names = [remote]
    for line in lines_of(out):
        name, _, rest = line.partition("\t")
        if _plain_url(rest.rpartition(" (")[0]) == _plain_url(url) and name not in names:
            names.append(name)
    return names


def _plain_url(url: str) -> str:
    """A URL without what servers pass over, and a local path without what leads to it."""
    plain = url.rstrip("/").removesuffix(".git")
    local = "://" not in plain and ":" not in plain.partition("/")[0]
    return os.path.realpath(plain.removeprefix("file://")) if local or plain.startswith("file://") else plain


def protected_at(policy: PushPolicy, remotes: "Sequence[str]", url: str) -> list[str]:
    """The protected branches of a remote that goes by these names: the first rule for each, or the usual ones."""
    found: list[str] = []
    for remote in remotes:
        own = (branches for match, branches in policy.remotes if matches_remote(match, remote, url))
        found += next(own, policy.protected)
    return found


def applies(gate: HookGate, ref: str, remote: str, url: str) -> bool:
    """Whether a gate is for pushes of this remote ref to this remote, by its `only` and `skip`."""
    if gate.only and not any(_means(pattern, ref, remote, url) for pattern in gate.only):
        return False
    return not any(_means(pattern, ref, remote, url) for pattern in gate.skip)


def _means(pattern: str, ref: str, remote: str, url: str) -> bool:
    if pattern.startswith("remote:"):
        return matches_remote(pattern.removeprefix("remote:"), remote, url)
    return protects(pattern, ref)


def matches_remote(pattern: str, remote: str, url: str) -> bool:
    """Whether a pattern, with `*` for anything, is a remote's name or URL."""
    return _match_name(pattern, remote) or _match_name(pattern, url)


def _match_names(pattern: list[str], names: list[str]) -> bool:
    if not pattern:
        return not names
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(names)
        return any(_match_names(pattern[1:], names[i:]) for i in range(len(names) + 1))
    return bool(names) and _match_name(pattern[0], names[0]) and _match_names(pattern[1:], names[1:])


def _match_name(pattern: str, name: str) -> bool:
    """One name against one pattern; the usual two-pointer walk, linear but for the last star."""
    p = n = mark = 0
    star = -1
    while n < len(name):
        if p < len(pattern) and pattern[p] in ("?", name[n]) and pattern[p] != "*":
            p, n = p + 1, n + 1
        elif p < len(pattern) and pattern[p] == "*":
            star, mark = p, n
            p += 1
        elif star >= 0:
            mark += 1
            p, n = star + 1, mark
        else:
            return False
    return all(c == "*" for c in pattern[p:])
