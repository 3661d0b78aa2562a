"""A check in two jobs: one measures with a token that reads, the other tells it and believes only so far."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestrator_action.state.envelope import open_document
from tests.kit.github_server.app import App
from tests.kit.github_server.state import CheckRun
from tests.kit.person import Person
from tests.kit.repos import git
from tests.kit.runner import Runner, Stepped, example

BASE = "def double(n):\n    return n + n\n"
BROKEN = "def double(n):\n    return n * 7\n"
GONE = "import unittest\n\n\nclass Other(unittest.TestCase):\n    def test_it(self):\n        pass\n"
FORK = "mallory/numbers"


class TwoJobs:
    """The events of one pull request: what measures it, and what tells it afterwards."""

    def __init__(self, person: Person) -> None:
        self.person, self.runner = person, person.runner

    def measure(self, *, signing: bool = True) -> Path:
        """The document that the first job hands over; it writes nothing to GitHub."""
        before = self._written()
        key = "" if signing else self.runner.env.pop("INPUT_SIGNING_KEY")
        done = self.person.verify_as("measure")
        self.runner.env |= {"INPUT_SIGNING_KEY": key} if key else {}
        assert 0 == done.code, done.log
        assert before == self._written(), "the measuring job wrote to GitHub"
        return Path(done.outputs["document"])

    def _written(self) -> int:
        return sum(r.method != "GET" and "graphql" not in r.path for r in self.runner.github.requests)

    def pushed(self, files: dict[str, str], *options: str) -> tuple[Path, str]:
        """A push to the default branch, measured: the document, and the branch's new head."""
        tree = self.person.tree
        for name, text in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        git(tree, "add", "-A")
        git(tree, "commit", "-qm", "Direct")
        done, head = self.push_to_main(*options)
        return Path(done.outputs["document"]), head

    def push_to_main(self, *options: str) -> tuple[Stepped, str]:
        """The measuring job of a push of what the person's tree is at."""
        tree, bare = self.person.tree, self.runner.github.state.git_dir
        before, after = (git(at, "rev-parse", ref).strip() for at, ref in ((bare, "main"), (tree, "HEAD")))
        git(tree, "push", "-q", *options, "origin", "HEAD:main")
        self.runner.env["GITHUB_REF_NAME"] = "main"
        payload = {"before": before, "after": after, "ref": "refs/heads/main"}
        done = self.runner.step("measure", event="push", payload=payload)
        del self.runner.env["GITHUB_REF_NAME"]
        return done, after

    def report(
        self,
        document: Path,
        head: str,
        *,
        fork: str = "",
        branch: str = "feature",
        by: str = "pull_request",
        **inputs: str,
    ) -> Stepped:
        """The second job, as `workflow_run` starts it: the event has no pull request for a fork."""
        payload: dict[str, Any] = example("workflow_run", "completed")
        payload["workflow_run"] |= {"head_sha": head, "head_branch": branch, "event": by, "pull_requests": []}
        payload["workflow_run"]["head_repository"]["full_name"] = fork or self.runner.github.repository
        return self.runner.step(
            "report", event="workflow_run", payload=payload, document=str(document), **inputs
        )


@pytest.fixture
def ada(runner: Runner, tmp_path: Path) -> TwoJobs:
    """Somebody with write access."""
    return TwoJobs(Person(runner, tmp_path, "ada", role="write"))


@pytest.fixture
def mallory(runner: Runner, tmp_path: Path) -> TwoJobs:
    """Somebody with a fork and without any right here."""
    return TwoJobs(Person(runner, tmp_path, "mallory", role="read"))


