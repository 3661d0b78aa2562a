"""Tasks that depend on others, over machines: on the branch they depend on, and only when that is verified."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.kit.steps import Split
from tests.kit.whole import LIBRARY, LIES, change, new_file

README = LIBRARY["README.md"]
FIRST = new_file("more.py") + change("README.md", README, f"{README}- `more.py`\n")
SECOND = (
    "Blocked by #1\n\n"
    + change("more.py", "x = 1\n", "x = 2\n")
    + change("README.md", f"{README}- `more.py`\n", f"{README}- `more.py`\n- two\n")
)


def step_on(split: Split, *tasks: str) -> None:
    for task in tasks:
        assert split.verify(task).code in {0, 1}


def test_a_dependent_task_is_worked_on_measured_and_published_on_the_branch_it_depends_on(split: Split):
    split.home.issue(1, "More", FIRST, labels=["orchestrate", "orchestrate-priority:low"])
    split.home.issue(2, "Two", SECOND)
    split.home.issue(3, "Three", new_file("three.py") + new_file("THREE.md", "# three"))
    plan = split.plan(shards=3)
    assert [["issue-1", "issue-2"], ["issue-3"]] == [sorted(s) for s in plan["shards"]]

    split.work(1)
    split.work(2)
    step_on(split, "issue-1", "issue-2", "issue-3")
    ran = split.publish()

    assert {"success"} == {t["status"] for t in ran.report["tasks"]}, ran.err
    first, second = ran.task("issue-1"), ran.task("issue-2")
    assert first["head_sha"] == second["base_sha"]
    pull = next(p for p in (split.home.forge / "pulls").glob("*/pull.md") if "#2" in p.read_text())
    assert f"base: {first['branch']}" in pull.read_text().replace('"', "")


@pytest.mark.slow
def test_what_waited_for_one_whose_verdict_is_bad_is_blocked_and_its_branch_is_kept(split: Split):
    """The work machine had measured with a command that always passes, and so went on with the second."""
    lies = LIES + change("README.md", README, f"{README}- treble\n")
    numbers = change(
        "numbers_.py", "def double(n):\n    return n * 3\n", "def double(n):\n    return n * 3  # yes\n"
    )
    split.home.issue(1, "Treble", lies)
    split.home.issue(2, "Two", f"Depends on #1\n\n{numbers}")
    split.plan("--test", "echo 1 passed, 0 failed")
    worked = split.work()
    assert ["success", "success"] == [b["status"] for b in worked["bundles"]]
    honest = json.loads(split.plan_file.read_text())
    config = split.home.repo.path / ".github" / "orchestrator.yml"
    honest["test_commands"] = [config.read_text().removeprefix("test: ").strip()]
    split.plan_file.write_text(json.dumps(honest, sort_keys=True, separators=(",", ":")) + "\n")

    step_on(split, "issue-1", "issue-2")
    ran = split.publish()

    assert ["failed", "blocked"] == [t["status"] for t in ran.report["tasks"]], ran.err
    second = ran.task("issue-2")
    assert "issue-1 did not succeed" in second["error"]
    assert second["head_sha"] == split.home.repo.at_remote(f"refs/heads/{second['branch']}")
    assert not (split.home.forge / "pulls").exists()


@pytest.mark.slow
def test_a_bundle_that_grew_from_another_commit_than_the_verified_one_is_refused(split: Split):
    """Somebody else's bundle of the first task came, and was verified: the second was made on another one."""
    split.home.issue(1, "More", FIRST)
    split.home.issue(2, "Two", SECOND)
    split.plan()
    split.work()
    kept = split.files / "kept"
    split.bundle("issue-2").rename(kept)
    split.cli("work", "clean", "--remove")
    again = split.work()
    assert ["success", "success"] == [b["status"] for b in again["bundles"]]
    moved = split.files / "bundles" / "issue-2"
    moved.rename(split.files / "second")
    kept.rename(moved)
    step_on(split, "issue-1", "issue-2")

    ran = split.publish()

    first = ran.task("issue-1")
    base = json.loads((moved / "bundle.json").read_text())["base_sha"]
    assert base != first["head_sha"], "commits of another second have other names"
    assert "other-base" in ran.task("issue-2")["error"], ran.err
    assert "failed" == ran.task("issue-2")["status"]


def before(split: Split, *tasks: str) -> list[str]:
    """What a later wave is given of the tasks before it."""
    verdicts = [split.files / "verdicts" / f"{task}.json" for task in tasks]
    return [*(str(split.bundle(t)) for t in tasks), *(a for v in verdicts for a in ("--verdict", str(v)))]


def in_waves(split: Split) -> None:
    """Two issues and one that depends on the first, planned for two waves."""
    split.home.issue(1, "More", FIRST)
    split.home.issue(2, "Two", SECOND)
    split.home.issue(3, "Three", new_file("three.py"))
    planned = split.plan("--waves", "2", shards=2)
    assert [[["issue-1"], ["issue-3"], ["issue-2"]], [[1, 2], [3]]] == [planned["shards"], planned["waves"]]


