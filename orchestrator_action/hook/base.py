"""The commit that says what is demanded of a push: the default branch of the remote, as the remote has it.

A commit cannot unprotect its own target: its `.github/orchestrator.yml` counts once it has arrived at the
default branch. Which branch that is, and which configuration it holds, is asked of the remote once and
remembered for a day: default branches get other names. Within it, a remote-tracking branch that holds the same
configuration needs no further question; one that holds another (it was fetched, or moved by hand) is believed
after the remote was asked again.

A remote without a configuration of its own, such as a fork that is behind, is judged by `origin`, then by
any other remote. Only a repository that knows no remote branch at all has no base; then the pushed
commit's file is all there is, and it can add to the default protection but not take from it.
"""

import os

from orchestrator_action.hook.fast_git import PushSite, git, lines_of, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG_PATH = ".github/orchestrator.yml"
"""As core.config.CONFIG_PATH, whose module would cost 20 ms here; a test keeps them equal."""
NEAR_MISS = ".github/orchestrator.yaml"
FOLDER = ".github"
BASE_ASKED_AGAIN_AFTER_S = 86400.0

_HEADER = "orchestrator base 1"
USUAL_BRANCHES = ("main", "master", "trunk", "develop", "default", "dev")
"""Names of default branches, the likeliest first."""
_USUAL = ("HEAD", *USUAL_BRANCHES)


class PolicyBase:
    """The commit that says what is demanded. `commit` and `blob` are empty when there is none."""

    __slots__ = ("blob", "commit", "fault", "ref", "seen")

    def __init__(
        self, ref: str = "", commit: str = "", blob: str = "", fault: str = "", *, seen: bool = False
    ) -> None:
        self.ref = ref
        self.commit = commit
        self.blob = blob
        self.fault = fault
        """Why the configuration there is none, in words, though something is in its place."""
        self.seen = seen
        """Whether anything is known of the very remote that is pushed to."""


class KnownBase:
    """What the remote answered when it was last asked. `url` is its `url_mark`, `at` in epoch seconds."""

    __slots__ = ("at", "blob", "branch", "commit", "fault", "url")

    def __init__(self, url: str, branch: str, commit: str, blob: str, fault: str, at: float) -> None:
        self.url = url
        self.branch = branch
        self.commit = commit
        self.blob = blob
        self.fault = fault
        self.at = at


class Objects(dict[str, str]):
    """Object ids by what was asked; `kinds` has the type of each."""

    __slots__ = ("kinds",)

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[str, str] = {}


def ask_objects(specs: "Sequence[str]") -> Objects:
    """The object id of each spec that exists, in one git process."""
    wanted = "".join(f"{spec}\n" for spec in specs).encode("utf-8", "surrogateescape")
    code, out = git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=wanted)
    answers = lines_of(out)
    if code or len(answers) != len(specs):
        from orchestrator_action.errors import GitError

        raise GitError(f"git cat-file --batch-check failed with exit code {code}", hint="run git fsck")
    found = Objects()
    for spec, answer in zip(specs, answers, strict=True):
        oid, _, kind = answer.rpartition(" ")
        if len(oid) in (40, 64) and " " not in oid:
            found[spec] = oid
            found.kinds[spec] = kind
    return found


def commit_specs(commit: str) -> list[str]:
    """What to ask about a commit's configuration."""
    return [f"{commit}^{{commit}}", *(f"{commit}:{path}" for path in (CONFIG_PATH, NEAR_MISS, FOLDER))]


def config_text_at(commit: str, known: Objects) -> tuple[str, str]:
    """The configuration's blob, or an empty string, and what is wrong with its place, or an empty string."""
    spec = f"{commit}:{CONFIG_PATH}"
    if spec in known and known.kinds[spec] != "blob":
        return "", f"{CONFIG_PATH} is no file but a {known.kinds[spec].replace('tree', 'folder')}"
    if spec not in known and f"{commit}:{NEAR_MISS}" in known:
        return "", f"{NEAR_MISS} is not read; the name is {CONFIG_PATH}"
    if known.kinds.get(f"{commit}:{FOLDER}", "tree") != "tree":
        return "", f"{FOLDER} is no folder but a link or a file, so {CONFIG_PATH} cannot be read"
    return known.get(spec, ""), ""


def tracking(remote: str, branch: str) -> str:
    """The remote-tracking ref of a branch."""
    return f"refs/remotes/{remote}/{branch}"


def base_path(site: PushSite, remote: str, url: str) -> str:
    """Where the answer of a remote is kept; it may have several URLs to push to."""
    from orchestrator_action.hook.passes import short_digest

    return os.path.join(
        site.state, "base", short_digest(f"{remote}\n{url}".encode("utf-8", "surrogateescape"), 8)
    )


