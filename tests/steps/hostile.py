"""Bundles that somebody hostile would write, by what is wrong with each, and the name under which it is refused."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from typing import Any

from orchestrator_action.git import audit_trail as audit
from orchestrator_action.protocol.events import seal
from orchestrator_action.protocol.model import Task
from tests.kit.forger import Forger, Kind, edit, lines

KINDS: dict[str, tuple[str, Kind]] = {}
"""What is wrong, as a test's id: the name of the refusal, and who makes it."""


def kind(refused_as: str) -> Any:
    def add(make: Kind) -> Kind:
        KINDS[make.__name__.replace("_", " ")] = (refused_as, make)
        return make

    return add


def edited(what: str, refused_as: str, **fields: Any) -> None:
    """An honest bundle whose document says something else."""

    def make(forger: Forger, folder: Path, task: Task) -> None:
        edit(forger.make(folder, task), **fields)

    KINDS[what] = (refused_as, make)


def with_head(what: str, refused_as: str, head: Any) -> None:
    """An honest bundle around a commit that is not."""

    def make(forger: Forger, folder: Path, task: Task) -> None:
        forger.make(folder, task, head=head(forger))

    KINDS[what] = (refused_as, make)


# -- files


@kind("strange-file")
def a_further_file(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "run.sh").write_text("echo")


@kind("strange-file")
def a_folder_inside(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / ".git").mkdir()


@kind("symlink")
def a_link_as_document(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task)
    (folder / "bundle.json").rename(folder.with_suffix(".json"))
    (folder / "bundle.json").symlink_to(folder.with_suffix(".json"))


@kind("symlink")
def a_link_as_commits(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task)
    (folder / "commits.bundle").unlink()
    (folder / "commits.bundle").symlink_to("/etc/passwd")


@kind("no-folder")
def a_link_as_folder(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder.with_suffix(".real"), task)
    folder.symlink_to(folder.with_suffix(".real"))


@kind("no-plain-file")
def a_pipe_as_document(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task)
    (folder / "bundle.json").unlink()
    os.mkfifo(folder / "bundle.json")


@kind("hard-link")
def a_second_name_of_a_file(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task)
    os.link(folder / "commits.bundle", folder.with_suffix(".link"))


@kind("missing-file")
def no_document(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "bundle.json").unlink()


@kind("oversized")
def a_document_of_5_mib(forger: Forger, folder: Path, task: Task) -> None:
    edit(forger.make(folder, task), said="x" * 5 * 1024**2)


@kind("oversized")
def commits_of_65_mib(forger: Forger, folder: Path, task: Task) -> None:
    os.truncate(forger.make(folder, task) / "commits.bundle", 65 * 1024**2)


# -- the document


@kind("bad-document")
def no_json(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "bundle.json").write_text("{")


@kind("bad-document")
def brackets_without_end(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "bundle.json").write_text("[" * 100_000)


@kind("bad-document")
def a_number_that_is_none(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task)
    text = (folder / "bundle.json").read_text().replace('"wall_s": 1.0', '"wall_s": NaN')
    (folder / "bundle.json").write_text(text)


edited("an unknown key", "bad-document", verified=True)
edited("a newer schema", "bad-document", schema=2)
edited("an unknown status", "bad-document", status="verified")
edited("another run's", "other-run", run_id="20200101-000000-abcdef")
edited("a task that was not planned", "unknown-task", task_id="issue-999")
edited("a task id that leads elsewhere", "unknown-task", task_id="../../main")
edited("another branch", "other-branch", branch="main")
edited("a branch without our prefix", "other-branch", branch="release/1")
edited("another base", "other-base", base_sha="0" * 40)
edited("an option as head", "bad-head", head_sha="--upload-pack=touch /tmp/x")
edited("a branch name as head", "bad-head", head_sha="main")
edited("a negative cost", "bad-figures", cost_usd=-1.0)
edited("an endless time", "bad-figures", wall_s=1e300)
edited("a request nobody knows", "unknown-request", requests=[{"kind": "merge", "title": "x", "body": ""}])
edited(
    "two requests", "unknown-request", requests=[{"kind": "pull-request", "title": "x", "body": ""}] * 2
)  # fmt: skip
for what, title in (
    ("a title with an escape", "ok \x1b[2J"),
    ("a title of two lines", "one\n::set-output name=x::y"),
    ("a title that turns around", "ok \u202egnp.exe"),
    ("a title with a zero byte", "ok\x00"),
):
    edited(what, "control-characters", requests=[{"kind": "pull-request", "title": title, "body": ""}])
