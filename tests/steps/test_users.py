"""The commands as different users in folders of their own; and root in the work job, who gets no say.

What travels between the folders is copied by the test, as an engine moves artifacts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator_action.run.steps.files import read_plan
from tests.kit.forger import Forger
from tests.kit.repos import Repo, git, make_repo
from tests.kit.steps import Split
from tests.kit.unprivileged import need_root, python_for_everybody
from tests.kit.whole import GOOD, LIBRARY, LIES, House, Ran

USERS = {"plan": 61001, "work": 61002, "verify": 61003, "publish": 61004}
TRUSTED = 61010
"""The group of those who may write to the remote and the forge: plan and publish."""


def own(path: Path, user: int, group: int, mode: int = 0) -> None:
    for folder, folders, files in os.walk(path):
        for name in (".", *folders, *files):
            at = Path(folder, name)
            os.chown(at, user, group, follow_symlinks=False)
            if mode and not at.is_symlink():
                at.chmod(at.stat().st_mode | mode | (0o2000 if at.is_dir() else 0))


@dataclass
class Machines:
    """A folder, a HOME and a user for each step, below one that everybody may enter."""

    root: Path
    python: Path
    remote: Path
    forge: Path

    def home(self, step: str) -> Path:
        return self.root / step

    def make(self, step: str) -> None:
        home = self.home(step)
        home.mkdir()
        (home / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
        (home / "temp").mkdir()
        git(home, "clone", "-q", "--no-hardlinks", str(self.remote), "repo")
        group = TRUSTED if step in {"plan", "publish"} else USERS[step]
        own(home, USERS[step], group)
        home.chmod(0o700)

    def run(self, step: str, *args: str) -> Ran:
        home = self.home(step)
        user = USERS[step]
        group = TRUSTED if step in {"plan", "publish"} else user
        temp = str(home / "temp")
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "RUNNER_TEMP": temp, "TMPDIR": temp}
        done = subprocess.run(
            [str(self.python), "-I", "-m", "orchestrator_action.cli.main", *args], cwd=home / "repo", env=env,
            user=user, group=group, extra_groups=[], umask=0o007, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=200, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def hand_on(self, name: str, source: str, *targets: str) -> None:
        """Copy what a step wrote into the folders of others, and give it to them."""
        for target in targets:
            there = self.home(target) / name
            if (self.home(source) / name).is_dir():
                shutil.copytree(self.home(source) / name, there, dirs_exist_ok=True)
            else:
                shutil.copy(self.home(source) / name, there)
            own(there, USERS[target], USERS[target])
            os.chown(there, USERS[target], USERS[target])


@pytest.fixture
def machines() -> Iterator[Machines]:
    need_root()
    root = Path(tempfile.mkdtemp(prefix="oa-users-"))
    root.chmod(0o755)
    repo = make_repo(
        root / "theirs", {**LIBRARY, ".github/orchestrator.yml": "test: python3 -m unittest discover\n"}
    )
    made = Machines(root, python_for_everybody(root), repo.remote, root / "forge")
    for number, text in ((1, GOOD), (2, LIES)):
        House(repo, made.forge).issue(number, f"Task {number}", text)
    (root / "theirs").chmod(0o755)
    for step in USERS:
        made.make(step)
    own(repo.remote, USERS["plan"], TRUSTED, 0o060)
    own(made.forge, USERS["plan"], TRUSTED, 0o060)
    yield made
    shutil.rmtree(root)


def test_each_step_is_a_user_of_its_own_and_only_two_can_write_to_the_remote(machines: Machines):
    forge = f"local:{machines.forge}"
    planned = machines.run("plan", "plan", "--forge", forge, "--agent", "patch", "--out", "../plan.json")
    assert 0 == planned.code, planned.err
    machines.hand_on("plan.json", "plan", "work", "verify", "publish")
    worked = machines.run("work", "work", "../plan.json", "--shard", "1", "--out", "../bundles")
    assert 1 == worked.code, worked.err
    machines.hand_on("bundles", "work", "verify", "publish")
    (machines.home("verify") / "verdicts").mkdir()
    own(machines.home("verify") / "verdicts", USERS["verify"], USERS["verify"])
    for task in ("issue-1", "issue-2"):
        files = ("--bundle", f"../bundles/{task}", "--out", f"../verdicts/{task}.json")
        ran = machines.run("verify", "verify", "--plan", "../plan.json", *files)
        assert ran.code in {0, 1}, ran.err
    machines.hand_on("verdicts", "verify", "publish")

    published = machines.run(
        "publish", "publish", "../plan.json", "../bundles/issue-1", "../bundles/issue-2", "--json",
        "--verdict", "../verdicts/issue-1.json", "--verdict", "../verdicts/issue-2.json",
    )  # fmt: skip

    assert ["success", "failed"] == [t["status"] for t in published.report["tasks"]], published.err
    assert 1 == len(list((machines.forge / "pulls").glob("*/pull.md")))
    for step, may in (("plan", True), ("work", False), ("verify", False), ("publish", True)):
        group = TRUSTED if may else USERS[step]
        for folder in (machines.remote, machines.forge):
            as_them = {"user": USERS[step], "group": group, "extra_groups": []}
            done = subprocess.run(["touch", str(folder / step)], capture_output=True, check=False, **as_them)
            assert may == (done.returncode == 0), (step, folder)


# -- root where the agent works

LOOT = """
import json, os, pathlib, sys
job, loot, roots = sys.argv[1].encode(), pathlib.Path(sys.argv[2]), sys.argv[3:]
found = {"names": [], "words": []}
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        environ = (process / "environ").read_bytes()
    except OSError:
        continue
    if job in environ:  # a process of this very work job
        found["names"] += [v.split(b"=")[0].decode() for v in environ.split(b"\\0") if v]
        found["words"] += ["environ"] if b"forge-secret" in environ else []
