"""Ways to a wrong "allow" that there once were (HOOK-CASES 37 to 42); 37 stands in test_exact."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import CHECK, Governed, gate, policy
from tests.kit.repos import git
from tests.kit.tables import few

NO_RULES = policy(protected="[]")


def single_branch_clone(g: Governed, tmp_path: Path) -> Path:
    """A clone that knows nothing of the remote but `feat`, with the hook."""
    g.branch("feat", {"x": "1"})
    g.git("push", "-q", "--no-verify", "origin", "feat")
    clone = tmp_path / "single"
    git(tmp_path, "clone", "-q", "--single-branch", "-b", "feat", f"file://{g.repo.remote}", str(clone))
    assert 0 == g.hook("install", cwd=clone).code
    return clone


def commit_in(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"change {name}")


def test_a_single_branch_clone_is_judged_by_the_remotes_default_branch(g: Governed, tmp_path: Path):
    """Case 38: the branch that it has does not decide about itself, however often it asks."""
    clone = single_branch_clone(g, tmp_path)
    commit_in(clone, ".github/orchestrator.yml", NO_RULES)
    commit_in(clone, "f", "BAD\n")
    git(clone, "push", "-q", "--no-verify", "origin", "feat")
    refs_before = git(clone, "for-each-ref")

    protected = [g.push("origin", "HEAD:main", cwd=clone) for _ in range(2)]
    gated = g.push("origin", "HEAD:refs/heads/other", cwd=clone)

    for done in protected:
        assert done.code != 0
        assert "refs/heads/main is protected by .github/orchestrator.yml" in done.err
    assert "gate check failed" in gated.err
    assert refs_before == git(clone, "for-each-ref")
    commit_in(clone, "f", "GOOD 9\n")
    assert 0 == g.push("origin", "HEAD:refs/heads/other", cwd=clone).code


def test_a_remote_that_moved_on_is_judged_by_what_it_has_now(g: Governed, tmp_path: Path):
    """Case 38: also when its default branch holds commits that this clone never saw."""
    clone = single_branch_clone(g, tmp_path)
    g.git("checkout", "-q", "main")
    g.commit({".github/orchestrator.yml": policy(gate("stricter", "false"))})
    g.git("push", "-q", "--no-verify", "origin", "main")
    commit_in(clone, "y", "1")

    done = g.push("origin", "HEAD:refs/heads/other", cwd=clone)

    assert done.code != 0
    assert "gate stricter failed" in done.err


def test_a_default_branch_nobody_can_tell_is_no_default_branch(g: Governed, tmp_path: Path):
    """Case 38: a remote that does not answer, and only a feature branch known: refused, with the cure."""
    clone = single_branch_clone(g, tmp_path)
    git(clone, "remote", "set-url", "origin", str(tmp_path / "gone.git"))
    commit_in(clone, ".github/orchestrator.yml", NO_RULES)
    line = f"refs/heads/feat {git(clone, 'rev-parse', 'HEAD')} refs/heads/main {'0' * 40}\n"

    done = subprocess.run(
        [clone / ".git/hooks/pre-push", "origin", str(tmp_path / "gone.git")], cwd=clone, env=g.env(),
        input=line, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "default branch of origin is not known" in done.stderr
    assert "git remote set-head" in done.stderr


@pytest.mark.parametrize(
    "how", few(["main moved", "HEAD turned", "main moved after a push", "all removed"], 2)
)
def test_a_remote_tracking_ref_moved_by_hand_is_no_base(g: Governed, how: str):
    """Case 42: the remote is asked what it has."""
    g.git("checkout", "-q", "-b", "evil")
    evil = g.commit({".github/orchestrator.yml": NO_RULES, "f": "BAD\n"})
    if how == "main moved after a push":
        assert 0 == g.push("origin", "main:refs/heads/earlier").code
    if how == "HEAD turned":
        g.git("update-ref", "refs/remotes/origin/evil", evil)
        g.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/evil")
    elif how == "all removed":
        g.git("remote", "set-head", "origin", "--delete")
        g.git("update-ref", "-d", "refs/remotes/origin/main")
    else:
        g.git("update-ref", "refs/remotes/origin/main", evil)

    protected, gated = g.push("origin", "HEAD:main"), g.push("origin", "HEAD:refs/heads/t")

    assert protected.code != 0
    assert "refs/heads/main is protected" in protected.err
    assert gated.code != 0
    assert "gate check failed" in gated.err


@pytest.mark.parametrize("where", ["base", "pushed"])
@pytest.mark.parametrize("what", ["a folder", "the other ending"])
def test_what_stands_in_the_configurations_place_is_said_and_refused(
    govern: Callable[..., Governed], where: str, what: str
):
    """Case 40: never "no gates"."""
    name = ".github/orchestrator.yml/x" if what == "a folder" else ".github/orchestrator.yaml"
    text = policy(gate("check", CHECK))
    g = govern("", {name: text}) if where == "base" else govern("")
    g.branch("task", {"f": "BAD\n"} if where == "base" else {name: text})

    done = g.push("origin", "task")

    assert done.code != 0
    assert ("folder" if what == "a folder" else "orchestrator.yaml is not read") in done.err
    assert "" == g.at_remote("refs/heads/task")


def test_a_gate_about_the_commit_runs_again_after_an_amend(govern: Callable[..., Governed]):
    """Case 41: by `key: commit`, and without it where the command asks git."""
    command = 'echo run >> "$COUNT"; {} | grep -q GOOD'
    g = govern(
        policy(
            gate("said", command.format("git log -1 --format=%s")),
            gate("keyed", command.format("sh ./subject"), "key: commit"),
        ),
        {"subject": "git log -1 --format=%s\n"},
    )
    g.git("checkout", "-q", "-b", "task")
    g.git("commit", "-q", "--allow-empty", "-m", "GOOD subject")
    good = g.push("origin", "task")
    g.git("commit", "-q", "--amend", "--allow-empty", "-m", "a worse subject")
    bad = g.push("--force", "origin", "task")

    assert 0 == good.code, good.err
    assert bad.code != 0
    assert {"said", "keyed"} == {name for name in ("said", "keyed") if f"gate {name} failed" in bad.err}
    assert 4 == g.runs


def test_a_gate_that_is_not_cached_runs_each_time_and_one_that_expired_again(govern: Callable[..., Governed]):
    """Case 41: `cache: off`, and a duration."""
    count = 'echo {} >> "$COUNT"'
    g = govern(
        policy(
            gate("never", count.format("never"), "cache: off"),
            gate("while", count.format("while"), "cache: 1h"),
            gate("ever", count.format("ever")),
        )
    )
    g.git("checkout", "-q", "-b", "task")
    assert 0 == g.push("origin", "task").code
    assert 0 == g.push("origin", "task:again").code
    for record in (g.path / ".git/orchestrator/hook/passes").iterdir():
        body, _, _ = record.read_text().rpartition(" ")
        words = body.split()
        old = " ".join([*words[:3], str(int(words[3]) - 7200)])
        record.write_text(f"{old} {_seal(old)}")
    assert 0 == g.push("origin", "task:once-more").code

    assert ["ever", *["never"] * 3, "while", "while"] == sorted(g.count.read_text().split())


def _seal(body: str) -> str:
    from orchestrator_action.hook.passes import short_digest

    return short_digest(body.encode(), 8) + "\n"


def test_a_tool_replaced_in_the_user_site_is_another_tool(govern: Callable[..., Governed], tmp_path: Path):
    """Case 41: `pip install --user` of a newer linter."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = tmp_path / f"home/.local/lib/{version}/site-packages"
    site.mkdir(parents=True)
    tool = site / "a_linter.py"
    tool.write_text("raise SystemExit(0)\n")
    g = govern(policy(gate("lint", f"{sys.executable} -m a_linter")))
    home = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    g.git("checkout", "-q", "-b", "task")
    first = g.push("origin", "task", env=home)
    tool.write_text("raise SystemExit(1)  # the newer one finds something\n")

    second = g.push("origin", "task:again", env=home)

    assert 0 == first.code, first.err
    assert second.code != 0
    assert "gate lint failed" in second.err


