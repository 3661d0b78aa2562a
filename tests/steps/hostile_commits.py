"""Commits, trees and packs that somebody hostile would put into a bundle."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

from orchestrator_action.git import audit_trail as audit
from orchestrator_action.protocol.model import Task
from tests.kit.forger import Forger, edit, raw_row
from tests.steps.hostile import KINDS, kind


def with_head(what: str, refused_as: str, head: Any) -> None:
    """An honest bundle around a commit that is not."""

    def make(forger: Forger, folder: Path, task: Task) -> None:
        forger.make(folder, task, head=head(forger))

    KINDS[what] = (refused_as, make)


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


@kind("missing-objects")
def a_folder_that_was_left_out(forger: Forger, folder: Path, task: Task) -> None:
    head = forger.file("gone/x.py")
    events = forger.events(task, head)
    forger.make(folder, task, head=head, events=events)
    refs = {f"refs/heads/{task.branch}": head, audit.ref_of(task.id): forger.trail(events)}
    forger.pack(folder / "commits.bundle", refs, leave_out=[forger.put("rev-parse", f"{head}:gone")])


@kind("missing-objects")
def a_root_that_was_left_out(forger: Forger, folder: Path, task: Task) -> None:
    head = forger.file("gone/x.py")
    events = forger.events(task, head)
    forger.make(folder, task, head=head, events=events)
    refs = {f"refs/heads/{task.branch}": head, audit.ref_of(task.id): forger.trail(events)}
    forger.pack(folder / "commits.bundle", refs, leave_out=[forger.put("rev-parse", f"{head}^{{tree}}")])


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
for target in (".g\u200cit/config", ".git::$INDEX_ALLOCATION/config", "GIT~1/hooks", ".git. /config"):
    with_head(f"a link to {target!a}", "symlink-escape", lambda f, to=target: f.file("link", to, "120000"))
with_head("submodules behind a link", "symlink-escape", lambda f: f.file(".gitmodules", "x", "120000"))


def _module(url: str) -> Any:
    return lambda f: f.file(".gitmodules", f'[submodule "a"]\n\tpath = a\n\turl = {url}\n')


with_head("a submodule url that is an option", "submodule-url", _module("--upload-pack=touch /tmp/x"))
with_head("a submodule url that is a program", "submodule-url", _module("ext::sh -c touch% /tmp/x"))
with_head("a submodule url of this machine", "submodule-url", _module("file:///etc"))
with_head("a workflow", "workflow-path", lambda f: f.file(".github/workflows/x.yml", "on: push\n"))
with_head("an action", "workflow-path", lambda f: f.file(".github/actions/x/action.yml", "name: x\n"))
with_head(
    "a link in the place of the workflows",
    "workflow-path",
    lambda f: f.file(".github/actions", "../ci", "120000"),
)
with_head("the configuration", "protected-path", lambda f: f.file(".github/orchestrator.yml", "test: true\n"))
with_head("settings of an agent", "protected-path", lambda f: f.file(".mcp.json", "{}\n"))


# -- objects that no git of ours writes


def with_rows(what: str, refused_as: str, *rows: Any, in_order: bool = True) -> None:
    """An honest bundle around a tree with further entries that are made byte by byte."""
    with_head(what, refused_as, lambda f: f.over([row(f) for row in rows], in_order=in_order))


def entry(mode: str, name: str, text: str = "x\n") -> Any:
    return lambda f: raw_row(mode, name, f.blob(text))


def folder_of(name: str, *rows: Any) -> Any:
    return lambda f: raw_row("40000", name, f.raw_tree(b"".join(row(f) for row in rows)))


def _bomb(f: Forger) -> bytes:
    """Ten levels of folders, each with ten times the one below: 10^10 paths in eleven objects."""
    sha, mode = f.blob("x\n"), "100644"
    for _ in range(10):
        sha, mode = f.raw_tree(b"".join(raw_row(mode, f"d{n}", sha) for n in range(10))), "40000"
    return raw_row(mode, "bomb", sha)


def _deep(f: Forger) -> bytes:
    """A folder in a folder, three hundred times."""
    sha, mode = f.blob("x\n"), "100644"
    for _ in range(300):
        sha, mode = f.raw_tree(raw_row(mode, "d", sha)), "40000"
    return raw_row(mode, "d", sha)


def _wide(f: Forger) -> bytes:
    """A folder with 300,000 names of the same file: 9 MiB in one tree."""
    sha = f.blob("x\n")
    return raw_row(
        "40000", "w", f.raw_tree(b"".join(raw_row("100644", f"{n:06}", sha) for n in range(300_000)))
    )


with_rows("a folder of 10 to the power of 10 files", "too-many-paths", _bomb)
with_rows("three hundred folders in each other", "too-many-paths", _deep)
with_rows("a folder with 300000 files", "too-many-paths", _wide)
for name in (".GIT", "git~1", "GIT~1", ".git ", ".git.", ".git\u200c", ".git::$INDEX_ALLOCATION"):
    with_rows(f"a folder {name!a}", "path-escape", entry("100644", name))
for name in ("..\\..\\x", "a\\..\\..\\x", ".git\\hooks\\x", "C:\\x"):
    with_rows(f"a name {name!a}", "path-escape", entry("100644", name))
with_rows("a name of two lines", "control-characters", entry("100644", "x\n::error::y.py"))
with_rows("a name with an escape", "control-characters", entry("100644", "x\x1b[2J.py"))
with_rows("a name that turns around", "control-characters", entry("100644", "x\u202eyp.exe"))
for name in (".GITMODULES", ".gitmodules ", "gitmod~1"):
    with_rows(f"submodules behind a link {name!a}", "symlink-escape", entry("120000", name, "x"))
with_rows("a file that everybody may write", "bad-object", entry("100666", "open.py"))
with_rows("a file that runs as its owner", "bad-object", entry("104755", "root.py"))
with_rows("a mode with zeros before it", "bad-object", entry("0100644", "x.py"))
with_rows("a device", "bad-object", entry("60000", "sda"))
with_rows("one name twice", "bad-object", entry("100644", "z.py"), entry("100644", "z.py", "other\n"))
with_rows(
    "names out of order", "bad-object", entry("100644", "z.py"), entry("100644", "y.py"), in_order=False
)  # fmt: skip
with_rows("a submodule without a url", "submodule-url", lambda f: raw_row("160000", "sub", f.plan.base_sha))
with_rows(
    "two names that are one elsewhere", "case-clash", entry("100644", "Zed.py"), entry("100644", "zed.py")
)
with_rows("a name that is one of the base elsewhere", "case-clash", entry("100644", "readme.MD"))
with_rows(
    "a letter that is written in two ways", "case-clash", entry("100644", "\u00e9.py"), entry("100644", "e\u0301.py")
)  # fmt: skip
for name in ("README.md.", "README.md ", "READ\u200cME.md", "README.md::$DATA"):
    with_rows(f"a name {name!a} that is one of the base elsewhere", "case-clash", entry("100644", name))
with_rows(
    "a link that is a folder elsewhere", "case-clash",
    entry("120000", "Zed", "numbers_.py"), folder_of("zed", entry("100644", "x")),
)  # fmt: skip
with_rows(
    "a link out of the tree over another link", "symlink-escape",
    entry("120000", "zdeep", "zdir/up/../.."), folder_of("zdir", entry("120000", "up", "..")),
)  # fmt: skip
with_rows(
    "a link into .git over another link", "symlink-escape",
    entry("120000", "here", "."), entry("120000", "into", "here/.git/config"),
)  # fmt: skip


def with_commit(what: str, refused_as: str, text: Any) -> None:
    """An honest bundle around a commit that is made byte by byte; `text` is given tree and base."""

    def head(f: Forger) -> str:
        tree = f.put("rev-parse", f"{f.commit()}^{{tree}}")
        return f.put(
            "hash-object", "-w", "-t", "commit", "--literally", "--stdin", body=text(tree, f.plan.base_sha)
        )

    with_head(what, refused_as, head)


def _commit(*, author: str = "A <a@b> 1 +0000", more: str = "", message: bytes = b"x\n") -> Any:
    return lambda tree, base: (
        f"tree {tree}\nparent {base}\nauthor {author}\ncommitter A <a@b> 1 +0000\n{more}\n".encode() + message
    )


with_commit("a date beyond all dates", "bad-object", _commit(author="A <a@b> 99999999999999999999 +0000"))
with_commit("an author without an end", "bad-object", _commit(author="A <a@b 1 +0000"))
with_commit(
    "a commit with two authors", "bad-object", _commit(author="A <a@b> 1 +0000\nauthor B <b@c> 1 +0000")
)
with_commit("a message with a zero byte", "bad-object", _commit(message=b"x\0y\n"))
with_commit("a message of 24 MiB", "ratio", _commit(message=b" " * 24 * 1024**2))


@kind("bad-head")
def a_tag_object_as_the_branch(forger: Forger, folder: Path, task: Task) -> None:
    head = forger.commit()
    tag = f"object {head}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nx\n".encode()
    tagged = forger.put("hash-object", "-w", "-t", "tag", "--literally", "--stdin", body=tag)
    forger.make(folder, task, head=tagged, events=forger.events(task, tagged))


for ref in ("refs/hidden/x", "HEAD", "refs/orchestrator/tasks/issue-1/more", "refs/remotes/origin/main"):
    KINDS[f"a ref {ref}"] = (
        "foreign-ref", lambda forger, folder, task, ref=ref: forger.make(folder, task, refs={ref: forger.commit()}),
    )  # fmt: skip


@kind("foreign-ref")
def a_ref_below_the_branch(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task, refs={f"refs/heads/{task.branch}/more": forger.commit()})


@kind("foreign-ref")
def a_tag_of_the_branchs_name(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task, refs={f"refs/tags/{task.branch}": forger.commit()})


def _header(old: bytes, new: bytes) -> Any:
    def make(forger: Forger, folder: Path, task: Task) -> None:
        file = forger.make(folder, task) / "commits.bundle"
        body = file.read_bytes()
        assert old in body
        file.write_bytes(body.replace(old, new, 1))

    return make


KINDS["a pack that may lack objects"] = (
    "no-git-bundle", _header(b"# v2 git bundle\n", b"# v3 git bundle\n@filter=blob:none\n"),
)  # fmt: skip


@kind("oversized")
def deltas_that_unpack_to_a_hundred_times_more(forger: Forger, folder: Path, task: Task) -> None:
    """Each of 200 objects of some bytes says "copy" until it has 16 MiB: 3 GiB in a file of some KiB."""
    file = forger.make(folder, task) / "commits.bundle"
    header = file.read_bytes().partition(b"\n\nPACK")[0]
    file.write_bytes(header + b"\n\n" + delta_bomb(200, copies=256))


def delta_bomb(count: int, *, copies: int) -> bytes:
    """A pack of one blob of 64 KiB and of `count` deltas that copy it over and over."""
    blob = b"\0" * 65536
    name = hashlib.sha1(b"blob 65536\0" + blob).digest()
    packed = _packed(3, len(blob), zlib.compress(blob))
    for serial in range(count):
        made = _number(len(blob)) + _number(len(blob) * copies + 4) + b"\x80" * 0
        delta = made + b"\xf0\x00\x00\x01" * copies + b"\x04" + struct.pack(">I", serial)
        packed += _packed(7, len(delta), name + zlib.compress(delta))
    body = b"PACK" + struct.pack(">II", 2, count + 1) + packed
    return body + hashlib.sha1(body).digest()


def _packed(kind: int, size: int, body: bytes) -> bytes:
    first, rest = kind << 4 | size & 15, size >> 4
    return bytes([first | 128 if rest else first]) + (_number(rest) if rest else b"") + body


def _number(value: int) -> bytes:
    made = b""
    while value > 127:
        made += bytes([value & 127 | 128])
        value >>= 7
    return made + bytes([value])
