"""A run that is out of time, of disk, or of a journal that takes anything ends by name, and loses nothing."""

from __future__ import annotations

from tests.kit.ill import Pids
from tests.kit.whole import House
from tests.run.conftest import ill, tasks


def test_a_run_that_is_out_of_time_ends_every_task_in_its_own_status(home: House, conduct, pids: Pids):
    tasks(home, 3)
    run = conduct(slots=2, flags={"run_timeout": 1.5}, programs=[ill("polite.sh", pids.folder)])

    ran = run.end()

    assert 1 == ran.code, ran.err
    assert {"timeout": 3} == {k: v for k, v in ran.report["counts"].items() if v}
    assert all("the run's limit of 1.5 s had passed" in t["error"] for t in ran.report["tasks"])
    home.assert_tidy()


def test_a_task_that_is_out_of_time_says_so_and_is_not_tried_again(home: House, conduct, pids: Pids):
    tasks(home, 1)
    run = conduct(flags={"timeout": 0.7}, programs=[ill("polite.sh", pids.folder)])

    [task] = run.end().report["tasks"]

    assert ("timeout", 1, ["timeout"]) == (task["status"], task["attempts"], task["failures"])


def test_a_limit_of_nothing_is_no_limit(home: House, conduct):
    """As with every other duration."""
    tasks(home, 1)
    run = conduct(flags={"timeout": 0.0}, programs=["patch"])

    assert ["success"] == [t["status"] for t in run.end().report["tasks"]]


def test_a_journal_that_takes_nothing_more_ends_the_run_by_name(home: House, conduct, pids: Pids):
    """A full or read-only disk, here a limit on file size: agents ended, nothing lost, resumed later."""
    tasks(home, 2)
    work = f": > {pids.folder}/$$; echo x > made; git add made; git commit -qm made; exec sleep 1000"
    run = conduct(slots=2, programs=[["sh", "-c", work]])
    pids.expect(2)
    limit = (home.run_dir / "journal.jsonl").stat().st_size + 20
    import resource

    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    home.cli("cancel", "last", "issue-1")
    ran = run.end()

    assert 2 == ran.code, ran.err
    assert "error: cannot write the journal" in ran.err and "hint: free some space" in ran.err
    assert "Traceback" not in ran.err
    pids.assert_gone(at_least=2)

    again = conduct("resume", programs=["patch"]).end()
    assert 0 == again.code, again.err
    assert {"success"} == {t["status"] for t in again.report["tasks"]}
    home.assert_tidy()
