"""What is demanded of a push, and where that is read: from the base, never from the pushed commit.

The base is the default branch of the remote as this clone last saw it: `refs/remotes/<remote>/HEAD`, or
`main`, or `master` there. A remote this clone has never seen anything of (pushing to a URL, a second
remote) is judged by `origin`, then by any other remote. So a commit cannot unprotect its own target: its
`.github/orchestrator.yml` counts once it has arrived at the default branch. Only a repository that knows
no remote branch at all has no base; then the pushed commit's file is all there is, and it can add to the
default protection but not take from it.

YAML needs PyYAML, which the hook must not import; the file is compiled once per blob, by a helper
process, to a few lines of text kept under `.git/orchestrator/hook/policy/`.
"""

import os
import sys

from orchestrator_action import __version__
from orchestrator_action.hook.fast_git import git, read_file, run, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG_PATH = ".github/orchestrator.yml"
"""As core.config.CONFIG_PATH, whose module would cost 20 ms here; a test keeps them equal."""
DEFAULT_PROTECTED = ("main", "master", "release/*")
"""As core.config.HookConfig; a test keeps them equal."""
DEFAULT_TIMEOUT_S = 600.0

_HEADER = "orchestrator pre-push policy 1"
_USUAL = ("HEAD", "main", "master")
_LESS_USUAL = ("trunk", "develop", "default", "dev")


class Gate:
    """One configured gate. `timeout_s` in seconds; the rest as core.config.Gate."""

    __slots__ = ("command", "env", "inputs", "link", "name", "timeout_s")

    def __init__(self, name: str, command: str, timeout_s: float) -> None:
        self.name = name
        self.command = command
        self.timeout_s = timeout_s
        self.inputs: list[str] = []
        self.link: list[str] = []
        self.env: list[str] = []


class Policy:
    """What is demanded. `phases` holds only what differs from the default."""

    __slots__ = ("gates", "phases", "protected", "timeout_s")

    def __init__(self) -> None:
        self.protected: list[str] = []
        self.timeout_s = DEFAULT_TIMEOUT_S
        self.phases: dict[str, str] = {}
        self.gates: list[Gate] = []


def default_policy() -> Policy:
    """What holds in a repository without a configuration."""
    policy = Policy()
    policy.protected.extend(DEFAULT_PROTECTED)
    return policy


class Base:
    """The commit that says what is demanded. `commit` and `blob` are empty when there is none."""

    __slots__ = ("blob", "commit", "ref", "seen")

    def __init__(self, ref: str = "", commit: str = "", blob: str = "", *, seen: bool = False) -> None:
        self.ref = ref
        self.commit = commit
        self.blob = blob
        self.seen = seen
        """Whether anything is known of the very remote that is pushed to."""


def ask_objects(specs: "Sequence[str]") -> dict[str, str]:
    """The object id of each spec that exists, in one git process."""
    code, out = git(
        "cat-file", "--batch-check=%(objectname)", stdin="".join(f"{s}\n" for s in specs).encode()
    )
    answers = out.decode("utf-8", "surrogateescape").splitlines()
    if code or len(answers) != len(specs):
        from orchestrator_action.errors import GitError

        raise GitError(f"git cat-file --batch-check failed with exit code {code}", hint="run git fsck")
    return {
        spec: oid for spec, oid in zip(specs, answers, strict=True) if len(oid) in (40, 64) and " " not in oid
    }


def base_specs(remote: str) -> list[str]:
    """What to ask about the usual places of a base, for `ask_objects`."""
    return [
        spec
        for name in _USUAL
        for spec in (
            f"refs/remotes/{remote}/{name}^{{commit}}",
            f"refs/remotes/{remote}/{name}:{CONFIG_PATH}",
        )
    ]


