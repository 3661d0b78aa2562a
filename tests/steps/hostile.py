"""Bundles that somebody hostile would write, by what is wrong with each, and the name under which it is refused."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

from orchestrator_action.protocol.model import Task
from tests.kit.forger import Forger, Kind, edit

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


@kind("no-plain-file")
def a_folder_as_document(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "bundle.json").unlink()
    (folder / "bundle.json").mkdir()


@kind("no-plain-file")
def a_folder_as_commits(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "commits.bundle").unlink()
    (folder / "commits.bundle").mkdir()


@kind("missing-file")
def a_socket_as_commits(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / "commits.bundle").unlink()
    os.mknod(folder / "commits.bundle", stat.S_IFSOCK | 0o600)


@kind("no-plain-file")
def a_folder_as_a_file_of_lfs(forger: Forger, folder: Path, task: Task) -> None:
    (forger.make(folder, task) / f"lfs-{'a' * 64}").mkdir()


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


# -- numbers and texts that only look like such


def written(what: str, refused_as: str, old: str, new: str) -> None:
    """An honest bundle whose document is changed as text, as no writer of JSON would write it."""

    def make(forger: Forger, folder: Path, task: Task) -> None:
        file = forger.make(folder, task) / "bundle.json"
        text = file.read_text()
        assert old in text
        file.write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogatepass"))

    KINDS[what] = (refused_as, make)


written("a key twice", "bad-document", '"status": "success"', '"status": "failed", "status": "success"')
written("a number beyond all numbers", "bad-document", '"wall_s": 1.0', '"wall_s": 1e999')
written("a count of 400 digits", "bad-figures", '"attempts": 1', f'"attempts": 1{"0" * 400}')
written("turns of 400 digits", "bad-figures", '"turns": null', f'"turns": 1{"0" * 400}')
written("a number of 5000 digits", "bad-document", '"attempts": 1', f'"attempts": 1{"0" * 5000}')
written("brackets 10000 deep", "bad-document", '"said": "done"', f'"said": {"[" * 10_000}{"]" * 10_000}')
written("half a character", "bad-document", '"said": "done"', '"said": "\\ud800"')
written("half a character in a title", "bad-document", '"title": "Add more"', '"title": "\\udfff Add"')
written("half a character as bytes", "bad-document", '"said": "done"', '"said": "\ud800"')


@kind("bad-document")
def a_document_in_utf_16(forger: Forger, folder: Path, task: Task) -> None:
    file = forger.make(folder, task) / "bundle.json"
    file.write_bytes(file.read_text().encode("utf-16"))


# -- more than one


@kind("two-bundles")
def two_for_one_task(forger: Forger, folder: Path, task: Task) -> None:
    forger.make(folder, task)
    shutil.copytree(folder, folder.with_name(f"{folder.name}-again"))


def folders_of(folder: Path) -> list[Path]:
    """All folders that a hostile machine hands in for one task."""
    return [f for f in (folder, folder.with_name(f"{folder.name}-again")) if os.path.lexists(f)]