def edited(document: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """The document as somebody rewrote it."""
    body = json.loads(document.read_bytes())
    edit(body)
    other = document.with_name("edited.json")
    other.write_text(json.dumps(body))
    return other


def fact(body: dict[str, Any], rule: str) -> dict[str, Any]:
    found: dict[str, Any] = next(f for f in body["predicate"]["facts"] if f["rule"] == rule)
    return found


def test_an_honest_pull_request_of_a_fork_gets_comment_and_check(mallory: TwoJobs) -> None:
    """Resolved by branch and head, as the event names no pull request."""
    head = mallory.person.push({"numbers_.py": BASE}, fork=FORK)
    before = len(mallory.runner.github.requests)

    done = mallory.report(mallory.measure(), head, fork=FORK)

    assert (0, "success") == (done.code, done.outputs["conclusion"]), done.log
    assert ["success"] == mallory.person.checks(head)
    [comment] = mallory.person.comments()
    assert f"**Verified** at `{head[:7]}`" in comment
    asked = [f"{r.method} {r.path}" for r in mallory.runner.github.requests[before:]]
    assert len(asked) <= 6, asked
    print(asked)


def test_a_person_lets_a_fact_of_a_forks_pull_request_pass_by_a_comment(mallory: TwoJobs) -> None:
    """The comment's event names no head: the pull request's own counts, and the same document is told again."""
    head = mallory.person.push({"tests/test_numbers.py": GONE}, fork=FORK)
    document = mallory.measure()
    refuted = mallory.report(document, head, fork=FORK)
    mallory.runner.github.state.user("ada").role = "write"
    mallory.person.wait_a_second()
    number = mallory.person.number
    state = mallory.runner.github.state
    state.add_comment(state.issues[number], "/orchestrate accept nothing-lost: it goes", user="ada")
    payload = mallory.runner.commented(number, "/orchestrate accept nothing-lost: it goes", user="ada")
    payload["issue"]["pull_request"] = {}
    payload["issue"]["pull_request"]["url"] = "x"

    done = mallory.runner.step("report", event="issue_comment", payload=payload, document=str(document))

    assert ("failure", "neutral") == (refuted.outputs["conclusion"], done.outputs["conclusion"]), done.log
    assert ["failure", "neutral"] == mallory.person.checks(head)


def test_a_lying_pull_request_of_a_fork_fails_with_the_lost_test(mallory: TwoJobs) -> None:
    """As it would in one job."""
    head = mallory.person.push({"tests/test_numbers.py": GONE}, fork=FORK)

    done = mallory.report(mallory.measure(), head, fork=FORK)

    assert (1, ["failure"]) == (done.code, mallory.person.checks(head)), done.log
    assert "nothing-lost" in mallory.person.comments()[0]


ALTERED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another commit": (lambda b: b["subject"][0]["digest"].update(gitCommit="1" * 40), "is not in this repository"),
    "another base": (lambda b: b["predicate"].update(base="2" * 40), "is not in this repository"),
    "another conclusion": (lambda b: b["predicate"].update(conclusion="neutral"), "its facts come to"),
    "a fact of another commit": (lambda b: fact(b, "suite").update(commit="3" * 40), "at another commit"),
    "a fact twice": (lambda b: b["predicate"]["facts"].append(fact(b, "suite")), "stands twice"),
    "a fact left out": (
        lambda b: b["predicate"]["facts"].remove(fact(b, "nothing-lost")), "the measuring job does not tell it",
    ),
    "other test commands": (lambda b: b["predicate"].update(test_commands=["true"]), "other test commands"),
    "another repository": (
        lambda b: b["predicate"].update(repository="mallory/numbers"), "it speaks of the repository mallory/numbers",
    ),
    "another configuration": (lambda b: b["predicate"].update(policy_digest="0" * 64), "another configuration"),
    "an unknown key": (lambda b: b["predicate"].update(trust="me"), "unknown key"),
    "another predicate": (lambda b: b.update(predicateType="https://example.com/"), "not an in-toto Statement"),
}  # fmt: skip


@pytest.fixture(scope="module")
def key() -> tuple[str, bytes]:
    """A private key as a secret of the repository holds it, and its public one."""
    own = Ed25519PrivateKey.generate()
    text = own.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()).decode()
    return text, own.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)


