"""Bundles are hostile: each kind is refused by its name, and the honest ones beside it are published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.state.documents import encode_document
from tests.kit.forger import Forger, raw_row
from tests.kit.place import Place, plan_for
from tests.kit.repos import git
from tests.kit.steps import Split
from tests.kit.tables import few
from tests.kit.whole import GOOD
from tests.steps import hostile_commits, hostile_trail
from tests.steps.hostile import KINDS, folders_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield Place(tmp_path_factory.mktemp("bundles"))


def test_there_are_many_kinds():
    assert len(KINDS) >= 150 and len({name for name, _ in KINDS.values()}) >= 33
    assert all(module.KINDS is KINDS for module in (hostile_commits, hostile_trail))


@pytest.mark.parametrize("what", few(KINDS, 60))
def test_a_hostile_bundle_is_refused_by_name_and_the_honest_one_beside_it_counts(
    place: Place, tmp_path: Path, what: str
):
    refused_as, make = KINDS[what]
    folder = tmp_path / "issue-1"
    make(place.forger, folder, place.plan.tasks[0])
    said: list[str] = []

    offers = place.offers([*folders_of(folder), place.honest], said)

    assert [True] == [f": {refused_as}: " in line for line in said], said
    assert "issue-1" not in offers or offers["issue-1"].work is None
    assert offers["issue-2"].work is not None, said


def test_honest_bundles_are_taken(place: Place, tmp_path: Path):
    """Also one whose task changed nothing, and one whose task was never begun."""
    plan, said = place.plan, list[str]()
    changed = place.forger.make(tmp_path / "issue-1", plan.tasks[0])
    assert place.offers([changed, place.honest], said)["issue-1"].work

    nothing = tmp_path / "nothing"
    nothing.mkdir()
    document = place.forger.document(plan.tasks[0], "", (), status="blocked", claims=[], requests=[])
    (nothing / "bundle.json").write_text(json.dumps(document))
    offers = place.offers([nothing], said)

    assert offers["issue-1"].work and not said, said


ODD: dict[str, Callable[[Forger], str]] = {
    "a name whose case changes": lambda f: f.commit(
        [("100644", "blob", f.blob("# Numbers\n"), "Readme.md"), *_left(f, "README.md")], on_base=False
    ),
    "a name with a backslash": lambda f: f.file("units/dev-x\\x2dy.mount"),
    "a name that is no UTF-8": lambda f: f.over([raw_row("100644", "caf\udce9.py", f.blob("x\n"))]),
    "a link within the tree": lambda f: f.file("docs/a/link", "../../README.md", "120000"),
    "a link to what is not there yet": lambda f: f.file("link", "build/out", "120000"),
    "a program": lambda f: f.file("run.sh", "#!/bin/sh\n", "100755"),
    "thirty folders in each other": lambda f: f.file("/".join("d" * 30)),
    "a submodule with its url": lambda f: f.commit(
        [
            (
                "100644", "blob",
                f.blob('[submodule "a"]\n\tpath = a b\n\turl = https://example.com/a.git\n'), ".gitmodules",
            ),
            ("160000", "commit", f.plan.base_sha, "a b"),
        ]
    ),
    "a message in Latin-1": lambda f: f.put(
        "-c", "i18n.commitEncoding=ISO-8859-1", "commit-tree", f"{f.commit()}^{{tree}}", "-p", f.plan.base_sha,
        "-m", "caf\udce9",
    ),
}  # fmt: skip
"""Commits that are rare and do no harm."""


def _left(forger: Forger, *without: str) -> list[tuple[str, str, str, str]]:
    """The base's own entries, but for some."""
    rows = [line.split(None, 3) for line in git(forger.clone, "ls-tree", forger.plan.base_sha).splitlines()]
    return [(mode, kind, sha, name) for mode, kind, sha, name in rows if name not in without]


@pytest.mark.parametrize("what", ODD)
def test_what_is_rare_and_does_no_harm_is_taken(place: Place, tmp_path: Path, what: str):
    forger, said = place.forger, list[str]()
    task = place.plan.tasks[0]
    folder = forger.make(tmp_path / "issue-1", task, head=ODD[what](forger))

    offers = place.offers([folder], said)

    assert [] == said and offers["issue-1"].work


def test_the_others_are_published(split: Split):
    """Five issues, real bundles; four are then replaced by hostile ones, and end by the name of what is wrong."""
    for number in range(1, 6):
        split.home.issue(number, f"Task {number}", GOOD)
    split.plan()
    plan = json.loads(split.plan_file.read_text())
    assert 5 == len(plan["tasks"])
    chosen = ("a workflow", "the trail of another base", "a title with an escape", "a link as document")
    base = split.clone("work")
    known = replace(plan_for(plan["base_sha"], 5), run_id=plan["run_id"], base_sha=plan["base_sha"])
    tasks = [replace(t, branch=p["branch"]) for t, p in zip(known.tasks, plan["tasks"], strict=True)]
    forger = Forger(base, replace(known, tasks=tuple(tasks)))
    for task, what in zip(tasks, chosen, strict=False):
        KINDS[what][1](forger, split.bundle(task.id), task)
    forger.make(split.bundle("issue-5"), tasks[4])
    assert split.verify("issue-5").code in {0, 1}

    bundles = [split.bundle(f"issue-{n}") for n in range(1, 6)]
    ran = split.publish(bundles=bundles)

    assert 1 == ran.code, ran.err
    for task, what in zip(tasks, chosen, strict=False):
        ended = ran.task(task.id)
        assert "failed" == ended["status"] and KINDS[what][0] in ended["error"], ended
        assert "" == split.home.repo.at_remote(f"refs/heads/{task.branch}")
        [comment] = (split.home.forge / "comments" / task.id.removeprefix("issue-")).glob("*.md")
        assert KINDS[what][0] in comment.read_text()
    assert "refused" not in ran.task("issue-5")["error"]
    assert ran.task("issue-5")["head_sha"] == split.home.repo.at_remote(f"refs/heads/{tasks[4].branch}")
    assert encode_document(known)