@pytest.mark.parametrize(
    "ref", few(["refs/orchestrator/x", "refs/notes/x", "refs/changes/1/2/3", "refs/heads2/x"], 2)
)
def test_a_commit_is_judged_wherever_it_goes(g: Governed, ref: str):
    """Case 42: refs outside heads and tags."""
    g.branch("task", {"f": "BAD\n"})
    bad = g.push("origin", f"HEAD:{ref}")
    g.commit({"f": "GOOD 2\n"})
    good = g.push("origin", f"HEAD:{ref}")

    assert bad.code != 0
    assert "gate check failed" in bad.err
    assert 0 == good.code, good.err


def trail(g: Governed) -> str:
    """A commit as our audit trails are: files of events, and nothing else."""
    blob = g.git("hash-object", "-w", "f")
    made = subprocess.run(
        ["git", "mktree"], cwd=g.path, env=g.env(), input=f"100644 blob {blob}\trun-1.jsonl\n", text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return g.git("commit-tree", made.stdout.strip(), "-m", "trail")


def test_notes_and_trails_are_records_and_no_code(g: Governed):
    """Case 42: what only holds records goes without gates, and protected refs of any kind stay protected."""
    g.git("notes", "add", "-m", "seen", "HEAD")
    g.git("update-ref", "refs/orchestrator/tasks/issue-1", trail(g))

    notes = g.push("origin", "refs/notes/commits")
    trails = g.push("origin", "refs/orchestrator/tasks/issue-1")

    assert 0 == notes.code, notes.err
    assert 0 == trails.code, trails.err


@pytest.mark.parametrize(("rule", "code"), [("allow", 0), ("refuse", 1)])
def test_a_policy_may_say_what_becomes_of_other_refs(govern: Callable[..., Governed], rule: str, code: int):
    """Case 42."""
    g = govern(policy(gate("check", CHECK), more=f"  other-refs: {rule}\n"))
    g.branch("task", {"f": "BAD\n"})

    done = g.push("origin", "HEAD:refs/changes/1")

    assert code == done.code
    if code:
        assert "neither a branch nor a tag" in done.err


def test_a_protected_pattern_may_name_any_ref(govern: Callable[..., Governed]):
    """Case 42."""
    g = govern(policy(protected='[main, "refs/notes/**"]'))
    g.git("notes", "add", "-m", "x", "HEAD")

    assert g.push("origin", "refs/notes/commits").code != 0


# -- case 39: the checkout must not be what is tested


@pytest.mark.parametrize(
    "how",
    few([
        "PYTHONPATH by a link", "PYTHONPATH relative", "PYTHONPATH up and down", "PYTHONPATH of $PWD by a link",
        "PYTHONPATH to a folder of links", ".pth by a link", ".pth relative", "finder by a link", "link in site",
        "root is a package",
    ], 2),
)  # fmt: skip
def test_python_imports_the_pushed_commit(govern: Callable[..., Governed], tmp_path: Path, how: str):
    """Case 39: however a path leads into the checkout."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin/python"
    name = "src/pkg" if how != "root is a package" else "pkg"
    command = f"{python} -c 'import sys; sys.path.remove(\"\"); import pkg; raise SystemExit(pkg.value != 1)'"
    g = govern(policy(gate("tests", command)), {f"{name}/__init__.py": "value = 1\n", "__init__.py": ""})
    [site] = environment.glob("lib/python*/site-packages")
    link = tmp_path / "link"
    link.symlink_to(g.path)
    package = g.path / name
    env: dict[str, str] = {}
    match how:
        case "PYTHONPATH by a link":
            env["PYTHONPATH"] = f"/nowhere:{link}/src"
        case "PYTHONPATH relative":
            env["PYTHONPATH"] = "src"
        case "PYTHONPATH up and down":
            env["PYTHONPATH"] = f"../{g.path.name}/src"
        case "PYTHONPATH of $PWD by a link":
            env["PYTHONPATH"], env["PWD"] = f"{link}/src", str(link)
        case "PYTHONPATH to a folder of links":
            (tmp_path / "links").mkdir()
            (tmp_path / "links/pkg").symlink_to(package)
            env["PYTHONPATH"] = str(tmp_path / "links")
        case ".pth by a link":
            (site / "x.pth").write_text(f"{link}/src\n")
        case ".pth relative":
            import os

            (site / "x.pth").write_text(os.path.relpath(g.path / "src", site) + "\n")
        case "finder by a link":
            (site / "__editable___pkg_finder.py").write_text(
                "import sys\nfrom importlib.util import spec_from_file_location\n"
                f"MAPPING = {{'pkg': '{link}/src/pkg'}}\n"
                "class F:\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n"
                "        if name in MAPPING:\n"
                "            return spec_from_file_location(name, MAPPING[name] + '/__init__.py')\n"
                "sys.meta_path.append(F)\n"
            )
            (site / "__editable__.pkg.pth").write_text("import __editable___pkg_finder\n")
        case "link in site":
            (site / "pkg").symlink_to(package)
        case "root is a package":
            (site / "x.pth").write_text(f"{g.path}\n")
    quiet = {"PYTHONDONTWRITEBYTECODE": "1", **env}
    works = subprocess.run([python, "-c", "import pkg"], env={**g.env(), **quiet}, cwd=g.path, check=False)
    assert 0 == works.returncode

    g.branch("bad", {f"{name}/__init__.py": "value = 2\n"})
    (package / "__init__.py").write_text("value = 1\n")
    bad = g.push("origin", "bad", env=quiet)
    g.git("checkout", "-q", "-f", "main")
    g.branch("good", {"x": "1\n"})
    (package / "__init__.py").write_text("value = 2\n")
    good = g.push("origin", "good", env=quiet)

    assert bad.code != 0
    assert "gate tests failed" in bad.err
    assert 0 == good.code, good.err


@pytest.mark.parametrize("how", few(["absolute", "by a link", "relative"], 1))
def test_node_requires_the_pushed_commit(govern: Callable[..., Governed], tmp_path: Path, how: str):
    """Case 39: NODE_PATH."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    command = "node -e 'process.exit(require(\"own\") === 1 ? 0 : 1)'"
    g = govern(policy(gate("tests", command)), {"lib/own.js": "module.exports = 1\n"})
    (tmp_path / "link").symlink_to(g.path)
    env = {
        "NODE_PATH": {"absolute": f"{g.path}/lib", "by a link": f"{tmp_path}/link/lib", "relative": "./lib"}[
            how
        ]
    }
    g.branch("bad", {"lib/own.js": "module.exports = 2\n"})
    (g.path / "lib/own.js").write_text("module.exports = 1\n")
    bad = g.push("origin", "bad", env=env)
    g.git("checkout", "-q", "-f", "main")
    g.branch("good", {"x": "1\n"})
    (g.path / "lib/own.js").write_text("module.exports = 2\n")
    good = g.push("origin", "good", env=env)

    assert bad.code != 0
    assert 0 == good.code, good.err


def test_a_tracked_script_on_path_is_the_pushed_one(govern: Callable[..., Governed]):
    """Case 39: PATH names the checkout's own scripts, and the fix of one is not committed."""
    g = govern(policy(gate("tests", "the-check")), {"bin/the-check": "#!/bin/sh\nexit 1\n"})
    (g.path / "bin/the-check").chmod(0o755)
    g.git("checkout", "-q", "-b", "task")
    g.git("commit", "-q", "-a", "--allow-empty", "-m", "executable")
    (g.path / "bin/the-check").write_text("#!/bin/sh\nexit 0\n")

    done = g.push("origin", "task", env={"PATH": f"{g.path}/bin:{g.env()['PATH']}"})

    assert done.code != 0
    assert "gate tests failed" in done.err
