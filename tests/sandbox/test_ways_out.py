"""What somebody within walls leaves where our own process reads, writes or waits later, without any walls.

A link there would lead us to the user's files, a pipe would keep us waiting, a hole would fill our memory. These are
whole runs: agent, setup and tests leave what they can, and what the user owns stays as it was and is told to nobody.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator_action.git.tree_view import delete
from orchestrator_action.process.files import open_in, open_plain, remove_ways_out, walk
from orchestrator_action.sandbox.isolation import Isolation
from tests.kit.repos import make_repo
from tests.kit.whole import GOOD, LIBRARY, House, Ran, house, new_file
from tests.sandbox.conftest import WalledStage

MINE = "only the user reads and writes this\n"
LOG = "log = os.readlink('/proc/self/fd/1')\n"
TESTS = {
    "a link in the place of their log": f"{LOG}os.remove(log); os.symlink('MINE', log)",
    "a pipe in the place of their log": f"{LOG}os.remove(log); os.mkfifo(log)",
    "a link among the reports": "os.mkdir('junit'); os.symlink('MINE', 'junit/TEST-x.xml')",
    "a pipe among the reports": "os.mkdir('junit'); os.mkfifo('junit/TEST-x.xml')",
    "a hole of a terabyte as a report": "os.mkdir('junit'); open('junit/TEST-x.xml', 'w').truncate(1 << 40)",
    "a pipe in the place of git's index": "os.remove('.git/index'); os.mkfifo('.git/index')",
}
"""What a module of tests does when it is imported, by what it leaves."""
AGENT = {
    "an index that is a pipe": "os.remove('.git/index'); os.mkfifo('.git/index')",
    "excludes that are a pipe": "os.remove('.git/info/exclude'); os.mkfifo('.git/info/exclude')",
    "a hole of a terabyte": "os.ftruncate(1, 1 << 40)",
    "links where its next prompt is written": (
        "own = os.path.join(os.path.dirname(os.environ['ORCHESTRATOR_CONTEXT']), 'agent')\n"
        "for name in ('prompt.md', 'review', 'review.md'):\n"
        "    os.path.lexists(f'{own}/{name}') or os.symlink('MINE', f'{own}/{name}')"
    ),
    "a list of ignored files that is a pipe": "os.remove('.gitignore'); os.mkfifo('.gitignore')",
    "a pipe among its commits": (
        "git('commit', '-q', '--allow-empty', '-m', 'more')\n"
        "sha = git('rev-parse', 'HEAD'); at = f'.git/objects/{sha[:2]}/{sha[2:]}'\n"
        "os.remove(at); os.mkfifo(at)"
    ),
    "a tree of ten thousand million files": (
        "of, kind = git('hash-object', '-w', 'README.md'), '100644 blob'\n"
        "for _ in range(10):\n"
        "    of, kind = git('mktree', text=''.join(f'{kind} {of}\\t{n}\\n' for n in range(10))), '040000 tree'\n"
        "git('update-ref', 'HEAD', git('commit-tree', of, '-p', 'HEAD', '-m', 'many'))"
    ),
}


def _home(tmp_path: Path, config: str) -> House:
    """A house behind walls, whose user has a file in his home."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "mine").write_text(MINE)
    written = LIBRARY[".github/orchestrator.yml"] + f"isolation: required\nretries: 0\n{config}"
    made = house(tmp_path, make_repo(tmp_path / "r", {**LIBRARY, ".github/orchestrator.yml": written}))
    made.env["HOME"] = str(home)
    return made


def _nothing_got_out(made: House, ran: Ran) -> None:
    """The user's file is as it was, and none of it stands in what others see, or in what the run wrote down."""
    assert "Traceback" not in ran.err, ran.err
    assert MINE == (Path(made.env["HOME"]) / "mine").read_text()
    files = (
        Path(at, name)
        for folder in (made.forge, made.run_dir)
        for at, _, names in walk(folder)
        for name in names
    )
    plain = (p for p in files if not p.is_symlink() and p.is_file() and p.stat().st_size < 1e7)
    seen = [*(p.read_text(errors="replace") for p in plain), ran.out, ran.err]
    assert [] == [text for text in seen if MINE.strip() in text]


@pytest.mark.slow
def test_what_tests_leave_leads_nowhere(tmp_path: Path, walls: Isolation):
    """Each in a task of its own. The run ends, judges them and posts what it may."""
    made = _home(tmp_path, "")
    for number, does in enumerate(TESTS.values(), 1):
        does = does.replace("MINE", f"{made.env['HOME']}/mine")
        case = "class X(unittest.TestCase):\n    def test_x(self):\n        pass\n"
        module = f"import os\nimport unittest\n{does}\n\n\n{case}"
        issue = GOOD.replace("more", f"more{number}") + new_file(f"tests/test_x{number}.py", module)
        made.issue(number, f"Task {number}", issue)

    ran = made.run("--max-parallel", "2")

    ended = {left: ran.task(f"issue-{number}")["status"] for number, left in enumerate(TESTS, 1)}
    assert {"success", "failed"} >= set(ended.values()), ended
    _nothing_got_out(made, ran)
    made.assert_tidy()


