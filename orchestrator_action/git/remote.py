"""Fetching from and pushing to the remote, by a git that never holds the token.

It never runs in a repository an agent may have written. It works in a private bare repository that
borrows the objects through alternates, with a configuration of its own, hooks, credential helpers and
every protocol but the remote's own switched off. With a token it talks to a proxy in this process
(`token_proxy`), which adds the token and lets pass what belongs to this fetch or this push.

Without a token the user's own transport is used (ssh, files, their credential helper), with the
settings that stood in the repository when the run began.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator_action.config.schema import BRANCH_PREFIX, REF_PREFIX
from orchestrator_action.errors import BranchError, GitError
from orchestrator_action.git.forge_access import ForgeAccess
from orchestrator_action.git.lfs import MAX_LFS_OBJECTS, LfsUpload, copy_objects, objects_added
from orchestrator_action.git.patience import Patience, as_fault
from orchestrator_action.git.process import (
    HARDENED,
    Done,
    config_arguments,
    last_line,
    shown_command,
    spawn_git,
)
from orchestrator_action.git.push_commands import PushOperation, ReadOperation
from orchestrator_action.git.repo import Git
from orchestrator_action.git.token_proxy import TokenProxy
from orchestrator_action.process.files import replace_file

OURS = (f"refs/heads/{BRANCH_PREFIX}", REF_PREFIX)
"""What may be pushed to: task branches and our own refs."""

LOCAL_ONLY = {
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}
"""Between two folders of this machine: nobody's settings have a say (`uploadpack.packObjectsHook`)."""

LIST_TIMEOUT_S = 60.0
MOVE_TIMEOUT_S = 900.0
OBJECTS_AT_ONCE = 1000
"""Names on one command line."""