for root in roots:
    for path in pathlib.Path(root).rglob("*"):
        if path.is_file() and b"forge-secret" in path.read_bytes():
            found["words"].append(str(path))
loot.write_text(json.dumps(found))
"""


@pytest.fixture
def attacked(make: Callable[..., Repo], tmp_path: Path) -> Split:
    need_root()
    split = Split(House(make(LIBRARY), tmp_path / "forge"))
    script, loot = tmp_path / "attack.py", tmp_path / "loot.json"
    script.write_text(LOOT)
    where = [str(split.home.repo.path.parent / "clones" / "work"), str(split.files), str(split.home.temp)]
    argv = json.dumps([sys.executable, str(script), str(split.home.temp), str(loot), *where])
    config = LIBRARY[".github/orchestrator.yml"]
    split.home.configure(
        f"{config}isolation: off\nagent: command\nreviewers: [patch]\n"
        f"agent-command:\n  argv: {argv}\n  env: [AGENT_KEY]\nagent-env: [AGENT_KEY]\n"
    )
    split.home.issue(1, "Treble", LIES)
    return split


def test_root_in_a_work_job_finds_no_token_and_has_no_say_in_the_verdict(attacked: Split, tmp_path: Path):
    """It reads every process and file of its job, then hands on a bundle that claims everything of a lie."""
    split = attacked
    token = {"GITHUB_TOKEN": "forge-secret-7", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "forge-secret-8"}
    split.files.mkdir()
    args = (
        "--forge",
        f"local:{split.home.forge}",
        "--agent",
        "command",
        "--out",
        str(split.plan_file),
        "--json",
    )
    planned = split.cli("plan", "plan", *args, env=token)
    assert 0 == planned.code, planned.err
    sha256 = json.loads(planned.out)["sha256"]

    split.cli(
        "work", "work", str(split.plan_file), "--shard", "1", "--out", str(split.files / "bundles"),
        env={"AGENT_KEY": "agent-key-3"},
    )  # fmt: skip
    loot = json.loads((tmp_path / "loot.json").read_text())
    forged = forge_bundle(split)
    verified = split.verify("issue-1", "--plan-sha256", sha256)
    published = publish_with(split, sha256, token)

    assert {"AGENT_KEY", "RUNNER_TEMP"} <= set(loot["names"]), "the look is not blind"
    assert [] == [n for n in loot["names"] if n in token] and [] == loot["words"]
    assert "success" == json.loads((forged / "bundle.json").read_text())["status"], "so says root"
    assert 1 == verified.code, verified.err
    task = published.task("issue-1")
    assert ("failed", "refuted") == (task["status"], published.state("issue-1", "testing")), published.err
    assert not (split.home.forge / "pulls").exists()


def forge_bundle(split: Split) -> Path:
    """What root makes of the bundle: the lie, with a trail and a document that claim it is well."""
    plan = read_plan(split.plan_file).plan
    clone = split.clone("work")
    forger = Forger(clone, plan)
    lie = forger.blob(LIBRARY["numbers_.py"].replace("n * 2", "n * 3"))
    head = forger.commit([("100644", "blob", lie, "numbers_.py")])
    shutil.rmtree(split.bundle("issue-1"))
    return forger.make(split.bundle("issue-1"), plan.tasks[0], head=head)


def publish_with(split: Split, sha256: str, env: Mapping[str, str]) -> Ran:
    verdict = split.files / "verdicts" / "issue-1.json"
    args = [
        "publish",
        str(split.plan_file),
        str(split.bundle("issue-1")),
        "--verdict",
        str(verdict),
        "--json",
    ]
    return split.cli("publish", *args, "--plan-sha256", sha256, env=env)


@pytest.mark.slow
def test_a_plan_that_root_changed_in_its_job_is_no_plan_for_the_others(attacked: Split):
    """The digest travels by another way than the file."""
    split = attacked
    plan = split.plan(agent="command")
    changed = json.loads(split.plan_file.read_text())
    changed["test_commands"] = ["echo 1 passed, 0 failed"]
    split.plan_file.write_text(json.dumps(changed))

    verified = split.verify("issue-1", "--plan-sha256", plan["sha256"])
    published = split.cli("publish", "publish", str(split.plan_file), "--plan-sha256", plan["sha256"])

    assert (2, 2) == (verified.code, published.code)
    for ran in (verified, published):
        assert "is not the plan that was asked for" in ran.err
