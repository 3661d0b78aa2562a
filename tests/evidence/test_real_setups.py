"""Set-up by the real Bundler, Composer and Maven, without any network: packages that lie in the tree or on the machine.

The first tree is set up by the step's own commands, the second gets what is kept, and in both the tests run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator_action.errors import SetupError
from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.base import SetupStep
from orchestrator_action.verify.ecosystems.detection import detect_at
from orchestrator_action.verify.ecosystems.results import instrument, only_tests, read_cases, read_counts
from orchestrator_action.verify.setup import detect_setup, prepare_tree, setup_environment
from tests.conftest import need
from tests.kit.repos import Repo, clean_env

pytestmark = pytest.mark.slow
DEBIAN_MAVEN = Path("/usr/share/maven-repo")
NOWHERE = "http://127.0.0.1:1/"
GEMSPEC = (
    "Gem::Specification.new { |s| s.name = 'dep'; s.version = '1.0'; s.summary = 'x'; s.authors = ['a']\n"
    "  s.files = ['lib/dep.rb']; s.license = 'MIT'; s.homepage = 'https://example.invalid' }\n"
)
LOCK = f"GEM\n  remote: {NOWHERE}\n  specs:\n    dep (1.0)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  dep\n"
COMPOSER = {
    "composer.json": '{"name": "a/a", "require": {"b/dep": "*"}, "repositories": [{"type": "path", "url": "dep"}, '
    '{"packagist.org": false}], "scripts": {"test": "phpunit --bootstrap vendor/autoload.php tests"}}',
    "dep/composer.json": '{"name": "b/dep", "version": "1.0.0", "autoload": {"files": ["src/dep.php"]}}',
    "dep/src/dep.php": "<?php function two() { return 2; }\n",
    "tests/ATest.php": "<?php\nclass ATest extends PHPUnit\\Framework\\TestCase {\n"
    "  function testTwo() { $this->assertSame(2, two()); }\n}\n",
    ".gitignore": "vendor/\n",
}
JAVA = (
    "package a;\nimport static org.junit.Assert.*;\nimport org.junit.*;\npublic class ATest {\n"
    "  @Test public void two() { assertEquals(2, A.two()); }\n  @Test public void bad() { assertEquals(3, A.two()); }\n"
    "  @Ignore @Test public void no() {}\n}\n"
)
MAVEN = {
    "pom.xml": "<project xmlns='http://maven.apache.org/POM/4.0.0'><modelVersion>4.0.0</modelVersion><groupId>a</groupId>"
    "<artifactId>a</artifactId><version>1</version><properties><maven.compiler.source>8</maven.compiler.source>"
    "<maven.compiler.target>8</maven.compiler.target></properties><dependencies><dependency><groupId>junit</groupId>"
    "<artifactId>junit</artifactId><version>4.x</version><scope>test</scope></dependency></dependencies></project>",
    "src/main/java/a/A.java": "package a;\npublic class A { public static int two() { return 2; } }\n",
    "src/test/java/a/ATest.java": JAVA,
    "src/test/java/a/OtherTest.java": JAVA.replace("ATest", "OtherTest"),
    ".gitignore": "target/\n",
}  # fmt: skip


class Trees:
    """Trees of one repository, set up as the house does it."""

    def __init__(self, repo: Repo, folder: Path) -> None:
        self.repo, self.folder, self.started = repo, folder, list[str]()
        self.plan = detect_setup(Git.open(repo.path), "HEAD")
        (folder / "home").mkdir()
        self.env = clean_env(HOME=str(folder / "home"), COMPOSER_ALLOW_SUPERUSER="1")

    def ready(self, name: str) -> Path:
        tree = self.folder / name
        self.repo.git("clone", "--quiet", str(self.repo.path), str(tree))

        def run(command: str, step: SetupStep | None, part: str) -> None:
            added = {n: v.replace("{tree}", str(tree)) for n, v in step.env.items()} if step else {}
            self.started.append(command)
            done = self.sh(tree, command, **added)
            if done.returncode:
                raise SetupError(f"{command}: {done.stdout}", hint=part)

        prepare_tree(
            self.plan, tree, env=self.env, run=run, cache=self.folder / "cache", level="open", at_base=True,
            ignored_in=[tree / ".git/info/exclude"],
        )  # fmt: skip
        return tree

    def sh(self, tree: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command], cwd=tree, env={**self.env, **more}, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip

    def test(self, tree: Path, command: str) -> tuple[Mapping[str, str] | None, tuple[int, int, int] | None]:
        """How each test ended, and the counts."""
        reports = self.folder / f"reports-{tree.name}-{len(self.started)}-{abs(hash(command))}"
        asked = instrument(
            command, tree=tree, env=setup_environment(self.plan, tree, self.env), report_dir=reports
        )
        said = self.sh(tree, asked.command, **asked.env).stdout
        cases, counts = read_cases(reports, said, command), read_counts(reports, said, command)
        ended = None if cases is None else {c.id: c.outcome for c in cases}
        return ended, counts and (counts.passed, counts.failed, counts.skipped)

    def assert_clean(self, tree: Path) -> None:
        assert self.sh(tree, "git status --porcelain").stdout == ""


def test_gems_that_lie_in_the_tree_need_no_server(make: Callable[..., Repo], tmp_path: Path):
    """`vendor/cache` has the gem, and the server that the lock file names does not answer."""
    need(shutil.which("bundle"), "bundler")
    repo = make({"Gemfile": f'source "{NOWHERE}"\ngem "dep"\n', "Gemfile.lock": LOCK, "spec/a_spec.rb": ""})
    made = tmp_path / "made"
    (made / "lib").mkdir(parents=True)
    (made / "lib/dep.rb").write_text("DEP = 2\n")
    (made / "dep.gemspec").write_text(GEMSPEC)
    subprocess.run(
        ["gem", "build", "-q", "dep.gemspec"], cwd=made, env=clean_env(), check=True, capture_output=True
    )
    (repo.path / "vendor/cache").mkdir(parents=True)
    shutil.move(made / "dep-1.0.gem", repo.path / "vendor/cache/dep-1.0.gem")
    repo.commit({})
    trees = Trees(repo, tmp_path)

    for name in ("one", "two"):
        tree = trees.ready(name)
        env = setup_environment(trees.plan, tree, trees.env)
        done = trees.sh(
            tree, "bundle exec ruby -e 'require \"dep\"; puts DEP, $LOADED_FEATURES.grep(/dep.rb/)'", **env
        )
        [value, place] = done.stdout.split()[-2:]
        assert (value, place.startswith(f"{tree}/vendor/bundle/")) == ("2", True), done.stdout
        trees.assert_clean(tree)

    assert sum(command.startswith("bundle install") for command in trees.started) == 1


def test_composer_installs_a_package_of_the_repositorys_own(make: Callable[..., Repo], tmp_path: Path):
    need(shutil.which("composer"), "composer")
    need(shutil.which("phpunit"), "phpunit")
    repo = make(COMPOSER)
    trees = Trees(repo, tmp_path)
    [command] = detect_at(Git.open(repo.path), "HEAD").commands

    for name in ("one", "two"):
        tree = trees.ready(name)
        assert (tree / "vendor/b/dep").resolve() == (tree / "dep").resolve()
        trees.assert_clean(tree)
        assert trees.test(tree, command)[1] == (1, 0, 0)

    assert sum(c.startswith("composer install") for c in trees.started) == 1


GRADLE = {
    "build.gradle": "apply plugin: 'java'\nrepositories { maven { url 'file:///usr/share/maven-repo' } }\n"
    "dependencies { testCompile 'junit:junit:4.x' }\n",
    "gradle.properties": "org.gradle.daemon=false\n",
    "src/main/java/a/A.java": MAVEN["src/main/java/a/A.java"],
    "src/test/java/a/ATest.java": JAVA,
    "src/test/java/a/OtherTest.java": JAVA.replace("ATest", "OtherTest"),
    ".gitignore": "build/\n.gradle/\n",
}  # fmt: skip


@pytest.mark.timeout(400)  # a JVM starts six times
@pytest.mark.parametrize(("tool", "set_up", "compiled"), [
    ("mvn", "mvn -B -q test-compile", "target/test-classes/a/ATest.class"),
    ("gradle", "gradle --quiet testClasses", "build/classes/java/test/a/ATest.class"),
])  # fmt: skip
def test_java_is_compiled_once_and_its_tests_have_ids(
    make: Callable[..., Repo], tmp_path: Path, tool: str, set_up: str, compiled: str
):
    """With the plugins and libraries that Debian brings; one class runs alone."""
    need(shutil.which(tool), tool)
    need(DEBIAN_MAVEN / "org/apache/maven/plugins/maven-surefire-plugin", "libsurefire-java")
    need(DEBIAN_MAVEN / "junit/junit", "junit4")
    store = tmp_path / "store"
    shutil.copytree(DEBIAN_MAVEN, store, copy_function=os.symlink)
    maven = {**MAVEN, ".mvn/maven.config": f"-o\n-Dmaven.repo.local={store}\n"}
    repo = make(maven if tool == "mvn" else GRADLE)
    trees = Trees(repo, tmp_path)
    [command] = detect_at(Git.open(repo.path), "HEAD").commands
    tree = trees.ready("one")

    cases, counts = trees.test(tree, command)

    assert (tree / compiled).is_file() and trees.started == [set_up]
    assert counts == (2, 2, 2)
    assert cases == {f"a.{name}::{case}": how for name in ("ATest", "OtherTest")
                     for case, how in (("two", "passed"), ("bad", "failed"), ("no", "skipped"))}  # fmt: skip
    only = only_tests(command, ["src/test/java/a/ATest.java"], tree=tree)
    assert only is not None
    assert trees.test(tree, only)[1] == (1, 1, 1)
    trees.assert_clean(tree)