def test_what_an_agent_leaves_leads_nowhere(tmp_path: Path, walls: Isolation):
    """Each in a task of its own, whose agent is asked once more, so that we write where it was."""
    told = tmp_path / "told"
    made = _home(
        tmp_path,
        f"reminders: 1\nsandbox: {{read: [{told}]}}\n"
        f"agent-command: {{argv: [/usr/bin/python3, {told}/agent.py, '{{prompt_file}}']}}\n",
    )
    told.mkdir()
    claim = (
        "import os, subprocess\nsubprocess.run(['orchestrator-phase', 'done', 'initial-setup'], check=True)\n"
    )
    claim += (
        "def git(*words, text=''):\n"
        "    done = subprocess.run(['git', *words], input=text, text=True, stdout=subprocess.PIPE, check=True)\n"
        "    return done.stdout.strip()\n"
    )
    which = "which = os.environ['ORCHESTRATOR_CONTEXT'].split('/')[-2]\n"
    left = {
        f"issue-{n}": does.replace("MINE", f"{made.env['HOME']}/mine")
        for n, does in enumerate(AGENT.values(), 1)
    }
    (told / "agent.py").write_text(f"{claim}{which}exec({left!r}[which])\n")
    for number in range(1, len(AGENT) + 1):
        made.issue(number, f"Task {number}", GOOD)

    ran = made.run("--max-parallel", "2", agent="command")

    ended = {left: ran.task(f"issue-{number}")["status"] for number, left in enumerate(AGENT, 1)}
    assert {"failed", "incomplete"} >= set(ended.values()), ended
    _nothing_got_out(made, ran)
    told = [ran.task(f"issue-{number}")["error"] for number in range(1, len(AGENT) + 1)]
    assert any("is a pipe, and git would wait for ever to read it" in words for words in told), told
    assert any("too-many-paths" in words for words in told), told


def test_set_up_cannot_have_us_write_through_the_list_of_ignored_files(tmp_path: Path, walls: Isolation):
    """What it leaves in the tree is noted in `.git/info/exclude`, and that lies in the tree, too."""
    mine = tmp_path / "home" / "mine"
    made = _home(tmp_path, "setup: sh set-up.sh\n")
    made.repo.commit(
        {"set-up.sh": f"touch left; rm -f .git/info/exclude; ln -s {mine} .git/info/exclude\n"}, "Set up"
    )
    made.repo.push()
    made.issue(1, "Add", GOOD)

    ran = made.run()

    assert 1 == len(ran.report["tasks"]), ran.err
    assert MINE == mine.read_text()


def test_the_kernels_settings_are_read_only(stage: WalledStage):
    """Root outside is root within to the kernel's files, and `core_pattern` names a program that it runs outside."""
    settings = ("kernel/core_pattern", "vm/overcommit_memory", "net/ipv4/ip_forward", "kernel/hostname")

    stage.sh("; ".join(f"(: >>/proc/sys/{name}) && echo open {name}" for name in settings))

    assert "open" not in [line.split()[0] for line in stage.log.read_text().splitlines()]


def test_only_a_plain_file_is_opened_where_others_could_put_another(tmp_path: Path):
    """And a link only where it stays in its tree."""
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "file").write_text("x")
    (tmp_path / "mine").write_text(MINE)
    os.symlink("deep/file", tree / "in")
    os.symlink("../mine", tree / "out")
    os.symlink("/dev/zero", tree / "endless")
    os.symlink("..", tree / "up")
    os.mkfifo(tree / "pipe")

    for name in ("out", "endless", "up/mine", "pipe", "deep", "none"):
        with pytest.raises(OSError):
            open_in(tree, name)
    for name in ("in", "out", "pipe", "deep"):
        with pytest.raises(OSError):
            open_plain(str(tree / name), os.O_RDONLY)
    with open_in(tree, "in") as file:
        assert b"x" == file.read()


def test_ways_out_of_a_folder_are_removed_and_what_is_in_it_stays(tmp_path: Path):
    """Links that stay within it are an agent's own business."""
    folder = tmp_path / "agent"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    os.symlink("file", folder / "deep" / "in")
    for name in ("out", "deep/out"):
        os.symlink(tmp_path, folder / name)
    os.symlink("/none/such", folder / "dangling")
    os.mkfifo(folder / "pipe")
    (folder / "deep").chmod(0o300)

    remove_ways_out(folder)

    found = {os.path.relpath(os.path.join(at, n), folder) for at, _, names in walk(folder) for n in names}
    assert {"deep/file", "deep/in"} == found
    assert 0o700 == (folder / "deep").stat().st_mode & 0o777


def test_folders_in_a_thousand_folders_are_walked_and_deleted(tmp_path: Path):
    """Python's own ways recurse: before 3.12 they fail there, and the tree would stay for ever."""
    tree, at = tmp_path / "tree", os.getcwd()
    tree.mkdir()
    os.chdir(tree)
    try:
        for _ in range(1_200):
            os.mkdir("d")
            os.chdir("d")
        Path("file").touch()
    finally:
        os.chdir(at)

    names = [name for _, _, names in walk(tree) for name in names]
    delete(tree)

    assert ["file"] == names
    assert not tree.exists()
