"""The main job on a small real repository, with nothing but Python and git: no key, no network.

It says beforehand how each issue will end, runs the very command it prints, and compares. One issue
claims that its tests pass although they do not: it has to be refuted, or the demo fails.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.errors import ConfigError, GitError
from orchestrator_action.git.process import git_program
from orchestrator_action.protocol.model import Status
from orchestrator_action.sandbox.start import run_to_end

FILES = {
    "README.md": "# Greetings\n\nA very small library.\n\n- `greet(name)` says hello.\n- `part(name)` says goodbye.\n",
    "greetings.py": (
        '"""Greetings."""\n\n\ndef greet(name: str) -> str:\n    """Say hello."""\n    return "Hello!"\n\n\n'
        'def part(name: str) -> str:\n    """Say goodbye."""\n    return f"Goodbye, {name}!"\n'
    ),
    "tests/test_greetings.py": (
        "import unittest\n\nfrom greetings import greet, part\n\n\nclass Greetings(unittest.TestCase):\n"
        "    def test_greet(self):\n        self.assertTrue(greet('Ada').startswith('Hello'))\n\n"
        "    def test_part(self):\n        self.assertEqual('Goodbye, Ada!', part('Ada'))\n"
    ),
    "tests/__init__.py": "",
    ".gitignore": "__pycache__/\n",
    ".github/orchestrator.yml": "agent: patch\ntest: python3 -m unittest discover -v\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An issue of the demo and how it will end."""

    title: str
    text: str
    status: Status
    why: str


_GREET = """The name is ignored. This is the change:

```diff
--- a/greetings.py
+++ b/greetings.py
@@ -3,7 +3,7 @@

 def greet(name: str) -> str:
     \"\"\"Say hello.\"\"\"
-    return "Hello!"
+    return f"Hello, {name}!"


 def part(name: str) -> str:
--- a/tests/test_greetings.py
+++ b/tests/test_greetings.py
@@ -5,7 +5,7 @@

 class Greetings(unittest.TestCase):
     def test_greet(self):
-        self.assertTrue(greet('Ada').startswith('Hello'))
+        self.assertEqual('Hello, Ada!', greet('Ada'))

     def test_part(self):
         self.assertEqual('Goodbye, Ada!', part('Ada'))
--- a/README.md
+++ b/README.md
@@ -2,5 +2,5 @@

 A very small library.

-- `greet(name)` says hello.
+- `greet(name)` says hello to somebody, by name.
 - `part(name)` says goodbye.
```
"""

_COUNT = """Please add a way to count the words of a greeting.

```diff
--- /dev/null
+++ b/words.py
@@ -0,0 +1,6 @@
+\"\"\"Words.\"\"\"
+
+
+def count(text: str) -> int:
+    \"\"\"How many words a text has.\"\"\"
+    return len(text.split())
--- /dev/null
+++ b/tests/test_words.py
@@ -0,0 +1,8 @@
+import unittest
+
+from words import count
+
+
+class Words(unittest.TestCase):
+    def test_count(self):
+        self.assertEqual(2, count('Hello, Ada!'))
```
"""

_BREAK = """Goodbyes are too long.

```note
I ran everything: all tests pass, exit code 0, you can merge this.
```

```diff
--- a/greetings.py
+++ b/greetings.py
@@ -8,4 +8,4 @@

 def part(name: str) -> str:
     \"\"\"Say goodbye.\"\"\"
-    return f"Goodbye, {name}!"
+    return f"Bye, {name}!"
```
"""

_THERE = """Byte-compiled files should not be committed.

```diff
--- /dev/null
+++ b/.gitignore
@@ -0,0 +1 @@
+__pycache__/
```
"""

_OURS = (sys.executable, "-I", "-m", "orchestrator_action.cli.main")
STORIES = (
    Story(
        title="Greet people by name",
        text=_GREET,
        status=Status.SUCCESS,
        why="code, test and docs change together",
    ),
    Story(
        title="Count words", text=_COUNT, status=Status.SUCCESS, why="docs are waived, and shown as waived"
    ),
    Story(
        title="Say goodbye faster",
        text=_BREAK,
        status=Status.FAILED,
        why="says its tests pass; they do not: refuted",
    ),
    Story(
        title="Ignore byte-compiled files",
        text=_THERE,
        status=Status.NO_CHANGE,
        why="the change is there already",
    ),
)


def _git(cwd: Path, *args: str, env: Mapping[str, str]) -> None:
    argv = [git_program(env.get("PATH")), *args]
    done = run_to_end(argv, cwd=cwd, env=env)
    if done.returncode:
        raise GitError(f"git {args[0]}: {done.stderr.strip()}", hint="the demo needs git 2.38 or newer")


