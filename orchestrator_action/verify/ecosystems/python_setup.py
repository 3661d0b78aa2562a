"""What makes a Python tree ready: a virtual environment of its own with what its tests need. Pure.

It is made in `.venv` of the tree, never in the active environment: an editable install of the user's checkout
would answer `import` with the wrong code. uv does the work where it is there, else `venv` and pip.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator_action.verify.ecosystems.base import Files, SetupStep, table
from orchestrator_action.verify.ecosystems.python_tools import (
    DEVELOPMENT,
    TESTS,
    find_wrapper,
    pytest_plugins,
    read_ini,
    read_toml,
    tool_requirements,
)

_PIP = ".venv/bin/python -m pip install --quiet --disable-pip-version-check"
_IGNORE = "printf '*\\n' > .venv/.gitignore"
_INPUTS = ("pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "uv.lock", "poetry.lock", "pdm.lock",
           "poetry.toml", "pdm.toml", "uv.toml", ".python-version", "pip.conf",
           "Pipfile", "Pipfile.lock", "MANIFEST.in", "tox.toml", "noxfile.py", "pytest.ini")  # fmt: skip


def setup(files: Files) -> SetupStep | None:
    """The environment of a tree with a lock file, a manifest or requirements; else pytest, if it is missing."""
    project = read_toml(files.text("pyproject.toml"))
    locked = _locked(files, project)
    if locked is not None:
        return locked
    wanted, more = _by_manifest(files, project)
    if not _is_project(files, project) and not wanted:
        return _bare(files)
    if any("--hash=" in files.text(word.removeprefix("-r ")) for word in wanted):
        then = f" && {_PIP} {' '.join(more)}" if more else ""  # pip takes nothing without a hash beside them
        return _step("pip", [_install(" ".join(wanted)) + then], files)
    return _step("pip", [_install(" ".join([*wanted, *more]))], files)


def _by_manifest(files: Files, project: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What pip installs: the requirements that are written down; then the tools of the tests and the project itself."""
    wanted = [*_requirement_files(files), *_requirements(files, project)]
    more = [*_wrapper(files), *_runner(files, wanted)]
    if _is_project(files, project):
        more.append(f"-e {shlex.quote('.' + _extras(project, files))}")
    return wanted, more


_IN_PLACE = re.compile(
    r"hatch\.build\.hooks|version[-_]file\b|\bwrite_to\b|\bext[-_]modules\b|\bcythonize\b|\bcffi_modules\b|\bmaturin\b"
    r"|scikit-build|scikit_build|\bmesonpy\b|setuptools[-_]rust|\bpybind11\b"
)
"""What says that installing the project writes files beside its sources: a version, or what was compiled."""


def _writes_in_place(files: Files) -> bool:
    """Whether each tree has to be installed by itself: such files belong to its own commit, and lie in no `.venv`."""
    return any(_IN_PLACE.search(files.text(name)) for name in ("pyproject.toml", "setup.cfg", "setup.py"))


def _step(what: str, commands: Sequence[str], files: Files) -> SetupStep:
    there = [p for p in sorted(files.paths) if p in _INPUTS or _is_requirements(p)]
    return SetupStep(
        how=f"Python: {what} into .venv ({', '.join(there[:3]) or 'no manifest'})",
        commands=tuple(commands),
        inputs=tuple(there),
        keeps=() if _writes_in_place(files) else (".venv",),
        tools=("python3",),
        env={"VIRTUAL_ENV": "{tree}/.venv"},
        path=(".venv/bin",),
        provides=("python", "python3", "pytest", "tox", "nox"),
        registry="PyPI",
    )


def _install(words: str) -> str:
    """One command for uv or pip; uv makes hard links to its own cache unless it is told to copy."""
    return (
        "if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then "
        f"uv venv --quiet --seed .venv && {_IGNORE} && uv pip install --quiet --link-mode copy --python .venv {words}; "
        f"else python3 -m venv .venv && {_IGNORE} && "
        f"{_PIP} {words}; fi"
    )


def _bare(files: Files) -> SetupStep | None:
    """A tree of test files and nothing else takes the machine's pytest, or gets one."""
    [tool] = _wrapper(files) or (["pytest"] if _uses_pytest(files) else [""])
    if not tool:
        return None
    step = _step(tool, [_install(tool)], files)
    return SetupStep(
        how=step.how, commands=step.commands, keeps=step.keeps, tools=step.tools, env=step.env, path=step.path,
        provides=step.provides, registry=step.registry,
        unless="python3 -m pytest --version" if tool == "pytest" else f"command -v {tool}",
    )  # fmt: skip


