"""The pushed commit is what is judged, whatever else lies about (HOOK-CASES 13 to 20)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.protocol import events as ledger_of
from orchestrator_action.protocol.events import encode_event, seal
from orchestrator_action.protocol.model import Claim, Fact
from orchestrator_action.protocol.phases import PHASES
from tests.hook.conftest import CHECK, Governed, gate, policy
from tests.kit.tables import few


@pytest.mark.parametrize("fix", few(["unstaged", "staged", "untracked", "ignored", "stashed"], 2))
def test_a_fix_that_is_not_committed_does_not_count(govern: Callable[..., Governed], fix: str):
    """Case 13: refused, and nothing of the user's moves."""
    command = "grep -q GOOD extra" if fix in {"untracked", "ignored"} else CHECK
    g = govern(policy(gate("check", command)), {"extra": "GOOD\n", ".gitignore": "*.tmp\n"})
    g.git("checkout", "-q", "-b", "task")
    if fix in {"untracked", "ignored"}:
        g.git("rm", "-q", "extra")
        g.commit({"f": "x\n", ".gitignore": "extra\n" if fix == "ignored" else "\n"})
        (g.path / "extra").write_text("GOOD\n")
    else:
        g.commit({"f": "BAD\n"})
        (g.path / "f").write_text("GOOD\n")
        if fix == "staged":
            g.git("add", "f")
        if fix == "stashed":
            g.git("stash", "-q")
    index = (g.path / ".git/index").read_bytes()

    def seen() -> tuple[str, ...]:
        return g.git("status", "--porcelain", "--ignored"), g.git("stash", "list"), (g.path / "f").read_text()

    before = seen()

    done = g.push("origin", "task")

    assert done.code != 0
    assert "check" in done.err
    assert before == seen()
    assert index == (g.path / ".git/index").read_bytes()


def test_dirt_does_not_spoil_a_good_commit(g: Governed):
    """Case 14."""
    g.branch("task", {"f": "GOOD 2\n"})
    (g.path / "f").write_text("BAD\n")
    g.git("add", "f")

    assert 0 == g.push("origin", "task").code


def test_the_branch_that_is_checked_out_does_not_matter(g: Governed):
    """Case 15: each pushed ref is judged at its own commit."""
    g.branch("bad", {"f": "BAD\n"})
    bad = g.git("rev-parse", "bad")
    g.branch("good", {"f": "GOOD 2\n"})
    g.git("checkout", "-q", "main")
    from_main = g.push("origin", "bad")
    g.git("checkout", "-q", "bad")
    from_bad = g.push("origin", "good")
    g.git("checkout", "-q", "main")
    first, second = g.push("origin", "main:good2", "bad"), g.push("origin", "bad", "main:good3")

    assert 0 == from_bad.code, from_bad.err
    for done in (from_main, first, second):
        assert done.code != 0
        assert "refs/heads/bad" in done.err
        assert bad[:12] in done.err
        assert "refs/heads/good" not in done.err
    assert "" == g.at_remote("refs/heads/bad") == g.at_remote("refs/heads/good2")


def test_two_refs_at_one_tree_cost_one_run(govern: Callable[..., Governed]):
    """Case 16: also when the commits differ."""
    g = govern(policy(gate("check", 'echo run >> "$COUNT"; grep -q GOOD f')))
    g.branch("one", {"f": "GOOD 2\n"})
    g.git("checkout", "-q", "-b", "two")
    g.git("commit", "-q", "--allow-empty", "-m", "another commit, the same tree")

    assert 0 == g.push("origin", "one", "two").code
    assert 1 == g.runs


def test_a_force_push_after_amend_is_judged_anew(g: Governed):
    """Case 16."""
    g.branch("task", {"f": "GOOD 2\n"})
    assert 0 == g.push("origin", "task").code
    (g.path / "f").write_text("BAD\n")
    g.git("commit", "-q", "-a", "--amend", "-m", "amended")

    done = g.push("--force", "origin", "task")

    assert done.code != 0
    assert g.git("rev-parse", "HEAD")[:12] in done.err


