"""Good pushes that were once refused, and things of the user's that got in the way (HOOK-CASES 46 to 58)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.hook.conftest import CHECK, Governed, gate, policy, processes_in, start_push, wait_for
from tests.hook.test_gates import with_submodule
from tests.kit.repos import Repo, git, make_repo
from tests.kit.tables import few

NOBODY = 65534


def test_attributes_that_rewrite_files_change_none(govern: Callable[..., Governed]):
    """Case 46: a CRLF blob under `text`, and a filter that is not its own inverse; a real change is seen."""
    g = govern(
        policy(gate("check", CHECK), gate("late", "! test -e touch-it || printf 'x\\r\\n' > crlf.txt"))
    )
    (g.path / "crlf.txt").write_bytes(b"a\r\nb\r\n")
    (g.path / "odd.dat").write_text("one\n")
    g.git("checkout", "-q", "-b", "task")
    g.git("add", "-A")
    g.git("commit", "-q", "-m", "blobs as they are")
    g.git("config", "filter.odd.smudge", "sed s/one/two/")
    g.git("config", "filter.odd.clean", "cat")
    (g.path / ".gitattributes").write_text("*.txt text\n*.dat filter=odd\n")
    g.git("add", ".gitattributes")
    g.git("commit", "-q", "-m", "attributes")
    first, second = g.push("origin", "task"), g.push("origin", "task:again")
    (g.path / "touch-it").touch()
    g.git("add", "touch-it")
    g.git("commit", "-q", "-m", "and now one is written")

    changed = g.push("origin", "task")

    assert 0 == first.code, first.err
    assert 0 == second.code, second.err
    assert changed.code != 0
    assert "changed files: crlf.txt" in changed.err


@pytest.mark.slow
def test_lfs_without_its_objects_is_as_in_the_users_checkout(govern: Callable[..., Governed], tmp_path: Path):
    """Case 47: GIT_LFS_SKIP_SMUDGE=1 and a store that is out of reach."""
    lfs = need(shutil.which("git-lfs"), "git-lfs (a package of most systems)")
    g = govern(policy(gate("pointer", 'grep -q git-lfs x.bin && test -z "$(git status --porcelain)"')))
    env = {"PATH": f"{lfs.parent}:{os.environ['PATH']}", "GIT_LFS_SKIP_SMUDGE": "1"}
    g.call("git", "lfs", "install", "--local", "--skip-repo", env=env)
    g.git("checkout", "-q", "-b", "task")
    g.call("git", "lfs", "track", "*.bin", env=env)
    (g.path / "x.bin").write_bytes(b"\0binary\n" * 100)
    g.call("git", "add", "-A", env=env)
    g.call("git", "commit", "-q", "-m", "lfs", env=env)
    shutil.rmtree(g.path / ".git/lfs")
    g.git("config", "lfs.url", "http://127.0.0.1:9/out-of-reach")

    done = g.push("origin", "task", env=env)

    assert 0 == done.code, done.err


def test_submodules_are_set_up_as_in_the_users_checkout(govern: Callable[..., Governed], tmp_path: Path):
    """Case 47: with the pushed commit's content, also when the checkout has another."""
    g = with_submodule(govern, tmp_path, 'test "$(cat sub/s)" = 1')
    g.commit({"x": "1"})
    (g.path / "sub/s").write_text("dirty\n")
    git(g.path / "sub", "commit", "-q", "-a", "-m", "not pushed")

    done = g.push("origin", "task")

    assert 0 == done.code, done.err


@pytest.mark.slow
def test_a_submodule_can_be_linked_where_it_is_not_set_up(govern: Callable[..., Governed], tmp_path: Path):
    """Case 47: `link: [sub]`, for what git itself does not have here."""
    sub = make_repo(tmp_path / "sub", {"s": "1\n"})
    g = govern(policy(gate("check", "grep -q 1 sub/s", "link: [sub]")))
    g.git("checkout", "-q", "-b", "task")
    g.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(sub.remote), "sub")
    g.commit({"x": "1"})
    shutil.rmtree(g.path / ".git/modules")
    (g.path / "sub/.git").unlink()

    done = g.push("--recurse-submodules=no", "origin", "task")

    assert 0 == done.code, done.err