def find_base(remote: str, known: dict[str, str]) -> Base:
    """The base of a push to `remote`; `known` holds the answers to `base_specs(remote)`."""
    for name in _USUAL:
        ref = f"refs/remotes/{remote}/{name}"
        commit = known.get(f"{ref}^{{commit}}")
        if commit:
            return Base(ref, commit, known.get(f"{ref}:{CONFIG_PATH}", ""), seen=True)
    _, out = git("for-each-ref", "--format=%(refname)", "refs/remotes")
    refs = out.decode("utf-8", "surrogateescape").splitlines()
    own = f"refs/remotes/{remote}/"
    order = (*_USUAL, *_LESS_USUAL)

    def rank(ref: str) -> tuple[int, int, str]:
        where = 0 if ref.startswith(own) else 1 if ref.startswith("refs/remotes/origin/") else 2
        leaf = ref.rpartition("/")[2]
        return where, order.index(leaf) if leaf in order else len(order), ref

    seen = any(ref.startswith(own) for ref in refs)
    for ref in sorted(refs, key=rank):
        found = ask_objects([f"{ref}^{{commit}}", f"{ref}:{CONFIG_PATH}"])
        commit = found.get(f"{ref}^{{commit}}")
        if commit:
            return Base(ref, commit, found.get(f"{ref}:{CONFIG_PATH}", ""), seen=seen)
    return Base(seen=seen)


def load_policy(blob: str, state: str, *, commit: str) -> Policy:
    """The policy in a configuration blob; compiled at most once per blob and version of this tool.

    Raises ConfigError with file and line of every fault.
    """
    path = os.path.join(state, "policy", f"{blob}-{__version__}")
    kept = read_file(path)
    policy = decode(kept) if kept else None
    if policy:
        return policy
    _, text = git("cat-file", "blob", blob)
    compiled = _compile(text, commit)
    policy = decode(compiled)
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
        code, out = run((sys.executable, "-I", door, "compile"), stdin=text, stderr=writer)
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


def encode(policy: Policy) -> bytes:
    """A policy as lines of tab-separated fields, with an end line that shows a torn file."""
    rows: list[tuple[str, ...]] = [(_HEADER,), ("timeout", str(policy.timeout_s))]
    rows += [("protected", pattern) for pattern in policy.protected]
    rows += [("phase", phase, demand) for phase, demand in policy.phases.items()]
    for gate in policy.gates:
        rows.append(("gate", gate.name, gate.command, str(gate.timeout_s)))
        rows += [("inputs", value) for value in gate.inputs]
        rows += [("link", value) for value in gate.link]
        rows += [("env", value) for value in gate.env]
    rows.append(("end", str(len(rows))))
    return "".join("\t".join(map(_escape, row)) + "\n" for row in rows).encode("utf-8", "surrogateescape")


def decode(text: bytes) -> Policy | None:
    """The policy `encode` wrote, or None for anything else: torn, older, not ours."""
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) < 3 or lines[0] != _HEADER or lines[-1] or lines[-2] != f"end\t{len(lines) - 2}":
        return None
    try:
        return _decode(lines[1:-2])
    except (IndexError, ValueError, AttributeError):
        return None


def _decode(lines: list[str]) -> Policy:
    policy = Policy()
    for line in lines:
        kind, *values = map(_unescape, line.split("\t"))
        match kind:
            case "protected":
                policy.protected.append(values[0])
            case "timeout":
                policy.timeout_s = float(values[0])
            case "phase":
                policy.phases[values[0]] = values[1]
            case "gate":
                policy.gates.append(Gate(values[0], values[1], float(values[2])))
            case _:
                getattr(policy.gates[-1], kind).append(values[0])
    return policy


def protects(pattern: str, ref: str) -> bool:
    """Whether a protected-branches pattern means this remote ref. Branches only, unless it says refs/.

    `*` and `?` stay within one name, `**` crosses any number of them: `release/*` means `release/1.2`
    and not `release/1.2/hot`.
    """
    if not pattern.startswith("refs/"):
        pattern = f"refs/heads/{pattern}"
    return _match_names(pattern.split("/"), ref.split("/"))


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
