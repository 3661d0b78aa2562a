"""Ask a remote for its default branch and the configuration on it, and remember the answer.

Rarely: at the first push of a day to a remote, and when the configuration that this clone sees there has changed.
What this clone does not have of that branch is fetched into a repository of ours, so that no ref, no
object and no shallow boundary of the user's changes.
"""

import os
import time

from orchestrator_action.errors import GitError
from orchestrator_action.hook.base import (
    USUAL_BRANCHES,
    KnownBase,
    ask_objects,
    base_path,
    commit_specs,
    config_text_at,
    encode_known_base,
    url_mark,
)
from orchestrator_action.hook.fast_git import (
    UNDECEIVED,
    PushSite,
    git,
    lines_of,
    run_program,
    without_login,
    write_file,
)
from orchestrator_action.hook.push_watch import PushWatch, pushing

ANSWER_S, FETCH_S = 30.0, 120.0


def ask_default_branch(remote: str, url: str, site: PushSite) -> tuple[bool, KnownBase | None]:
    """Whether the remote answers, and what it says: None when it is empty or names no default branch.

    One whose HEAD leads nowhere has the branch that people would look for there as its default branch.
    Raises GitError when the remote names a branch that cannot be had: better no push than a wrong one.
    Raises KeyboardInterrupt when the push ends meanwhile.
    """
    code, out = _list_remote("--symref", "--", url, "HEAD")
    branch = commit = ""
    for line in lines_of(out):
        value, _, name = line.partition("\t")
        if name == "HEAD" and value.startswith("ref: refs/heads/"):
            branch = value.removeprefix("ref: refs/heads/")
        elif name == "HEAD":
            commit = value
    if code == 0 and not commit:
        code, branch, commit = _usual_branch(url)
    if code or not commit:
        return code == 0, None
    blob, fault = _config_at(commit, branch, url, site)
    answer = KnownBase(url_mark(url), branch or "HEAD", commit, blob, fault, time.time())
    try:
        write_file(base_path(site, remote, url), encode_known_base(answer))
    except OSError:
        pass  # a repository that cannot be written to is only slower
    return True, answer


def _usual_branch(url: str) -> tuple[int, str, str]:
    """git's exit code, and the branch of a usual name that a remote has, with its commit; empty for none."""
    code, out = _list_remote("--heads", "--", url, *(f"refs/heads/{name}" for name in USUAL_BRANCHES))
    found = {name: commit for commit, _, name in (line.partition("\t") for line in lines_of(out))}
    for name in USUAL_BRANCHES:
        if f"refs/heads/{name}" in found:
            return code, name, found[f"refs/heads/{name}"]
    return code, "", ""


def _list_remote(*args: str) -> tuple[int, bytes]:
    watch = PushWatch(pushing())
    code, out = git("ls-remote", *args, timeout_s=ANSWER_S, gone=watch.gone)
    if code and watch.gone():
        raise KeyboardInterrupt
    return code, out


def _config_at(commit: str, branch: str, url: str, site: PushSite) -> tuple[str, str]:
    known = ask_objects(commit_specs(commit))
    if f"{commit}^{{commit}}" in known:
        return config_text_at(commit, known)
    home = own_repository(site)
    source = f"refs/heads/{branch}" if branch else "HEAD"
    code, _ = git(
        f"--git-dir={home}", "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
        "--", url, f"+{source}:refs/base", env=_own_env(), timeout_s=FETCH_S, stderr=2,
    )  # fmt: skip
    specs = [f"{commit}^{{commit}}", *commit_specs("refs/base")[1:]]
    wanted = "".join(f"{spec}\n" for spec in specs).encode("utf-8", "surrogateescape")
    form = "--batch-check=%(objectname) %(objecttype)"
    _, out = git(f"--git-dir={home}", "cat-file", form, stdin=wanted, env=_own_env())
    kinds = [line.split(" ") for line in lines_of(out)]
    if code or len(kinds) != len(specs):
        raise GitError(
            f"the default branch of {without_login(url)} cannot be fetched, and its configuration decides",
            hint=f"git fetch {without_login(url)} {branch or 'HEAD'}, and push again",
        )
    found = type(known)()
    for spec, answer in zip(commit_specs(commit)[1:], kinds[1:], strict=True):
        if len(answer) == 2 and len(answer[0]) in (40, 64):
            found[spec], found.kinds[spec] = answer[0], answer[1]
    return config_text_at(commit, found)


def own_repository(site: PushSite) -> str:
    """A bare repository of ours that borrows the user's objects; made when it is not there.

    Raises GitError when it cannot be made.
    """
    for home in (os.path.join(site.state, "base.git"), _elsewhere(site)):
        if os.path.isfile(os.path.join(home, "HEAD")):
            return home
        sha256 = len(git("rev-parse", "--revs-only", "HEAD")[1].strip()) == 64
        form = ("--object-format=sha256",) if sha256 else ()
        if run_program(("git", "init", "-q", "--bare", "--template=", *form, home), env=_own_env())[0] == 0:
            from orchestrator_action.git.file_formats import alternates

            os.makedirs(os.path.join(home, "objects", "info"), exist_ok=True)
            write_file(f"{home}/objects/info/alternates", alternates([os.path.join(site.common, "objects")]))
            return home
    raise GitError("no repository of ours can be made", hint=f"is {site.state} writable?")


def _elsewhere(site: PushSite) -> str:
    from orchestrator_action.hook.gate_places import repository_root

    return os.path.join(repository_root(site), "base.git")


def _own_env() -> dict[str, str]:
    """The user's environment, ways to the remote included, without the variables that name a repository."""
    local = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
    return {**{k: v for k, v in os.environ.items() if k not in local}, **UNDECEIVED}