@pytest.fixture
def theirs() -> Iterator[Governed]:
    """A governed repository of somebody who is not root, reachable by him."""
    root = Path(tempfile.mkdtemp(prefix="oa-hook-user-"))
    root.chmod(0o755)
    repo = make_repo(root / "g", {"f": "GOOD\n", ".github/orchestrator.yml": policy(gate("check", CHECK))})
    (root / "cache").mkdir()
    yield Governed(repo, root / "cache", root / "count")
    subprocess.run(["chmod", "-R", "u+rwX", str(root)], check=False)
    shutil.rmtree(root)


def as_user(g: Governed, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody who may not do what only root may: root himself, without any capability."""
    plain: tuple[str, ...] = ()
    if os.getuid() == 0:
        plain = (str(need(shutil.which("setpriv"), "setpriv (util-linux)")), "--bounding-set=-all")
    return subprocess.run(
        [*plain, *(("--inh-caps=-all",) if plain else ()), *argv], cwd=g.path, capture_output=True, text=True,
        env=g.env(**env), timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def give_away(path: Path) -> None:
    """Make everything there somebody else's, readable and no more; only root can."""
    if os.getuid():
        pytest.skip("only root can leave files of somebody else behind")
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(path)], check=True)
    subprocess.run(["chmod", "-R", "u=rwX,go=rX", str(path)], check=True)


def install_for(g: Governed) -> None:
    done = as_user(g, sys.executable, "-I", "-m", "orchestrator_action.hook", "install")
    assert 0 == done.returncode, done.stderr
    g.git("checkout", "-q", "-b", "task")


@pytest.mark.parametrize("home", few(["missing", "unset", "unwritable"], 1))
def test_no_home_is_needed(theirs: Governed, home: str):
    """Case 48."""
    install_for(theirs)
    place = theirs.path.parent / "home"
    if home == "unwritable":
        place.mkdir(mode=0o555)
    env = {"HOME": "" if home == "unset" else str(place), "XDG_CACHE_HOME": str(place / "cache")}

    done = as_user(theirs, "git", "push", "origin", "task", **env)

    assert 0 == done.returncode, done.stderr
    assert "orchestrator: " in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.slow
def test_an_earlier_sudo_push_is_no_obstacle(theirs: Governed):
    """Case 48: our state in `.git` is another user's; nothing can be remembered, and the answer is right."""
    install_for(theirs)
    assert 0 == as_user(theirs, "git", "push", "-q", "origin", "task:first").returncode
    shutil.rmtree(theirs.path / ".git/orchestrator/hook/passes")
    give_away(theirs.path / ".git/orchestrator")

    done = as_user(theirs, "git", "push", "origin", "task:second")

    assert 0 == done.returncode, done.stderr
    assert ": check" in done.stderr
    assert "bug" not in done.stderr
    assert theirs.at_remote("refs/heads/second")


def test_a_read_only_git_folder_is_judged_right(theirs: Governed):
    """Case 48: policy and gates as ever; only nothing is remembered."""
    install_for(theirs)
    theirs.commit({"y": "y"})
    subprocess.run(["chmod", "-R", "a-w", str(theirs.path / ".git")], check=True)

    refused = as_user(theirs, "git", "push", "--dry-run", "origin", "task:main")
    allowed = as_user(theirs, "git", "push", "--dry-run", "origin", "task")

    assert refused.returncode != 0
    assert "refs/heads/main is protected" in refused.stderr
    assert 0 == allowed.returncode, allowed.stderr
    assert "bug" not in allowed.stderr + refused.stderr


@pytest.mark.slow
def test_a_hooks_folder_that_cannot_be_written_is_one_plain_line(theirs: Governed):
    """Case 48: `install` says which, and what to do."""
    (theirs.path / ".git/hooks").mkdir(exist_ok=True)
    (theirs.path / ".git/hooks").chmod(0o555)

    done = as_user(theirs, sys.executable, "-I", "-m", "orchestrator_action.hook", "install")

    assert done.returncode not in (0, 70)
    assert "Permission denied" in done.stderr
    assert "hint: " in done.stderr
    assert "bug" not in done.stderr


