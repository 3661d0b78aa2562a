"""Set-up that nobody wrote down: a tree gets what its lock file says, and the agent's work is measured with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping

import pytest

from tests.conftest import REQUIRE_ALL
from tests.kit.whole import House, change

LOCK = {
    "name": "x", "version": "1.0.0", "lockfileVersion": 3, "requires": True,
    "packages": {
        "": {"name": "x", "version": "1.0.0", "dependencies": {"dep": "file:dep"}},
        "dep": {"version": "1.0.0"},
        "node_modules/dep": {"resolved": "dep", "link": True},
    },
}  # fmt: skip
FILES = {
    "package.json": json.dumps(
        {
            "name": "x",
            "version": "1.0.0",
            "scripts": {"test": "node --test"},
            "dependencies": {"dep": "file:dep"},
        }
    ),
    "package-lock.json": json.dumps(LOCK),
    "dep/package.json": '{"name": "dep", "version": "1.0.0", "main": "index.js"}',
    "dep/index.js": "module.exports = 2;\n",
    "two.test.js": "const test = require('node:test');\ntest('two', () => {\n"
    "  if (require('dep') !== 2) throw new Error('not two');\n});\n",
    "README.md": "# Two\n",
}


@pytest.fixture
def npm() -> None:
    """A test that uses it needs npm: it is skipped where that is missing, and fails in CI."""
    if shutil.which("npm") is None:
        (pytest.fail if REQUIRE_ALL else pytest.skip)("npm is not installed")


@pytest.mark.usefixtures("npm")
def test_what_the_lock_file_names_is_there_for_the_tests(home_of: Callable[[Mapping[str, str]], House]):
    """No `setup` is written down; the second tree has a copy of what the first installed."""
    home = home_of(FILES)
    home.issue(1, "Say more", "Please.\n\n" + change("README.md", "# Two\n", "# Two\n\nIt is two.\n"))

    ran = home.run()

    task = ran.task("issue-1")
    assert task["status"] == "success", (task["error"], task["phases"])
    [fact] = [f for p in task["phases"] for f in p["facts"] if f["rule"] == "suite"]
    assert fact["detail"]["passed"] == 1
    kept = home.repo.path / ".git/orchestrator/setup"
    assert [True] == [
        (place / "files/node_modules/dep").is_symlink() for place in kept.iterdir() if place.is_dir()
    ]
    home.assert_tidy()


@pytest.mark.usefixtures("npm")
def test_what_set_up_builds_is_of_each_trees_own_sources_and_gets_no_key(
    home_of: Callable[[Mapping[str, str]], House],
):
    """A build of the branch is the agent's code: the key of a registry is for what the lock file names."""
    package = json.loads(FILES["package.json"])
    package["scripts"]["prepare"] = "node build.js"
    build = "const fs = require('fs');\nfs.mkdirSync('dist', {recursive: true});\n"
    build += "fs.writeFileSync('dist/two.txt', `${require('./source')} ${process.env.REGISTRY_KEY || 'no key'}`);\n"
    test = "const test = require('node:test');\ntest('built', () => {\n"
    test += "  console.log('built of', require('fs').readFileSync('dist/two.txt', 'utf8'));\n});\n"
    home = home_of(
        {
            **FILES, "package.json": json.dumps(package), "build.js": build, "source.js": "module.exports = 2;\n",
            "two.test.js": test, ".gitignore": "dist\nnode_modules\n", "README.md": "# Two\n",
            ".github/orchestrator.yml": "setup-env: [REGISTRY_KEY]\n",
        }
    )  # fmt: skip
    change_both = change("source.js", "module.exports = 2;\n", "module.exports = 2.5;\n")
    home.issue(
        1, "Say more", f"Please.\n\n{change_both}\n\n" + change("README.md", "# Two\n", "# Two and a half\n")
    )

    ran = home.run(env={"REGISTRY_KEY": "invented"})

    task = ran.task("issue-1")
    assert task["status"] == "success", (task["error"], task["phases"])
    run_dir = next((home.repo.path / ".git/orchestrator/runs").iterdir())
    of_base, of_task = (
        "".join(log.read_text() for log in (run_dir / "tasks" / name).rglob("command-*.log"))
        for name in ("base", "issue-1")
    )
    assert "built of 2 invented" in of_base and "built of 2.5 no key" in of_task
    assert "invented" not in of_task.replace("built of 2 invented", "")  # the base's own tests on this code
    home.assert_tidy()


