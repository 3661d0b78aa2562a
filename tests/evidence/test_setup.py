"""Set-up is detected like the test command, and what it installed is kept for the next tree."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.errors import SetupError
from orchestrator_action.verify.ecosystems.base import Files, SetupStep
from orchestrator_action.verify.setup import SetupPlan, plan_setup, prepare_tree, setup_environment
from tests.kit.repos import Repo, clean_env

CASES: list[tuple[dict[str, str], list[str]]] = [
    ({"uv.lock": "", "pyproject.toml": "[project]\nname='a'\n[dependency-groups]\ntests=['pytest']\ndev=['ruff']\n"},
     ["tool=uv", "sync --quiet --frozen --group tests --no-dev"]),
    ({"uv.lock": "", "pyproject.toml": "[project]\nname='a'\n[tool.uv.workspace]\nmembers=['packages/*']\n"},
     ["sync --quiet --frozen --all-packages"]),
    ({"poetry.lock": "", "pyproject.toml": "[tool.poetry.group.test.dependencies]\npytest='*'\n"},
     ["tool=poetry", "install --no-interaction --quiet --with test"]),
    ({"pdm.lock": "", "pyproject.toml": "[project]\nname='a'\n"}, ["pdm", "sync"]),
    ({"pyproject.toml": "[project]\nname='a'\n[project.optional-dependencies]\ntest=['pytest']\ndocs=['sphinx']\n"},
     ["-e '.[test]'"]),
    ({"pyproject.toml": "[build-system]\n[dependency-groups]\ndev=['pytest', {include-group='x'}]\nx=['six']\n"},
     ["pytest six", "-e ."]),
    ({"setup.py": "", "requirements.txt": "six", "requirements-dev.txt": "pytest", "docs/requirements.txt": "sphinx"},
     ["-r requirements.txt -r requirements-dev.txt pytest -e ."]),
    ({"setup.py": "", "tox.ini": "[testenv]\ndeps =\n  pytest\n  py38: old\n  -r{toxinidir}/tests/req.txt\n",
      "tests/req.txt": ""},
     ["pytest -r tests/req.txt -e ."]),
    ({"pyproject.toml": "[build-system]\n[tool.hatch.envs.test]\ndependencies=['pytest', 'six']\n"},
     ["pytest six -e ."]),
    ({"pyproject.toml": "[tool.poetry.group.test.dependencies]\npytest='^8.1'\nsix={version='*', extras=['a']}\n"},
     ["'pytest>=8.1,==8.*' 'six[a]' -e ."]),
    ({"pyproject.toml": "[tool.poetry.dev-dependencies]\nfreezegun='^0.3.1'\n"}, ["'freezegun>=0.3.1,==0.3.*' -e ."]),
    ({"pyproject.toml": "[build-system]\n[tool.pdm.dev-dependencies]\ntest=['six']\ndoc=['sphinx']\n"}, ["six -e ."]),
    ({"setup.py": "", "tox.toml": "[env_run_base]\ndeps=['six']\n"}, ["six tox -e ."]),
    ({"setup.py": "", "test_a.py": "", "noxfile.py": "def tests(s):\n  s.install('-r', 'more.txt', 'six', '.')\n"
      "  s.run('pytest')\ndef docs(s):\n  s.install('sphinx')\n", "more.txt": ""},
     ["-r more.txt six pytest -e ."]),
    ({"setup.py": "from setuptools import setup\nsetup(tests_require=['six'])"}, ["six -e ."]),
    ({"Pipfile": "[packages]\nsix='*'\n[dev-packages]\npytest='==8.1'\n"}, ["six pytest==8.1"]),
    ({"uv.lock": "", "pyproject.toml": "[project]\nname='a'\n", "tests/test_a.py": "import pytest\n"},
     ["pip install --quiet --python .venv pytest"]),
    ({"setup.py": "", "tests/test_a.py": "", "setup.cfg": "[tool:pytest]\naddopts = --cov=a -n auto\n"},
     ["pytest pytest-cov pytest-xdist -e ."]),
    ({"setup.py": "", "requirements-test.txt": "pytest==8.1 --hash=sha256:ab\n"},
     ["-r requirements-test.txt; fi && .venv/bin/python -m pip", " pytest -e ."]),
    ({"noxfile.py": "import nox", "test_a.py": ""}, ["nox"]),
    ({"setup.py": "", "tox.ini": "[tox]"}, ["tox -e ."]),
    ({"requirements/test.txt": "pytest", "requirements/docs.txt": "sphinx"}, ["-r requirements/test.txt pytest;"]),
    ({"package.json": '{"devDependencies": {"mocha": "1"}}', "package-lock.json": "{}"}, ["npm ci"]),
    ({"package.json": '{"devDependencies": {"mocha": "1"}}'}, ["npm install --no-package-lock"]),
    ({"package.json": '{"packageManager": "pnpm@9"}', "pnpm-lock.yaml": ""}, ["pnpm install --frozen-lockfile"]),
    ({"package.json": '{"packageManager": "pnpm@9.1.0+sha512.abc"}', "pnpm-lock.yaml": ""}, [" pnpm@9.1.0 "]),
    ({"package.json": '{"devEngines": {"packageManager": {"name": "pnpm"}}, "workspaces": ["a"]}'}, [" pnpm@10 "]),
    ({"package.json": '{"packageManager": "yarn@4.5.0"}', "yarn.lock": ""},
     [" @yarnpkg/cli-dist@4.5.0 ", "yarn install --immutable"]),
    ({"package.json": '{"packageManager": "yarn@4.5.0"}', "yarn.lock": "", ".yarn/releases/yarn-4.5.0.cjs": ""},
     [" yarn@1 ", "yarn install --immutable"]),
    ({"package.json": "{}", "yarn.lock": ""},
     ["{ yarn install --frozen-lockfile --non-interactive || ", "--non-interactive --ignore-engines; }"]),
    ({"package.json": "{}", "yarn.lock": "", ".yarnrc.yml": ""}, ["yarn install --immutable"]),
    ({"package.json": "{}", "bun.lock": ""}, ["bun install --frozen-lockfile"]),
    ({"Gemfile": "", "Gemfile.lock": ""}, ["bundle install"]),
    ({"composer.json": "{}"}, ["composer install"]),
    ({"Cargo.toml": "", "Cargo.lock": ""}, ["cargo fetch --quiet --locked"]),
    ({"go.mod": "", "go.sum": ""}, ["go mod download"]),
    ({"pom.xml": ""}, ["mvn -B -q test-compile"]),
    ({"a.csproj": ""}, ["dotnet restore"]),
    ({"a.c": "", "b.c": "", "net/a.csproj": "", ".gitmodules": ""}, ["git submodule"]),
    ({".gitmodules": ""}, ["git submodule update --init --recursive"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "words"), CASES, ids=[" ".join(f) for f, _ in CASES])
def test_what_a_tree_needs_is_found(files: dict[str, str], words: list[str]):
    """By lock file, manifest, extras, groups, requirements, tox's dependencies."""
    plan = plan_setup(Files(frozenset(files), files))

    said = " ".join(plan.commands)
    assert all(word in said for word in words), said
    assert "docs" not in said and "sphinx" not in said


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": ""},
        {"package.json": '{"scripts": {"test": "node --test"}}'},
        {"test_a.py": "import unittest\n"},
        {"go.mod": "module x"},
        {"Makefile": "test:\n\ttrue\n"},
    ],
)
def test_a_tree_that_needs_nothing_is_ready(files: dict[str, str]):
    """No environment is made for nothing."""
    assert plan_setup(Files(frozenset(files), files)).steps == ()


