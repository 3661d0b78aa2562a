"""From issues and prompt files to tasks: what is selected, in which order, under which names.

Ids and branch names are valid and unique whatever the title says; the title itself stays data.
Dependencies come from front matter, from lines of an issue that say so (see `dependencies`), and from the forge.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from orchestrator_action.config.schema import BRANCH_PREFIX, LABEL_AGENT, LABEL_HIGH, LABEL_LOW
from orchestrator_action.errors import ConfigError
from orchestrator_action.plan.dependencies import circles
from orchestrator_action.protocol.forge_values import Issue
from orchestrator_action.protocol.model import Prompt, Task
from orchestrator_action.text.defang import let_ci_run
from orchestrator_action.text.limits import clean, mask_shapes, sanitise
from orchestrator_action.text.markdown import first_heading

SLUG_CHARS = 40
TITLE_CHARS = 200
FORM_AGENT = "Which agent should work on it?"
"""The question of the form for issues (`init --issue-form`); GitHub makes a heading of it, with the answer below."""
FORM_ANSWER = re.compile(rf"^### {re.escape(FORM_AGENT)}[ \t\r]*\n\s*([A-Za-z]+)[ \t\r]*$", re.MULTILINE)
"""One word: what the form offers first, `as the repository says`, and `_No response_` are none."""


def slug(text: str, limit: int = SLUG_CHARS) -> str:
    """Lower-case ASCII words joined by `-`, at most `limit` characters; empty when nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    return words[:limit].rstrip("-")


def clean_title(text: str) -> str:
    """One printable line of at most 200 characters, nothing unseen in it; empty when nothing is left."""
    visible = "".join(c if c.isprintable() else " " for c in mask_shapes(let_ci_run(clean(text)[0])))
    return " ".join(visible.split())[:TITLE_CHARS].strip()


