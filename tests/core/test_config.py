"""What people write into `.github/orchestrator.yml`: taken as meant, or every fault named with its place."""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_action.config.load import load_bytes, load_text, prompt_file, with_flags
from orchestrator_action.config.schema import Config, TestCommand
from orchestrator_action.errors import ConfigError
from orchestrator_action.state.fold import config_of

KEYS = [f.name.replace("_", "-") for f in dataclasses.fields(Config)]


def faults(text: str | bytes) -> list[str]:
    """The findings of a text; each stands at a line and a column."""
    try:
        load_bytes(text, source="f") if isinstance(text, bytes) else load_text(text, source="f")
    except ConfigError as exc:
        found = exc.message.splitlines()
        assert all(re.match(r"f:\d+:\d+: \S", line) for line in found), found
        return found
    return []


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("test: a", [("a", 1800.0)]),
        ("test: [a, b b]", [("a", 1800.0), ("b b", 1800.0)]),
        ("test: {command: a, timeout: 5m}", [("a", 300.0)]),
        ("test: [{command: a, timeout: 90}, b]\ntest-timeout: 2h", [("a", 90.0), ("b", 7200.0)]),
        ("test: [{command: a, timeout: 0}, {command: b}]", [("a", 0.0), ("b", 1800.0)]),
    ],
)
def test_each_test_command_may_have_a_timeout_of_its_own(text: str, commands: list[tuple[str, float]]):
    config = load_text(text, source="f")

    assert commands == [(t.command, config.test_timeout_of(t.command)) for t in config.test]


def test_timeouts_of_commands_survive_the_journal():
    """A resumed run keeps the limits; the journal of an older version has commands only."""
    config = load_text("test: [{command: a, timeout: 5m}, b]", source="f")
    written = dataclasses.asdict(config)

    assert config == config_of({"config": written})
    assert (TestCommand(command="a"),) == config_of({"config": {**written, "test": ["a"]}}).test


def test_a_flag_replaces_commands_and_keeps_the_default_timeout():
    config = with_flags(
        load_text("test: {command: a, timeout: 5m}\ntest-timeout: 1m", source="f"), {"test": ["b"]}
    )

    assert [("b", 60.0)] == [(t.command, config.test_timeout_of(t.command)) for t in config.test]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("test: ''", ["f:1:1: must not be empty (got '')"]),
        ("test: [a, ' ']", ["f:1:11: must not be empty (got ' ')"]),
        ("test: [a, 7]", ["f:1:11: must hold keys and values (got 7)"]),
        ("test: {command: a, timeout: soon}", ["f:1:20: 'soon' is no duration; write 90s, 45m or 1h30m"]),
        (
            "test: {comand: a}",
            ["f:1:1: the key 'command' is missing", "f:1:8: unknown key 'comand'; did you mean 'command'?"],
        ),
        ("test:", ["f:1:1: has no value; give it one, or take the key out"]),
        ("max-turns: many", ["f:1:1: must be a whole number (got 'many')"]),
        ("max-turns: -1", ["f:1:1: must be greater than or equal to 0 (got -1)"]),
        ("max-turns: yes", ["f:1:1: must be a whole number (got 'yes')"]),
        ("timeout: 99999d", ["f:1:1: '99999d' is longer than a year"]),
        ("phases: {testing: maybe}", ["f:1:10: must be 'required', 'waivable' or 'off' (got 'maybe')"]),
        ("phases: {testng: off}", ["f:1:10: no phase 'testng'; did you mean testing?"]),
        ("phases: [testing]", ["f:1:1: must hold keys and values"]),
        ("hook: {gates: [{name: a}]}", ["f:1:16: the key 'command' is missing"]),
        ("size: {fils: 3}", ["f:1:8: unknown key 'fils'; did you mean 'files'?"]),
        ("- label", ["f:1:1: the file must hold keys and values"]),
        ("label: a\n\tagent: b", ["f:2:1: a tab stands here; YAML is indented with spaces"]),
        ("label: a\nlabel: b", ["f:2:1: the key 'label' stands here a second time"]),
        ("? [a]\n: b", ["f:1:3: a key must be a name"]),
        ("x: &a {b: *a}", ["f:1:4: this refers to itself, or to too much"]),
        ("<<: 5", ["f:1:5: only keys and values can be merged"]),
        ("label: !!timestamp x", ["f:1:8: 'x' is not what its tag 'timestamp' says"]),
        ("label: a\x00", ["f:1:9: the character U+0000 may not stand in YAML"]),
        (b"label: a\n# \xff\n", ["f:2:3: the file is not text in UTF-8"]),
        (b"\x7fELF\x02\x01", ["f:1:1: the character U+007F may not stand in YAML"]),
        ("{" * 100_000, ["f:1:21: this is nested too deep"]),
        ("#" * 300_000, ["f:1:1: the file is larger than 256 KiB"]),
    ],
)
def test_a_fault_is_named_in_plain_words_with_line_and_column(text: str | bytes, found: list[str]):
    assert found == faults(text)