def test_each_folder_with_a_manifest_is_set_up_by_itself():
    """What is kept, what decides, and where its programs are all lie below the folder."""
    files = {"README.md": "", "py/pyproject.toml": "[project]\nname='a'\n[tool.pytest.ini_options]\n",
             "js/package.json": '{"scripts": {"test": "x"}, "devDependencies": {"x": "1"}}',
             "js/package-lock.json": "{}",
             "site/package.json": '{"devDependencies": {"x": "1"}}'}  # fmt: skip

    js, py = plan_setup(Files(frozenset(files), files)).steps

    assert js.commands == ("cd js && { npm ci --no-audit --no-fund --loglevel=error; }",)
    assert js.keeps[0] == "js/node_modules" and js.inputs == ("js/package-lock.json", "js/package.json")
    assert js.how.endswith("in js")
    assert py.commands[0].startswith("cd py && { ") and py.keeps == ("py/.venv",)
    env = setup_environment(SetupPlan(steps=(js, py)), Path("/tree"), {"PATH": "/usr/bin"})
    assert env["PATH"] == "/tree/py/.venv/bin:/usr/bin"
    assert env["VIRTUAL_ENV"] == "/tree/py/.venv"


def test_a_script_at_the_top_finds_what_its_folders_need():
    """`make test` of a project that is written in the language of a folder; not of one that only has bindings there."""
    make = {"Makefile": "test:\n\tcd py && pytest\n"}
    python = {**make, "py/setup.py": "", "py/a.py": "", "py/tests/test_a.py": "import pytest"}
    bound = {
        **make,
        "a.c": "",
        "b.c": "",
        "c.c": "",
        "d.c": "",
        "py/setup.py": "",
        "py/test_a.py": "import pytest",
    }

    [step] = plan_setup(Files(frozenset(python), python)).steps

    assert step.how.endswith("in py")
    assert plan_setup(Files(frozenset(bound), bound)).steps == ()