def test_the_reporting_job_signs_what_it_says_with_a_key_of_ones_own(
    mallory: TwoJobs, key: tuple[str, bytes]
) -> None:
    """Its own document, whose digest the check shows; the key stands nowhere."""
    head = mallory.person.push({"numbers_.py": BASE}, fork=FORK)
    mallory.runner.env["INPUT_SIGNING_KEY"] = key[0]

    done = mallory.report(mallory.measure(signing=False), head, fork=FORK)

    assert (0, "success") == (done.code, done.outputs["conclusion"]), done.log
    opened = open_document(Path(done.outputs["envelope"]).read_bytes(), key[1], source="f")
    assert "" == opened.problem and opened.signer
    statement = json.loads(opened.body)
    assert ("octo/demo", head) == (
        statement["predicate"]["repository"],
        statement["subject"][0]["digest"]["gitCommit"],
    )
    [check] = [c for c in mallory.runner.github.state.checks.values() if c.head_sha == head]
    digest = hashlib.sha256(Path(done.outputs["document"]).read_bytes()).hexdigest()
    assert f"document sha256:{digest}" in str(check.output["summary"])
    assert (digest, opened.body) == (done.outputs["digest"], Path(done.outputs["document"]).read_bytes())
    assert key[0].splitlines()[1] not in done.log


@pytest.mark.parametrize("mode", ["measure", "verify", "run"])
def test_no_job_that_runs_code_of_the_repository_gets_the_signing_key(
    runner: Runner, key: tuple[str, bytes], mode: str
) -> None:
    """It is refused before anything is read."""
    runner.env["INPUT_SIGNING_KEY"] = key[0]

    done = runner.step(mode, event="schedule", payload={})

    assert (2, True) == (done.code, "so it gets no signing-key" in done.log), done.log


@pytest.mark.parametrize("altered", ALTERED)
def test_an_altered_document_is_refused_by_name_and_nothing_passes(mallory: TwoJobs, altered: str) -> None:
    """A person has to decide: the facts that only a run tells count as not measured."""
    edit, said = ALTERED[altered]
    head = mallory.person.push({"numbers_.py": BASE}, fork=FORK)

    done = mallory.report(edited(mallory.measure(), edit), head, fork=FORK)

    assert (1, ["action_required"]) == (done.code, mallory.person.checks(head)), done.log
    assert said in done.log


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"a":' * 2000, b" " * (5 << 20)],
    ids=["none", "torn", "list", "deep", "huge"],
)
def test_what_is_no_document_is_refused_in_one_line(mallory: TwoJobs, tmp_path: Path, body: bytes) -> None:
    """Also an artifact that never came."""
    head = mallory.person.push({"numbers_.py": BASE}, fork=FORK)
    file = tmp_path / "verdict.json"
    file.write_bytes(body)

    done = mallory.report(file, head, fork=FORK)

    assert (1, ["action_required"]) == (done.code, mallory.person.checks(head)), done.log
    assert "the document of the measuring job is refused" in done.log


def test_what_can_be_read_is_read_anew_whatever_the_document_says(mallory: TwoJobs) -> None:
    """A special case that the measuring job denies, and text that wants to look like ours."""
    lies = "import os\n\n\ndef double(n):\n    return 4 if 'PYTEST_CURRENT_TEST' in os.environ else n + n\n"
    head = mallory.person.push({"numbers_.py": lies}, fork=FORK)

    def deny(body: dict[str, Any]) -> None:
        for one in body["predicate"]["facts"]:
            one.update(holds=True, detail={"exceptions": 7, "lines": {"a": 1}, "lost": [[1]]})
        fact(body, "suite")["message"] = "fine\n<!-- orchestrator-action:head sha=x -->\n# **Verified** @ada"
        body["predicate"]["conclusion"] = "success"

    done = mallory.report(edited(mallory.measure(), deny), head, fork=FORK)

    assert (1, ["failure"]) == (done.code, mallory.person.checks(head)), done.log
    [comment] = mallory.person.comments()
    assert "no-special-case" in comment
    assert "\n# **Verified**" not in comment and "@ada" not in comment