@pytest.mark.slow
def test_a_later_wave_grows_on_another_machine_from_what_was_verified(split: Split):
    """Its machine has seen nothing of the first wave but bundle and verdict, of accepted digests."""
    in_waves(split)
    made = [split.work(1), split.work(2)]
    step_on(split, "issue-1", "issue-3")
    digests = [b["sha256"] for m in made for b in m["bundles"]] + split.verdict_digests()

    split.work(
        3, *before(split, "issue-1", "issue-3"), *(a for d in digests for a in ("--accept", d)), clone="work3"
    )
    step_on(split, "issue-2")
    ran = split.publish()

    assert ["success"] * 3 == [t["status"] for t in ran.report["tasks"]], ran.err
    first, second = ran.task("issue-1"), ran.task("issue-2")
    assert first["head_sha"] == second["base_sha"]
    pull = next(p for p in (split.home.forge / "pulls").glob("*/pull.md") if "#2" in p.read_text())
    assert f"base: {first['branch']}" in pull.read_text().replace('"', "")


@pytest.mark.slow
def test_a_later_wave_does_not_begin_on_what_is_not_verified(split: Split):
    """No agent is paid for it; publish says what it waited for, and the others are published."""
    in_waves(split)
    split.work(1)
    split.work(2)
    step_on(split, "issue-1", "issue-3")
    bundle, option, verdict = before(split, "issue-1")
    bad = split.files / "bad.json"
    bad.write_text(Path(verdict).read_text().replace('"holds":true', '"holds":false'))
    for number, given in enumerate(
        (
            [bundle],
            [bundle, option, verdict, "--accept", "0" * 64],
            [bundle, option, str(bad)],
            [option, verdict],
        )
    ):
        shutil.rmtree(split.bundle("issue-2"), ignore_errors=True)

        worked = split.work(3, *given, clone=f"later-{number}")

        assert ["blocked"] == [b["status"] for b in worked["bundles"]], given
        journals = [f.read_text() for f in split.clone(f"later-{number}").rglob("journal.jsonl")]
        assert journals and not any('"attempt-started"' in text for text in journals)

    ran = split.publish()

    assert ["success", "blocked", "success"] == [ran.task(f"issue-{n}")["status"] for n in (1, 2, 3)], ran.err
    assert "issue-1 did not succeed" in ran.task("issue-2")["error"]


@pytest.mark.slow
def test_the_script_of_the_docs_takes_wave_after_wave(split: Split):
    """Asked for two shards a wave, of which there is one each."""
    split.home.issue(1, "More", FIRST)
    split.home.issue(2, "Two", SECOND)

    ran = split.run_script(shards=2, waves=2)

    assert [["issue-1"], ["issue-2"]] == json.loads(split.plan_file.read_text())["shards"]
    assert ["success", "success"] == [t["status"] for t in ran.report["tasks"]], ran.err
    assert ran.task("issue-1")["head_sha"] == ran.task("issue-2")["base_sha"]


def test_a_circle_is_left_out_of_a_plan_by_name(split: Split):
    split.home.issue(1, "One", f"Depends on #2\n\n{FIRST}")
    split.home.issue(2, "Two", f"Depends on #1\n\n{FIRST}")
    split.home.issue(3, "Three", FIRST)

    ran = split.try_plan("--agent", "patch")

    assert 0 == ran.code, ran.err
    assert "issue-1 → issue-2 → issue-1" in ran.err
    assert ["issue-3"] == [t["id"] for t in json.loads(split.plan_file.read_text())["tasks"]]
    front = (split.home.forge / "issues" / "1.md").read_text().split("---")[1]
    assert "orchestrate:running" not in front and "orchestrate" in front


@pytest.mark.slow
def test_publish_names_what_clashes_and_runs_no_test_of_the_merged_tree(split: Split, tmp_path: Path):
    """Even where the repository asks for it: no code of the repository runs beside the write token."""
    seen = tmp_path / "seen"
    seen.mkdir()
    both = f"ls one.py two.py 2>/dev/null | wc -l >> {seen}/together; {sys.executable} -m unittest discover"
    split.home.configure(f"integration: test\nsandbox: {{write: [{seen}]}}\ntest: {both}\n")
    for number, name in ((1, "one"), (2, "two"), (3, "three")):
        readme = "" if number == 3 else change("README.md", README, f"{README}- {name}\n")
        split.home.issue(number, name, new_file(f"{name}.py") + new_file(f"{name}.md", "# it\n") + readme)
    split.plan()
    split.work()
    step_on(split, "issue-1", "issue-2", "issue-3")

    ran = split.publish()

    found = ran.report["integration"]
    assert (["issue-3", "issue-1"], ["issue-2"], "not run") == (
        found["order"], found["left_out"], found["tests"],
    ), ran.err  # fmt: skip
    assert "2" not in (seen / "together").read_text().split()
    for number in (1, 2):
        pull = ran.task(f"issue-{number}")["pull"]["number"]
        said = "".join(p.read_text() for p in (split.home.forge / "comments" / str(pull)).glob("*.md"))
        assert "README.md" in said and "It cannot be merged together with" in said
    again = split.publish(clone="again")
    assert 0 == again.code and found["order"] == again.report["integration"]["order"]