def test_pytest_is_installed_only_where_the_machine_has_none():
    """Test files without any manifest take the machine's own pytest."""
    files = {"test_a.py": "import pytest\n"}

    [step] = plan_setup(Files(frozenset(files), files)).steps

    assert step.unless == "python3 -m pytest --version"


def test_a_manager_that_the_machine_lacks_is_found_by_the_tests():
    """The test command begins with it, so it comes with the packages, into the tree."""
    files = {"package.json": "{}", "pnpm-lock.yaml": ""}

    plan = plan_setup(Files(frozenset(files), files))

    assert plan.provides("pnpm") and not plan.provides("yarn")
    env = setup_environment(plan, Path("/tree"), {"PATH": "/usr/bin"})
    assert env["PATH"] == "/tree/.package-manager/node_modules/.bin:/usr/bin"
    assert "/node_modules/" in env["COREPACK_HOME"]  # no linter looks there


@pytest.mark.parametrize("tool", ["pdm", "poetry"])
def test_a_tool_that_fails_leaves_the_lock_files_versions_to_pip(tool: str, tmp_path: Path):
    """The newest tool of a registry may be broken. What the lock file pins is kept, but for what it pins twice."""
    lock = '[[package]]\nname = "a"\nversion = "1.2"\n\n[[package]]\nname = "b"\nversion = "1"\n\n'
    lock += '[[package]]\nname = "b"\nversion = "2"\nsummary = "x"\n'
    (tmp_path / f"{tool}.lock").write_text(lock)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    broken = f'#!/bin/sh\ncase "$1" in --version) exit 0;; esac\necho "$@" > {tmp_path}/asked\nexit 1\n'
    python = (
        f'#!/bin/sh\ncase "$2" in venv) mkdir -p .venv/bin; cp "$0" .venv/bin/python;; '
        f'pip) echo "$@" >> {tmp_path}/pip;; *) exec {sys.executable} "$@";; esac\n'
    )
    for name, text in ((tool, broken), ("python3", python)):
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    files = {f"{tool}.lock": "", "pyproject.toml": "[project]\nname='a'\n[dependency-groups]\ntest=['a']\n"}
    [step] = plan_setup(Files(frozenset(files), files)).steps

    done = subprocess.run(
        ["sh", "-c", *step.commands], cwd=tmp_path, env={**clean_env(), "PATH": f"{bin_}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert {"pdm": "sync", "poetry": "install"}[tool] in (tmp_path / "asked").read_text()
    assert (tmp_path / ".venv/locked.txt").read_text() == "a==1.2\n"
    assert "-c .venv/locked.txt a -e ." in (tmp_path / "pip").read_text()


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({"pyproject.toml": "[project]\nname='a'\n"}, (".venv",)),
        (
            {"pyproject.toml": "[project]\nname='a'\n[tool.hatch.build.hooks.vcs]\nversion-file='a/_v.py'\n"},
            (),
        ),
        ({"pyproject.toml": "[project]\nname='a'\n[tool.setuptools_scm]\nwrite_to='a/_v.py'\n"}, ()),
        ({"setup.py": "setup(ext_modules=cythonize('a/*.pyx'))\n"}, ()),
    ],
)
def test_a_project_that_writes_beside_its_sources_is_installed_in_each_tree(
    files: dict[str, str], kept: tuple[str, ...]
):
    """Its version or its compiled parts are those of one commit, and lie in no `.venv`."""
    [step] = plan_setup(Files(frozenset(files), files)).steps

    assert kept == step.keeps