def test_a_remote_path_may_be_any_bytes(g: Governed, tmp_path: Path):
    """Case 48: Latin-1, in the remote's URL and in the audit's output."""
    odd = os.fsencode(tmp_path) + b"/b\xe4r\x1b[2J.git"
    shutil.copytree(os.fsencode(g.repo.remote), odd)
    g.branch("task", {"f": "BAD\n"})
    bad = subprocess.run(
        ["git", "push", odd, "task"], cwd=g.path, env=g.env(), capture_output=True, check=False
    )
    g.commit({"f": "GOOD 2\n"})
    good = subprocess.run(
        ["git", "push", odd, "task"], cwd=g.path, env=g.env(ORCHESTRATOR_SKIP="later"), capture_output=True,
        check=False,
    )  # fmt: skip
    judged = subprocess.run(
        ["git", "push", odd, "task:t2"], cwd=g.path, env=g.env(), capture_output=True, check=False
    )
    audit = g.hook("audit")

    assert bad.returncode != 0
    assert b"gate check failed" in bad.stderr
    assert 0 == good.returncode, good.stderr
    assert 0 == judged.returncode, judged.stderr
    assert "bug" not in audit.err
    assert "\033" not in audit.out
    assert "skipped" in audit.out


def test_a_fork_of_ones_own_has_rules_of_its_own(govern: Callable[..., Governed], tmp_path: Path):
    """Case 49: a newer `main` for the fork, by name or URL; `origin` stays protected."""
    rules = '  remotes: [{match: mine, protected-branches: []}, {match: "*/by-url.git", protected-branches: []}]\n'
    g = govern(policy(gate("check", CHECK), more=rules))
    for name in ("mine", "by-url"):
        git(tmp_path, "clone", "-q", "--bare", str(g.repo.remote), str(tmp_path / f"{name}.git"))
    g.git("remote", "add", "mine", str(tmp_path / "mine.git"))
    g.commit({"f": "GOOD 2\n"})

    assert g.push("origin", "main").code != 0
    assert 0 == g.push("mine", "main").code
    assert 0 == g.push(str(tmp_path / "by-url.git"), "main").code
    g.commit({"f": "BAD\n"})
    assert "gate check failed" in g.push("mine", "main").err


@pytest.mark.parametrize("how", few(["untracked file", "linked worktree"], 1))
def test_a_word_with_a_slash_is_no_reason_to_run_again(
    govern: Callable[..., Governed], tmp_path: Path, how: str
):
    """Case 52: it names something of the tree, which the tree says already; a changed script counts."""
    command = 'echo run >> "$COUNT"; ls src/ ./tools >/dev/null && sh ./tools/check'
    g = govern(policy(gate("check", command)), {"src/x": "x", "tools/check": "exit 0\n"})
    g.branch("task", {"y": "1"})
    assert 0 == g.push("origin", "task").code
    where = g.path
    if how == "untracked file":
        (g.path / "src/unrelated").write_text("x")
        (g.path / "tools/unrelated").write_text("x")
    else:
        where = tmp_path / "linked"
        g.git("worktree", "add", "-q", "--detach", str(where), "task")

    again = g.push("origin", "task:again", cwd=where)
    runs = g.runs
    g.commit({"tools/check": "exit 1\n"})
    changed = g.push("origin", "task:changed")

    assert 0 == again.code, again.err
    assert 1 == runs
    assert changed.code != 0


def test_links_do_not_write_through(govern: Callable[..., Governed]):
    """Case 53: caches of tools are private and new; what a package manager keeps is there."""
    command = (
        "test ! -e node_modules/.cache && mkdir -p node_modules/.cache node_modules/.vite && "
        "touch node_modules/.cache/left node_modules/.vite/left node_modules/new && test -x node_modules/.bin/tool"
    )
    g = govern(policy(gate("vite", command, "link: [node_modules]")), {".gitignore": "node_modules\n"})
    modules = g.path / "node_modules"
    for name in (".cache", ".bin", "dep"):
        (modules / name).mkdir(parents=True)
    (modules / ".cache/mine").write_text("mine")
    (modules / ".bin/tool").write_text("#!/bin/sh\n")
    (modules / ".bin/tool").chmod(0o755)
    before = sorted(str(p) for p in modules.rglob("*"))
    for number in range(2):
        g.branch(f"task{number}", {"n": str(number)})
        done = g.push("origin", f"task{number}")
        assert 0 == done.code, done.err

    assert before == sorted(str(p) for p in modules.rglob("*"))


