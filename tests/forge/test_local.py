"""The forge in a folder: files a person writes and edits, several writers at once, crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.folder.forge import LocalForge
from orchestrator_action.protocol.forge_values import Annotation, Conclusion

SHA = "a" * 40


def refs(**known: str) -> Callable[[str], str | None]:
    return known.get


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "forge"


@pytest.fixture
def forge(folder: Path) -> LocalForge:
    return LocalForge(folder, read_ref=refs(main="b" * 40, topic=SHA), clock=lambda: 1_700_000_000.0)


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_folder_is_made_when_missing(tmp_path: Path) -> None:
    LocalForge(tmp_path / "a" / "b", read_ref=refs())

    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    put(tmp_path, "taken", "x")

    with pytest.raises(ForgeError, match="taken"):
        LocalForge(tmp_path / "taken", read_ref=refs())


def test_hand_written_issues_are_taken_as_they_are(forge: LocalForge, folder: Path) -> None:
    put(folder, "issues/2.md", "---\ntitle: 12:30\nlabels: orchestrate\nauthor: ann\n---\nbody\n")
    put(folder, "issues/10.md", "# On\n\nno front matter, no label\n")
    put(folder, "issues/3.md", "\ufeff---\r\nlabels: [Orchestrate]\r\n---\r\n\r\nfirst line\r\n")
    put(folder, "issues/4.md", "---\nlabels: [orchestrate]\nstate: closed\ntitle: done\n---\n")

    found = list(forge.issues("orchestrate"))

    assert [(2, "12:30", "ann"), (3, "first line", "orchestrator")] == [
        (i.number, i.title, i.labeled_by) for i in found
    ]
    assert "On" == forge.issue(10).title


def test_a_file_that_is_no_issue_is_ignored_with_a_warning(forge: LocalForge, folder: Path) -> None:
    for name in ("README.md", "01.md", "7.txt", "²3.md", "5.md~", "-1.md", "0.md"):
        put(folder, f"issues/{name}", "---\nlabels: [x]\n---\n")
    (folder / "issues" / "6.md").mkdir()
    os.mkfifo(folder / "issues" / "8.md")

    assert [] == list(forge.issues("x"))
    assert 7 == len(forge.warnings)
    assert all("is ignored" in w for w in forge.warnings)


def test_a_broken_issue_is_named_and_not_dropped(forge: LocalForge, folder: Path) -> None:
    put(folder, "issues/1.md", "---\ntitle: [\n---\n")

    with pytest.raises(ForgeError, match=r"issues/1\.md:\d+: "):
        list(forge.issues("x"))


def test_files_hold_no_path_of_this_machine(forge: LocalForge, folder: Path) -> None:
    issue = forge.create_issue("T", "b", marker="m 1", labels=["x"])
    forge.comment(issue.number, marker="c", body="hello")
    pull = forge.open_pull(branch="topic", base="main", title="P", body="b")
    forge.review(pull.number, head_sha=SHA, body="r", findings=[], marker="rev")
    forge.start_check(head_sha=SHA, name="orchestrator", external_id="e", title="t", summary="s")

    texts = [p.read_text() for p in folder.rglob("*") if p.is_file()]

    assert len(texts) >= 6
    assert not [t for t in texts if str(folder) in t]


def test_numbers_are_shared_and_never_given_out_twice(forge: LocalForge, folder: Path) -> None:
    put(folder, "issues/5.md", "# by hand")
    pull = forge.open_pull(branch="topic", base="main", title="P", body="b")
    issue = forge.create_issue("T", "b", marker="m")
    (folder / "issues" / f"{issue.number}.md").unlink()

    assert (6, 7, 8) == (pull.number, issue.number, forge.create_issue("U", "b", marker="n").number)


def test_a_check_file_is_found_by_commit_and_name_and_read_by_a_person(
    forge: LocalForge, folder: Path
) -> None:
    check = forge.start_check(head_sha=SHA, name="orchestrator", external_id="e", title="t", summary="s")
    forge.finish_check(
        check,
        conclusion=Conclusion.FAILURE,
        title="ünï",
        summary="s",
        annotations=[Annotation(path="a.py", line=3, message="m")],
    )

    fields = json.loads((folder / "checks" / SHA / "orchestrator.json").read_text())

    assert ("completed", "failure", "ünï", 3) == (
        fields["status"],
        fields["conclusion"],
        fields["title"],
        fields["annotations"][0]["line"],
    )


@pytest.mark.parametrize(
    "name", ["../../escape", "a/b", "..", ".hidden", "x" * 300, "ünï/" * 60, "a\nb", "nul\0"]
)
def test_any_name_of_a_check_stays_in_its_directory(forge: LocalForge, folder: Path, name: str) -> None:
    forge.start_check(head_sha=SHA, name=name, external_id="e", title="t", summary="s")

    assert [name] == [c.name for c in forge.checks(SHA)]
    assert 1 == len(list((folder / "checks" / SHA).iterdir()))


def test_a_head_that_is_no_sha_makes_no_path(forge: LocalForge) -> None:
    with pytest.raises(ForgeError, match=r"\.\./\.\./x"):
        forge.start_check(head_sha="../../x", name="n", external_id="e", title="t", summary="s")


def test_edits_and_deletions_by_hand_are_survived(forge: LocalForge, folder: Path) -> None:
    issue = forge.create_issue("T", "b", marker="m", labels=["x"])
    comment = forge.comment(issue.number, marker="c", body="one")
    (folder / "comments" / str(issue.number) / f"{comment.id}.md").unlink()
    check = forge.start_check(head_sha=SHA, name="n", external_id="e", title="t", summary="s")
    (folder / "checks" / SHA / "n.json").unlink()

    forge.comment(issue.number, marker="c", body="two")
    forge.finish_check(check, conclusion=Conclusion.SUCCESS, title="t", summary="s")
    put(folder, f"issues/{issue.number}.md", "---\ntitle: mine now\nlabels: y\n---\n")
    forge.set_labels(issue.number, add=["z"], remove=["y"])

    assert ["two"] == [c.body.splitlines()[-1] for c in forge.comments(issue.number)]
    assert [Conclusion.SUCCESS] == [c.conclusion for c in forge.checks(SHA)]
    assert ("mine now", ("z",)) == (forge.issue(issue.number).title, forge.issue(issue.number).labels)


def test_a_broken_check_names_its_file_and_line(forge: LocalForge, folder: Path) -> None:
    put(folder, f"checks/{SHA}/n.json", '{\n"name": "n",\n}')

    with pytest.raises(ForgeError, match=rf"checks/{SHA}/n\.json:3: "):
        forge.checks(SHA)


def test_the_whole_folder_may_vanish(forge: LocalForge, folder: Path) -> None:
    forge.create_issue("T", "b", marker="m")
    subprocess.run(["rm", "-rf", str(folder)], check=True)

    assert [] == list(forge.issues("x"))
    assert 1 == forge.create_issue("U", "b", marker="n").number


def test_threads_share_numbers_and_one_marker_makes_one_issue(forge: LocalForge) -> None:
    with ThreadPoolExecutor(16) as pool:
        many = list(pool.map(lambda i: forge.create_issue(f"t{i}", "b", marker=f"m {i}").number, range(40)))
        same = set(pool.map(lambda _: forge.create_issue("t", "b", marker="same").number, range(16)))

    assert list(range(1, 41)) == sorted(many)
    assert 1 == len(same)


WRITER = """
import sys
from pathlib import Path
from orchestrator_action.forge.folder.forge import LocalForge
forge = LocalForge(Path(sys.argv[1]), read_ref=lambda b: None)
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[3])):
    title = f"{sys.argv[2]}-{i}"
    n = forge.create_issue(title, "x" * 20000, marker=f"m {title}", labels=["l"]).number
    forge.comment(1, marker="shared", body=f"{sys.argv[2]} {i} " + "y" * 20000)
    print(n, flush=True)
