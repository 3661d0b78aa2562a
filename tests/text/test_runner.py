"""Nothing an agent prints becomes a command on a runner. The parser here is the runner's own, retold."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator_action.action.runner_files import (
    RunnerFiles,
    annotation_command,
    delimited,
    print_foreign,
)
from orchestrator_action.errors import ConfigError
from orchestrator_action.text.limits import escape_data, escape_property, harmless_log_line

LINES = st.lists(
    st.sampled_from(
        [
            "::",
            ":",
            "error",
            "set-output",
            "add-mask",
            "::error::",
            "::set-output name=a::b",
            "##[",
            "##[error]",
            "##vso[",
            "#",
            "]",
            " ",
            "\t",
            "\r",
            "\n",
            "\ufeff",
            "\u00a0",
            "\u2003",
            "\u200b",
            "\x1b[31m",
            "\x1b",
            "\x0b",
            "\x85",
            "\u2028",
            "x",
            "file=a,line=1",
            "stop-commands",
            ">",
            "|",
        ]
    ),
    max_size=12,
).map("".join) | st.text(max_size=40)


def commands(log: str) -> list[str]:
    """What the runner would obey: actions/runner, ActionCommand.TryParseV2 and TryParse; act's expression."""
    found = []
    for line in re.split(r"\r\n|\r|\n", log):
        text = line.strip().lstrip("\ufeff\u200b").strip()
        text = re.sub(r"\x1b\[[0-9;]*m", "", text)
        if text.startswith("::") and "::" in text[2:]:
            found.append(text)
        if re.search(r"##(?:vso)?\[", text):
            found.append(text)
        if re.search(r"::(?:error|warning|notice|debug|set-output|add-mask|stop-commands)\b[^\n]*::", text):
            found.append(text)
    return found


@settings(max_examples=1000, deadline=None)
@given(LINES)
@example("\ufeff\u00a0::error::x")
@example("a\r::error::x")
@example(":\x1b[1m:error::x")
def test_no_line_is_a_command(line):
    """At its start or inside, after CR, NBSP, BOM or colours."""
    safe = harmless_log_line(line)

    assert [] == commands(safe), safe
    assert not re.search(r"[\r\n\x1b\x00]", safe)
    assert safe == harmless_log_line(safe)


@pytest.mark.parametrize(
    "line",
    ["std::vector<int> v;", "a::b::c", "Test::Foo::bar ok", "### heading", "x = y ? 1 : 2", "[x] done"],
)
def test_ordinary_lines_stay_as_they_are(line):
    """C++ names are no commands."""
    assert line == harmless_log_line(line)


def test_data_and_properties_are_escaped_as_the_toolkit_does():
    """A value cannot end its command nor begin another property."""
    assert "a%25b%0Dc%0Ad" == escape_data("a%b\rc\nd")
    assert "a%3Ab%2Cc%25%0A" == escape_property("a:b,c%\n")
    assert "::error title=a%3Ab,file=x%2Cy,line=3::m%0A::warning::n" == annotation_command(
        "error", "m\n::warning::n", title="a:b", path="x,y", line=3
    )


def parse(written: str) -> dict[str, str]:
    """Read a runner file as the runner does (actions/runner, FileCommandManager)."""
    values: dict[str, str] = {}
    lines = written.split("\n")
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if not line:
            continue
        name, mark, delimiter = line.partition("<<")
        assert mark, f"no heredoc: {line!r}"
        body = []
        while lines[index] != delimiter:
            body.append(lines[index])
            index += 1
        index += 1
        values[name] = "\n".join(body)
    return values


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="ab<>=\n _EOF", max_size=30) | st.text(max_size=30), min_size=1, max_size=4))
def test_a_value_cannot_set_another_output(tmp_path_factory, values):
    """What the runner reads back is the value, and no output that was not set."""
    path = tmp_path_factory.mktemp("runner") / "output"
    files = RunnerFiles(output=path)

    for number, value in enumerate(values):
        files.set_output(f"o{number}", value)

    read = parse(path.read_bytes().decode())
    assert [f"o{n}" for n in range(len(values))] == list(read)
    for number, value in enumerate(values):
        want = value.encode("utf-8", "replace").decode()
        assert want in {read[f"o{number}"], read[f"o{number}"] + "\n"}


def test_the_delimiter_is_drawn_again_when_the_value_holds_it():
    """A value that guessed it gains nothing."""
    draws = iter(["one", "two"])

    written = delimited("x", "a\nghadelimiter_one\ny<<b", random=lambda: next(draws))

    assert {"x": "a\nghadelimiter_one\ny<<b"} == parse(written)


def test_a_file_another_step_left_torn_is_not_continued(tmp_path: Path):
    """Our block begins on a line of its own."""
    (tmp_path / "output").write_text("torn<<x\n1\nx")
    RunnerFiles(output=tmp_path / "output").set_output("a", "1")

    assert {"torn": "1", "a": "1"} == parse((tmp_path / "output").read_text())


@pytest.mark.parametrize("name", ["a=b", "a\nb", "", "a<<b", "a b"])
def test_a_name_is_a_name(tmp_path: Path, name):
    """Names come from us, and are checked all the same."""
    with pytest.raises(ConfigError):
        RunnerFiles(output=tmp_path / "o").set_output(name, "x")
    assert not (tmp_path / "o").exists()


def test_secrets_reach_no_channel(tmp_path: Path):
    """Outputs and the summary are masked; the channels come from the environment."""
    files = RunnerFiles.of(
        {"GITHUB_OUTPUT": str(tmp_path / "o"), "GITHUB_STEP_SUMMARY": str(tmp_path / "s")}, ["hunter2hunter2"]
    )
    files.set_output("a", "x hunter2hunter2 y")
    files.add_summary("# hunter2hunter2\n")

    assert "hunter2" not in (tmp_path / "o").read_text() + (tmp_path / "s").read_text()
    assert "hunter2" not in repr(files)


def test_the_summary_stays_within_a_mebibyte(tmp_path: Path):
    """Also when it is written in parts."""
    files = RunnerFiles(summary=tmp_path / "s")
    for _ in range(3):
        files.add_summary("é" * 300_000)

    assert (tmp_path / "s").stat().st_size <= 1024**2
    (tmp_path / "s").read_text(encoding="utf-8")


def test_an_agents_log_is_folded_and_obeyed_by_nobody():
    """One group; commands are off while foreign lines are printed; a key over several lines is masked."""
    out = io.StringIO()
    key = ["-----BEGIN PRIVATE" + " KEY-----", "MIIabc", "-----END PRIVATE" + " KEY-----"]
    print_foreign(
        out,
        "issue-7: ::error::",
        ["::set-output name=x::y\n", "ok\n", "hunter2hunter2\r\n", *key],
        secrets=["hunter2hunter2"],
    )

    first, stop, *foreign, go, last = out.getvalue().splitlines()
    token = stop.removeprefix("::stop-commands::")
    assert "::group::issue-7: : :error::" == first
    assert f"::{token}::" == go
    assert "::endgroup::" == last
    assert [] == commands("\n".join(foreign))
    assert [": :set-output name=x::y", "ok", "[redacted]", "[redacted]"] == foreign
    assert len(token) > 20


def test_of_a_long_log_the_end_is_shown():
    """And how much was left out."""
    out = io.StringIO()
    print_foreign(out, "t", (f"line {n}\n" for n in range(5000)), limit=3)

    assert ["… 4,997 lines left out …", "line 4997", "line 4998", "line 4999"] == out.getvalue().splitlines()[
        2:-2
    ]