def _wrapper(files: Files) -> list[str]:
    """tox or nox, where they are the test command because nothing speaks of pytest."""
    if any("pytest" in text for text in files.texts.values()):
        return []
    found = find_wrapper(files)
    return [found.commands[0]] if found is not None and found.commands[0] in {"tox", "nox"} else []


def _runner(files: Files, wanted: Sequence[str] = ()) -> list[str]:
    """pytest and the plugins that its settings name, but for those that are wanted already."""
    names = {re.split(r"[^\w-]", word.strip("'\""), maxsplit=1)[0] for word in wanted}
    asked = ["pytest", *pytest_plugins(files)] if _uses_pytest(files) else []
    return [name for name in asked if name not in names]


def _uses_pytest(files: Files) -> bool:
    if any(p.rpartition("/")[2] in {"conftest.py", "pytest.ini", ".pytest.ini"} for p in files.paths):
        return True
    if any("pytest" in text for name, text in files.texts.items()):
        return True
    tests = [p for p in files.paths if re.search(r"(?:^|/)(?:test_\w*|\w*_tests?|tests)\.py$", p)]
    bodies = [files.text(p) for p in tests if p in files.texts]
    return bool(tests) and not (bodies and all("unittest" in b for b in bodies))


# -- lock files ------------------------------------------------------------------------------------


def _locked(files: Files, project: Mapping[str, Any]) -> SetupStep | None:
    if "uv.lock" in files.paths:
        groups = _group_names(project)
        asked = [w for e in _extra_names(project, files) for w in ("--extra", e)]
        asked += [w for g in groups for w in ("--group", g)]
        asked += ["--no-dev"] if groups and "dev" not in groups else []
        asked += ["--all-packages"] if table(project, "tool", "uv", "workspace") else []
        return _step("uv sync", [_uv_sync(shlex.join(asked), _runner(files))], files)
    if "poetry.lock" in files.paths:
        install = _by_tool("poetry", "", _poetry_install(project), files, project)
        return _step("poetry install", [install], files)
    if "pdm.lock" in files.paths:
        chosen = "--group :all" if _group_names(project) else "--dev"
        start = " && printf '%s/.venv/bin/python' \"$PWD\" > .pdm-python"
        sync = f"PDM_CHECK_UPDATE=0 $tool sync --quiet {chosen}"
        return _step("pdm sync", [_by_tool("pdm", start, sync, files, project)], files)
    return None


def _by_tool(name: str, start: str, sync: str, files: Files, project: Mapping[str, Any]) -> str:
    """The lock file by its own tool; where the tool fails, the manifest by pip, held to the versions of the lock file.

    The tool is the newest of its registry where the machine has none, and that may be broken.
    """
    held = f"python3 -c {shlex.quote(_PINS)} {name}.lock > .venv/locked.txt"
    wanted, more = _by_manifest(files, project)
    by_pip = f"{held} && {_PIP} -c .venv/locked.txt {' '.join([*wanted, *more])}"
    return f"{_tool(name)}{start} && {{ {sync} || {{ {by_pip}; }}; }}{_then_pip(_runner(files))}"


_PINS = r"""import re, sys
pins = {}
for name, version in re.findall(r'(?m)^name = "(.+)"\nversion = "(.+)"', open(sys.argv[1]).read()):
    pins.setdefault(name, set()).add(version)
print(*(f"{n}=={min(v)}" for n, v in pins.items() if len(v) == 1), sep="\n")"""
"""Prints what a lock file of Poetry or PDM pins, a line each; what it pins twice, by marker, is left free."""


def _then_pip(names: Sequence[str]) -> str:
    """Installs what is not there yet: a lock file need not hold what its authors' own tool brings."""
    return f" && {_PIP} {shlex.join(names)}" if names else ""


def _tool(name: str) -> str:
    """Makes the environment, and names as `$tool` the machine's tool, else one from the registry below `.venv`."""
    own = f".venv/tools/{name}"
    return (
        f"python3 -m venv .venv && {_IGNORE} && "
        f"if command -v {name} >/dev/null 2>&1 && {name} --version >/dev/null 2>&1; then tool={name}; else "
        f"python3 -m venv {own} && {own}/bin/python -m pip install --quiet --disable-pip-version-check {name} && "
        f"tool={own}/bin/{name}; fi"
    )


def _uv_sync(groups: str, runner: Sequence[str]) -> str:
    """What the lock file says, from where it says; the same versions from the machine's own index otherwise."""
    listed = ".venv/locked.txt"
    sync = f"sync --quiet --frozen {groups}".strip()
    export = f"export --quiet --frozen --no-hashes --no-emit-project --output-file {listed} {groups}".strip()
    install = f"{_PIP} -r {listed} -e ."
    added = f" && $tool pip install --quiet --python .venv {shlex.join(runner)}" if runner else ""
    return (
        f"{_tool('uv')} && export UV_PROJECT_ENVIRONMENT=.venv UV_LINK_MODE=copy && "
        f"{{ $tool {sync} || {{ $tool {export} && {install}; }}; }}{added}"
    )