edited("an error with an escape", "control-characters", error="\x1b]0;x\x07")
edited(
    "a title without end", "oversized-text", requests=[{"kind": "pull-request", "title": "x" * 301, "body": ""}]
)  # fmt: skip
edited(
    "a body without end", "oversized-text", requests=[{"kind": "pull-request", "title": "x", "body": "x" * 70_000}]
)  # fmt: skip
edited(
    "a claim without end", "oversized-text",
    claims=[{"phase": "testing", "head_sha": "a" * 40, "text": "x" * 700_000}],
)  # fmt: skip
edited("a phase nobody knows", "unknown-phase", claims=[{"phase": "approval", "head_sha": "a" * 40}])
edited("a phase claimed twice", "claim-twice", claims=[{"phase": "testing", "head_sha": "a" * 40}] * 2)
edited("claims that the trail has not", "claims-differ", claims=[{"phase": "testing", "head_sha": "a" * 40}])
edited("a trail that is no digest", "bad-document", trail="../x")


# -- commits


@kind("missing-commits")
def no_commits(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "commits.bundle").unlink()


@kind("no-git-bundle")
def commits_that_are_text(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "commits.bundle").write_text("#!/bin/sh\n\n")


@kind("no-git-bundle")
def a_header_without_a_pack(forger: Forger, folder: Path, task: Task) -> None:
    file = forger.make(folder, task) / "commits.bundle"
    file.write_bytes(file.read_bytes().partition(b"\n\n")[0] + b"\n\n")


@kind("foreign-ref")
def a_ref_outside_the_task(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task, refs={"refs/heads/main": forger.commit()})


@kind("foreign-ref")
def a_tag(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task, refs={"refs/tags/v1": forger.commit()})


@kind("foreign-ref")
def the_trail_of_another_task(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task, refs={audit.ref_of("issue-999"): forger.commit()})


@kind("replace-ref")
def a_ref_that_replaces_an_object(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task, refs={f"refs/replace/{forger.plan.base_sha}": forger.commit()})


@kind("other-head")
def a_branch_at_another_commit(forger: Forger, folder: Path, task: Task) -> None:
    edit(forger.make(folder, task), head_sha=forger.commit())


@kind("missing-ref")
def no_branch(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task, keep=[audit.ref_of(task.id)])


@kind("missing-ref")
def no_trail(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task, keep=[f"refs/heads/{task.branch}"])


@kind("other-base")
def commits_upon_what_we_have_not(forger: Forger, folder: Path, task: Task) -> None:
    head = forger.commit()
    trail = forger.trail(forger.events(task, head))
    forger.make(folder, task, head=head)
    forger.pack(
        folder / "commits.bundle",
        {f"refs/heads/{task.branch}": head, audit.ref_of(task.id): trail},
        needs=["1" * 40],
    )


with_head("a history of its own", "other-base", lambda f: f.commit(parents=[]))
with_head(
    "a second history merged in", "foreign-history",
    lambda f: f.commit(parents=[f.plan.base_sha, f.commit(parents=[], on_base=False)]),
)  # fmt: skip


def _long(forger: Forger) -> str:
    tree = forger.tree([], on=forger.plan.base_sha)
    text = ""
    for number in range(1001):
        above = forger.plan.base_sha if number == 0 else f":{number}"
        text += f"commit refs/long\nmark :{number + 1}\ncommitter A <a@b> {number} +0000\ndata 1\nx\nfrom {above}\n"
    assert tree
    forger.put("fast-import", "--quiet", "--force", body=text.encode())
    head = forger.put("rev-parse", "refs/long")
    forger.put("update-ref", "-d", "refs/long")
    return head


with_head("1001 commits", "too-many-commits", _long)


@kind("too-many-objects")
def a_million_objects(forger: Forger, folder: Path, task: Task) -> None:
    file = forger.make(folder, task) / "commits.bundle"
    body = file.read_bytes()
    at = body.index(b"\n\nPACK") + 10
    file.write_bytes(body[:at] + struct.pack(">I", 1_000_000) + body[at + 4 :])


with_head("zeros that were packed small", "ratio", lambda f: f.file("zeros", b"\0" * 24 * 1024**2))


@kind("missing-objects")
def a_file_that_was_left_out(forger: Forger, folder: Path, task: Task) -> None:
    head = forger.commit([("100644", "blob", forger.blob("left out\n"), "gone.py")])
    events = forger.events(task, head)
    forger.make(folder, task, head=head, events=events)
    left = forger.put("rev-parse", f"{head}:gone.py")
    refs = {f"refs/heads/{task.branch}": head, audit.ref_of(task.id): forger.trail(events)}
    forger.pack(folder / "commits.bundle", refs, leave_out=[left])


@kind("bad-object")
def a_byte_that_was_changed(forger: Forger, folder: Path, task: Task) -> None:
    file = forger.make(folder, task) / "commits.bundle"
    body = bytearray(file.read_bytes())
    body[-10] ^= 0xFF
    file.write_bytes(bytes(body))