def unique(name: str, taken: Collection[str]) -> str:
    """`name`, or `name-2`, `name-3`, … whichever is not taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def branch_name(task_id: str, title: str, taken: Collection[str] = ()) -> str:
    """A valid, free branch name for a task. `taken` are branch names in use, locally or remotely."""
    words = slug(title)
    name = BRANCH_PREFIX + (f"{task_id}-{words}" if words and words != task_id else task_id)
    return unique(name, taken)


def task_of_issue(issue: Issue, *, taken: Collection[str] = ()) -> Task:
    """The task of an issue."""
    task_id = f"issue-{issue.number}"
    title = clean_title(issue.title) or task_id
    return Task(
        id=task_id,
        title=title,
        text=issue.body,
        branch=branch_name(task_id, title, taken),
        issue=issue,
        agent=agent_named(issue.labels) or agent_answered(issue.body),
    )


def agent_named(labels: Iterable[str]) -> str:
    """The agent that labels name; empty for none. Of two it is both names, which no agent has."""
    named = [
        label[len(LABEL_AGENT) :].strip() for label in labels if label.casefold().startswith(LABEL_AGENT)
    ]
    kinds = [(kind.casefold(), colon, model) for kind, colon, model in (n.partition(":") for n in named)]
    return " and ".join(sorted({"".join(parts) for parts in kinds}))


def agent_answered(body: str) -> str:
    """The agent that the issue's form asks for, in the text that a person sees; empty for none.

    It counts like all of the text: as it was when somebody who may write set the label.
    """
    answers = FORM_ANSWER.findall(sanitise(body).text)
    return answers[0].casefold() if len(answers) == 1 else ""


def task_of_prompt(prompt: Prompt, *, ids: Collection[str] = (), taken: Collection[str] = ()) -> Task:
    """The task of a prompt file. `ids` are the task ids already given in this run."""
    words = slug(prompt.stem) or hashlib.sha256(prompt.stem.encode("utf-8", "replace")).hexdigest()[:8]
    task_id = unique(f"prompt-{words}", ids)
    title = (
        clean_title(prompt.title)
        or clean_title(first_heading(prompt.text))
        or clean_title(prompt.stem)
        or task_id
    )
    return Task(
        id=task_id,
        title=title,
        text=prompt.text,
        branch=branch_name(task_id, title, taken),
        prompt_file=prompt.path,
        depends_on=prompt.depends_on,
        files=prompt.files,
        agent=prompt.agent,
        test=prompt.test,
    )


def plan(
    issues: Iterable[Issue],
    prompts: Sequence[Prompt],
    *,
    taken: Collection[str] = (),
    waits: Mapping[int, Sequence[int]] | None = None,
    outside: Collection[int] = (),
) -> tuple[Task, ...]:
    """All tasks of a run: issues by priority and number, then prompt files as given, dependencies before dependants.

    `waits` has the issues that an issue waits for; those of them that are not in this run count when they are in
    `outside`: they are open, and the task is `stuck`, as are issues that wait for each other. Raises ConfigError for
    a prompt file that depends on what nobody knows, and for a circle of prompt files.
    """
    folders = {str(folder) for branch in taken for folder in PurePosixPath(branch).parents}
    used = {*taken, *folders}  # git keeps refs as files and folders
    tasks: list[Task] = []
    by_number = {i.number: i for i in issues}
    for issue in sorted(by_number.values(), key=lambda i: (_priority(i), i.number)):
        needed = [n for n in (waits or {}).get(issue.number, ()) if n != issue.number]
        task = task_of_issue(issue, taken=used)
        out = [f"#{n}" for n in needed if n in outside and n not in by_number]
        why = f"it waits for {', '.join(out)}, which is not part of this run and not closed" if out else ""
        tasks.append(replace(task, depends_on=tuple(f"#{n}" for n in needed if n in by_number), stuck=why))
        used.add(task.branch)
    names: dict[str, str] = {}
    for prompt in prompts:
        task = task_of_prompt(prompt, ids=[t.id for t in tasks], taken=used)
        tasks.append(task)
        used.add(task.branch)
        for name in (prompt.path, prompt.stem, f"{prompt.stem}.md", task.id):
            names.setdefault(name, task.id)
    names |= {t.id: t.id for t in tasks}
    names |= {f"#{t.issue.number}": t.id for t in tasks if t.issue}
    names |= {str(t.issue.number): t.id for t in tasks if t.issue}
    return ordered(_cut([replace(t, depends_on=_resolve(t, names)) for t in tasks]))


def _cut(tasks: Sequence[Task]) -> list[Task]:
    """The tasks, circles cut: issues in one are stuck, and wait for nobody any more."""
    found = circles({t.id: t.depends_on for t in tasks})
    return [
        replace(t, depends_on=(), stuck=f"these wait for each other: {' → '.join(found[t.id])}")
        if t.id in found and t.issue
        else t
        for t in tasks
    ]


def _priority(issue: Issue) -> int:
    """0 for what comes first, 2 for what comes last, by the issue's labels; both at once say nothing."""
    labels = {n.casefold() for n in issue.labels}
    return 1 - (LABEL_HIGH in labels) + (LABEL_LOW in labels)


def begun_again(task: Task, taken: Collection[str]) -> Task:
    """The task with the branches of attempts at the same issue before this one, and what people are told of them."""
    own = f"{BRANCH_PREFIX}{task.id}"
    earlier = tuple(sorted(b for b in taken if b != task.branch and (b == own or b.startswith(f"{own}-"))))
    if not earlier:
        return task
    note = (
        f"begun anew on {task.branch}: {earlier[-1]} has an attempt before this one, "
        "and stays as it is until this one is verified"
    )
    return replace(task, supersedes=earlier, note=note)


def _resolve(task: Task, names: Mapping[str, str]) -> tuple[str, ...]:
    unknown = [d for d in task.depends_on if d not in names]
    if unknown:
        raise ConfigError(
            f"{task.prompt_file or task.id} depends on {unknown[0]!r}, which is not part of this run",
            hint=f"name one of: {', '.join(sorted(set(names.values())))}",
        )
    return tuple(dict.fromkeys(names[d] for d in task.depends_on))


def ordered(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Tasks with every dependency before its dependants, otherwise in the order given.

    Raises ConfigError naming the circle.
    """
    by_id = {t.id: t for t in tasks}
    if found := circles({t.id: t.depends_on for t in tasks}):
        circle = " → ".join(next(iter(found.values())))
        raise ConfigError(f"tasks depend on each other in a circle: {circle}", hint="cut it in one place")
    done: dict[str, Task] = {}
    for task in tasks:
        waiting = [task]
        while waiting:
            last = waiting[-1]
            needed = [by_id[d] for d in last.depends_on if d not in done]
            if needed:
                waiting.append(needed[0])
            else:
                done[last.id] = waiting.pop()
    return tuple(done.values())
