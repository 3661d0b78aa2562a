"""What runs is in memory before an agent starts, and a task during which its files changed does not succeed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from orchestrator_action.run.installed_program import OWN_FOLDER, InstalledProgram
from tests.kit.receiver import receiver
from tests.kit.repos import Repo, make_repo
from tests.kit.whole import GOOD, LIBRARY, House

LATE = """
import sys
agent_started, late = [], []
def watch(event, args):
    if event == "subprocess.Popen" and "guard_main.py" in str(args[1]):
        agent_started.append(1)
    elif event == "import" and agent_started:
        late.append(args[0])
sys.addaudithook(watch)
import os
leave = os._exit
def told(code):
    with open(os.environ["LATE"], "w") as out:
        out.write("\\n".join([f"agents {len(agent_started)}", *late]))
    leave(code)
os._exit = told
from orchestrator_action.cli.main import main
main()
"""


class Started(House):
    """The command started by a program of the test's own."""

    program = ""
    anew = True

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-c", self.program, *args]


def started(tmp_path: Path, program: str, repo: Repo) -> Started:
    home = Started(repo=repo, forge=tmp_path / "forge")
    home.program = program
    return home


def test_nothing_is_imported_once_an_agent_has_started(tmp_path: Path):
    """Seen by Python's own audit events in a whole run of a task that succeeds, and whose end a webhook is told."""
    home = started(tmp_path, LATE, make_repo(tmp_path / "r", LIBRARY))
    home.issue(1, "Add more", GOOD)
    with receiver(200) as there:
        home.configure(f"{LIBRARY['.github/orchestrator.yml']}on-finish: {{webhook: $HOOK}}\n")

        ran = home.run(env={"LATE": str(tmp_path / "late"), "HOOK": there.url})

    assert 1 == len(there.sent)

    assert 0 == ran.code, ran.err
    first, *late = (tmp_path / "late").read_text().splitlines()
    assert "agents 0" != first
    assert [] == late


def test_a_task_that_changes_the_installed_program_does_not_succeed(tmp_path: Path):
    """Its own tests pass and write a line into one of our files: known before the result is posted."""
    site = tmp_path / "site"
    shutil.copytree(OWN_FOLDER, site / "orchestrator_action", ignore=shutil.ignore_patterns("__pycache__"))
    target = site / "orchestrator_action" / "errors.py"
    config = f"test: echo '# mine' >> {target} && {sys.executable} -m unittest discover\n"
    repo = make_repo(tmp_path / "r", {**LIBRARY, ".github/orchestrator.yml": config + "isolation: off\n"})
    program = f"import sys; sys.path.insert(0, {str(site)!r})\nfrom orchestrator_action.cli.main import main; main()"
    home = started(tmp_path, program, repo)
    home.issue(1, "Add more", GOOD)

    ran = home.run()

    task = ran.task("issue-1")
    assert (1, "failed") == (ran.code, task["status"])
    assert f"files of the installed orchestrator were changed while agents ran: {target}" in task["error"]


def test_changed_added_and_removed_files_are_named(tmp_path: Path):
    """By content: a file that was only touched is as it was; one changed with its times put back is not."""
    for name in ("same.py", "other.py", "gone.py", "sub/deep.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    program = InstalledProgram.below([tmp_path], closed=True)
    (tmp_path / "same.py").touch()
    assert () == program.changed()

    before = (tmp_path / "other.py").stat()
    (tmp_path / "other.py").write_text("x = 2\n")
    os.utime(tmp_path / "other.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (str(tmp_path / "other.py"),) == program.changed()

    (tmp_path / "gone.py").unlink()
    (tmp_path / "sitecustomize.py").write_text("import os\n")
    assert {"other.py", "gone.py", "sitecustomize.py"} == {Path(p).name for p in program.changed()}
    assert {"other.py", "gone.py"} == {
        Path(p).name for p in InstalledProgram(program.folders, program.files).changed()
    }


def test_the_action_watches_its_installation_its_source_and_pythons_library(tmp_path: Path):
    """Outside of a runner's folder only our own package, as others may install beside it."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "action.yml").write_text("name: x\n")
    environ = {"RUNNER_TEMP": str(Path(sys.prefix).parent), "GITHUB_ACTION_PATH": str(source)}

    watched = InstalledProgram.of_action(environ)
    alone = InstalledProgram.of_action({"GITHUB_ACTION_PATH": str(source)})

    assert source / "action.yml" in watched.files
    assert Path(os.__file__) in watched.files
    assert Path(sys.prefix) / "pyvenv.cfg" in watched.files
    assert {OWN_FOLDER} == set(alone.folders)
    assert OWN_FOLDER / "errors.py" in alone.files


def test_of_several_kinds_only_what_a_run_may_use_is_loaded():
    """Every agent, as each may take over; no program of an agent's own process, no forge that was not chosen."""
    program = (
        "import sys\nfrom orchestrator_action.run import setup\nsetup.load_all()\n"
        "print(*(m for m in sys.modules if m in {'acp', 'github'} or m.endswith(('.acp.agent', '.claude.agent'))))"
    )

    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)

    assert {"orchestrator_action.agents.acp.agent", "orchestrator_action.agents.claude.agent"} == set(
        done.stdout.split()
    )