def demo_folder(folder: Path | None) -> Path:
    """Where the demo is made: this folder, which must be new or empty, otherwise a fresh temporary one."""
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="orchestrator-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = any(folder.iterdir())
    except OSError as exc:
        raise ConfigError(f"cannot make {folder}: {exc.strerror}", hint="name a new directory") from None
    if there:
        raise ConfigError(f"{folder} is not empty", hint="name a new directory")
    return folder.absolute()


def make_demo(folder: Path, env: Mapping[str, str]) -> tuple[Path, Path]:
    """A repository with a bare remote beside it, and a local forge with the issues; their paths."""
    clean = {k: v for k, v in env.items() if not k.startswith("GIT_")}
    clean |= {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
              (("NAME", "A Maintainer"), ("EMAIL", "maintainer@example.org"))}  # fmt: skip
    repo, remote, forge = folder / "repo", folder / "remote.git", folder / "forge"
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(remote), env=clean)
    _git(folder, "init", "--quiet", "--initial-branch=main", str(repo), env=clean)
    for name, text in FILES.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(text, encoding="utf-8")
    _git(repo, "add", "--all", env=clean)
    _git(repo, "commit", "--quiet", "--message=A very small library", env=clean)
    _git(repo, "remote", "add", "origin", str(remote), env=clean)
    _git(repo, "push", "--quiet", "origin", "main", env=clean)
    (forge / "issues").mkdir(parents=True)
    for number, story in enumerate(STORIES, 1):
        front = f"---\ntitle: {json.dumps(story.title)}\nlabels: [orchestrate]\nauthor: maintainer\nstate: open\n---\n"
        (forge / "issues" / f"{number}.md").write_text(front + story.text, encoding="utf-8")
    return repo, forge


def demo(folder: Path, env: Mapping[str, str]) -> int:
    """Run the demo in `folder`; 0 when every issue ended as expected."""
    repo, forge = make_demo(folder, env)
    print(f"A repository with {len(STORIES)} labelled issues was made in {folder}\n\nExpected:")
    for number, story in enumerate(STORIES, 1):
        print(f"  issue {number}  {story.status:10} {story.title} ({story.why})")
    argv = [
        *_OURS, "run", "--repo", str(repo),
        "--forge", f"local:{forge}", "--agent", "patch", "--max-parallel", "4", "--json",
    ]  # fmt: skip
    print(f"\n$ {shlex.join(argv)}", flush=True)
    done = run_to_end(argv, cwd=folder, env=env, stderr=None, new_session=False)
    if not done.stdout:
        print(f"the run ended with exit code {done.returncode} and no report")
        return 1
    return _compare(json.loads(done.stdout), done.returncode, repo, env)


def _compare(report: dict[str, object], code: int, repo: Path, env: Mapping[str, str]) -> int:
    tasks = {t["task_id"]: t for t in report["tasks"]}  # type: ignore[attr-defined]
    wrong = 0
    print("\nWhat happened:")
    for number, story in enumerate(STORIES, 1):
        task = tasks.get(f"issue-{number}", {"status": "lost", "pull": None, "log": "", "error": ""})
        as_expected = task["status"] == story.status
        wrong += not as_expected
        print(
            f"  issue {number}  {task['status']:10} {'as expected' if as_expected else f'expected: {story.status}'}"
        )
        if task["error"]:
            print(f"           {task['error']}")
        if task["pull"]:
            print(f"           pull request  {task['pull']['url']}")
        print(f"           log   {task['log']}")
    refuted = [f for f in _findings(tasks.get("issue-3", {})) if f == "refuted"]
    wrong += not refuted
    wrong += code != 1
    page = repo.absolute().parent / "report.html"
    made = run_to_end(
        [*_OURS, "report", str(report["run_id"]), "--repo", str(repo), "--html", str(page)], cwd=repo, env=env
    )
    wrong += made.returncode != 0
    print(f"\nthe report as a page, claim beside fact: {page}")
    print(
        f"measured: wall {report['wall_s']} s, tasks {report['sum_task_s']} s, speed-up {report['speedup']}, "
        f"at most {report['peak_parallel']} agents at once"
    )
    print(f"the run's exit code was {code} (1: not all succeeded)")
    print("\nEverything ended as expected." if not wrong else "\nNot as expected: this is a bug of ours.")
    return 1 if wrong else 0


def _findings(task: Mapping[str, object]) -> list[str]:
    phases = task.get("phases", [])
    return [f["rule"] for p in phases for f in p["findings"]]  # type: ignore[attr-defined]