@pytest.mark.parametrize("there", ["https://example.org/x", "http://127.0.0.1:8080/x", "$HOOK", ""])
def test_a_webhook_is_an_address_or_the_variable_that_holds_one(there: str):
    assert there == load_text(f'on-finish: {{webhook: "{there}"}}', source="f").on_finish.webhook


@pytest.mark.parametrize("there", ["example.org/x", "file:///etc/passwd", "$", "$A B", "https://", "HOOK"])
def test_what_is_no_address_is_refused_before_a_run(there: str):
    [found] = faults(f'on-finish: {{webhook: "{there}"}}')

    assert "write an address that begins with https://, or $NAME for the variable that holds one" in found


def test_all_faults_of_a_file_are_named_at_once_in_the_order_of_its_lines():
    text = (
        "lable: x\nmax-parallel: 0\nphases:\n  testing: perhaps\nsize: 5\ntimeout: -1\nhook:\n  gates: {}\n"
    )

    assert [1, 2, 4, 5, 6, 8] == [int(f.split(":")[1]) for f in faults(text)]


def test_anchors_and_merges_mean_what_they_mean_in_yaml():
    text = "<<: [&one {label: one, agent: patch}, {label: two}]\nbase-branch: &b main\nci-workflow: *b\n"
    config = load_text(text, source="f")

    assert ("one", "patch", "main", "main") == (
        config.label, config.agent, config.base_branch, config.ci_workflow
    )  # fmt: skip


@pytest.mark.parametrize("use", ["[{}]", "{{<<: [{}]}}"])
def test_anchors_in_anchors_in_anchors_end_soon(use: str):
    lines = ["a0: &a0 {x: x}"] + [
        f"a{n}: &a{n} " + use.format(",".join([f"*a{n - 1}"] * 9)) for n in range(1, 12)
    ]
    began = time.monotonic()

    assert any("too much" in f for f in faults("\n".join(lines)))
    assert time.monotonic() - began < 20


SCALARS = st.sampled_from(
    ["1", "-1", "1.5", ".nan", ".inf", "1e400", "true", "null", "~", "''", "x", "on", "12:30", "2020-01-01", "é☃",
     "!!binary aGk=", "!!int x", "!!python/object:os.system x", "!foo bar", "&a x", "*a", "*nope", '"\\0"', "|\n  t",
     "5m", "'off'", "=", "<<", "99999999999999999999"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: f"[{', '.join(v)}]"),
        st.lists(
            st.tuples(st.sampled_from([*KEYS, "command", "name", "gates", "files", "é"]), inner), max_size=3
        ).map(lambda pairs: "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*KEYS, "<<", "? x", "é", "lable"]), VALUES), max_size=4))
def test_no_file_of_keys_and_values_is_anything_but_taken_or_refused(pairs: list[tuple[str, str]]):
    """Wrong types at every key, alone and in each other: findings with a place, or a configuration."""
    for found in faults("".join(f"{key}: {value}\n" for key, value in pairs)):
        assert not re.search(r"pydantic|instance of|dictionary|Error\b", found), found


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_are_anything_but_taken_or_refused(body: bytes):
    faults(body)


@pytest.mark.parametrize(
    ("front", "found"),
    [
        ("titel: x", ["2:1: unknown key 'titel'; did you mean 'title'?"]),
        ("title: x\ntest: [1]", ["3:8: must be text; put it in quotes if it is meant as text (got 1)"]),
        ("title: x\n\tlabels: y", ["3:1: a tab stands here; YAML is indented with spaces"]),
        ("files: {a: b}\nfiles: c\nagent: 5", [
            "3:1: the key 'files' stands here a second time",
            "4:1: must be text; put it in quotes if it is meant as text (got 5)",
        ]),
        ("- a", ["2:1: front matter must hold keys and values"]),
    ],
)  # fmt: skip
def test_front_matter_that_is_wrong_is_named_by_the_line_of_its_file(
    tmp_path: Path, front: str, found: list[str]
):
    file = tmp_path / "task.md"
    file.write_text(f"---\n{front}\n---\nDo it.\n")

    with pytest.raises(ConfigError) as caught:
        prompt_file(file)

    assert [f"{file}:{line}" for line in found] == caught.value.message.splitlines()


@pytest.mark.parametrize(
    ("written", "title"), [("2020-01-01", "2020-01-01"), ("1_000", "1_000"), ("on", "on")]
)
def test_a_title_is_what_was_written(tmp_path: Path, written: str, title: str):
    file = tmp_path / "task.md"
    file.write_text(f"---\ntitle: {written}\n---\nDo it.\n")

    assert title == prompt_file(file).title


def test_no_limit_of_turns_is_written_as_nought():
    assert 0 == load_text("max-turns: 0", source="f").max_turns