for what, name in (("a folder .git", ".git"), ("a folder above", ".."), ("a path in a name", "a/b")):
    with_head(
        what, "path-escape", lambda f, name=name: f.commit([("100644", "blob", f.blob("x"), name)])
    )  # fmt: skip
with_head("a link to the system", "symlink-escape", lambda f: f.file("link", "/etc/passwd", "120000"))
with_head("a link out of the tree", "symlink-escape", lambda f: f.file("a/link", "../../x", "120000"))
with_head("a link into .git", "symlink-escape", lambda f: f.file("link", ".git/config", "120000"))
with_head("submodules behind a link", "symlink-escape", lambda f: f.file(".gitmodules", "x", "120000"))


def _module(url: str) -> Any:
    return lambda f: f.file(".gitmodules", f'[submodule "a"]\n\tpath = a\n\turl = {url}\n')


with_head("a submodule url that is an option", "submodule-url", _module("--upload-pack=touch /tmp/x"))
with_head("a submodule url that is a program", "submodule-url", _module("ext::sh -c touch% /tmp/x"))
with_head("a submodule url of this machine", "submodule-url", _module("file:///etc"))
with_head("a workflow", "workflow-path", lambda f: f.file(".github/workflows/x.yml", "on: push\n"))
with_head("an action", "workflow-path", lambda f: f.file(".github/actions/x/action.yml", "name: x\n"))
with_head("the configuration", "protected-path", lambda f: f.file(".github/orchestrator.yml", "test: true\n"))
with_head("settings of an agent", "protected-path", lambda f: f.file(".mcp.json", "{}\n"))


# -- the trail


def with_trail(what: str, refused_as: str, forge: Any) -> None:
    """An honest bundle with a trail that is not; `forge` gives events and the trail's commit."""

    def make(forger: Forger, folder: Path, task: Task) -> None:
        head = forger.commit()
        events, tip = forge(forger, task, head)
        texts = [e for e in events if isinstance(e.data.get("note", ""), str)]
        claims = forger.document(task, head, texts)["claims"]
        forger.make(folder, task, head=head, events=events, tip=tip, claims=claims)

    KINDS[what] = (refused_as, make)


def _file(forger: Forger) -> str:
    return f"{forger.plan.run_id}.jsonl"


def _changed(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.raw_trail({_file(forger): lines(events).replace('"testing"', '"review"')})


def _gap(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.raw_trail({_file(forger): lines([*events[:2], *events[3:]])})


def _cut(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.trail(events[:-1])


def _taken_back(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    before = forger.trail(forger.events(task, head, note="something else"))
    return events, forger.trail(events, parent=before)


def _wrong_type(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    data = {**events[1].data, "note": {"a": [1]}}
    last = seal(
        seq=9, at=9.0, run=forger.plan.run_id, task=task.id, kind="claim", data=data, prev=events[-1].hash
    )
    return [*events, last], forger.trail([*events, last])


def _garbage(forger: Forger, task: Task, head: str) -> Any:
    return forger.events(task, head), forger.raw_trail({_file(forger): "\x00\xff{]\n" * 10})


def _two_files(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.raw_trail({_file(forger): lines(events), "run.sh": "echo"})


def _other_run(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head, run="20200101-000000-abcdef")
    return events, forger.trail(events, run="20200101-000000-abcdef")


def _other(**other: Any) -> Any:
    def make(forger: Forger, task: Task, head: str) -> Any:
        events = forger.events(task, head, **other)
        return events, forger.trail(events)

    return make


with_trail("an event that was changed", "forged-trail", _changed)
with_trail("an event that was taken out", "forged-trail", _gap)
with_trail("a trail without its end", "cut-trail", _cut)
with_trail("a trail that takes back", "forged-trail", _taken_back)
with_trail("a trail of garbage", "forged-trail", _garbage)
with_trail("a claim that is no text", "forged-trail", _wrong_type)
with_trail("a trail with a further file", "foreign-trail", _two_files)
with_trail("the trail of another run", "foreign-trail", _other_run)
with_trail("the trail of another base", "foreign-trail", _other(base_sha="0" * 40))
with_trail("the trail of another branch", "foreign-trail", _other(branch="main"))
with_trail("events of another task", "forged-trail", _other(named="issue-999"))


@kind("two-bundles")
def two_for_one_task(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task)
    shutil.copytree(folder, folder.with_name(f"{folder.name}-again"))


def folders_of(folder: Path) -> list[Path]:
    """All folders that a hostile machine hands in for one task."""
    return [f for f in (folder, folder.with_name(f"{folder.name}-again")) if os.path.lexists(f)]