def _poetry_install(project: Mapping[str, Any]) -> str:
    groups = [g for g in table(project, "tool", "poetry", "group") if g in (*TESTS, *DEVELOPMENT)]
    extras = table(project, "tool", "poetry", "extras") or table(project, "project", "optional-dependencies")
    asked = [f"--with {','.join(groups)}"] if groups else []
    asked += [f"-E {e}" for e in extras if e in TESTS]
    settings = "POETRY_VIRTUALENVS_IN_PROJECT=true POETRY_VIRTUALENVS_CREATE=true"
    return f"{settings} $tool install --no-interaction --quiet {' '.join(asked)}".strip()


# -- manifests -------------------------------------------------------------------------------------


def _is_project(files: Files, project: Mapping[str, Any]) -> bool:
    return "setup.py" in files.paths or bool({"project", "build-system"} & project.keys()) or (
        "poetry" in table(project, "tool")
    )  # fmt: skip


def _extras(project: Mapping[str, Any], files: Files) -> str:
    names = _extra_names(project, files)
    return f"[{','.join(names)}]" if names else ""


def _extra_names(project: Mapping[str, Any], files: Files) -> list[str]:
    """Extras for tests; those for development only where no extra and no group is named after tests."""
    extras = table(project, "project", "optional-dependencies") or _setup_cfg_extras(files.text("setup.cfg"))
    if not extras and "extras_require" in files.text("setup.py"):
        extras = dict.fromkeys(re.findall(r"['\"]([\w-]+)['\"]\s*:\s*\[", files.text("setup.py")))
    return _chosen(extras, others=table(project, "dependency-groups"))


def _group_names(project: Mapping[str, Any]) -> list[str]:
    return _chosen(
        table(project, "dependency-groups"), others=table(project, "project", "optional-dependencies")
    )


def _chosen(names: Iterable[str], *, others: Iterable[str]) -> list[str]:
    there = list(names)
    tests = [n for n in there if n in TESTS]
    if tests or any(n in TESTS for n in others):
        return tests
    return [n for n in there if n in DEVELOPMENT]


def _setup_cfg_extras(text: str) -> Mapping[str, Any]:
    parser, section = read_ini(text), "options.extras_require"
    return dict(parser.items(section)) if parser.has_section(section) else {}


def _requirements(files: Files, project: Mapping[str, Any]) -> list[str]:
    """Requirements that stand in dependency groups, else in a table of a tool, as words."""
    groups = table(project, "dependency-groups")
    found = [r for name in _group_names(project) for r in _group(groups, name, ())]
    if not found and not _extra_names(project, files) and not _test_files(files):
        found = [r for r in tool_requirements(files) if not r.startswith("-r ") or r[3:] in files.paths]
    return [r if r.startswith("-r ") else shlex.quote(r) for r in found]


def _group(groups: Mapping[str, Any], name: str, seen: tuple[str, ...]) -> list[str]:
    """A dependency group with those it includes. Source: PEP 735."""
    found = []
    for entry in groups.get(name, []) if name not in seen else []:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and isinstance(included := entry.get("include-group"), str):
            found += _group(groups, included, (*seen, name))
    return found


def _is_requirements(path: str) -> bool:
    return bool(re.fullmatch(r"(?:(?:tests?|requirements)/)?[\w-]*\w*\.(?:txt|in)", path)) and (
        "requirements" in path
    )


def _requirement_files(files: Files) -> list[str]:
    """`-r FILE` for the file of the program itself and for those of the tests."""
    own = ("requirements.txt", "requirements/base.txt", "requirements/requirements.txt")
    there = [p for p in own if p in files.paths]
    return [f"-r {shlex.quote(p)}" for p in dict.fromkeys([*there, *_test_files(files)])]


def _test_files(files: Files) -> list[str]:
    """The files of requirements that are named after tests, else those named after development."""
    there = sorted(p for p in files.paths if _is_requirements(p) and "doc" not in p)
    texts = [p for p in there if p.endswith(".txt")]
    there = texts + [p for p in there if p.endswith(".in") and f"{p[:-3]}.txt" not in texts]

    def named(words: Sequence[str]) -> list[str]:
        return [p for p in there if set(re.split(r"[\W_]+", p.rpartition(".")[0])) & set(words)]

    return named(TESTS) or named(DEVELOPMENT)