"""


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    assert "ready" == process.stdout.readline().strip()
    return process


def test_processes_share_numbers_and_no_reader_sees_half_a_file(forge: LocalForge, folder: Path) -> None:
    put(folder, "issues/1.md", "# first")
    processes = [writer(folder, name, 12) for name in "abc"]
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.close()
    bodies: set[int] = set()
    while any(p.poll() is None for p in processes):
        bodies |= {len(i.body) for i in forge.issues("l")}
        bodies |= {len(c.body) // 20000 for c in forge.comments(1)}
    numbers = [int(n) for p in processes if p.stdout for n in p.stdout.read().split()]
    for process in processes:
        assert process.stdout
        process.stdout.close()

    assert [0, 0, 0] == [p.returncode for p in processes]
    assert list(range(2, 38)) == sorted(numbers)
    assert {1} == {1 if size == 1 else size // 20000 for size in bodies}
    assert 1 == len(list(forge.comments(1)))


def test_a_killed_writer_leaves_no_half_file_and_no_lock(forge: LocalForge, folder: Path) -> None:
    put(folder, "issues/1.md", "# first")
    process = writer(folder, "a", 10_000)
    assert process.stdin and process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdin.close()
    process.stdout.close()

    assert all(len(i.body) > 20000 for i in forge.issues("l"))
    highest = max(i.number for i in forge.issues("l"))
    assert highest < forge.create_issue("after", "b", marker="after").number
    assert [] == list((folder / ".tmp").iterdir())
