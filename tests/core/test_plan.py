"""Names that are valid and unique for any title, and an order that keeps dependencies."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_action.agents.registry import AGENTS
from orchestrator_action.config.schema import LABEL_HIGH, LABEL_LOW
from orchestrator_action.errors import ConfigError
from orchestrator_action.plan.order import (
    FORM_AGENT,
    agent_answered,
    agent_named,
    begun_again,
    branch_name,
    clean_title,
    plan,
    slug,
)
from orchestrator_action.protocol.conflicts import conflicts
from orchestrator_action.protocol.forge_values import Issue
from orchestrator_action.protocol.model import Prompt
from orchestrator_action.publish.report.comments import pull_title

ROOT = Path(__file__).resolve().parents[2]


def prompt(stem: str, **fields) -> Prompt:
    return Prompt(path=f"{stem}.md", stem=stem, text="do it", **fields)


@settings(max_examples=300)
@given(st.text(max_size=400), st.integers(1, 10**9))
def test_any_title_gives_a_valid_branch_and_id(title, number):
    [task] = plan([Issue(number=number, title=title)], [])

    name = task.branch
    assert name.startswith("orchestrator/issue-") and len(name) <= 80
    assert all(c.isascii() and (c.isalnum() or c in "-/") for c in name)
    assert not name.endswith(("-", "/", ".lock")) and "//" not in name and "--" not in name
    assert task.title and task.title.isprintable()


@pytest.mark.parametrize(
    "title",
    [
        "../../etc/passwd",
        "-rf --force",
        "a" * 300,
        "  ",
        "ünïcödé",
        "日本語",
        "x.lock",
        "@{-1}",
        "a\nb",
        "~^:?*[",
    ],
)
def test_git_accepts_the_branch_of_a_nasty_title(title):
    name = branch_name("issue-1", title)

    assert 0 == subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True).returncode


def test_two_prompts_of_the_same_name_are_two_tasks():
    tasks = plan(
        [], [Prompt(path="a/fix.md", stem="fix", text="a"), Prompt(path="b/fix.md", stem="fix", text="b")]
    )

    assert ["prompt-fix", "prompt-fix-2"] == [t.id for t in tasks]
    assert 2 == len({t.branch for t in tasks})


def test_a_branch_in_use_is_not_taken_again():
    [task] = plan([Issue(number=7, title="Fix it")], [], taken={"orchestrator/issue-7-fix-it"})

    assert "orchestrator/issue-7-fix-it-2" == task.branch


def test_issues_come_by_number_then_prompts_as_given():
    tasks = plan([Issue(number=9, title="b"), Issue(number=2, title="a")], [prompt("z"), prompt("y")])

    assert ["issue-2", "issue-9", "prompt-z", "prompt-y"] == [t.id for t in tasks]


def test_a_dependency_comes_first():
    tasks = plan([], [prompt("late", depends_on=("early.md",)), prompt("early")])

    assert ["prompt-early", "prompt-late"] == [t.id for t in tasks]
    assert ("prompt-early",) == tasks[1].depends_on


def test_depends_on_in_prose_means_nothing():
    [task] = plan([Issue(number=1, title="t", body="depends on #99")], [])

    assert () == task.depends_on


def test_an_unknown_dependency_is_named():
    with pytest.raises(ConfigError, match="depends on 'ghost'"):
        plan([], [prompt("a", depends_on=("ghost",))])


def test_a_circle_is_named():
    with pytest.raises(ConfigError, match="prompt-a → prompt-b → prompt-a"):
        plan([], [prompt("a", depends_on=("b",)), prompt("b", depends_on=("a",))])


def test_the_same_paths_are_a_conflict():
    [conflict] = conflicts({"a": {"x", "y"}, "b": {"y"}, "c": {"z"}})

    assert ("a", "b", ("y",)) == (conflict.a, conflict.b, conflict.paths)


def test_slug_and_title():
    assert "fix-the-thing" == slug("Fix: the thing!")
    assert "a b" == clean_title("a\x00\n\tb")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("```sh\n# not this\n```\n\n## The real one\n", "The real one"),
        ("    # code\n\nWords\n=====\n", "Words"),
        ("~~~\n# one\n```\n# two\n~~~\n", "name"),
        ("> ```\n> # quoted code\n> ```\n\n# After it #\n", "After it"),
        ("just words\n", "name"),
    ],
)
def test_a_prompt_files_title_is_its_first_heading_and_no_line_of_code(text, title):
    """As a page shows it: `#` inside a fence is a comment of a shell."""
    [task] = plan([], [Prompt(path="name.md", stem="name", text=text)])

    assert title == task.title


@pytest.mark.parametrize("words", ["[skip ci]", "[CI skip]", "[no ci]", "[skip actions]", "[actions skip]"])
def test_a_title_keeps_no_workflow_from_running(words: str):
    """A pull request merged with such a title, or a commit made with it, would start none."""
    [task] = plan([Issue(number=1, title=f"Mend it {words}")], [])

    assert f"Mend it ({words[1:-1]})" == task.title == pull_title(f"Mend it {words}")


@pytest.mark.parametrize(
    ("labels", "agent"),
    [
        ((), ""),
        (("orchestrate", "bug"), ""),
        (("orchestrate", "orchestrate-agent:codex"), "codex"),
        (("Orchestrate-Agent: Codex",), "codex"),
        (("orchestrate-agent:gemini", "orchestrate-agent:codex"), "codex and gemini"),
    ],
)
def test_a_label_names_the_agent_of_an_issue(labels: tuple[str, ...], agent: str) -> None:
    """Two of them name none that anybody knows, so that nobody guesses."""
    assert agent == agent_named(labels)


def test_labels_of_priority_order_the_queue():
    """High first, low last, in any case of the letters; both at once are neither."""
    labels = {1: (LABEL_LOW,), 2: (), 3: (LABEL_HIGH.upper(),), 4: (LABEL_HIGH, LABEL_LOW), 5: (LABEL_HIGH,)}

    tasks = plan([Issue(number=n, title=f"T{n}", labels=names) for n, names in labels.items()], [])

    assert ["issue-3", "issue-5", "issue-2", "issue-4", "issue-1"] == [t.id for t in tasks]


def test_branches_of_the_same_issue_are_known_as_earlier_attempts():
    """Issue 1's are not issue 12's."""
    taken = {
        "orchestrator/issue-1",
        "orchestrator/issue-1-old",
        "orchestrator/issue-12-other",
        "orchestrator/issue-1-t",
    }

    [task] = plan([Issue(number=1, title="T")], [], taken=taken)

    assert "orchestrator/issue-1-t-2" == task.branch
    again = begun_again(task, taken)
    assert ("orchestrator/issue-1", "orchestrator/issue-1-old", "orchestrator/issue-1-t") == again.supersedes
    assert "begun anew on orchestrator/issue-1-t-2" in again.note and not begun_again(task, ()).note


FORM = "### What should be different?\n\nIt sings.\n\n### Which agent should work on it?\n\n{}\n"


@pytest.mark.parametrize(
    ("body", "agent"),
    [
        (FORM.format("codex"), "codex"),
        (FORM.format("Gemini").replace("\n", "\r\n"), "gemini"),
        (FORM.format("as the repository says"), ""),
        (FORM.format("_No response_"), ""),
        (FORM.format("codex:dear-model"), ""),
        (f"<!--\n{FORM.format('codex')}-->\nSing.", ""),
        (FORM.format("codex") + FORM.format("claude"), ""),
        ("Use codex for it.", ""),
        ("", ""),
    ],
)
def test_a_forms_answer_names_the_agent(body: str, agent: str):
    """One word below the form's own question, where people see it; two answers are none."""
    assert agent == agent_answered(body)


def test_a_label_wins_over_a_forms_answer():
    def of(*labels: str) -> str:
        [task] = plan([Issue(number=1, title="Sing", body=FORM.format("codex"), labels=labels)], [])
        return task.agent

    assert ("codex", "gemini") == (of("orchestrate"), of("orchestrate", "orchestrate-agent:gemini"))


def test_the_form_that_init_writes_asks_this_question():
    form = yaml.safe_load((ROOT / "examples/ISSUE_TEMPLATE/agent-task.yml").read_text(encoding="utf-8"))
    [question] = [b["attributes"] for b in form["body"] if b.get("id") == "agent"]
    first, *names = question["options"]
    assert FORM_AGENT == question["label"]
    assert "" == agent_answered(FORM.format(first))
    assert names == [agent_answered(FORM.format(name)) for name in names]
    assert set(names) < set(AGENTS)