def test_a_reused_slot_has_no_stale_bytecode(govern: Callable[..., Governed]):
    """Case 17: same size, same second, another answer."""
    same = 'import os; os.utime("answer.py", (1e9, 1e9)); import answer; raise SystemExit(answer.value != 1)'
    command = f"{sys.executable} -c '{same}'"
    g = govern(policy(gate("python", command)), {"answer.py": "value = 1\n"})
    values = (1, 2, 1, 2, 3, 1, 2)
    for number, value in enumerate(values):
        g.branch(f"task{number}", {"answer.py": f"value = {value}\n", "other": str(number)})

    answers = [g.push("origin", f"task{number}").code == 0 for number in range(len(values))]

    assert [value == 1 for value in values] == answers


@pytest.mark.parametrize(
    "left", few(["file", "directory", "ignored", "nested repository", "read-only", "in the way"], 2)
)
def test_a_reused_slot_has_nothing_of_the_last_run(govern: Callable[..., Governed], left: str):
    """Case 17: what a gate leaves decides nothing later."""
    make = {
        "file": "touch left",
        "directory": "mkdir -p left/a/b && touch left/a/b/c",
        "ignored": "touch left.o",
        "nested repository": "git init -q left && touch left/x",
        "read-only": "mkdir left && touch left/x && chmod 0 left/x && chmod 500 left",
        "in the way": "mkdir -p new && touch new/left",
    }[left]
    g = govern(
        policy(gate("check", f"test ! -e left && test ! -e left.o && test ! -e new/left && {make}")),
        {".gitignore": "*.o\n"},
    )
    for number in range(3):
        g.branch(f"task{number}", {"n": str(number), **({"new": "now a file\n"} if number == 2 else {})})
        if number == 2 and left == "in the way":
            break  # at this commit the gate itself cannot make its directory
        done = g.push("origin", f"task{number}")
        assert 0 == done.code, done.err
    assert 0 == g.push("origin", "task1:again").code


def test_a_gate_that_writes_tracked_files_fails(govern: Callable[..., Governed]):
    """Case 19: nothing is remembered, and the next push starts clean."""
    g = govern(policy(gate("fmt", "echo more >> f"), gate("check", 'echo run >> "$COUNT"; grep -q GOOD f')))
    g.branch("task", {"f": "GOOD 2\n"})

    first, second = g.push("origin", "task"), g.push("origin", "task")

    for done in (first, second):
        assert done.code != 0
        assert "changed files" in done.err
        assert "f" in done.err
    assert 2 == g.runs
    assert "GOOD 2\n" == (g.path / "f").read_text()


@pytest.mark.parametrize(
    "hide",
    few(
        [
            "git add f",
            "git commit -q -a -m hidden",
            "git update-index --assume-unchanged f",
            "git update-index --skip-worktree f",
            "touch -r README f",
            "git checkout -q -b hidden-$$ && git commit -q -a -m x",
        ],
        2,
    ),
)
def test_a_change_cannot_be_hidden_behind_gits_own_index(govern: Callable[..., Governed], hide: str):
    """Case 19: an index no gate can reach says what is tracked."""
    g = govern(policy(gate("fmt", f"echo LIES > f; {hide}")), {"README": "x\n"})
    g.branch("task", {"f": "GOOD2\n"})

    assert g.push("origin", "task").code != 0
    g.git("checkout", "-q", "-b", "next")
    assert "changed files" in g.push("origin", "next").err


@pytest.mark.parametrize(
    ("setting", "hide"),
    few(
        [
            ("core.ignoreStat=true", "echo GOOD8 > f"),
            ("core.trustctime=false", "cp -p f old; echo GOOD8 > f; touch -r old f; rm old"),
            ("core.checkStat=minimal", "cp -p f old; echo GOOD8 > f; touch -r old f; rm old"),
            ("core.fileMode=false", "chmod +x f"),
            ("diff.orderFile=/nowhere", "echo GOOD8 > f"),
        ],
        2,
    ),
)
def test_a_change_cannot_be_hidden_behind_the_users_settings(
    govern: Callable[..., Governed], setting: str, hide: str
):
    """Case 19: settings by which git looks less closely are for the user's own checkout."""
    g = govern(policy(gate("fmt", hide)))
    g.branch("task", {"f": "GOOD2\n"})
    g.git("config", *setting.split("="))

    done = g.push("origin", "task")

    assert done.code != 0
    assert "changed files: f" in done.err


