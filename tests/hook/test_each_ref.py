"""Every ref of a push is judged by what it is, however many there are, whatever they are called."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.hook.conftest import CHECK, Governed, gate, policy

COUNTED = f"echo run >> $COUNT; {CHECK}"


def test_a_gate_about_the_ref_is_asked_of_each_ref(govern: Callable[..., Governed]):
    """Two names for one commit are two questions to it, and one question to a gate about the tree."""
    named = "echo {ref} >> $COUNT; case {ref} in refs/heads/ok-*) ;; *) exit 1 ;; esac"
    g = govern(policy(gate("name", named), gate("tree", "echo tree >> $COUNT")))
    g.branch("task", {"x": "1"})

    bad = g.push("origin", "task:ok-1", "task:bad")
    good = g.push("origin", "task:ok-1", "task:ok-2")

    assert bad.code != 0
    assert "gate name failed" in bad.err
    assert "(refs/heads/bad)" in bad.err
    assert 0 == good.code, good.err
    ran = sorted(g.count.read_text().split())
    assert ["refs/heads/bad", "refs/heads/ok-1", "refs/heads/ok-2", "tree"] == ran


def test_the_changed_files_are_those_of_each_ref(govern: Callable[..., Governed]):
    """A new ref brings more than one that had most of it; refs with the same start are asked about once."""
    g = govern(policy(gate("files", "echo {files} >> $COUNT; ! grep -l BAD {files}")))
    g.branch("task", {"one": "BAD\n"})
    g.git("push", "-q", "--no-verify", "origin", "task:a")
    g.commit({"two": "good\n"})

    done = g.push("origin", "task:a", "task:b", "task:c")

    assert done.code != 0
    assert ["'one' 'two'".replace("'", ""), "two"] == sorted(g.count.read_text().splitlines())


@pytest.mark.parametrize("setting", [("diff.orderFile", "/none/such"), ("diff.relative", "true")])
def test_a_setting_of_the_users_hides_no_file_from_a_gate(
    govern: Callable[..., Governed], setting: tuple[str, str]
):
    """A gate about no files passes, so git must not fail to name them."""
    g = govern(policy(gate("files", "! grep -l BAD {files}")))
    g.branch("task", {"deep/one": "BAD\n"})
    g.git("config", *setting)

    done = g.push("origin", "task")

    assert done.code != 0
    assert "gate files failed" in done.err


NAMES = ("Ärger", "Á-Ö", "a\u2028b", "x\x85y", "it's", 'quo"te', "日本", "a&b;c$d`e`", "-dash", "%20")


def test_a_branch_may_be_called_anything(govern: Callable[..., Governed]):
    """Bytes that a shell takes for its own marks, and what Python takes for the end of a line, are only names."""
    protected = ", ".join(f'"{name}"' for name in NAMES if name.isprintable() and '"' not in name)
    g = govern(policy(gate("check", CHECK), protected=f"[main, {protected}]"))
    for name in NAMES:
        g.git("push", "-q", "--no-verify", "origin", f"main:refs/heads/{name}")
    g.branch("bad", {"f": "BAD\n"})
    g.git("checkout", "-q", "main")
    g.branch("good", {"x": "1"})

    for name in NAMES:
        assert g.push("origin", f"bad:refs/heads/{name}").code != 0, name
    shielded = g.push("origin", "good:refs/heads/Ärger")
    for name in NAMES:
        done = g.push("origin", f"good:refs/heads/{name}-of-mine")
        assert 0 == done.code, (name, done.err)
    assert "refs/heads/Ärger is protected" in shielded.err
    for verb in ("uninstall", "install", "status", "audit"):
        assert "bug" not in g.hook(verb).err, verb


def test_no_way_of_naming_many_lets_one_through(g: Governed):
    """`--follow-tags`, `--tags`, `--mirror`, `--all`, `--prune`, `--atomic`: nothing moves."""
    g.git("checkout", "-q", "-b", "side")
    g.commit({"f": "BAD\n"})
    g.git("tag", "-a", "-m", "one", "one")
    g.git("tag", "-a", "-m", "of a tag", "two", "one")
    g.commit({"f": "GOOD\n"})
    g.git("branch", "-f", "main", "side")
    before = g.remote_refs()

    for how in (["--follow-tags", "origin", "side"], ["--tags", "origin"], ["origin", "two", "side"],
                ["--atomic", "origin", "side", "one"]):  # fmt: skip
        done = g.push(*how)
        assert done.code != 0, how
        assert "gate check failed" in done.err, how
    for how in (["--mirror", "origin"], ["--all", "origin"], ["--prune", "origin", "refs/heads/*"]):
        done = g.push(*how)
        assert done.code != 0, how
        assert "refs/heads/main is protected" in done.err, how
    assert before == g.remote_refs()


def test_work_in_progress_is_judged_wherever_it_goes(g: Governed):
    """A review server's own ref, a stash, a change."""
    g.branch("bad", {"f": "BAD\n"})
    (g.path / "f").write_text("BAD, in progress\n")
    g.git("stash")

    for ref in (
        "HEAD:refs/for/main",
        "refs/stash:refs/stash",
        "refs/stash:refs/heads/wip",
        "HEAD:refs/changes/1/1/1",
    ):
        done = g.push("origin", ref)
        assert done.code != 0, ref
        assert "gate check failed" in done.err, ref


def test_five_thousand_refs_are_judged_and_five_are_named(govern: Callable[..., Governed]):
    """One run of the gate; what failed is said in lines that a person can read."""
    g = govern(policy(gate("check", COUNTED)))
    g.branch("task", {"f": "BAD\n"})
    lines = "".join(f"create refs/heads/n/{number} HEAD\n" for number in range(5000))
    subprocess.run(["git", "update-ref", "--stdin"], input=lines, text=True, cwd=g.path, check=True)

    done = g.push("origin", "refs/heads/n/*:refs/heads/n/*")

    assert done.code != 0
    assert "and 4995 more)" in done.err
    assert len(done.err) < 5000
    assert 1 == g.runs
