"""The process behind `--agent patch`: `work CONTEXT` as the author, `review …` as the reviewer.

The author takes the fenced `diff` blocks of the task's text, applies and commits them. The reviewer, another
process, applies the same blocks to the base commit by itself and reports every path in which the author's commit is
something else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from orchestrator_action.protocol.connection import ask
from orchestrator_action.protocol.wire import TOKEN_VARIABLE, PhaseAnswer, PhaseRequest, context_digest
from orchestrator_action.text.markdown import code_blocks

_LANGUAGES = {"diff", "patch"}


def diff_blocks(text: str) -> list[str]:
    """The contents of the fenced `diff` (or `patch`) blocks of a Markdown text, in order."""
    return [body for language, body in code_blocks(text) if language in _LANGUAGES]


def _git(*args: str, text: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *args], input=text, capture_output=True, text=True, check=False,
        encoding="utf-8", errors="surrogateescape", env={**os.environ, **env},
    )  # fmt: skip


def _apply(block: str, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Apply one block; hunk headers with wrong counts, as people write them, are counted anew."""
    first = _git("apply", "--whitespace=nowarn", *flags, "-", text=block, **env)
    if first.returncode == 0:
        return first
    again = _git("apply", "--whitespace=nowarn", "--recount", *flags, "-", text=block, **env)
    return again if again.returncode == 0 else first


def _filtered(paths: Sequence[str]) -> list[str]:
    """Those of these paths that a filter of git's stores in another form, as git-lfs does. `git apply` runs none."""
    asked = "".join(f"{path}\0" for path in paths)
    rows = _git("check-attr", "-z", "--stdin", "filter", text=asked).stdout.split("\0")
    return [
        path
        for path, value in zip(rows[::3], rows[2::3], strict=False)
        if value not in {"unspecified", "unset"}
    ]


class _Open(Exception):  # noqa: N818 - how the worker's way ends, not a fault
    """A claim that does not hold and that this agent cannot mend."""


class _Author:
    def __init__(self, context_path: str) -> None:
        self.context: dict[str, Any] = json.loads(Path(context_path).read_text(encoding="utf-8"))
        text = Path(self.context["task_path"]).read_text(encoding="utf-8")
        text = str(self.context.get("asked") or text)  # all else of the text is on the branch already
        self.blocks = diff_blocks(text)
        self.note = "\n".join(body for language, body in code_blocks(text) if language == "note")
        """What the task's fenced `note` blocks say of its tests."""

    def claim(self, phase: str, **fields: str) -> PhaseAnswer:
        """Claim a phase and wait for its measurement; a claim that does not hold ends the way."""
        answer = self._ask("done", phase, **fields)
        while answer.pending:
            answer = self._ask("wait", phase)
        print(answer.message, flush=True)
        if not answer.ok:
            raise _Open(answer.message)
        return answer

    def stop(self, because: str) -> NoReturn:
        """Say that the task cannot be done by this agent, and end the way."""
        answer = self._ask("stop", because=because, needs="a fenced `diff` block in the text of the task")
        print(answer.message, flush=True)
        raise _Open(because)

    def _ask(self, verb: str, phase: str = "", **fields: str) -> PhaseAnswer:
        token = os.environ.get(TOKEN_VARIABLE, "")
        return ask(PhaseRequest(token=token, verb=verb, phase=phase, **fields), os.environ)

    def touched(self) -> list[str]:
        done = _git("apply", "--numstat", "-z", "-", text="".join(self.blocks))
        return [row.split("\t", 2)[2] for row in done.stdout.split("\0") if row.count("\t") == 2]

    def needed(self) -> bool:
        """Whether the diff still has to be applied. It has not when it can be taken back as it stands."""
        return any(_apply(b, "--reverse", "--check").returncode for b in reversed(self.blocks))

    def committed(self) -> bool:
        """Whether an earlier attempt at this task has committed something."""
        return _git("rev-parse", "HEAD").stdout.strip() != str(self.context["base_sha"])

    def commit(self) -> None:
        for number, block in enumerate(self.blocks, 1):
            done = _apply(block, "--index")
            if done.returncode:
                raise _Open(f"diff block {number} does not apply: {done.stderr.strip()}")
        if stored := [path for path in _filtered(self.touched()) if Path(path).exists()]:
            _git("add", "--renormalize", "--", *stored)
        issue = (self.context.get("issue") or {}).get("number")
        message = self.context["task_name"] + (f"\n\nRefs #{issue}" if issue else "")
        done = _git("commit", "--quiet", "--file=-", text=message + "\n")
        if done.returncode:
            raise _Open(f"git commit: {done.stderr.strip() or done.stdout.strip()}")

    def work(self) -> None:
        self.claim("initial-setup", digest=context_digest(self.context))
        self.claim("issue-creation")
        self.claim("branch-management")
        if not self.blocks:
            self.stop("the task holds no fenced diff block, and this agent can do nothing else")
        paths = ", ".join(f"`{p}`" for p in self.touched()) or "no path"
        self.claim(
            "research-and-planning",
            note=f"Apply the {len(self.blocks)} diff block(s) of the task to {paths}.",
        )
        if self.needed():
            self.commit()
        elif not self.committed():
            self.claim("implementation", no_change="the task's diff is in the tree already")
            return
        self.claim("implementation")
        self.claim("testing", note=self.note)
        self.document()
        self.claim(
            "pull-request", note=self.context["task_name"], file="Applies the diff given in the task.\n"
        )
        self.respond(self.claim("review"))
        self.claim("settings-update")

    def document(self) -> None:
        """Claim the documentation, or ask for a waiver: this agent writes nothing of its own."""
        answer = self._ask("done", "documentation")
        if answer.ok:
            print(answer.message, flush=True)
            return
        self.claim("documentation", waive="the task's diff touches no documentation")

    def respond(self, review: PhaseAnswer) -> None:
        answers = [f"{f}: declined: the task's diff is applied as it was given" for f in review.open]
        self.claim("review-response", note="\n".join(answers))


