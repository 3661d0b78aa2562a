"""The bridge for pre-commit: its pre-push stage hands on the first ref only, so the rest is asked of git.

pre-commit reads the ref lines itself and passes one of them in PRE_COMMIT_* variables. The `git push`
above us is asked what it is about to push: the same command with `--dry-run --porcelain`. When that
cannot be found out, and something other than the one ref may be on its way, the answer is a refusal with
the cure, never a guess.
"""

import os

from orchestrator_action.errors import ConfigError
from orchestrator_action.hook.base import ask_objects
from orchestrator_action.hook.fast_git import lines_of, run_program
from orchestrator_action.hook.push import PROBE, Ref, judge_push
from orchestrator_action.hook.push_watch import ancestors

CURE = "orchestrator-action hook install (it keeps pre-commit's hook and runs it too)"


def from_pre_commit() -> int:
    """Judge the push pre-commit is running in; the exit code."""
    remote = os.environ.get("PRE_COMMIT_REMOTE_NAME", "")
    url = os.environ.get("PRE_COMMIT_REMOTE_URL", "")
    if not remote:
        raise ConfigError(
            "pre-commit did not say which remote is pushed to", hint=f"use stage pre-push, or: {CURE}"
        )
    if PROBE in os.environ:
        return judge_push(remote, url, [])
    refs = _refs_of(_push_command())
    return judge_push(remote, url, refs) if refs else 0


def _push_command() -> list[str]:
    """The `git push` above us, with its arguments."""
    for pid, name in ancestors(os.getppid()):
        if name != "git" and not name.startswith("git-"):
            continue
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            words = [os.fsdecode(word) for word in stream.read().split(b"\0")[:-1]]
        if "push" in words:
            return words
    raise ConfigError("the `git push` that runs this cannot be found", hint=CURE)


def _refs_of(command: list[str]) -> list[Ref]:
    """What a push command would push now. Source: git-push(1), "OUTPUT", --porcelain."""
    at = command.index("push")
    asked = [
        word for word in command[at + 1 :]
        if word not in ("-n", "--dry-run", "-q", "--quiet", "--progress", "-v", "--verbose", "--porcelain")
    ]  # fmt: skip
    options = _settings_in(command[1:at])
    code, out = run_program(
        ("git", *options, "push", "--dry-run", "--porcelain", "--no-verify", *asked), stderr=2, timeout_s=60.0
    )
    refs = []
    for line in lines_of(out):
        fields = line.split("\t")
        if len(fields) == 3 and fields[0] != "=":
            local, _, remote = fields[1].rpartition(":")
            refs.append(_ref(local, remote, fields[0]))
    if code and not refs:
        raise ConfigError("asking git what is being pushed failed", hint=CURE)
    return refs


def _settings_in(options: list[str]) -> list[str]:
    """Of git's own options those that set something. Where it works is known here: by its directory and GIT_DIR."""
    kept, words = [], iter(options)
    for word in words:
        if word in ("-c", "--config-env"):
            kept += [word, next(words, "")]
        elif word in ("-C", "--git-dir", "--work-tree", "--namespace", "--exec-path"):
            next(words, "")
        elif word.startswith("--config-env="):
            kept.append(word)
    return kept


def _ref(local: str, remote: str, flag: str) -> Ref:
    none = "0" * 40
    if flag == "-" or not local or local == "(delete)":
        return Ref("(delete)", none, remote, "1" * 40)
    oid = ask_objects([local]).get(local)
    if oid is None:
        raise ConfigError(f"{local!r}, which is being pushed, cannot be resolved", hint=CURE)
    return Ref(local, oid, remote, none if flag == "*" else "1" * 40)
