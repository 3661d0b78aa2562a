"""A run in four steps comes to what `run` comes to: the same ends, the same pull requests, nothing twice."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import jsonschema
import pytest

from orchestrator_action.protocol.phases import IDS
from tests.kit.steps import Split, elsewhere
from tests.kit.tables import few
from tests.kit.whole import EMPTY, GOOD, LIES, PACKAGE, THERE, alive, new_file

SCHEMA = PACKAGE / "orchestrator_action" / "publish" / "report" / "report.schema.json"
SAID_BY_WORK = {"initial-setup", "review", "review-response"}
"""Phases that nobody but the agent's machine can know of."""


def written(forge: Path) -> dict[str, str]:
    """Every file of a local forge but the times in them and the counters."""
    files = {str(p.relative_to(forge)): p.read_text() for p in forge.rglob("*") if p.is_file()}
    keep = {n: t for n, t in files.items() if n.split("/")[0] in {"pulls", "comments", "checks"}}
    return {n: "\n".join(x for x in t.splitlines() if not x.startswith("updated")) for n, t in keep.items()}


def test_the_script_of_the_docs_takes_issues_to_pull_requests(split: Split):
    """Plan, work, verify and publish in four clones; each task ends as it does in one process, and stands there."""
    for number, text in enumerate((GOOD, LIES, THERE, EMPTY), 1):
        split.home.issue(number, f"Task {number}", text)

    ran = split.run_script(shards=2)

    assert 1 == ran.code, ran.err
    assert ["success", "failed", "no-change", "declined"] == [t["status"] for t in ran.report["tasks"]], (
        ran.err
    )
    jsonschema.validate(ran.report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    good, forge = ran.task("issue-1"), split.home.forge
    assert {p: "reported" if p in SAID_BY_WORK else "proven" for p in IDS} == {
        p["phase"]: p["state"] for p in good["phases"]
    }
    assert "refuted" == ran.state("issue-2", "testing")
    assert good["head_sha"] == split.home.repo.at_remote(f"refs/heads/{good['branch']}")
    check = json.loads((forge / "checks" / good["head_sha"] / "orchestrator.json").read_text())
    assert ("completed", "success") == (check["status"], check["conclusion"])
    assert "3 reported by work" in check["title"], "what was not measured is not called proven"
    [pull] = (forge / "pulls").glob("*/pull.md")
    assert "#1" in pull.read_text() and good["branch"] in pull.read_text(), "and a lie gets none"
    for number, label in ((1, "done"), (2, "failed"), (3, "done"), (4, "declined")):
        front = (forge / "issues" / f"{number}.md").read_text().split("---")[1]
        assert f"orchestrate:{label}" in front and "orchestrate:running" not in front
    assert [] == alive(split.home.repo.path.parent / "clones")
    assert [] == split.home.trees()


@pytest.mark.slow
def test_to_publish_again_writes_nothing_again(split: Split):
    """Neither in the same clone, nor on a machine that knows nothing of the first time."""
    split.home.issue(1, "Add more", GOOD)
    first = split.all()
    before, trail = written(split.home.forge), split.home.repo.at_remote("refs/orchestrator/tasks/issue-1")
    assert 0 == first.code and trail, first.err

    here, elsewhere = split.publish(), split.publish(clone="other")

    assert [0, 0] == [here.code, elsewhere.code], here.err + elsewhere.err
    assert before == written(split.home.forge)
    assert trail == split.home.repo.at_remote("refs/orchestrator/tasks/issue-1")
    states = [{p["phase"]: p["state"] for p in r.task("issue-1")["phases"]} for r in (first, here, elsewhere)]
    assert states[0] == states[1] == states[2]


@pytest.mark.slow
def test_a_publish_that_is_killed_again_and_again_tells_everything_once(split: Split):
    """Each time on a machine that knows nothing of the ones before: by a mark that is there, not by memory."""
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    split.work()
    split.verify("issue-1")
    for kind in ("claimed", "pushed", "pull", "judged"):
        split.kill_publish(at=kind, clone=f"killed-at-{kind}")

    ran = split.publish(clone="last")

    assert "success" == ran.task("issue-1")["status"], ran.err
    forge = split.home.forge
    assert 1 == len(list((forge / "pulls").glob("*/pull.md")))
    assert [1, 1] == [len(list(folder.glob("*.md"))) for folder in sorted((forge / "comments").iterdir())]
    assert 1 == len(list((forge / "checks").glob("*/*.json")))
    front = (forge / "issues" / "1.md").read_text().split("---")[1]
    assert "orchestrate:done" in front and "orchestrate:running" not in front


def test_what_work_says_of_tests_decides_nothing(split: Split):
    """The agent's machine measured with a test command that always passes; the verdict comes from elsewhere."""
    split.home.issue(1, "Treble", LIES)
    split.plan("--test", "echo 1 passed, 0 failed")
    worked = split.work()
    assert ["success"] == [b["status"] for b in worked["bundles"]], "so says that machine"
    honest = json.loads(split.plan_file.read_text())
    unittest = split.home.repo.path / ".github" / "orchestrator.yml"
    command = unittest.read_text().removeprefix("test: ").strip()
    honest["test_commands"] = [command]
    split.plan_file.write_text(json.dumps(honest, sort_keys=True, separators=(",", ":")) + "\n")

    verified, published = split.verify("issue-1"), split.publish()

    assert 1 == verified.code, verified.err
    assert ("failed", "refuted") == (
        published.task("issue-1")["status"],
        published.state("issue-1", "testing"),
    )
    assert not (split.home.forge / "pulls").exists()


def test_what_was_lost_is_settled_by_name(split: Split):
    """No bundle: failed. No verdict: not verified, its branch kept, no pull request. The others go on."""
    for number in (1, 2, 3):
        split.home.issue(number, f"Task {number}", new_file(f"more{number}.py"))
    split.plan()
    split.work()
    shutil.rmtree(split.bundle("issue-1"))
    split.verify("issue-3")

    ran = split.publish()

    assert ["failed", "incomplete", "success"] == [t["status"] for t in ran.report["tasks"]], ran.err
    assert "nothing came from its work job" in ran.task("issue-1")["error"]
    unverified = ran.task("issue-2")
    assert "no verdict" in unverified["error"] and "proven" != ran.state("issue-2", "testing")
    assert unverified["head_sha"] == split.home.repo.at_remote(f"refs/heads/{unverified['branch']}")
    assert 1 == len(list((split.home.forge / "pulls").glob("*/pull.md")))
    for number in (1, 2):
        [comment] = (split.home.forge / "comments" / str(number)).glob("*.md")
        assert "state=failed" in comment.read_text()


@pytest.mark.slow
def test_a_prompt_file_gets_its_issue_when_it_is_planned(split: Split):
    """So no later step has to open one."""
    split.files.mkdir()
    (split.files / "more.md").write_text(f"---\ntitle: Add more\n---\n{GOOD}")

    ran = split.all(str(split.files / "more.md"))

    assert (0, "success", 1) == (
        ran.code,
        ran.task("prompt-more")["status"],
        ran.task("prompt-more")["issue"],
    ), ran.err


@pytest.mark.slow
def test_a_verdict_from_another_machine_is_called_split(split: Split, tmp_path: Path):
    """Another machine is imitated by another boot id, which a namespace shows to `work` alone."""
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    split.work(before=elsewhere(tmp_path))
    split.verify("issue-1")

    ran = split.publish()

    assert ("success", "split") == (ran.task("issue-1")["status"], ran.report["isolation"]["level"]), ran.err
    check = split.home.forge / "checks" / ran.task("issue-1")["head_sha"] / "orchestrator.json"
    assert "split" in check.read_text()
    [comment] = (split.home.forge / "comments" / str(ran.task("issue-1")["pull"]["number"])).glob("*.md")
    assert "isolation `split`" in comment.read_text()


@pytest.mark.parametrize(
    ("args", "code", "words"),
    few(
        [
            (["plan", "--out", "p", "--shards", "0"], 2, "between 1 and 256"),
            (["plan", "--out", "/dev/null/p"], 2, "cannot write the plan"),
            (["work", "missing.json", "--shard", "1", "--out", "b"], 2, "cannot read the plan missing.json"),
            (["work", "PLAN", "--shard", "2", "--out", "b"], 2, "no shard 2"),
            (["work", "PLAN", "--shard", "1", "--out", "b", "--plan-sha256", "0" * 64], 2, "not the plan"),
            (["verify", "--bundle", "b"], 2, "against its plan"),
            (["verify", "--plan", "PLAN", "--bundle", "nowhere"], 2, "no-folder"),
            (["publish", "PLAN", "--accept", "abc"], 2, "is no SHA-256"),
            (["publish", "PLAN", "--forge", "sourceforge"], 2, "no forge"),
        ],
        4,
    ),
)
def test_wrong_use_is_one_error_and_one_hint(planned: Split, args: list[str], code: int, words: str):
    if args[0] == "plan":
        planned.home.issue(2, "Add more", GOOD)
        args = [*args, "--forge", f"local:{planned.home.forge}"]
    args = [str(planned.plan_file) if a == "PLAN" else a for a in args]

    ran = planned.cli("work", *args)

    lines = ran.err.splitlines()
    assert code == ran.code, ran.err
    assert [line for line in lines if line.startswith("error: ") and words in line], ran.err
    assert 1 == sum(line.startswith("hint: ") for line in lines)
    assert "Traceback" not in ran.err


def test_a_plan_that_was_changed_is_refused(planned: Split):
    """Its configuration, above all: the digest in it says so even where nobody handed one on."""
    changed = json.loads(planned.plan_file.read_text())
    changed["config"]["protected"] = []
    planned.plan_file.write_text(json.dumps(changed))

    ran = planned.cli("work", "work", str(planned.plan_file), "--shard", "1", "--out", "b")

    assert (2, True) == (ran.code, "its configuration was changed" in ran.err), ran.err


def test_only_files_whose_digests_were_handed_on_count(split: Split):
    """What somebody else put in the place of a verdict is refused, and the task is not verified."""
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    [bundle] = split.work()["bundles"]
    split.verify("issue-1")

    ran = split.publish("--accept", bundle["sha256"])

    assert "incomplete" == ran.task("issue-1")["status"], ran.err
    assert "not among those that are accepted" in ran.err


@pytest.mark.slow
def test_the_parts_of_a_run_are_no_runs_of_their_own(split: Split):
    """One repository may go through all four steps; then `status` lists the run, once, as publish left it."""
    split.home.issue(1, "Add more", GOOD)
    split.clone("plan")
    for step in ("work", "verify", "publish"):
        at = split.clone("plan").parent.parent / step
        at.mkdir()
        os.symlink(split.clone("plan"), at / split.clone("plan").name)
    assert 0 == split.all().code

    status = json.loads(split.cli("plan", "status", "--json").out)

    assert [("ended", 1)] == [(r["state"], len(r["tasks"])) for r in status["runs"]]