@pytest.mark.slow
@pytest.mark.usefixtures("npm")
def test_manifests_in_folders_only_are_set_up_and_tested_where_they_are(
    home_of: Callable[[Mapping[str, str]], House],
):
    """Nothing is at the top, and nothing is written down: each folder gets its packages, and its tests have ids."""
    inner = {n: t for n, t in FILES.items() if n != "README.md"}
    files = {f"{folder}/{n}": t for folder in ("api", "web") for n, t in inner.items()}
    home = home_of({**files, "README.md": "# Two\n"})
    home.issue(1, "Say more", "Please.\n\n" + change("README.md", "# Two\n", "# Two\n\nIt is two.\n"))

    ran = home.run()

    task = ran.task("issue-1")
    assert task["status"] == "success", (task["error"], task["phases"])
    facts = {f["rule"]: f for p in task["phases"] for f in p["facts"]}
    assert [c["command"] for c in facts["suite"]["detail"]["commands"]] == [
        "cd api && npm test",
        "cd web && npm test",
    ]
    assert facts["suite"]["detail"]["passed"] == 2
    assert (2, 2) == (
        facts["nothing-lost"]["detail"]["base_passed"],
        facts["nothing-lost"]["detail"]["head_passed"],
    )
    home.assert_tidy()


@pytest.mark.slow
@pytest.mark.usefixtures("npm")
def test_the_base_is_measured_with_what_its_own_set_up_brings(home_of: Callable[[Mapping[str, str]], House]):
    """PATH and variables of the set-up hold at the base as at the head: what passes here passed there."""
    test = "const test = require('node:test');\ntest('set up', () => {\n"
    test += "  if (process.env.COREPACK_ENABLE_STRICT !== '0') throw new Error('not set up');\n});\n"
    home = home_of({**FILES, "two.test.js": test})
    home.issue(1, "Say more", "Please.\n\n" + change("README.md", "# Two\n", "# Two\n\nIt is two.\n"))

    ran = home.run()

    facts = [f for p in ran.task("issue-1")["phases"] for f in p["facts"]]
    [lost] = [f["detail"] for f in facts if f["rule"] == "nothing-lost"]
    assert (1, 1) == (lost["base_passed"], lost["head_passed"])
    home.assert_tidy()


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        ("error: no index here\\nsee the manual", "error: no index here"),
        (
            "warn: This version of pnpm requires at least Node.js v22.13\\nError [ERR_X]: no such module\\nNode.js v20",
            "warn: This version of pnpm requires at least Node.js v22.13",
        ),
    ],
)
def test_a_base_that_cannot_be_set_up_ends_before_an_agent_is_paid(
    home_of: Callable[[Mapping[str, str]], House], printed: str, why: str
):
    """The command that failed is named, with its own word for why: another version that is wanted comes first."""
    home = home_of({"package.json": '{"dependencies": {"dep": "file:gone"}}', "README.md": "# Two\n"})
    script = f"#!/bin/sh\nprintf '{printed}\\n'\nexit 7\n"
    home.repo.commit({".github/orchestrator.yml": "test: 'true'\nsetup: sh script\n", "script": script})
    home.repo.push()
    home.issue(1, "Say more", "Please.\n\n" + change("README.md", "# Two\n", "# Two\n\nIt is two.\n"))

    ran = home.run()

    assert f"setup command 'sh script' failed: exit 7: {why}" in json.dumps(ran.report) + ran.err
    assert ran.code != 0