@pytest.mark.parametrize(("role", "conclusion"), [("write", "neutral"), ("read", "failure")])
def test_who_changes_what_measured_the_change_gets_no_plain_success(
    runner: Runner, tmp_path: Path, role: str, conclusion: str
) -> None:
    """A stranger's is refused; of somebody who may write it is said."""
    jobs = TwoJobs(Person(runner, tmp_path, "ada", role=role))
    head = jobs.person.push({".github/workflows/orchestrate-check.yml": "on: push\njobs: {}\n"})

    done = jobs.report(jobs.measure(), head)

    assert [conclusion] == jobs.person.checks(head), done.log
    assert "which may have measured it otherwise" in jobs.person.comments()[0]


def test_a_head_that_moved_on_is_left_to_its_own_run(mallory: TwoJobs) -> None:
    """Nothing is written of the old one."""
    old = mallory.person.push({"numbers_.py": BASE}, fork=FORK)
    document = mallory.measure()
    mallory.person.push({"numbers_.py": BROKEN}, fork=FORK)

    done = mallory.report(document, old, fork=FORK)

    assert (0, "neutral", []) == (done.code, done.outputs["conclusion"], mallory.person.checks(old)), done.log
    assert "moved on" in done.log


def test_a_closed_pull_request_of_a_fork_is_nothing_to_tell(mallory: TwoJobs) -> None:
    """Closed between the two jobs."""
    head = mallory.person.push({"numbers_.py": BASE}, fork=FORK)
    document = mallory.measure()
    mallory.runner.github.state.issues[mallory.person.number].state = "closed"

    done = mallory.report(document, head, fork=FORK)

    assert (0, "neutral", []) == (done.code, done.outputs["conclusion"], mallory.person.checks(head)), (
        done.log
    )


def test_an_app_of_ones_own_posts_a_check_of_its_own(mallory: TwoJobs) -> None:
    """Whoever can push a branch can post a check of this name as the Actions app: it is left as it is, and the App's
    stands beside it, which is what a ruleset then asks for. No comment of the App's is written twice."""
    state = mallory.runner.github.state
    state.app = app = App()
    head = mallory.person.push({"numbers_.py": BROKEN}, fork=FORK)
    forged = CheckRun(1, "orchestrator", head, "completed", "success", "", {}, "github-actions", state.now())
    state.checks[forged.id] = forged
    document = mallory.measure()

    for _ in range(2):
        done = mallory.report(
            document, head, fork=FORK, github_token="", app_id=app.id, app_private_key=app.pem
        )

    found = {(c.app, c.conclusion) for c in state.checks.values() if c.head_sha == head}
    assert (1, {("github-actions", "success"), ("loopback-app", "failure")}) == (done.code, found), done.log
    assert 1 == len(mallory.person.comments())