def test_gems_of_the_machine_are_taken_where_they_satisfy_the_gemfile():
    """Without a registry at hand Debian's own gems do, and nothing is put into the tree."""
    files = {"Gemfile": ""}

    [step] = plan_setup(Files(frozenset(files), files)).steps

    assert step.unless == "bundle check --dry-run"
    assert "BUNDLE_PATH" not in setup_environment(SetupPlan(steps=(step,)), Path("/tree"), {})


STEP = SetupStep(
    how="install",
    commands=("echo ran >> $RUNS; mkdir -p deps/bin; touch deps/pyvenv.cfg left",
              "echo \"#!$PWD/deps/bin/python\" > deps/bin/tool"),
    inputs=("lock",),
    keeps=("deps",),
    path=("deps/bin",),
    env={"DEPS": "{tree}/deps"},
)  # fmt: skip


class Trees:
    """Trees of one repository that are set up by a step."""

    def __init__(self, make: Callable[..., Repo], folder: Path) -> None:
        self.make, self.folder, self.cache = make, folder, folder / "cache"
        self.plan = SetupPlan(steps=(STEP,))

    def ready(self, name: str, *, lock: str = "1", at_base: bool = True, level: str = "open") -> Path:
        repo = self.make({"lock": lock}, name=name)

        def run(command: str, step: SetupStep | None, part: str) -> None:
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=repo.path,
                env={**clean_env(), "RUNS": str(self.folder / "runs")},
                check=False,
            )
            if done.returncode:
                raise SetupError(command, hint=part)

        prepare_tree(
            self.plan,
            repo.path,
            env=clean_env(),
            run=run,
            cache=self.cache,
            level=level,
            at_base=at_base,
            ignored_in=[repo.path / ".git/info/exclude"],
        )
        return repo.path

    @property
    def runs(self) -> int:
        file = self.folder / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture
def trees(make: Callable[..., Repo], tmp_path: Path) -> Trees:
    return Trees(make, tmp_path)


def test_a_second_tree_gets_a_copy(trees: Trees):
    """With its own path in it, and sharing no file with the first or with what is kept."""
    trees.ready("one")
    second = trees.ready("two")

    assert trees.runs == 1
    assert (second / "deps/bin/tool").read_text() == f"#!{second}/deps/bin/python\n"
    (second / "deps/bin/tool").write_text("changed")
    third = trees.ready("three")
    assert (third / "deps/bin/tool").read_text() == f"#!{third}/deps/bin/python\n"


def test_what_a_project_builds_beside_its_sources_is_built_in_each_tree(trees: Trees):
    """Of that tree's own sources: a copy of the base's would stand for what the branch has changed."""
    build = SetupStep(
        how="install", commands=("mkdir -p deps dist && cp lock dist/made",), inputs=(), keeps=("deps",),
        again=("mkdir -p dist && cp lock dist/made",),
    )  # fmt: skip
    trees.plan = SetupPlan(steps=(build,))
    trees.ready("one", lock="of the base")
    tree = trees.ready("two", lock="of the branch", at_base=False)

    assert (tree / "deps").is_dir() and (tree / "dist/made").read_text() == "of the branch"


DEPENDS = '"devDependencies": {"mocha": "1"}'
WORKSPACES = {
    "package.json": f'{{{DEPENDS}, "workspaces": ["packages/*", "!packages/old"], "scripts": {{"prepare": "husky"}}}}',
    "packages/a/package.json": '{"scripts": {"prepare": "tsc", "test": "x"}}',
    "packages/old/package.json": '{"scripts": {"prepare": "tsc"}}',
    "packages/a/deep/package.json": '{"scripts": {"prepare": "tsc"}}',
    "example/package.json": '{"scripts": {"postinstall": "x"}}',
}