Moves = Mapping[str, tuple[str, str]]
"""Each ref of a push with the commit it has there ("" for none) and the one it gets."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The remote of a run, as it was before any agent started.

    `url` is without credentials, fit to be seen by anybody. `refs()`, `sha()`, `fetch()` and `push()`
    raise GitError with the remote's own words.
    """

    name: str
    url: str
    push_url: str
    store: Path
    source: Git
    """The user's repository: what is fetched goes there."""
    private: Git | None = None
    """Our private repository during a run: what is pushed comes from there, what the remote has is noted there."""
    trusted: bool = True
    """Whether hooks of a remote that is a local folder may run; not for one that agents can write."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    access: Mapping[str, ForgeAccess] = field(default_factory=dict, repr=False)
    """How this process reaches `url` and `push_url` with the token; empty without one."""
    lfs_url: str = ""
    """Where LFS objects go with the token."""
    patience: Patience = field(default_factory=Patience)

    @property
    def holds_token(self) -> bool:
        """Whether a token is used with this remote."""
        return bool(self.secrets)

    # -- reading -------------------------------------------------------------------------------

    def refs(self, *patterns: str) -> dict[str, str]:
        """The remote's refs that match, as `git ls-remote` matches them, and what each points to."""
        return self._refs_at(self.url, *patterns)

    def _refs_at(self, url: str, *patterns: str) -> dict[str, str]:
        done = self._retried(["ls-remote", "--quiet", url, *patterns], LIST_TIMEOUT_S, url)
        lines = (line.partition("\t") for line in done.text.split("\n"))
        return {ref: sha for sha, _, ref in lines if ref and not ref.endswith("^{}")}

    def sha(self, ref: str) -> str:
        """What the full name `ref` points to on the remote; an empty string when it is not there."""
        return self.refs(ref).get(ref, "")

    def default_branch(self) -> str:
        """The branch the remote's HEAD names."""
        done = self._retried(["ls-remote", "--quiet", "--symref", self.url, "HEAD"], LIST_TIMEOUT_S, self.url)
        for line in done.text.split("\n"):
            if line.startswith("ref: refs/heads/"):
                return line.removeprefix("ref: refs/heads/").partition("\t")[0]
        raise BranchError(
            f"remote {self.name} ({self.url}) has no default branch",
            hint="push a first branch to it, or name one: --base BRANCH (base-branch in the configuration)",
        )

    def fetch(self, branch: str) -> str:
        """Bring the remote's `branch` into the repository; returns its commit.

        No ref of the user's moves. Raises BranchError when there is no such branch.
        """
        ref = f"refs/heads/{branch}"
        sha = self.sha(ref)
        if not sha:
            raise BranchError(
                f"branch {branch!r} does not exist on remote {self.name} ({self.url})",
                hint="check base-branch in the configuration, or --base",
            )
        if not self.source.rev_parse(sha):
            self._bring(ref)
        if not self.source.rev_parse(sha):
            raise GitError(f"branch {branch!r} was fetched but {sha[:12]} is not there", hint="try again")
        self._track(branch, sha)
        return sha

    def fetch_ref(self, ref: str) -> str:
        """Bring any ref of the remote into the repository without naming it there; returns its commit
        or an empty string when the remote has no such ref."""
        sha = self.sha(ref)
        if sha and not self.source.rev_parse(sha, "object"):
            self._bring(ref)
        return sha

    def fetch_objects(self, shas: Sequence[str]) -> None:
        """Bring objects that a partial clone left at the remote into the repository, by their names."""
        packs = self.store / "objects" / "pack"
        before = set(packs.iterdir())
        what = ["-c", "fetch.unpackLimit=1", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
        for start in range(0, len(shas), OBJECTS_AT_ONCE):
            some = shas[start : start + OBJECTS_AT_ONCE]
            self._retried([*what, self.url, *some], MOVE_TIMEOUT_S, self.url)
        fresh = set(packs.iterdir()) - before
        for file in sorted(
            fresh, key=lambda f: f.suffix == ".idx"
        ):  # a pack counts from when its index is there
            replace_file(
                self.source.common_dir / "objects" / "pack" / file.name, file.read_bytes(), sync=False
            )

    def _bring(self, ref: str) -> None:
        """Fetch with the token into the private repository, then from there without it."""
        here = f"refs/incoming/{ref.removeprefix('refs/')}"
        tips = [f"--negotiation-tip={sha}" for sha in self._known_tips()]
        what = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", *tips]
        self._retried([*what, self.url, f"+{ref}:{here}"], MOVE_TIMEOUT_S, self.url)
        self.source.run(
            "-c", "protocol.file.allow=always", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
            "--update-shallow", "--no-recurse-submodules", "--refmap=", f"file://{self.store}", here,
            env=LOCAL_ONLY, write=True,
        )  # fmt: skip

    def _known_tips(self) -> list[str]:
        """Commits to tell the remote that we have; a remote needs no more than a few dozen."""
        shas = [self.source.head(), *self.source.refs(f"refs/remotes/{self.name}/").values()]
        return list(dict.fromkeys(s for s in shas if s))[:64]

    # -- writing -------------------------------------------------------------------------------

    def push(self, sha: str, ref: str, *, known: str) -> str:
        """Point the remote's `ref` at the commit `sha`; returns what the remote says it is now.

        `known` is what the remote is believed to have there (an empty string: nothing); when somebody
        else moved it the push is refused. Only task branches and our own refs can be pushed to.
        """
        return self.push_many({ref: sha}, known={ref: known})[ref]

    def push_many(
        self, moves: Mapping[str, str], *, known: Mapping[str, str], confirm: bool = True
    ) -> dict[str, str]:
        """Push several refs (`ref` → `sha`) in one connection; all of them move or none does.

        With `confirm` the refs are read back in a connection of its own; without, the remote's own
        report of the push is believed.
        """
        for ref, sha in moves.items():
            if not ref.startswith(OURS) or not re.fullmatch(r"[0-9a-f]{40,64}", sha):
                raise GitError(f"{ref} is not ours to push to", hint=f"only {' and '.join(OURS)} are")
        what = ["push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules"]
        what += ["--atomic"] if len(moves) > 1 else []
        what += [] if self.trusted else ["--receive-pack=git -c core.hooksPath=/dev/null receive-pack"]
        what += [f"--force-with-lease={ref}:{known.get(ref, '')}" for ref in moves]
        specs = [f"{sha}:{ref}" for ref, sha in moves.items()]
        steps = {ref: (known.get(ref, ""), sha) for ref, sha in moves.items()}
        self._retried([*what, self.push_url, *specs], MOVE_TIMEOUT_S, self.push_url, steps)
        now = self._refs_at(self.push_url, *moves) if confirm else dict(moves)
        for ref, sha in moves.items():
            if now.get(ref) != sha:
                there = now.get(ref, "")[:12] or "nothing"
                raise GitError(
                    f"{ref} was pushed, but remote {self.name} has {there} there, not {sha[:12]}",
                    hint="somebody else pushes to the same branch",
                )
            if ref.startswith("refs/heads/"):
                self._track(ref.removeprefix("refs/heads/"), sha)
        return {ref: now[ref] for ref in moves}

    def push_lfs(self, base: str, sha: str, ref: str) -> int:
        """Bring the LFS objects that a branch adds on top of `base` to the remote; returns how many there are."""
        objects = objects_added(self.private or self.source, base, sha)
        if len(objects) > MAX_LFS_OBJECTS:
            raise GitError(
                f"{ref} adds {len(objects)} LFS objects", hint=f"at most {MAX_LFS_OBJECTS} are pushed"
            )
        stores = [git.common_dir / "lfs" for git in (self.private, self.source) if git is not None]
        folders = tuple(store / "objects" for store in stores)
        if not objects:
            return 0
        if access := self.access.get(self.push_url):
            upload = LfsUpload(access=access, endpoint=self.lfs_url, folders=folders)
            self.patience.call(lambda: upload.send(objects, ref))
        elif self.push_url.startswith(("/", "file://")):
            copy_objects(objects, folders, Path(self.push_url.removeprefix("file://")))
        else:
            what = ["lfs", "push", "--object-id", self.push_url, *(o.oid for o in objects)]
            self._retried(["-c", f"lfs.storage={stores[0]}", *what], MOVE_TIMEOUT_S, self.push_url)
        return len(objects)

    def _track(self, branch: str, sha: str) -> None:
        """Note in the private repository where the remote's branch is; the user's own refs are his."""
        if self.private is not None:
            with contextlib.suppress(GitError):
                self.private.update_ref(f"refs/remotes/{self.name}/{branch}", sha)

    def pushing_from(self, private: Git) -> Remote:
        """The same remote, pushing what the private repository has."""
        lent = (private.common_dir / "objects", self.source.common_dir / "objects")
        alternates = self.store / "objects" / "info" / "alternates"
        alternates.write_bytes(b"".join(os.fsencode(path) + b"\n" for path in lent))
        return replace(self, private=private)

    def _sync_shallow(self) -> None:
        """Give the private repository the cuts of the borrowed history."""
        theirs, ours = self.source.common_dir / "shallow", self.store / "shallow"
        if theirs.exists():
            replace_file(ours, theirs.read_bytes(), sync=False)

    def _retried(self, args: list[str], timeout_s: float, url: str, moves: Moves | None = None) -> Done:
        """Run a transport command; what may pass by itself is tried again."""
        return self.patience.call(lambda: self._once(args, timeout_s, url, moves))

    def _once(self, args: list[str], timeout_s: float, url: str, moves: Moves | None) -> Done:
        self._sync_shallow()
        argv = ["--no-pager", *config_arguments(HARDENED), *args]
        if url not in self.access:
            return self._checked(spawn_git(argv, env=self.env, cwd=self.store, timeout_s=timeout_s), args)
        operation = ReadOperation(url) if moves is None else PushOperation(url, moves)
        with TokenProxy(self.access[url], operation, timeout_s=timeout_s) as proxy:
            argv = [proxy.url if part == url else part for part in argv]
            done = spawn_git(
                argv, env=self.env, cwd=self.store, timeout_s=timeout_s, started=proxy.serve_session
            )
        return self._checked(proxy.in_the_forges_words(done, url), args, proxy)

    def _checked(self, done: Done, args: list[str], proxy: TokenProxy | None = None) -> Done:
        if done.code == 0:
            return done
        err = self._masked(done.err)
        why = self._masked(_rejection(done.text)) or last_line(err)
        said = _remote_words(err) or (self._masked(proxy.said[-1]) if proxy and proxy.said else "")
        why = why if not said or said in why else f"{why}: {said}"
        raise as_fault(
            f"git {shown_command(args).split()[0]} with {self.name} ({self.url}): {why or f'exit code {done.code}'}",
            _hint(f"{why}\n{err}", self.holds_token),
            retry_after_s=proxy.retry_after_s if proxy else 0.0,
        )

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _rejection(porcelain: str) -> str:
    """The refusals in `git push --porcelain` output."""
    refused = [line.split("\t") for line in porcelain.splitlines() if line.startswith("!")]
    return "; ".join(f"{f[1].partition(':')[2]} {f[2]}" for f in refused if len(f) > 2)


def _remote_words(err: str) -> str:
    """What the remote itself said of its refusal, first lines only."""
    lines = [line.removeprefix("remote:").strip() for line in err.splitlines() if line.startswith("remote:")]
    telling = [line for line in lines if line and not set(line) <= set("-=* ")]
    return "; ".join(telling[:3])


_HINTS = {
    r"without `?workflows?`? (permission|scope)": "a token that may change workflows is needed, or leave "
    "`.github/workflows` alone: give a personal or App token with the workflow scope as github-token",
    r"protected branch|GH006|GH013|rule violations": "the branch is protected: allow the token's owner in "
    "the branch's rules, or change the rule",
    r"stale info|non-fast-forward|fetch first": "somebody else pushed to this branch; look at it first",
    r"certificate problem|certificate verif": "check the certificates that git is given: http.sslCAInfo",
    r"unable to update url base from redirection|redirects to": "it has moved: git remote set-url origin <new URL>",
    r"could not read Username|Authentication failed|403|401": "check the token: it needs contents: write",
    r"could not resolve host|failed to connect|connection|timed out": "check the network and the URL",
    r"does not appear to be a git repository|not found|does not exist": "check the URL: git remote -v",
    r"Permission denied|Host key verification": "check your ssh key and known_hosts: ssh -T <host>",
    r"shallow update not allowed": "git fetch --unshallow",
}


def _hint(text: str, with_token: bool) -> str:
    for sign, hint in _HINTS.items():
        if re.search(sign, text, re.IGNORECASE):
            if "token" in hint and not with_token and "workflow" not in hint and "protected" not in hint:
                return "git asked for a password: give a token, or use ssh or a credential helper"
            return hint
    return ""