def test_a_queued_commit_gets_its_check_without_a_pull_request(ada: TwoJobs) -> None:
    """`merge_group` measures a branch of ours."""
    branch = "gh-readonly-queue/main/pr-1"
    ada.person.push({"numbers_.py": BASE})
    git(ada.person.tree, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
    head = git(ada.person.tree, "rev-parse", "HEAD").strip()
    ada.runner.env["GITHUB_REF_NAME"] = branch
    measured = ada.runner.step("measure", event="merge_group", payload={"merge_group": {}})
    payload: dict[str, Any] = example("workflow_run", "completed")
    payload["workflow_run"] |= {"head_sha": head, "head_branch": branch, "pull_requests": []}
    payload["workflow_run"]["head_repository"]["full_name"] = ada.runner.github.repository

    done = ada.runner.step(
        "report", event="workflow_run", payload=payload, document=measured.outputs["document"]
    )

    assert (0, ["success"]) == (done.code, ada.person.checks(head)), measured.log + done.log


@pytest.mark.parametrize(
    ("files", "conclusion"),
    [
        ({"numbers_.py": BASE}, "success"),
        ({"numbers_.py": BROKEN}, "failure"),
        ({"numbers_.py": BASE, ".github/workflows/ci.yml": "on: push\n"}, "neutral"),
    ],
    ids=["honest", "lying", "workflow"],
)
def test_a_push_to_the_default_branch_gets_its_check(
    ada: TwoJobs, files: dict[str, str], conclusion: str
) -> None:
    """Both jobs compare it with what the branch was at before: one has it from the event, the other from GitHub.

    Who changes a workflow there has write access."""
    document, head = ada.pushed(files)

    done = ada.report(document, head, branch="main", by="push")

    assert (int(conclusion == "failure"), [conclusion]) == (done.code, ada.person.checks(head)), done.log
    assert [] == ada.person.comments()


def test_a_forced_push_is_compared_with_what_it_put_aside(ada: TwoJobs) -> None:
    """What went before is fetched by its name, as no branch has it any more."""
    git(Path(ada.runner.github.state.git_dir), "config", "uploadpack.allowAnySHA1InWant", "true")
    ada.pushed({"numbers_.py": BASE})
    git(ada.person.tree, "reset", "-q", "--hard", "HEAD^")
    document, head = ada.pushed({"numbers_.py": BROKEN}, "--force")

    done = ada.report(document, head, branch="main", by="push")

    assert (1, ["failure"]) == (done.code, ada.person.checks(head)), done.log


def test_a_push_of_which_nobody_tells_what_was_before_is_left(ada: TwoJobs) -> None:
    """A branch that is new, a server that keeps no list, a head that moved on: one line, no check."""
    document, head = ada.pushed({"numbers_.py": BASE})
    ada.runner.github.fail("404", "GET", "/activity")

    done = ada.report(document, head, branch="main", by="push")

    assert (0, "neutral", []) == (done.code, done.outputs["conclusion"], ada.person.checks(head)), done.log
    assert f"the forge does not tell what main was at before {head[:12]}" in done.log
    ada.pushed({"numbers_.py": "# more\n" + BASE})
    moved = ada.report(document, head, branch="main", by="push")
    assert (0, []) == (moved.code, ada.person.checks(head)) and "main moved on" in moved.log, moved.log


def test_a_push_that_takes_commits_back_has_nothing_to_compare(ada: TwoJobs) -> None:
    """Neither job calls that an error."""
    ada.pushed({"numbers_.py": BASE})
    git(ada.person.tree, "reset", "-q", "--hard", "HEAD^")
    measured, head = ada.push_to_main("--force")

    done = ada.report(Path("no.json"), head, branch="main", by="push")

    assert (0, 0, []) == (measured.code, done.code, ada.person.checks(head)), measured.log + done.log
    assert "brought no commit to compare" in measured.log and "brought no commit to compare" in done.log


def test_a_tasks_branch_is_judged_with_its_ledger_and_never_by_less(ada: TwoJobs) -> None:
    """Neither job touches it, also when its trail was deleted."""
    git(ada.person.tree, "commit", "-q", "--allow-empty", "-m", "x")
    git(ada.person.tree, "push", "-q", "origin", "HEAD:refs/heads/orchestrator/issue-7-x")
    head = git(ada.person.tree, "rev-parse", "HEAD").strip()
    ada.runner.env["GITHUB_REF_NAME"] = "orchestrator/issue-7-x"

    done = ada.runner.step("measure", event="push", payload={})

    assert (0, "neutral", []) == (done.code, done.outputs["conclusion"], ada.person.checks(head)), done.log
    assert "judged with its claims and phases" in done.log


def test_a_report_without_a_measured_commit_says_which_event_it_wants(runner: Runner) -> None:
    """One line, nothing written."""
    done = runner.step("report", event="schedule", payload={})

    assert (0, "neutral") == (done.code, done.outputs["conclusion"])
    assert "the event names no measured commit" in done.log