def work(context_path: str) -> int:
    """Go through the phases until one stays open; always 0, for what was reached is the orchestrator's to say."""
    try:
        _Author(context_path).work()
        print("every phase was claimed and holds, or nothing was to be done", flush=True)
    except _Open as exc:
        first, _, rest = str(exc).partition("\n")
        print(f"{rest}\nstopped: {first}".strip(), flush=True)
    return 0


def review(task_path: str, base: str, head: str, output: str) -> int:
    """Compare the commit with the task's diff; findings go to `output` as JSON."""
    blocks = diff_blocks(Path(task_path).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="oa-review-") as scratch:
        objects = _git("rev-parse", "--git-path", "objects").stdout.strip()
        env = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": f"{scratch}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(Path(objects).resolve()),
        }
        Path(scratch, "objects").mkdir()
        problems = [_git("read-tree", base, **env)]
        how = ["--cached"]
        if base == head:  # nothing was changed: then every block can be taken back as it stands
            blocks, how = blocks[::-1], ["--cached", "--reverse", "--check"]
        problems += [_apply(block, *how, **env) for block in blocks]
        problems += _store(head, Path(scratch, "lfs"), env) if base != head else []
        differing = _git("diff-index", "--cached", "--name-only", "-z", "--no-renames", head, "--", **env)
    findings = [
        {
            "path": "",
            "line": 0,
            "severity": "error",
            "text": f"the task's diff does not apply: {p.stderr.strip()}",
        }
        for p in problems
        if p.returncode
    ]
    findings += [
        {
            "path": path,
            "line": 1,
            "severity": "error",
            "text": "the commit is not the task's diff in this file",
        }
        for path in differing.stdout.split("\0")
        if path
    ]
    if differing.returncode:
        print(differing.stderr.strip(), file=sys.stderr)
        return 1
    Path(output).write_text(json.dumps({"findings": findings}), encoding="utf-8")
    return 0


def _store(head: str, lfs: Path, env: Mapping[str, str]) -> list[subprocess.CompletedProcess[str]]:
    """Give the index of `env` the form in which filters store what differs from `head` in it: the failures of that."""
    differing = _git("diff-index", "--cached", "--name-only", "-z", "--no-renames", head, "--", **env).stdout
    failed = []
    for path in _filtered(differing.split("\0")[:-1]):
        mode = _git("ls-files", "--stage", "--", path, **env).stdout[:6]
        raw = subprocess.run(
            ["git", "cat-file", "blob", f":{path}"],
            capture_output=True,
            check=False,
            env={**os.environ, **env},
        )
        stored = subprocess.run(
            ["git", "-c", f"lfs.storage={lfs}", "hash-object", "-w", f"--path={path}", "--stdin"],
            input=raw.stdout, capture_output=True, check=False, env={**os.environ, **env},
        )  # fmt: skip
        if raw.returncode == 0 and mode:
            oid = stored.stdout.decode("ascii", "replace").strip()
            failed.append(_git("update-index", "--cacheinfo", f"{mode},{oid},{path}", **env))
    return [one for one in failed if one.returncode]


def main(argv: Sequence[str]) -> int:
    """`work CONTEXT` or `review TASK BASE HEAD OUTPUT`."""
    verb, *rest = argv
    return work(*rest) if verb == "work" else review(*rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # whoever ends a run wants no traceback in its log
        sys.exit(130)