def test_a_git_that_cannot_tell_what_changed_is_no_pass(g: Governed):
    """Case 19: refused in one plain line, and not taken for no change."""
    g.branch("task", {"f": "GOOD 2\n"})
    g.git("config", "diff.algorithm", "nonsense")

    done = g.push("origin", "task")

    assert done.code != 0
    assert "error: git cannot tell which files gates changed" in done.err
    assert "hint: " in done.err
    assert "" == g.at_remote("refs/heads/task")


def test_the_slot_lies_outside_git_and_checkout(govern: Callable[..., Governed], tmp_path: Path):
    """Case 18: and an uncommitted pyproject.toml above or beside is not found from there."""
    walk = 'd=$PWD; while [ "$d" != / ]; do test ! -e "$d/pyproject.toml" || exit 1; d=$(dirname "$d"); done'
    g = govern(policy(gate("where", f'pwd > "$COUNT"; {walk}')))
    (g.path / "pyproject.toml").write_text("[tool]\n")
    g.branch("task", {"f": "GOOD 2\n"})
    g.git("rm", "-q", "--cached", "pyproject.toml")
    g.git("commit", "-q", "--amend", "-m", "without")

    done = g.push("origin", "task")

    assert 0 == done.code, done.err
    where = Path(g.count.read_text().strip())
    assert not where.is_relative_to(g.path)
    assert ".git" not in where.parts


@pytest.mark.parametrize("how", few(["pth", "finder", "redirector", "PYTHONPATH"], 2))
def test_an_editable_install_of_the_checkout_is_not_what_is_tested(
    govern: Callable[..., Governed], tmp_path: Path, how: str
):
    """Case 18: `import pkg` means the pushed commit, not the dirty tree."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin/python"
    command = f"{python} -c 'import pkg; raise SystemExit(pkg.value != 1)'"
    g = govern(policy(gate("tests", command)), {"src/pkg/__init__.py": "value = 1\n"})
    [site] = environment.glob("lib/python*/site-packages")
    source = g.path / "src"
    match how:
        case "pth":
            (site / "__editable__.pkg.pth").write_text(f"{source}\n")
        case "finder":  # as setuptools makes it
            (site / "__editable___pkg_finder.py").write_text(
                "import sys\nfrom importlib.util import spec_from_file_location\n"
                f"MAPPING = {{'pkg': '{source}/pkg'}}\n"
                "class F:\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n"
                "        if name in MAPPING:\n"
                "            return spec_from_file_location(name, MAPPING[name] + '/__init__.py')\n"
                "sys.meta_path.append(F)\n"
            )
            (site / "__editable__.pkg.pth").write_text("import __editable___pkg_finder\n")
        case "redirector":  # as hatchling makes it
            (site / "_editable_impl_pkg.py").write_text(
                "import sys\nfrom importlib.util import spec_from_file_location\n"
                "class F:\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n"
                "        if name == 'pkg':\n"
                f"            return spec_from_file_location(name, '{source}/pkg/__init__.py')\n"
                "sys.meta_path.append(F)\n"
            )
            (site / "_pkg.pth").write_text("import _editable_impl_pkg\n")
    more = {"PYTHONPATH": str(source)} if how == "PYTHONPATH" else {}
    quiet = {**g.env(**more), "PYTHONDONTWRITEBYTECODE": "1"}  # bytecode in the checkout would be committed
    works = subprocess.run([python, "-c", "import pkg"], env=quiet, cwd=tmp_path, check=False)
    assert 0 == works.returncode

    g.branch("bad", {"src/pkg/__init__.py": "value = 2\n"})
    (source / "pkg/__init__.py").write_text("value = 1\n")
    bad = g.push("origin", "bad", env=more)
    g.git("checkout", "-q", "-f", "main")
    g.branch("good", {"x": "1\n"})
    (source / "pkg/__init__.py").write_text("value = 2\n")
    good = g.push("origin", "good", env=more)

    assert bad.code != 0
    assert 0 == good.code, good.err


# -- case 20: policy and ledger ----------------------------------------------------------------


def test_a_commit_cannot_unprotect_its_own_target(g: Governed):
    """Case 20: the policy is the base's."""
    g.commit({".github/orchestrator.yml": policy(protected="[]")})

    assert g.push("origin", "main").code != 0
    g.git("checkout", "-q", "-b", "task")
    g.commit({"f": "BAD\n"})
    assert g.push("origin", "task").code != 0