@pytest.mark.parametrize(
    ("files", "again"),
    [
        ({"package.json": f'{{{DEPENDS}, "scripts": {{"test": "x"}}}}'}, []),
        ({"package.json": f'{{{DEPENDS}, "scripts": {{"prepare": "x", "postinstall": "y"}}}}'},
         ["npm run postinstall", "npm run prepare"]),
        ({"package.json": f'{{{DEPENDS}, "scripts": {{"install": "x", "postinstall": "y"}}}}'}, ["npm run install"]),
        (WORKSPACES, ["cd packages/a && npm run prepare", "npm run prepare"]),
        ({"package.json": f'{{{DEPENDS}, "workspaces": {{"packages": ["./*"]}}}}',
          "a b/package.json": '{"scripts": {"prepare": "x"}}'}, ["cd 'a b' && npm run prepare"]),
        ({"package.json": f'{{{DEPENDS}, "workspaces": 3}}', "a/package.json": '{"scripts": {"prepare": "x"}}'}, []),
        ({"package.json": f'{{{DEPENDS}}}', "pnpm-lock.yaml": "", "pnpm-workspace.yaml": "packages:\n  - 'lib/**'\n",
          "lib/a/b/package.json": '{"scripts": {"prepare": "x"}}'}, ["cd lib/a/b && pnpm run prepare"]),
        ({"package.json": f'{{{DEPENDS}, "scripts": {{"prepare": "x", "postinstall": "y"}}}}', "yarn.lock": "",
          ".yarnrc.yml": ""}, ["yarn run postinstall"]),
    ],
)  # fmt: skip
def test_the_scripts_that_installing_runs_are_run_where_a_copy_was_taken(
    files: dict[str, str], again: list[str]
):
    """Those of the project and its members, as each manager runs them."""
    [step] = plan_setup(Files(frozenset(files), files)).steps

    assert [command.rpartition("; ")[2] for command in step.again] == again


@pytest.mark.parametrize(("scripts", "kept"), [("{}", False), ('{"install": "node-gyp-build"}', True)])
def test_an_addon_that_npm_compiles_by_itself_is_compiled_in_each_tree(scripts: str, kept: bool):
    """No script says so: a `binding.gyp` is enough."""
    files = {"package.json": f'{{{DEPENDS}, "scripts": {scripts}}}', "binding.gyp": "{}"}

    [step] = plan_setup(Files(frozenset(files), files)).steps

    assert bool(step.keeps) is kept


def test_another_lock_file_or_other_walls_install_anew(trees: Trees):
    """What is kept belongs to the contents of its inputs and to the level it was installed at."""
    trees.ready("one")
    trees.ready("two", lock="2")
    trees.ready("three", level="sandboxed")

    assert trees.runs == 3


def test_what_ran_beside_an_agents_work_is_not_kept(trees: Trees):
    """An install script of the branch could have put anything there."""
    trees.ready("one", at_base=False)
    trees.ready("two")

    assert trees.runs == 2


def test_what_set_up_leaves_is_no_change_of_the_agents(trees: Trees):
    """`git status` of the tree stays clean; the file is there."""
    tree = trees.ready("one")

    said = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tree, env=clean_env(), capture_output=True, text=True
    )
    assert said.stdout == "" and (tree / "left").exists()


def test_the_trees_own_programs_come_first(trees: Trees):
    """Variables name the tree that the command runs in."""
    env = setup_environment(trees.plan, Path("/t"), {"PATH": "/usr/bin"})

    assert env == {"PATH": "/t/deps/bin:/usr/bin", "DEPS": "/t/deps"}


def test_a_failed_set_up_keeps_nothing(trees: Trees):
    """The next tree tries again."""
    trees.plan = SetupPlan(steps=(SetupStep(how="x", commands=("mkdir deps && false",), keeps=("deps",)),))

    with pytest.raises(SetupError):
        trees.ready("one")

    assert list(trees.cache.glob("*/files")) == []


def test_submodules_come_from_the_users_own_without_a_network(make: Callable[..., Repo], tmp_path: Path):
    """The address in `.gitmodules` leads nowhere any more."""
    inner = make({"a.txt": "inner"}, name="inner")
    outer = make({"b.txt": "outer"}, name="outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "sub")
    outer.git("config", "-f", ".gitmodules", "submodule.sub.url", "https://127.0.0.1:1/gone.git")
    outer.commit({})
    tree = tmp_path / "tree"
    outer.git("clone", "--quiet", str(outer.path), str(tree))
    [step] = plan_setup(Files(frozenset({".gitmodules"}), {})).steps

    for command in step.commands:
        words = command.replace("{common}", str(outer.path / ".git"))
        done = subprocess.run(["sh", "-c", words], cwd=tree, env=clean_env(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    assert (tree / "sub/a.txt").read_text() == "inner"
