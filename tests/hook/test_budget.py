"""What keeps the hook fast: what it never imports, and constants it repeats so as not to import."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.config import schema as configuration
from orchestrator_action.hook import base as bases
from orchestrator_action.hook import policy as rules
from orchestrator_action.hook import push
from orchestrator_action.process.together import NO_LIMITS
from orchestrator_action.protocol.attempt import Limits
from tests.hook.conftest import Governed, gate, policy

HEAVY = {
    "typer",
    "github",
    "git",
    "yaml",
    "tenacity",
    "requests",
    "asyncio",
    "pydantic",
    "dataclasses",
    "inspect",
    "pathlib",
}
"""What a gate does not wait for; its guard needs json, signal and subprocess."""
HOT = HEAVY | {
    "subprocess",
    "select",
    "socket",
    "json",
    "re",
    "dataclasses",
    "typing",
    "enum",
    "signal",
    "pathlib",
    "hashlib",
    "tempfile",
    "shutil",
}

SPY = """
import atexit, os, sys
def tell():
    os.write(int(os.environ["SPY_FD"]), " ".join(sys.modules).encode())
atexit.register(tell)
os._exit_ = os._exit
def leave(code):
    tell()
    os._exit_(code)
os._exit = leave
sys.argv = sys.argv[1:]
with open(sys.argv[0]) as stream:
    code = compile(stream.read(), sys.argv[0], "exec")
exec(code, {"__name__": "__main__", "__file__": sys.argv[0]})
"""


def modules_of(g: Governed, refs: str) -> set[str]:
    """Everything the hook has imported when it ends, its gate runner included."""
    hook = (g.path / ".git/hooks/pre-push").read_text().splitlines()
    door = next(line for line in hook if line.startswith("door=")).removeprefix("door='").rstrip("'")
    return modules_seen(g, refs, ["-S", "-E"], [door])


def modules_seen(g: Governed, refs: str, options: list[str], program: list[str]) -> set[str]:
    """Everything a program has imported when it ends, told to judge a push."""
    reader, writer = os.pipe()
    subprocess.run(
        [sys.executable, "-I", *options, "-c", SPY, *program, "pre-push", "origin", str(g.repo.remote)],
        cwd=g.path, env=g.env(SPY_FD=str(writer)), pass_fds=[writer], input=refs.encode(), check=False,
        capture_output=True, timeout=30,
    )  # fmt: skip
    os.close(writer)
    with open(reader, encoding="utf-8") as stream:
        return {name.partition(".")[0] for name in stream.read().split()}


def line(g: Governed, local: str, remote: str) -> str:
    return f"refs/heads/x {g.git('rev-parse', local)} {remote} {'0' * 40}\n"


def test_the_way_every_push_takes_imports_next_to_nothing(g: Governed):
    """Nothing to judge, refused, remembered: os and builtins."""
    assert 0 == g.push("origin", "main:warm").code

    for refs in ("", line(g, "main", "refs/heads/main"), line(g, "main", "refs/heads/other")):
        seen = modules_of(g, refs)
        assert "orchestrator_action" in seen
        assert set() == seen & HOT


def test_the_way_through_a_gate_imports_nothing_heavy(g: Governed):
    """A gate that has to be run, and one that fails."""
    assert 0 == g.push("origin", "main:warm").code
    for text in ("GOOD 2\n", "BAD\n"):
        g.branch(f"b{text.strip()[:3]}", {"f": text})
        seen = modules_of(g, line(g, "HEAD", "refs/heads/other"))
        assert "orchestrator_action" in seen
        assert set() == seen & HEAVY


def test_constants_repeated_for_speed_are_the_same():
    """They stand twice because importing their module would cost more than the whole hook."""
    defaults = configuration.HookConfig()

    assert bases.CONFIG_PATH == configuration.CONFIG_PATH
    assert bases.NEAR_MISS == configuration.NEAR_MISS
    assert rules.DEFAULT_PROTECTED == defaults.protected_branches
    assert rules.DEFAULT_TIMEOUT_S == defaults.timeout
    assert f"refs/heads/{configuration.BRANCH_PREFIX}" == push.TASK_PREFIX


def test_the_limits_a_gate_is_given_are_those_a_guard_knows():
    """`together` repeats their names for the same reason."""
    known = {field.name for field in dataclasses.fields(Limits)}

    assert set(NO_LIMITS) <= known
    assert {name for name in known if not name.startswith("max_")} == set(NO_LIMITS)


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\\nb", "\\", "\\\\t", "\r\n", "ü 漢", "", "x\\"])
def test_a_compiled_policy_reads_back_as_it_was(text: str):
    """Whatever stands in a command or a name."""
    made = rules.default_policy()
    one = rules.HookGate(text, text, 1.5)
    one.inputs.append(text)
    one.link.append(text)
    one.env.append(text)
    made.gates.append(one)
    made.phases[text] = "off"
    made.protected.append(text)

    back = rules.decode_policy(rules.encode_policy(made))

    assert back is not None
    [gate_back] = back.gates
    for name in rules.HookGate.__slots__:
        assert getattr(one, name) == getattr(gate_back, name)
    assert (made.protected, made.phases, made.timeout_s) == (back.protected, back.phases, back.timeout_s)


def test_every_key_of_the_configuration_reaches_the_hook(govern: Callable[..., Governed]):
    """The compiled policy carries each field of a gate."""
    more = 'timeout: 2m, inputs: ["a/**"], link: [b], env: [C], key: tree, cache: 7d, only: [x], skip: [y]'
    extra = (
        "  timeout: 90s\n  remotes: [{match: fork, protected-branches: [z]}]\n  other-refs: allow\n"
        "  jobs: 3\n  fail-fast: true\n  clean: false\n"
    )
    g = govern(policy(gate("all", "true", more), more=extra))
    g.push("origin", "main:x")
    [kept] = (g.path / ".git/orchestrator/hook/policy").iterdir()

    read = rules.decode_policy(kept.read_bytes())

    assert read is not None
    [one] = read.gates
    assert (120.0, ["a/**"], ["b"], ["C"]) == (one.timeout_s, one.inputs, one.link, one.env)
    assert ("tree", 604800.0, ["x"], ["y"]) == (one.key, one.cache_s, one.only, one.skip)
    assert (90.0, [("fork", ["z"])], "allow") == (read.timeout_s, read.remotes, read.other_refs)
    assert (3, True, False) == (read.jobs, read.fail_fast, read.clean)
    fields = {field.name for field in dataclasses.fields(configuration.Gate)}
    assert {name.removesuffix("_s") for name in rules.HookGate.__slots__} == fields


def test_the_line_of_other_hook_managers_waits_for_no_command_line(g: Governed):
    """`orchestrator-action hook pre-push` judges without what its other commands are made of."""
    assert 0 == g.push("origin", "main:warm").code
    script = Path(sys.executable).with_name("orchestrator-action")

    seen = modules_seen(g, line(g, "main", "refs/heads/other"), [], [str(script), "hook"])

    assert "orchestrator_action" in seen
    assert set() == seen & {"typer", "github", "git", "pydantic", "yaml", "rich", "jinja2", "asyncio"}