def test_the_base_is_found_without_origin_head_and_for_a_bare_url(g: Governed):
    """Case 20: no symbolic HEAD, no remote name: the policy is the same."""
    g.git("remote", "set-head", "origin", "--delete")
    g.commit({"f": "BAD\n", ".github/orchestrator.yml": policy(protected="[]")})

    for remote in ("origin", str(g.repo.remote)):
        assert "refs/heads/main" in g.push(remote, "main").err
        assert "check" in g.push(remote, "main:t").err


@pytest.mark.parametrize("where", few(["base", "pushed"], 1))
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hook:\n  gates: [\n", 3),
        ("hook:\n  gates:\n    - {name: a, comand: x}\n", 3),
        ("hook:\n  protected-branches: 7\n", 2),
    ],
)
def test_a_broken_configuration_refuses_with_file_and_line(
    govern: Callable[..., Governed], where: str, text: str, line: int
):
    """Case 20: never a pass."""
    g = govern(text if where == "base" else None)
    g.branch("task", {"f": "GOOD 2\n"} if where == "base" else {".github/orchestrator.yml": text})

    done = g.push("origin", "task")

    assert done.code != 0
    assert f".github/orchestrator.yml:{line}:" in done.err
    assert "Traceback" not in done.err
    assert "" == g.at_remote("refs/heads/task")


def test_without_a_configuration_the_defaults_hold(govern: Callable[..., Governed]):
    """main, master and release/* are protected, and no gate is run."""
    g = govern("")
    g.branch("task", {"f": "BAD\n"})

    assert g.push("origin", "task:main").code != 0
    assert g.push("origin", "task:release/1").code != 0
    assert 0 == g.push("origin", "task").code


def _journal(g: Governed, branch: str, head: str, *, leave_out: str = "", commit: str = "") -> None:
    """A journal in which every phase up to Documentation is claimed and measured at `commit`."""
    folder = g.path / ".git/orchestrator/runs/20260101-000000-aaaaaa"
    folder.mkdir(parents=True, exist_ok=True)
    lines, previous, seq = [], "", 0

    def add(kind: str, **data: object) -> None:
        nonlocal previous, seq
        seq += 1
        event = seal(
            seq=seq, at=float(seq), run=folder.name, task="issue-1", kind=kind, data=data, prev=previous
        )
        previous = event.hash
        lines.append(encode_event(event) + "\n")

    add("task-started", base_sha=g.git("rev-parse", "main"), base_branch="main", branch=branch, digest="d")
    for phase in PHASES[:7]:
        if phase.id == leave_out:
            continue
        add("claim", **ledger_of.claim_data(Claim(phase=phase.id, head_sha=head)))
        for rule in phase.rules:
            fact = Fact(phase=phase.id, rule=rule.id, commit=commit or head, holds=True, message="measured")
            add("fact", **ledger_of.fact_data(fact))
    (folder / "journal.jsonl").write_text("".join(lines))


def test_a_task_branch_with_every_due_phase_proven_goes(g: Governed):
    """Case 20."""
    head = g.branch("orchestrator/issue-1-x", {"f": "GOOD 2\n"})
    _journal(g, "orchestrator/issue-1-x", head)

    done = g.push("origin", "orchestrator/issue-1-x")

    assert 0 == done.code, done.err


