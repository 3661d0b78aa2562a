"""Makes bundles: an honest one by the product's own formats, and from it whatever somebody hostile may want.

Objects are made by git's plumbing in a clone, so that trees, refs and packs can be what no honest git would write.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.documents import Plan
from orchestrator_action.protocol.events import Event, encode_event, seal
from orchestrator_action.protocol.model import Task
from tests.kit.repos import clean_env, git

Rows = Sequence[tuple[str, str, str, str]]
"""Of a tree: mode, kind, object name, file name."""


def raw_row(mode: str, name: str | bytes, sha: str) -> bytes:
    """An entry of a tree, byte by byte."""
    mode = "40000" if mode == "040000" else mode
    return b"%s %s\0%s" % (mode.encode(), os.fsencode(name), bytes.fromhex(sha))


def _place(row: bytes) -> bytes:
    """Where an entry has to stand among others."""
    mode, _, name = row.partition(b"\0")[0].partition(b" ")
    return name + (b"/" if mode == b"40000" else b"")


@dataclass
class Forger:
    """Makes bundles for the tasks of a plan, in a clone that has its base."""

    clone: Path
    plan: Plan
    serial: int = field(default=0)

    # -- objects

    def put(self, *args: str, body: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.clone, input=body, capture_output=True, check=True, env=clean_env()
        )
        return os.fsdecode(done.stdout).strip()

    def blob(self, text: str | bytes) -> str:
        return self.put(
            "hash-object", "-w", "--stdin", body=text if isinstance(text, bytes) else text.encode()
        )

    def tree(self, rows: Rows, *, on: str = "") -> str:
        """A tree of `rows`, with the base's own entries beside them when `on` is a commit."""
        own = {name for _, _, _, name in rows}
        lines = git(self.clone, "ls-tree", on).splitlines() if on else []
        known = [line.split(None, 3) for line in lines if line.split("\t")[1] not in own]
        body = b""
        entries = [(m, s, n.encode()) for m, _, s, n in [*((a, b, c, d) for a, b, c, d in known), *rows]]
        for mode, sha, name in sorted(entries, key=lambda e: e[2] + (b"/" if e[0] == "040000" else b"")):
            body += mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(sha)
        return self.raw_tree(body)

    def raw_tree(self, body: bytes) -> str:
        """A tree of exactly these bytes."""
        return self.put("hash-object", "-w", "-t", "tree", "--literally", "--stdin", body=body)

    def over(self, rows: Sequence[bytes], *, in_order: bool = True) -> str:
        """A commit above the base whose tree has `rows`, as bytes, beside those of the base."""
        known = [
            raw_row(mode, name, sha)
            for mode, _, sha, name in (
                line.split(None, 3) for line in git(self.clone, "ls-tree", self.plan.base_sha).splitlines()
            )
        ]
        self.serial += 1
        above = ("-p", self.plan.base_sha, "-m", f"change {self.serial}")
        body = b"".join(sorted([*known, *rows], key=_place) if in_order else [*known, *rows])
        return self.put("commit-tree", self.raw_tree(body), *above)

    def commit(self, rows: Rows = (), *, parents: Sequence[str] | None = None, on_base: bool = True) -> str:
        """A commit above the base that adds `rows` to its tree."""
        base = self.plan.base_sha
        tree = self.tree(
            rows or [("100644", "blob", self.blob("x = 1\n"), "more.py")], on=base if on_base else ""
        )
        above = [p for parent in ([base] if parents is None else parents) for p in ("-p", parent)]
        self.serial += 1
        return self.put("commit-tree", tree, *above, "-m", f"change {self.serial}")

    def file(self, path: str, text: str | bytes = "x\n", mode: str = "100644") -> str:
        """A commit that adds one file at any path."""
        sha, kind = self.blob(text), "blob"
        *folders, name = path.split("/")
        for folder in reversed(folders):
            sha, kind, mode, name = self.tree([(mode, kind, sha, name)]), "tree", "040000", folder
            mode, kind = "040000", "tree"
        return self.commit([(mode, kind, sha, name)])

    # -- a trail

    def events(self, task: Task, head: str, **other: Any) -> list[Event]:
        """What an honest trail says, in short; `other` replaces run, named (the task), base_sha, branch or note."""
        run, name = other.get("run", self.plan.run_id), other.get("named", task.id)
        started = {
            "base_sha": other.get("base_sha", self.plan.base_sha), "base_branch": self.plan.base_branch,
            "branch": other.get("branch", task.branch), "digest": "d", "issue": 1,
        }  # fmt: skip
        claims = [
            {
                **dict.fromkeys(("text", "digest", "no_change", "waive"), ""),
                "phase": p, "head_sha": head, "note": other.get("note", ""),
            }
            for p in ("implementation", "testing", "pull-request")
        ]  # fmt: skip
        rows = [
            ("task-started", started),
            *(("claim", c) for c in claims),
            ("task-ended", {"status": "success"}),
        ]
        made: list[Event] = []
        for seq, (kind, data) in enumerate(rows, 1):
            prev = made[-1].hash if made else ""
            made.append(seal(seq=seq, at=float(seq), run=run, task=name, kind=kind, data=data, prev=prev))
        return made

    def trail(self, events: Sequence[Event], *, run: str = "", parent: str = "") -> str:
        return audit.record(Git.open(self.clone), parent, run or self.plan.run_id, events, "trail\n")

    def raw_trail(self, files: Mapping[str, str]) -> str:
        """A trail's commit with any files of any text."""
        tree = self.tree([("100644", "blob", self.blob(text), name) for name, text in files.items()])
        return self.put("commit-tree", tree, "-m", "trail")

    # -- a bundle

    def document(self, task: Task, head: str, events: Sequence[Event], **fields: Any) -> dict[str, Any]:
        claims = [{**e.data, "seq": e.seq} for e in events if e.kind == "claim"]
        return {
            "schema": 1, "run_id": self.plan.run_id, "task_id": task.id, "branch": task.branch,
            "base_sha": self.plan.base_sha, "head_sha": head, "status": "success", "error": "", "declined": None,
            "claims": claims, "requests": [{"kind": "pull-request", "title": "Add more", "body": "It adds more."}],
            "trail": events[-1].hash if events else "", "said": "done", "machine": "", "attempts": 1, "turns": None,
            "cost_usd": None, "wall_s": 1.0, **fields,
        }  # fmt: skip

    def make(
        self, folder: Path, task: Task, *, head: str = "", events: Sequence[Event] | None = None, tip: str = "",
        refs: Mapping[str, str] | None = None, keep: Sequence[str] | None = None, **fields: Any,
    ) -> Path:  # fmt: skip
        """A bundle; honest where nothing is given. `refs` are added, `keep` are those that are left."""
        head = head or self.commit()
        events = self.events(task, head) if events is None else events
        tip = tip or self.trail(events)
        named = {f"refs/heads/{task.branch}": head, audit.ref_of(task.id): tip, **(refs or {})}
        named = {ref: sha for ref, sha in named.items() if keep is None or ref in keep}
        folder.mkdir(parents=True)
        self.pack(folder / "commits.bundle", named)
        (folder / "bundle.json").write_text(json.dumps(self.document(task, head, events, **fields)))
        return folder

    def pack(
        self,
        file: Path,
        refs: Mapping[str, str],
        *,
        needs: Sequence[str] | None = None,
        leave_out: Sequence[str] = (),
    ) -> None:
        """A git bundle with any refs, by hand: git itself would refuse some of them."""
        needs = [self.plan.base_sha] if needs is None else needs
        wanted = "".join(f"{sha}\n" for sha in refs.values()) + f"^{self.plan.base_sha}\n"
        listed = self.put("rev-list", "--objects", "--stdin", body=wanted.encode()).splitlines()
        names = [line.split(" ")[0] for line in listed if line.split(" ")[0] not in leave_out]
        pack = subprocess.run(
            ["git", "pack-objects", "--stdout", "-q"], cwd=self.clone, input=os.fsencode("\n".join([*names, ""])),
            capture_output=True, check=True, env=clean_env(),
        ).stdout  # fmt: skip
        head = "# v2 git bundle\n" + "".join(f"-{sha} base\n" for sha in needs)
        file.write_bytes(
            (head + "".join(f"{sha} {ref}\n" for ref, sha in refs.items()) + "\n").encode() + pack
        )


def edit(folder: Path, **fields: Any) -> None:
    """Change what a bundle's document says."""
    file = folder / "bundle.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def lines(events: Sequence[Event]) -> str:
    """The file of a trail."""
    return "".join(encode_event(e) + "\n" for e in events)


Kind = Callable[[Forger, Path, Task], Any]