@pytest.mark.parametrize(
    ("lock", "text"),
    few(
        [
            ("package-lock.json", '{"packages": {"node_modules/kept": {}, "node_modules/@s/kept": {}}}\n'),
            ("yarn.lock", 'kept@^1.0:\n  version "1"\n\n"@s/kept@^1":\n  version "1"\n'),
            ("pnpm-lock.yaml", "packages:\n  kept@1.0.0:\n    a: b\n  '@s/kept@1.0.0':\n    a: b\n"),
        ],
        1,
    ),
)
def test_a_package_that_the_pushed_lock_file_does_not_have_is_not_there(
    govern: Callable[..., Governed], lock: str, text: str
):
    """Case 53: `npm install x` without committing the lock file would fail in CI, and fails here."""
    names = ("kept", "ept", "@s/kept", "@s/other", "extra")
    command = "cd node_modules && ls -d kept @s/kept && ! ls -d ept && ! ls -d extra && ! ls -d @s/other"
    g = govern(
        policy(gate("resolve", command, "link: [node_modules]")), {".gitignore": "node_modules\n", lock: text}
    )
    for name in names:
        (g.path / "node_modules" / name).mkdir(parents=True)
        (g.path / "node_modules" / name / "x").touch()
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert 0 == done.code, done.err


@pytest.mark.slow
def test_what_only_root_may_remove_is_named_and_in_nobodys_way(theirs: Governed):
    """Case 54: a container left its files in the tree: the next push is right, `clean` says what is left."""
    install_for(theirs)
    assert 0 == as_user(theirs, "git", "push", "origin", "task").returncode
    [tree] = theirs.trees()
    (tree / "deep/er").mkdir(parents=True)
    (tree / "deep/er/of-another").touch()
    give_away(tree / "deep")
    theirs.commit({"y": "y"})

    done = as_user(theirs, "git", "push", "origin", "task")
    cleaned = as_user(theirs, sys.executable, "-I", "-m", "orchestrator_action.hook", "clean")

    assert 0 == done.returncode, done.stderr
    assert "sudo rm -rf" in done.stderr
    assert "cannot be removed" in cleaned.stdout
    assert "/left-" in cleaned.stdout


@pytest.mark.slow
def test_trees_of_repositories_that_are_gone_or_moved_go_with_clean(
    govern: Callable[..., Governed], tmp_path: Path
):
    """Case 54: those of living ones stay."""
    made = {}
    for name in ("gone", "moved", "lives"):
        made[name] = govern(name=name)
        made[name].branch("task", {"x": name})
        assert 0 == made[name].push("origin", "task").code
    cache = made["lives"].cache
    roots = {(p / "of").read_text(): p for p in cache.glob("orchestrator*/hook/*")}
    shutil.rmtree(made["gone"].path)
    made["moved"].path.rename(tmp_path / "elsewhere")

    done = made["lives"].hook("clean")

    assert 0 == done.code, done.err
    assert [str(made["lives"].path / ".git")] == [of for of, path in roots.items() if path.exists()]
    assert 2 == done.out.count("removed ")
    assert "nothing to remove" in made["lives"].hook("clean").out


@pytest.mark.slow
def test_a_push_that_is_killed_while_a_large_tree_is_made_leaves_nothing(
    govern: Callable[..., Governed], tmp_path: Path
):
    """Case 55: our own git ends with the push, too."""
    g = govern(policy(gate("check", CHECK)))
    g.git("config", "gc.auto", "0")  # git's own, in the background, would be taken for ours
    g.git("checkout", "-q", "-b", "task")
    for number in range(20_000):
        if number % 200 == 0:
            (g.path / f"d{number}").mkdir()
        (g.path / f"d{number - number % 200}/{number}").write_text(f"{number}\n")
    g.commit({"x": "1"})
    push = start_push(g)
    made = f"{g.cache}/orchestrator*/hook/*/1/checkout/{g.path.name}/d0"
    wait_for(lambda: list(Path("/").glob(made.lstrip("/"))), "no tree was made")

    push.send_signal(signal.SIGKILL)
    asked_at = time.monotonic()
    wait_for(lambda: not processes_in(g.cache), "git outlived the push", 5.0)
    seconds = time.monotonic() - asked_at
    push.communicate(timeout=20)

    assert seconds < 1.0
    assert 0 == g.push("origin", "task").code


def test_a_hooks_folder_that_is_tracked_is_not_written_to(g: Governed):
    """Case 56: a file with this machine's paths would be committed."""
    assert 0 == g.hook("uninstall").code
    shutil.rmtree(g.path / ".git/hooks")
    (g.path / "githooks").mkdir()
    (g.path / ".git/hooks").symlink_to("../githooks")

    done = g.hook("install")

    assert 2 == done.code
    assert "githooks" in done.err
    assert 'orchestrator-action hook pre-push "$@"' in done.err
    assert [] == list((g.path / "githooks").iterdir())


