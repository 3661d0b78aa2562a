"""Submodules in a gate tree: filled as far as the user's own checkout has them, and never fetched."""

import os

from orchestrator_action.hook.fast_git import git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def links_to_commits(env: "Mapping[str, str]", tree: str) -> "Iterator[tuple[str, str]]":
    """The folder of each submodule in the index that `env` names, and the commit it is to be at."""
    _, out = git("-C", tree, "ls-files", "-s", "-z", env=env)
    for row in os.fsdecode(out).split("\0"):
        meta, _, path = row.partition("\t")
        if meta.startswith("160000 "):
            yield os.path.join(tree, path), meta.split(" ")[1]


def fill_submodules(git_dir: str, tree: str, *, index: str, env: "Mapping[str, str]") -> None:
    """Write each submodule of `tree` from the repository that `git_dir` keeps of it, and those inside it.

    `index` is where the index of `tree` is; those of the submodules go beside it.
    """
    names = _names(tree, env)
    here = {**env, "GIT_DIR": git_dir, "GIT_WORK_TREE": tree, "GIT_INDEX_FILE": index}
    for number, (path, commit) in enumerate(links_to_commits(here, tree)):
        name = names.get(os.path.relpath(path, tree))
        module = os.path.join(git_dir, "modules", name or ".")
        if not name or not os.path.isfile(os.path.join(module, "HEAD")):
            continue
        own = f"{index}-{number}"
        inner = {**env, "GIT_DIR": module, "GIT_WORK_TREE": path, "GIT_INDEX_FILE": own}
        if os.path.exists(own):
            os.unlink(own)
        os.makedirs(path, exist_ok=True)
        quiet = (
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.sparseCheckout=false",
        )
        if git(*quiet, "-C", path, "read-tree", "--reset", "-u", commit, env=inner)[0] == 0:
            fill_submodules(module, path, index=own, env=env)


def _names(tree: str, env: "Mapping[str, str]") -> dict[str, str]:
    """The name of each submodule by its path, as `.gitmodules` says it."""
    file = os.path.join(tree, ".gitmodules")
    if not os.path.isfile(file) or os.path.islink(file):
        return {}
    _, out = git("config", "-f", file, "-z", "--get-regexp", r"^submodule\..*\.path$", env=env)
    pairs = (entry.partition("\n") for entry in os.fsdecode(out).split("\0") if entry)
    named = {
        os.path.normpath(path): key.removeprefix("submodule.").removesuffix(".path") for key, _, path in pairs
    }
    return {
        path: name for path, name in named.items() if ".." not in name.split("/") and not os.path.isabs(name)
    }
