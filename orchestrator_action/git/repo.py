"""git, asked so that nothing a repository says can answer in its place.

Every call runs an absolute `git` with a small allow-listed environment (no token, none of git's own
variables), hooks, fsmonitor, pagers, external diffs, replace refs, grafts and commit graphs off, and
with GIT_DIR, GIT_COMMON_DIR and GIT_WORK_TREE given, so that a deleted or forged `.git` file never
leads it elsewhere. The repository's filters are those known when it was opened: one that an agent adds
later is blanked. A fault is a GitError with git's own last line.

Plain git does the work; GitPython reads remotes, in this process, where no program is needed. Its
pure-Python object store is deprecated as unsafe, and its other one hands our whole environment to git.
It is imported late, because the pre-push hook shares this module and starts in tens of milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator_action.errors import GitError
from orchestrator_action.git.cache import SHA, branch_of, commit_of, head_of, remembered
from orchestrator_action.git.parse import Change, digest_files, hides_nothing, parse_batch, parse_changes
from orchestrator_action.git.process import (
    HARDENED,
    TIMEOUT_S,
    Done,
    base_env,
    checked,
    config_arguments,
    git_program,
    hint_for,
    last_line,
    spawn_git,
)


@dataclass(frozen=True)
class Git:
    """One repository, seen from its main checkout or from one of its worktrees.

    `git_dir` is the checkout's own directory, `common_dir` what all worktrees share; `work_tree` is
    None for a bare repository. Made by `open`; cheap to hold, safe to use from many threads.
    """

    git_dir: Path
    common_dir: Path
    work_tree: Path | None
    object_format: str = "sha1"
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    lazy_fetch: bool = False
    """True for a partial clone: missing objects may then be fetched, without any token."""
    filters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`filter.*` settings that stood in the configuration when the repository was opened."""
    filters_seen: str = field(default="", repr=False)
    stuck: Callable[[], str] | None = field(default=None, repr=False, compare=False)  # see `spawn_git`

    @classmethod
    def open(cls, path: Path, env: Mapping[str, str] | None = None) -> Git:
        """The repository `path` is in. Raises GitError when there is none.

        `env` is the caller's environment; of it only what `base_env` keeps is passed on.
        """
        clean = base_env(os.environ if env is None else env)
        if not path.is_dir():
            raise GitError(f"{path} is not a directory", hint="name a git repository with --repo")
        args = [
            *config_arguments(HARDENED), "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir",
            "--is-bare-repository", "--is-inside-work-tree", "--show-object-format",
        ]  # fmt: skip
        done = spawn_git(args, env=clean, cwd=path)
        if done.code:
            hint = hint_for(done.err) or "run inside a git repository, or name one with --repo"
            raise GitError(f"{path}: {last_line(done.err)}", hint=hint)
        answers = done.text.split("\n")
        if len(answers) != 5:
            raise GitError(
                f"{git_program()} does not answer as git does", hint="is another program in its place?"
            )
        git_dir, common, bare, inside, kind = answers
        top = None
        if inside == "true":
            top = Path(checked(spawn_git(["rev-parse", "--show-toplevel"], env=clean, cwd=path), args).text)
        elif bare != "true":
            raise GitError(f"{path} is inside a .git directory", hint="run in the checkout itself")
        made = cls(Path(git_dir), Path(common), top, kind, clean)
        config = made.config()
        lazy = any(k.endswith(".promisor") for k in config) or "extensions.partialclone" in config
        filters = {k: v for k, v in config.items() if k.startswith("filter.")}
        return replace(made, lazy_fetch=lazy, filters=filters, filters_seen=made.config_digest())

    def at_worktree(self, path: Path, admin: Path) -> Git:
        """The same repository seen from its linked worktree at `path`, whose directory is `admin`."""
        return replace(self, git_dir=admin, work_tree=path)

    @property
    def shared(self) -> Git:
        """The same repository without a checkout. git finds refs by the `commondir` file of a linked
        worktree, whatever GIT_COMMON_DIR says, and that file is an agent's to change."""
        return replace(self, git_dir=self.common_dir, work_tree=None)

    # -- running -------------------------------------------------------------------------------

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        check: bool = True,
        env: Mapping[str, str] | None = None,
        write: bool = False,
        timeout_s: float = TIMEOUT_S,
        keep_fds: Sequence[int] = (),
    ) -> Done:
        """One hardened git on this repository. `write` lets it take locks it could do without."""
        full = {
            **self.env,
            "GIT_DIR": str(self.git_dir),
            "GIT_COMMON_DIR": str(self.common_dir),
            "GIT_OPTIONAL_LOCKS": "1" if write else "0",
            **({} if self.lazy_fetch else {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}),
            **({"GIT_WORK_TREE": str(self.work_tree)} if self.work_tree else {}),
            **(env or {}),
        }
        argv = ["--no-pager", *config_arguments(HARDENED), *config_arguments(self._filter_settings()), *args]
        at = self.work_tree if self.work_tree and self.work_tree.is_dir() else self.common_dir
        done = spawn_git(
            argv, env=full, cwd=at, stdin=stdin, timeout_s=timeout_s, keep_fds=keep_fds, stuck=self.stuck
        )
        return checked(done, argv) if check else done

    def text(self, *args: str, check: bool = True) -> str:
        """Standard output of a read, without its last newline."""
        return self.run(*args, check=check).text

    def _filter_settings(self) -> tuple[str, ...]:
        """Settings that leave only the filters known at `open` in force.

        Costs a read of small files while the configuration is unchanged, one more git when it is not.
        """
        if not self.filters_seen or self.config_digest() == self.filters_seen:
            return ()
        now = (k for k in self.config() if k.startswith("filter."))
        blank = {k: "false" if k.endswith(".required") else "" for k in now}
        # An empty `process` also switches `smudge` and `clean` off, so nothing is blanked that is not there.
        return tuple(f"{k}={v}" for k, v in sorted({**blank, **self.filters}.items()))

    def config_digest(self) -> str:
        """A digest of the files git may take configuration from."""
        home = self.env.get("HOME", "")
        shared = self.common_dir
        files = [shared / "config", shared / "config.worktree", self.git_dir / "config.worktree"]
        files += [Path(p) for p in (self.env.get("GIT_CONFIG_GLOBAL"),) if p]
        if home:
            xdg = self.env.get("XDG_CONFIG_HOME") or f"{home}/.config"
            files += [Path(home, ".gitconfig"), Path(xdg, "git", "config")]
        return digest_files(files)

    # -- reading -------------------------------------------------------------------------------

    def rev_parse(self, rev: str, kind: str = "commit") -> str:
        """The SHA `rev` names, peeled to `kind`, or an empty string."""
        if not rev or rev.startswith("-"):
            return ""
        if kind == "commit" and (known := commit_of(self.common_dir, rev)):
            return known

        def ask() -> str:
            done = self.run("rev-parse", "--verify", "--quiet", f"{rev}^{{{kind}}}", check=False)
            return done.text if done.code == 0 and SHA.fullmatch(done.text) else ""

        return remembered(self.common_dir, kind, (rev,), ask)

    def head(self) -> str:
        """The commit HEAD is at; an empty string on an unborn branch."""
        if known := head_of(self.git_dir, self.common_dir):
            return known
        sha = self.rev_parse("HEAD")
        return sha and self.rev_parse(sha)

    def branch(self) -> str:
        """The branch that is checked out, without `refs/heads/`; empty when HEAD is detached."""
        known = branch_of(self.git_dir)
        if known is not None:
            return known
        done = self.run("symbolic-ref", "--quiet", "HEAD", check=False)
        return done.text.removeprefix("refs/heads/") if done.code == 0 else ""

    def tree(self, commit: str) -> str:
        """The tree of a commit. Raises GitError when there is no such commit."""
        sha = self.rev_parse(commit, "tree")
        if not sha:
            raise GitError(f"there is no commit {commit!r}", hint="fetch it first")
        return sha

    def merge_base(self, a: str, b: str) -> str:
        """The best common ancestor, or an empty string when there is none."""

        def ask() -> str:
            done = self.run("merge-base", a, b, check=False)
            if done.code not in {0, 1}:
                checked(done, ["merge-base", a, b])
            return done.text.split("\n")[0] if done.code == 0 else ""

        return remembered(self.common_dir, "merge-base", (a, b), ask)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` contains `old`. False, too, when either is unknown here."""

        def ask() -> bool:
            return self.run("merge-base", "--is-ancestor", old, new, check=False).code == 0

        return remembered(self.common_dir, "is-ancestor", (old, new), ask)

    def commits(self, base: str, head: str) -> tuple[str, ...]:
        """The commits of `head` that `base` has not, oldest first."""

        def ask() -> tuple[str, ...]:
            return tuple(self.text("rev-list", "--reverse", "--topo-order", head, f"^{base}", "--").split())

        return remembered(self.common_dir, "commits", (base, head), ask, large=True)

    def changes(self, base: str, head: str) -> tuple[Change, ...]:
        """Every path that differs between two commits (or trees), renames found, in git's order."""

        def ask() -> tuple[Change, ...]:
            out = self.run(
                "diff-tree", "-r", "-z", "-M", "--raw", "--numstat", "--no-abbrev", "--no-ext-diff",
                "--no-textconv", "--ignore-submodules=none", base, head, "--",
            ).out  # fmt: skip
            return parse_changes(out)

        return remembered(self.common_dir, "changes", (base, head), ask, large=True)

    def diff_text(self, base: str, head: str, paths: Sequence[str] = ()) -> str:
        """The diff as text. Bytes that are not UTF-8 are replaced: for reading, not for applying."""
        done = self.run(
            "diff-tree", "-r", "-p", "-M", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/",
            "--dst-prefix=b/", base, head, "--", *(f":(literal){p}" for p in paths),
        )  # fmt: skip
        return done.out.decode("utf-8", "replace")

    def paths(self, commit: str) -> tuple[str, ...]:
        """Every path of the commit's tree, submodules included."""

        def ask() -> tuple[str, ...]:
            out = self.run("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit).out
            return tuple(os.fsdecode(p) for p in out.split(b"\0") if p)

        return remembered(self.common_dir, "paths", (commit,), ask, large=True)

    def links(self, commit: str) -> dict[str, str]:
        """Paths of the commit's tree that are other repositories, and the commits recorded of them."""
        out = self.run("ls-tree", "-r", "-z", "--full-tree", commit).out
        found = (line.split(b"\t", 1) for line in out.split(b"\0") if line.startswith(b"160000 "))
        return {os.fsdecode(path): head.split(b" ")[2].decode("ascii") for head, path in found}

    def file(self, commit: str, path: str) -> bytes | None:
        """The contents of a file at a commit, or None when it is not there."""
        return self.files(commit, [path])[path]

    def files(self, commit: str, paths: Sequence[str]) -> dict[str, bytes | None]:
        """The contents of many files at a commit by one git; None for what is not a file there."""
        return dict(zip(paths, self.blobs([f"{commit}:{p}" for p in paths]), strict=True))

    def blobs(self, names: Sequence[str]) -> list[bytes | None]:
        """The contents of blobs by object name, in order; None for what is missing or no blob."""
        if not names:
            return []
        asked = [os.fsencode(name) for name in names]
        out = self.run("cat-file", "--batch", "-z", stdin=b"".join(n + b"\0" for n in asked)).out
        return [body if kind == b"blob" else None for kind, _, body in parse_batch(out, asked, bodies=True)]

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Sizes in bytes of blobs by object name, in order; None for what is missing or no blob."""
        if not names:
            return []
        asked = [os.fsencode(name) for name in names]
        out = self.run("cat-file", "--batch-check", "-z", stdin=b"".join(n + b"\0" for n in asked)).out
        return [size if kind == b"blob" else None for kind, size, _ in parse_batch(out, asked, bodies=False)]

    def dirty(self) -> tuple[str, ...]:
        """Paths of the checkout that differ from HEAD or are untracked and not ignored.

        Submodules are not entered: a repository in a repository brings its own configuration. Paths the
        index was told to take for unchanged are looked at all the same.
        """
        found = self._status({})
        with tempfile.TemporaryDirectory(prefix="oa-index-") as private:
            plain = Path(private, "index")
            if self.unmask_index(plain):
                found += self._status({"GIT_INDEX_FILE": str(plain)})
        return tuple(dict.fromkeys(found))

    def unmask_index(self, copy: Path) -> bool:
        """Copy the checkout's index to `copy`, without flags that hide changes; False when it has none.

        What a sparse checkout leaves out stays left out, unless it is there after all.
        """
        if hides_nothing(self.git_dir / "index", 32 if self.object_format == "sha256" else 20):
            return False
        flags = self.run("ls-files", "-v", "-z").out.split(b"\0")
        flagged = [e[2:] for e in flags if e[:1].islower() or e[:1] == b"S"]
        if not flagged or self.work_tree is None:
            return False
        if self.config().get("core.sparsecheckout", "").lower() == "true":
            top = os.fsencode(self.work_tree)
            flagged = [p for p in flagged if os.path.lexists(top + b"/" + p)]
        shutil.copyfile(self.git_dir / "index", copy)
        paths = b"".join(p + b"\0" for p in flagged)
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
            env = {"GIT_INDEX_FILE": str(copy)}
            self.run("update-index", flag, "-z", "--stdin", stdin=paths, env=env, write=True)
        return True

    def _status(self, env: Mapping[str, str]) -> list[str]:
        out = self.run(
            "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=dirty",
            "--no-renames", env=env,
        ).out  # fmt: skip
        return [os.fsdecode(e[3:]) for e in out.split(b"\0") if e]

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """Refs below `prefix` and what each points to."""
        out = self.text("for-each-ref", "--format=%(objectname) %(refname)", prefix)
        return {ref: sha for sha, _, ref in (line.partition(" ") for line in out.split("\n") if line)}

    def update_ref(self, ref: str, new: str, old: str | None = None) -> None:
        """Point `ref` at `new`; with `old`, only when it is there now (an empty string: not at all)."""
        zero = "0" * len(new)
        self.run("update-ref", ref, new, *([] if old is None else [old or zero]), write=True)

    def delete_ref(self, ref: str, old: str) -> None:
        """Remove `ref` when it still points at `old`."""
        self.run("update-ref", "-d", ref, old, write=True)

    def unreachable(self, commit: str, kept: Sequence[str]) -> int:
        """How many commits of `commit` none of the ref patterns `kept` contains."""
        return int(
            self.text("rev-list", "--count", commit, "--not", *(f"--glob={pattern}" for pattern in kept))
        )

    def config(self) -> dict[str, str]:
        """All settings in force, section and key in lower case; the last value of each key."""
        pairs = (
            os.fsdecode(e).partition("\n") for e in self.run_config("--list", "-z").out.split(b"\0") if e
        )
        return {k: v for k, _, v in pairs}

    def run_config(self, *args: str) -> Done:
        """`git config` on this repository, without any of our own settings on top."""
        env = {**self.env, "GIT_DIR": str(self.git_dir), "GIT_COMMON_DIR": str(self.common_dir)}
        return spawn_git(["config", *args], env=env, cwd=self.common_dir)

    def remotes(self) -> dict[str, str]:
        """Names of remotes and their URLs as configured. Read in this process, by GitPython."""
        with _gitpython_asks(git_program()):
            from git.exc import GitError as GitPythonError

            from git import Repo

        try:
            with Repo(self.common_dir) as repo, repo.config_reader() as config:
                names = [s[8:-1] for s in config.sections() if s.startswith('remote "')]
                urls = {n: config.get_values(f'remote "{n}"', "url", "")[0] for n in names}
        except AttributeError:
            # GitPython 3.1 stumbles over `includeIf "gitdir:…"` in a repository's own file
            held = {k: v for k, v in self.config().items() if k.startswith("remote.") and k.endswith(".url")}
            urls = {k.removeprefix("remote.").removesuffix(".url"): v for k, v in held.items()}
        except (GitPythonError, OSError, ValueError) as exc:
            raise GitError(
                f"the configuration of {self.common_dir} cannot be read: {exc}",
                hint="`git config --list` names the line",
            ) from exc
        return {n: str(u) for n, u in urls.items() if u}


@contextlib.contextmanager
def _gitpython_asks(program: str) -> Iterator[None]:
    """Let the import of GitPython, which runs git, run ours and not the first on PATH."""
    name = "GIT_PYTHON_GIT_EXECUTABLE"
    before = os.environ.get(name)
    os.environ[name] = program
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