def test_a_task_branch_with_an_open_phase_is_refused_with_the_cure(g: Governed):
    """Case 20: the phases by name, and the command that closes each."""
    head = g.branch("orchestrator/issue-1-x", {"f": "GOOD 2\n"})
    _journal(g, "orchestrator/issue-1-x", head, leave_out="testing")

    done = g.push("origin", "orchestrator/issue-1-x")

    assert done.code != 0
    assert "testing" in done.err
    assert "orchestrator-phase done testing" in done.err
    assert "documentation" not in done.err
    assert "" == g.at_remote("refs/heads/orchestrator/issue-1-x")


def test_facts_of_another_commit_do_not_open_the_way(g: Governed):
    """Case 20: judged at the pushed commit."""
    old = g.branch("orchestrator/issue-1-x", {"f": "GOOD 2\n"})
    _journal(g, "orchestrator/issue-1-x", old)
    g.commit({"f": "GOOD 3\n"})

    done = g.push("origin", "HEAD:orchestrator/issue-1-x")

    assert done.code != 0
    assert "stale" in done.err


def test_a_task_branch_nobody_knows_has_every_phase_open(g: Governed):
    """Case 20: no journal is no pass; deleting it is nobody's business."""
    g.branch("orchestrator/issue-9", {"f": "GOOD 2\n"})
    done = g.push("origin", "orchestrator/issue-9")
    g.git("push", "-q", "--no-verify", "origin", "orchestrator/issue-9")

    assert done.code != 0
    assert "initial-setup" in done.err
    assert 0 == g.push("origin", ":orchestrator/issue-9").code


def test_an_audit_trail_serves_a_clone_that_has_no_journal(g: Governed):
    """Case 20: what `refs/orchestrator/tasks/<id>` says; one that was changed does not count."""
    from orchestrator_action.git import audit_trail as audit
    from orchestrator_action.git.repo import Git
    from orchestrator_action.protocol.events import decode_event

    head = g.branch("orchestrator/issue-1-x", {"f": "GOOD 2\n"})
    _journal(g, "orchestrator/issue-1-x", head)
    runs = g.path / ".git/orchestrator/runs"
    [journal] = runs.glob("*/journal.jsonl")
    events = [decode_event(line) for line in journal.read_text().splitlines()]
    commit = audit.record(Git.open(g.path), "", events[0].run, events, "the trail")
    shutil.rmtree(runs)
    without = g.push("origin", "orchestrator/issue-1-x")
    g.git("update-ref", audit.ref_of("issue-1"), commit)
    allowed = g.push("origin", "orchestrator/issue-1-x")
    cut = audit.record(Git.open(g.path), "", events[0].run, [*events[:3], *events[4:]], "a line is missing")
    g.git("update-ref", audit.ref_of("issue-1"), cut)
    damaged = g.push("origin", "orchestrator/issue-1-x:orchestrator/issue-1-y")

    assert without.code != 0
    assert 0 == allowed.code, allowed.err
    assert damaged.code != 0
    assert "does not count" in damaged.err


def test_a_phase_switched_off_in_the_base_is_not_asked_for(govern: Callable[..., Governed]):
    """Case 20: the ledger's rules come from the base too."""
    g = govern("phases: {testing: off}\n" + policy())
    head = g.branch("orchestrator/issue-1-x", {"f": "x\n"})
    _journal(g, "orchestrator/issue-1-x", head, leave_out="testing")

    done = g.push("origin", "orchestrator/issue-1-x")

    assert 0 == done.code, done.err


@pytest.mark.parametrize("how", few(["replace", "graft"], 1))
def test_what_git_shows_instead_of_a_commit_is_not_what_is_judged(g: Governed, how: str):
    """Case 37: `git replace` and grafts deceive whoever looks, and a push sends the commit itself."""
    bad = g.branch("task", {"f": "BAD\n"})
    good = g.git("rev-parse", "main")
    if how == "replace":
        g.git("replace", bad, good)
        g.git("replace", f"{bad}^{{tree}}", f"{good}^{{tree}}", check=False)
    else:
        (g.path / ".git/info/grafts").write_text(f"{bad} {good}\n")

    done = g.push("origin", "task")

    assert done.code != 0
    assert "gate check failed" in done.err
    assert "" == g.at_remote("refs/heads/task")
