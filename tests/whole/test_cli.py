"""Wrong use gets one clear line and a hint; status, logs, report and clean read what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from orchestrator_action.config.schema import Config
from tests.kit.tables import few
from tests.kit.whole import GOOD, House


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["run", "missing.md"], 2, "no prompt file missing.md"),
        (["run", "--label", "nobody-uses-this"], 3, "nobody-uses-this"),
        (["run", "--issue", "99"], 4, "99"),
        (["run", "--issue", "0"], 2, "positive"),
        (["run", "--agent", "hal"], 2, "no agent 'hal'"),
        (["run", "--forge", "sourceforge"], 2, "no forge"),
        (["run", "--max-parallel", "0"], 2, "--max-parallel"),
        (["run", "--max-parallel", "many"], 2, "--max-parallel"),
        (["run", "--max-parallel", "²"], 2, "--max-parallel"),
        (["run", "--timeout", "soon"], 2, "soon"),
        (["run", "--repo", "/"], 5, "not a git repository"),
        (["report", "20200101"], 2, "no run"),
        (["resume"], 2, "no run"),
        (["cancel", "last"], 2, "no run"),
        (["cancel"], 2, "RUN"),
        (["run", "--nonsense"], 2, "--nonsense"),
        (["nosuch"], 2, "nosuch"),
        (["hook", "nosuch"], 2, "nosuch"),
        (["logs", ""], 2, "no run has a task"),
        (["logs", "issue-9"], 2, "issue-9"),
        (["hook", "install", "--repo", "/nonexistent"], 5, "/nonexistent"),
        (["demo", "--dir", "/dev/null/x"], 2, "cannot make /dev/null/x"),
        (["demo", "--dir", "/dev/null"], 2, "cannot make /dev/null"),
    ],
)
def test_wrong_use_is_one_error_and_one_hint(home: House, args, code, words):
    if args[0] == "run" and "--forge" not in args:
        args = [*args, "--forge", f"local:{home.forge}"]
    if args[0] == "run" and not {"missing.md", "--issue", "--label"} & set(args):
        home.issue(1, "Add more", GOOD)

    ran = home.cli(*args)

    lines = ran.err.splitlines()
    assert code == ran.code, ran.err
    assert [line for line in lines if line.startswith("error: ") and words in line], ran.err
    assert 1 == sum(line.startswith("hint: ") for line in lines)
    assert "Traceback" not in ran.err
    home.assert_tidy()


def test_a_base_that_is_not_there_blocks_each_task(home: House):
    """With the words and the cure; no agent was started."""
    home.issue(1, "Add more", GOOD)

    ran = home.run("--base", "nowhere")

    task = ran.task("issue-1")
    assert (2, "blocked", 0) == (ran.code, task["status"], task["attempts"]), ran.err
    assert "branch 'nowhere' does not exist" in task["error"] and "--base" in task["error"]
    home.assert_tidy()


@pytest.mark.parametrize("args", [["run", "--nonsense"], ["nosuch"], ["hook", "nosuch"]])
def test_an_unknown_word_is_usage_and_said(home: House, args: list[str]):
    """By the program as it is installed, from its start."""
    ran = home.cli_at(home.repo.path, *args, anew=True)

    assert (2, True) == (ran.code, args[-1] in ran.err), ran.err


def test_a_broken_configuration_names_its_place(home: House):
    home.repo.commit({".github/orchestrator.yml": "max-parallel: many\nlable: x\n"})
    home.repo.push()

    ran = home.run()

    assert 2 == ran.code
    assert ".github/orchestrator.yml:1:1" in ran.err and "did you mean 'label'" in ran.err


def test_a_remote_without_a_branch_is_named(home: House):
    home.repo.git("push", "-q", "origin", ":main", check=False)
    home.repo.remote.joinpath("HEAD").write_text("ref: refs/heads/gone\n")

    ran = home.run()

    assert (2, True) == (ran.code, "default branch" in ran.err), ran.err


def test_a_dry_run_starts_nothing(home: House):
    home.issue(1, "Add more", GOOD)

    ran = home.run("--dry-run")

    assert 0 == ran.code
    assert ["issue-1"] == [t["task_id"] for t in json.loads(ran.out)["tasks"]]
    assert not (home.repo.path / ".git" / "orchestrator" / "runs").exists()
    assert (
        "orchestrate]" in (home.forge / "issues" / "1.md").read_text()
        or '"orchestrate"' in (home.forge / "issues" / "1.md").read_text()
    )


def test_plan_forecasts_conflicts(home: House):
    home.issue(1, "One", "Change `README.md`.")
    home.issue(2, "Two", "Also README.md please.")

    ran = home.cli("plan", "--forge", f"local:{home.forge}", "--json")

    assert [["README.md"]] == [c["paths"] for c in json.loads(ran.out)["conflicts"]]


def test_status_logs_and_report_read_what_a_run_left(home: House):
    home.issue(1, "Add more", GOOD)
    report = home.run().report

    status = json.loads(home.cli("status", "--json").out)
    assert [("ended", "success", 11)] == [
        (r["state"], t["status"], t["proven"]) for r in status["runs"] for t in r["tasks"]
    ]
    assert "every phase was claimed" in home.cli("logs", "issue-1").out
    assert [2, 2, 2] == [home.cli("logs", no_task).code for no_task in ("", ".", "../tasks/issue-1")]
    assert report == json.loads(home.cli("report", "last").out)


def test_a_report_can_be_a_page(home: House, tmp_path):
    home.issue(1, "Add <b>more</b>", GOOD)
    home.run()
    page = tmp_path / "report.html"

    ran = home.cli("report", "last", "--html", str(page))

    assert 0 == ran.code, ran.err
    nowhere = home.cli("report", "last", "--html", "/dev/null/page.html")
    assert (2, True) == (nowhere.code, "error: cannot write /dev/null/page.html" in nowhere.err), nowhere.err
    assert "<b>more</b>" not in page.read_text() and "issue-1" in page.read_text()


def test_clean_is_a_dry_run_unless_told_otherwise(home: House):
    """A worktree with uncommitted work stays, whatever is asked."""
    home.repo.git("worktree", "add", "-q", "-b", "orchestrator/x", ".worktrees/task-x")
    home.repo.git("worktree", "add", "-q", "-b", "orchestrator/y", ".worktrees/task-y")
    (home.repo.path / ".worktrees" / "task-y" / "precious").write_text("work")

    assert "would remove" in home.cli("clean").out
    assert (home.repo.path / ".worktrees" / "task-x").exists()
    ran = home.cli("clean", "--remove")

    assert not (home.repo.path / ".worktrees" / "task-x").exists()
    assert (home.repo.path / ".worktrees" / "task-y" / "precious").exists() and "uncommitted" in ran.out


def test_doctor_points_at_line_and_column(home: House):
    bad = home.repo.path / "bad.yml"
    bad.write_text("label: x\nphases: {testing: maybe}\n")

    ran = home.cli("doctor", "--file", str(bad))

    assert (2, True) == (ran.code, "bad.yml:2:10" in ran.out), ran.err


def test_doctor_names_every_fault_of_a_file_at_once(home: House, tmp_path):
    """In one style, with one hint; whatever the file is."""
    bad = tmp_path / "bad.yml"
    bad.write_text("lable: x\nmax-parallel: 0\ntest: [{command: '', timeout: soon}]\nphases: [testing]\n")

    lines = home.cli("doctor", "--file", str(bad)).out.splitlines()

    assert [1, 2, 3, 3, 4] == [
        int(line.split(":")[2]) for line in lines if line.startswith("FAIL configuration: ")
    ]
    assert 1 == sum("hint: " in line for line in lines)


@pytest.mark.parametrize("kind", few(["binary", "folder", "pipe", "missing", "huge", "deep", "cycle"], 3))
def test_doctor_survives_any_file(home: House, tmp_path, kind: str):
    file = tmp_path / "odd.yml"
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "missing":
            pass
        case _:
            texts = {
                "binary": b"\x00\xff" * 99,
                "huge": b"x" * 9_000_000,
                "deep": b"[" * 99_999,
                "cycle": b"a: &a [*a]",
            }
            file.write_bytes(texts[kind])

    ran = home.cli("doctor", "--file", str(file), timeout=60)

    assert 2 == ran.code and ran.out.startswith("FAIL configuration: "), ran.err
    assert "Traceback" not in ran.err and "bug of ours" not in ran.err and "hint: " in ran.out


def test_doctor_shows_how_long_each_test_command_may_take(home: House):
    config = "test: [{command: python3 -m unittest, timeout: 90s}, 'true']\ntest-timeout: 2m\n"
    home.repo.commit({".github/orchestrator.yml": config})

    ran = home.cli("doctor", "--agent", "patch")

    wanted = "tests: python3 -m unittest (at most 1 min 30 s), true (at most 2 min); configured"
    assert (0, True) == (ran.code, wanted in ran.out), ran.err


def test_doctor_finds_the_test_command(home: House):
    ran = home.cli("doctor", "--agent", "patch")

    assert (0, True) == (ran.code, "unittest" in ran.out), ran.err


def test_version_is_on_stdout(home: House):
    assert home.cli_at(home.repo.path, "version", anew=True).out.strip().count(".") == 2


def test_a_look_at_runs_loads_nothing_that_measures(home: House):
    """People look often, and `status` starts in half the time."""
    looked = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-m", House.MODULE, "status"], cwd=home.repo.path,
        env=home.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in looked.stderr.splitlines()}

    assert "orchestrator_action.run.watching" in loaded, looked.stderr
    assert [] == sorted(m for m in loaded if m.startswith("orchestrator_action.verify"))


def test_every_option_has_help_and_every_command_an_example(home: House):
    for command in ("run", "plan", "status", "logs", "report", "clean", "doctor", "demo", "version"):
        assert "Example: orchestrator-action " in home.cli(command, "--help").out


def test_the_defaults_in_the_help_are_the_defaults():
    config = Config()
    assert (4, 2700.0, "claude", "orchestrate") == (
        config.max_parallel,
        config.timeout,
        config.agent,
        config.label,
    )


def test_names_that_stdout_cannot_show_are_no_failure(home: House, tmp_path):
    """JSON stays JSON, and means the same."""
    home.issue(1, "Größe 漢字", GOOD)
    ascii_only = {"PYTHONIOENCODING": "ascii"}

    ran = home.cli("plan", "--forge", f"local:{home.forge}", "--json", env=ascii_only)

    assert 0 == ran.code, ran.err
    assert ["Größe 漢字"] == [t["title"] for t in json.loads(ran.out)["tasks"]]


@pytest.mark.parametrize("args", [["version"], ["plan", "--json"], ["report", "last"]])
def test_output_that_cannot_be_written_is_said(home: House, args: list[str]):
    """A full disk behind stdout is neither a success nor a bug of ours."""
    home.issue(1, "Add more", GOOD)
    home.issue(2, "Add much", GOOD)
    home.run("--issue", "1")
    more = ["--forge", f"local:{home.forge}"] if args[0] == "plan" else []

    with open("/dev/full", "w") as full:
        done = subprocess.run(
            home.command(*args, *more), cwd=home.repo.path, env=home.environment(), stdin=subprocess.DEVNULL,
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert (2, True) == (done.returncode, "error: the output cannot be written" in done.stderr), done.stderr


def test_clean_says_when_there_is_nothing(home: House):
    assert "no tree of ours is left" in home.cli("clean").out
    assert "no tree of ours is left of issue-9" in home.cli("clean", "issue-9").out


def test_a_demo_without_git_is_said(home: House):
    done = subprocess.run(
        home.command("demo"), env={"PATH": "/nonexistent"}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip

    assert (5, True) == (done.returncode, "error: git is not installed" in done.stderr), done.stderr
