"""What a user's programs need is in sight within the walls, wherever in a home it lies; the rest of the home is not."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from orchestrator_action.config.schema import AgentCommand, Config, TestCommand
from orchestrator_action.run.walls import isolation_of
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Role
from orchestrator_action.sandbox.start import run_to_end
from tests.kit.tables import few


def program(path: Path, text: str) -> Path:
    """A shell script that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With something that nobody within may read."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True)
    (folder / ".ssh/id_ed25519").write_text("secret")
    (folder / "diary").write_text("secret")
    return folder


def within(walls: Isolation, home: Path, script: str, *places: Path, **more: str) -> str:
    """What a script prints that a test command would be, with these folders first on PATH and these variables."""
    tree = home.parent / "tree"
    tree.mkdir(exist_ok=True)
    env = {"HOME": str(home), "PATH": ":".join([*map(str, places), "/usr/bin:/bin"]), **more}
    policy = walls.policy(Role.TESTS, write=[tree], scratch=home.parent / "scratch")
    done = run_to_end(["/bin/sh", "-c", f"{script} 2>&1"], env=env, cwd=tree, policy=policy, timeout_s=60)
    return done.stdout.strip()


TOOLS = {
    "rustup": (".cargo/bin", ".rustup/toolchains/stable"),
    "asdf": (".asdf/shims", ".tool-versions"),
    "mise": (".local/share/mise/shims", ".local/share/mise/installs/x"),
    "juliaup": (".juliaup/bin", ".julia/juliaup/x"),
    "user site": (".local/bin", ".local/lib/python3/x"),
    "gem": (".local/share/gem/ruby/3.1.0/bin", ".local/share/gem/ruby/3.1.0/gems/x"),
    "composer": (".config/composer/vendor/bin", ".config/composer/vendor/autoload.php"),
    "pyenv": (".pyenv/shims", ".pyenv/version"),
}


@pytest.mark.parametrize("tool", few(TOOLS, 2))
def test_a_tool_whose_parts_lie_apart_works(walls: Isolation, home: Path, tool: str):
    """Its programs by PATH, and what they read elsewhere in the home."""
    programs, other = TOOLS[tool]
    (home / other).parent.mkdir(parents=True, exist_ok=True)
    (home / other).write_text("there")
    program(home / programs / "tool", f'cat "$HOME/{other}"')

    assert "there" == within(walls, home, "tool", home / programs)
    assert "secret" not in within(walls, home, 'cat "$HOME/diary" "$HOME/.ssh/id_ed25519"', home / programs)


@pytest.mark.parametrize("where", ["home", "far/below/home"])
def test_a_home_below_tmp_is_there_and_private(walls: Isolation, where: str):
    """It is where HOME says, it can be written, and what is written is there for the next process of the tree."""
    with tempfile.TemporaryDirectory(prefix="oa-home-", dir="/tmp") as folder:
        home = Path(folder, where)
        home.mkdir(parents=True)

        said = within(walls, home, 'cd && pwd && ls -A && echo kept >"$HOME/note" && cat ~/note')

        assert [str(home), "kept"] == said.splitlines()
        assert "kept" == within(walls, home, "cat ~/note") and not (home / "note").exists()


CACHED = {
    "python": ("Python/3.12.4/x64/bin", "Python/3.12.4/x64/lib/python3.12/os.py", "pythonLocation"),
    "node": ("node/20.14.0/x64/bin", "node/20.14.0/x64/lib/node_modules/npm/cli.js", ""),
    "go": ("go/1.22.4/x64/bin", "go/1.22.4/x64/pkg/tool/compile", "GOROOT"),
    "ruby": ("Ruby/3.3.3/x64/bin", "Ruby/3.3.3/x64/lib/ruby/3.3.0/set.rb", ""),
    "java": ("Java_Temurin/21.0.3/x64/bin", "Java_Temurin/21.0.3/x64/lib/modules", "JAVA_HOME"),
}
"""As `actions/setup-*` lay them out: programs, a file that they read, the variable that names their folder."""


@pytest.mark.parametrize("tool", few(CACHED, 2))
@pytest.mark.parametrize("named", [True, False], ids=["with RUNNER_TOOL_CACHE", "by PATH alone"])
def test_a_runners_tool_cache_is_read_and_not_written(
    walls: Isolation, home: Path, tool: str, *, named: bool
):
    """Of a self-hosted runner, below its home; what the runner keeps beside it is hidden, and a later job finds the
    cache as it was."""
    programs, other, variable = CACHED[tool]
    runner = home / "actions-runner"
    cache = runner / "_work" / "_tool"
    (cache / other).parent.mkdir(parents=True)
    (cache / other).write_text("there")
    (runner / ".credentials").write_text("secret")
    program(cache / programs / "tool", f'cat "{cache / other}"')
    place = {"RUNNER_TOOL_CACHE": str(cache)} if named else {}
    place |= {variable: str((cache / programs).parent)} if variable else {}

    assert "there" == within(walls, home, "tool", cache / programs, **place)
    leave = f'cat "{runner}/.credentials"; echo x >"{cache / programs}/tool"; echo x >"{cache}/left"; tool'
    said = within(walls, home, leave, cache / programs, **place)
    assert "secret" not in said
    assert said.endswith("there")
    assert not (cache / "left").exists()


def test_a_real_python_of_a_tool_cache_runs_and_its_packages_are_read_only(walls: Isolation, home: Path):
    """A virtual environment in the cache stands for an interpreter there: it finds what is installed in it."""
    place = home / "actions-runner/_work/_tool/Python/3.11.2/x64"
    run_to_end(["/usr/bin/python3", "-m", "venv", "--without-pip", str(place)], env={"PATH": "/usr/bin:/bin"})
    site = next(place.glob("lib/python3*/site-packages"))
    (site / "a_package.py").write_text("print('a package')\n")

    said = within(
        walls, home, f"{{ python -c 'import a_package'; echo x >>{site}/a_package.py; }}", place / "bin"
    )

    assert said.startswith("a package")
    assert "Read-only file system" in said


def test_a_folder_of_programs_behind_a_link_that_is_hidden_is_found(walls: Isolation, home: Path):
    """As fnm has it: PATH names a link below /run or /tmp."""
    program(home / ".local/share/fnm/v20/bin/node", "echo v20")
    link = home.parent / "multishell"
    link.symlink_to(home / ".local/share/fnm/v20")

    assert "v20" == within(walls, home, "node", link / "bin")


def test_what_the_configuration_names_by_its_whole_path_is_executed(walls: Isolation, home: Path):
    """A virtual environment and a program of the home in a test command, a script of the agent's; no more."""
    python = program(home / "venvs/x/bin/pytest", f'cat "{home}/venvs/x/lib/plugin"')
    (home / "venvs/x/lib").mkdir()
    (home / "venvs/x/lib/plugin").write_text("there")
    agent = home / "agent.py"
    agent.write_text("print('here')")
    config = Config(
        isolation="required",
        test=(TestCommand(command=f"{python} -q"), TestCommand(command="~/check --diary ~/diary")),
        agent_command=AgentCommand(argv=("python3", str(agent))),
    )
    program(home / "check", "echo checked")
    named = isolation_of(config, {"HOME": str(home), "PATH": os.environ["PATH"]})

    assert "there" == within(named, home, str(python))
    assert "checked" == within(named, home, "~/check")
    assert "here" == within(named, home, f"python3 {agent}")
    assert "secret" not in within(named, home, "cat ~/diary ~/.ssh/id_ed25519")
    assert "there" not in within(walls, home, str(python)), "it has to be named to be seen"