@pytest.mark.parametrize("gone", few(["hook", "process", "errors.py", "hook/gates.py", "an old Python"], 2))
def test_half_of_an_installation_refuses_in_one_line_with_the_cure(
    govern: Callable[..., Governed], tmp_path: Path, gone: str
):
    """Case 57."""
    package = tmp_path / "site/orchestrator_action"
    import orchestrator_action

    shutil.copytree(Path(orchestrator_action.__file__).parent, package)
    g = govern(install=False)
    made = g.call(sys.executable, "-I", "-S", str(package / "hook.py"), "install")
    assert 0 == made.code, made.err
    if gone == "an old Python":
        door = package / "hook.py"
        door.write_text(door.read_text().replace("sys.version_info <", "(3, 8, 1) <"))
    elif (package / gone).is_dir():
        shutil.rmtree(package / gone)
    else:
        (package / gone).unlink()
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert "error: " in done.err
    assert "install it" in done.err
    assert "orchestrator-action hook install" in done.err
    assert "nothing was pushed" in done.err
    assert "Traceback" not in done.err
    assert "" == g.at_remote("refs/heads/task")


@pytest.mark.slow
def test_a_full_disk_is_said(govern: Callable[..., Governed], tmp_path: Path):
    """Case 58: in the gates' tree."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k,mode=700", "tmpfs", str(small)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        g = govern(policy(gate("check", CHECK)))
        g.branch("task", {f"big{n}": "x" * 60_000 for n in range(8)})
        done = g.push("origin", "task", env={"RUNNER_TEMP": str(small)})
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)

    assert done.code != 0
    assert "No space left" in done.err
    assert "free some disk space" in done.err
    assert "bug" not in done.err


@pytest.mark.slow
def test_a_thousand_refs_of_one_tree_cost_one_run(govern: Callable[..., Governed]):
    """Case 58: with a gate about the tree, whatever their number."""
    g = govern(policy(gate("check", f'echo run >> "$COUNT"; {CHECK}')))
    head = g.branch("task", {"x": "1"})
    refs = "".join(f"create refs/heads/many/{n} {head}\n" for n in range(1000))
    subprocess.run(
        ["git", "update-ref", "--stdin"], cwd=g.path, env=g.env(), input=refs, text=True, check=True
    )
    assert 0 == g.hook("run", "main").code
    g.count.unlink()
    line = "".join(f"refs/heads/many/{n} {head} refs/heads/many/{n} {'0' * 40}\n" for n in range(1000))

    started = time.monotonic()
    done = subprocess.run(
        [g.path / ".git/hooks/pre-push", "origin", str(g.repo.remote)], cwd=g.path, env=g.env(), input=line,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.monotonic() - started

    assert 0 == done.returncode, done.stderr
    assert 1 == g.runs
    assert seconds < 3.0


@pytest.mark.slow
def test_many_trees_and_more_pushes_than_there_are_trees(govern: Callable[..., Governed]):
    """Case 58: 50 commits with trees of their own in one push, one of them bad; then six pushes at once."""
    g = govern(policy(gate("check", CHECK)))
    for number in range(50):
        g.git("checkout", "-q", "-b", f"b{number}", "main")
        g.commit({"f": "BAD\n" if number == 33 else f"GOOD {number}\n"})
    done = g.push("origin", "--all")
    assert done.code != 0
    assert "refs/heads/b33" in done.err
    assert 1 == done.err.count("gate check failed")

    pushes = [start_push(g, "git", "push", "origin", f"b{n}:six/{n}") for n in (31, 32, 33, 34, 35, 36)]
    said = [push.communicate(timeout=120)[1] for push in pushes]

    assert [0, 0, 1, 0, 0, 0] == [push.returncode for push in pushes], said


def test_a_users_checkout_is_as_it_was(g: Governed):
    """Case 44: our own git writes nothing into the user's repository but our state."""

    def contents(repo: Repo) -> set[str]:
        kept = (p for p in (repo.path / ".git").rglob("*") if "orchestrator" not in p.parts)
        return {f"{p.relative_to(repo.path)} {p.stat().st_mtime_ns}" for p in kept if p.is_file()}

    g.branch("task", {"f": "GOOD 2\n"})
    before = contents(g.repo)

    assert 0 == g.hook("run", "task").code
    assert before == contents(g.repo)