def url_mark(url: str) -> str:
    """A URL as it may be kept in a file: one with a password must not be."""
    from orchestrator_action.hook.passes import short_digest

    return short_digest(url.encode("utf-8", "surrogateescape"), 16)


def remembered_base(site: PushSite, remote: str, url: str) -> KnownBase | None:
    """What this remote, at this URL, answered before; None for anything torn or foreign."""
    lines = (read_file(base_path(site, remote, url)) or b"").decode("utf-8", "surrogateescape").split("\n")
    if len(lines) != 9 or lines[0] != _HEADER or lines[7] != "end" or lines[1] != url_mark(url):
        return None
    try:
        return KnownBase(lines[1], lines[2], lines[3], lines[4], lines[5], float(lines[6]))
    except ValueError:
        return None


def encode_known_base(known: KnownBase) -> bytes:
    """As `remembered_base` reads it."""
    # never rounded up: an answer of the future counts for nothing
    fields = (known.url, known.branch, known.commit, known.blob, known.fault, str(int(known.at)))
    return "\n".join((_HEADER, *fields, "end", "")).encode("utf-8", "surrogateescape")


def base_specs(remote: str, memory: KnownBase | None) -> list[str]:
    """What to ask about the base of a push, for `ask_objects`."""
    return commit_specs(tracking(remote, memory.branch)) if memory else []


def find_base(
    remote: str, url: str, known: Objects, memory: KnownBase | None, site: PushSite, *, ask: bool = True
) -> PolicyBase:
    """The base of a push to `remote`; `known` holds the answers to `base_specs`.

    Without `ask` the remote is not asked: for judging a commit by hand, without a push.
    """
    remembered = _as_remembered(remote, known, memory) if memory else None
    if remembered and memory and not _is_old(memory):
        return _own_or_other(remembered, remote)
    if ask:
        from orchestrator_action.hook.ask_remote import ask_default_branch

        answers, said = ask_default_branch(remote, url, site)
        if said:
            base = PolicyBase(tracking(remote, said.branch), said.commit, said.blob, said.fault, seen=True)
            return _own_or_other(base, remote)
        if not answers and not remembered:
            return _guess(remote)
    return _own_or_other(remembered, remote) if remembered else _by_tracking(remote)


def _as_remembered(remote: str, known: Objects, memory: KnownBase) -> PolicyBase | None:
    """The base as the remote said it was; None when what this clone has of it is another configuration."""
    ref = tracking(remote, memory.branch)
    commit = known.get(f"{ref}^{{commit}}", "")
    if commit and config_text_at(ref, known) != (memory.blob, memory.fault):
        return None
    return PolicyBase(ref, commit or memory.commit, memory.blob, memory.fault, seen=True)


def _guess(remote: str) -> PolicyBase:
    """The base of a remote that does not answer, where the names of its branches leave no doubt.

    Raises GitError where they do: in a clone of a single branch that branch must not judge itself.
    """
    base = _by_tracking(remote)
    if base.seen and base.ref.rpartition("/")[2] not in _USUAL:
        from orchestrator_action.errors import GitError

        raise GitError(
            f"the default branch of {remote} is not known here, and {remote} does not answer",
            hint=f"git fetch {remote}, and git remote set-head {remote} --auto",
        )
    return base


def _is_old(memory: KnownBase) -> bool:
    import time

    return not 0 <= time.time() - memory.at < BASE_ASKED_AGAIN_AFTER_S


def _own_or_other(base: PolicyBase, remote: str) -> PolicyBase:
    """The remote's own word; one that has no configuration is judged by the others', if they have one."""
    if base.blob or base.fault or remote == "origin":
        return base
    other = _by_tracking(remote, but_not=True)
    if other.blob or other.fault:
        return PolicyBase(other.ref, other.commit, other.blob, other.fault, seen=True)
    return base


def _by_tracking(remote: str, *, but_not: bool = False) -> PolicyBase:
    """The base as the remote-tracking branches say it: this remote's, then `origin`'s, then any other's."""
    _, out = git("for-each-ref", "--format=%(refname)", "refs/remotes")
    refs = lines_of(out)
    own = f"refs/remotes/{remote}/"

    def rank(ref: str) -> tuple[int, int, str]:
        where = 0 if ref.startswith(own) else 1 if ref.startswith("refs/remotes/origin/") else 2
        leaf = ref.rpartition("/")[2]
        return where, _USUAL.index(leaf) if leaf in _USUAL else len(_USUAL), ref

    seen = any(ref.startswith(own) for ref in refs)
    for ref in sorted(refs, key=rank):
        if but_not and ref.startswith(own):
            continue
        found = ask_objects(commit_specs(ref))
        if f"{ref}^{{commit}}" in found:
            return PolicyBase(ref, found[f"{ref}^{{commit}}"], *config_text_at(ref, found), seen=seen)
    return PolicyBase(seen=seen)
