"""The test command of a repository that names none, found from its files, and how it was found.

Looks at the base commit only, never at what an agent made of it. The first of these that is there wins:
a runner that wraps the others (tox, nox, just, make) comes after the language's own, because its output
says less about counts; a Makefile wins where no language's own runner is to be seen.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.test_changes import is_test_file

READ = (
    "pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "package.json", "Makefile",
    "makefile", "GNUmakefile", "justfile", "Justfile", ".justfile", "Cargo.toml", "Gemfile", "composer.json",
    "deno.json",
    "deno.jsonc", "Taskfile.yml", "Taskfile.yaml", "pubspec.yaml", "build.gradle", "build.gradle.kts", "CMakeLists.txt",
)  # fmt: skip
"""Files whose contents are looked at; all at the top of the tree."""

_PLACEHOLDER = "no test specified"


@dataclass(frozen=True, slots=True)
class Detected:
    """Test commands, and how they were found; `how` says why there are none otherwise."""

    commands: tuple[str, ...]
    how: str


def detect_at(git: Git, commit: str) -> Detected:
    """The test command of a repository as it is at `commit`."""
    paths = git.paths(commit)
    wanted = [p for p in paths if p in READ]
    texts = {p: (b or b"").decode("utf-8", "replace") for p, b in git.files(commit, wanted).items()}
    if not texts.keys() & {"pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg"}:
        tests = [p for p in paths if p.endswith(".py") and is_test_file(p)][:50]
        texts |= {p: (b or b"").decode("utf-8", "replace") for p, b in git.files(commit, tests).items()}
    return detect(paths, texts)


def detect(paths: Sequence[str], texts: Mapping[str, str]) -> Detected:
    """The test command of a tree with these paths; `texts` has the contents of the files of `READ`
    that are there, and of some Python test files."""
    there = frozenset(paths)
    for finder in _FINDERS:
        if (found := finder(there, texts)) is not None:
            return found
    return Detected((), "no test command was found: set `test` in .github/orchestrator.yml")


Finder = Callable[[frozenset[str], Mapping[str, str]], Detected | None]


def _toml(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _section(text: str, name: str) -> bool:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return f"[{name}]" in text
    return parser.has_section(name)


def _top(paths: frozenset[str], *names: str) -> str:
    return next((n for n in names if n in paths), "")


def _python(paths: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    run = (
        "uv run pytest -q" if "uv.lock" in paths else "poetry run pytest -q" if "poetry.lock" in paths else ""
    )
    run = run or ("pdm run pytest -q" if "pdm.lock" in paths else "python3 -m pytest -q")
    for name in ("pytest.ini", ".pytest.ini"):
        if name in paths:
            return Detected((run,), f"pytest: {name}")
    tool = _toml(texts.get("pyproject.toml", "")).get("tool")
    if isinstance(tool, dict) and "pytest" in tool:
        return Detected((run,), "pytest: [tool.pytest] in pyproject.toml")
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        if name in paths and _section(texts.get(name, ""), section):
            return Detected((run,), f"pytest: [{section}] in {name}")
    tests = sorted(p for p in paths if p.endswith(".py") and is_test_file(p))
    if not tests:
        return None
    if (wrapped := _tox(paths, texts) or _nox(paths, texts)) is not None:
        return wrapped
    if any(p.rpartition("/")[2] == "conftest.py" for p in paths) or "pytest" in _dependencies(texts):
        return Detected((run,), f"pytest: {tests[0]}")
    if "manage.py" in paths:
        return Detected(("python3 manage.py test",), "Django: manage.py")
    bodies = [texts[p] for p in tests if p in texts]
    if bodies and all("unittest" in b and "import pytest" not in b for b in bodies):
        return Detected(_unittest(tests, paths), f"unittest: {tests[0]}")
    return Detected((run,), f"pytest: {tests[0]}")


def _unittest(tests: Sequence[str], paths: frozenset[str]) -> tuple[str, ...]:
    """unittest's discovery walks packages only, and a start folder that is none has no top level."""
    odd = "" if all(t.rpartition("/")[2].startswith("test") for t in tests) else " -p '*test*.py'"
    folders = sorted({t.rpartition("/")[0] for t in tests})
    first = folders[0].split("/")[0]
    whole = all(f == first or (f.startswith(f"{first}/") and _is_package(f, paths)) for f in folders)
    starts = [first] if whole else folders
    if not all(re.fullmatch(r"[\w./-]*", s) for s in starts):
        starts = [""]

    def command(start: str) -> str:
        where = f" -s {start}" if start else ""
        top = " -t ." if start and _is_package(start, paths) else ""
        return f"python3 -m unittest discover{where}{top}{odd}"

    return tuple(command(start) for start in starts)


def _is_package(folder: str, paths: frozenset[str]) -> bool:
    """Whether the folder and those above it are packages."""
    parts = folder.split("/")
    return all("/".join([*parts[: n + 1], "__init__.py"]) in paths for n in range(len(parts)))


def _dependencies(texts: Mapping[str, str]) -> str:
    return texts.get("pyproject.toml", "") + texts.get("setup.cfg", "") + texts.get("tox.ini", "")


def _tox(paths: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    if "tox.toml" in paths or ("tox.ini" in paths and _section(texts.get("tox.ini", ""), "tox")):
        return Detected(("tox",), f"tox: {_top(paths, 'tox.toml', 'tox.ini')}")
    tool = _toml(texts.get("pyproject.toml", "")).get("tool")
    return (
        Detected(("tox",), "tox: [tool.tox] in pyproject.toml")
        if isinstance(tool, dict) and "tox" in tool
        else None
    )


def _nox(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    return Detected(("nox",), "nox: noxfile.py") if "noxfile.py" in paths else None


def _node(paths: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    if "package.json" not in paths:
        return None
    try:
        package = json.loads(texts.get("package.json", ""))
        script = package.get("scripts", {}).get("test", "")
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(script, str) or not script.strip() or _PLACEHOLDER in script:
        return None
    manager = str(package.get("packageManager", "")).partition("@")[0]
    if manager not in {"npm", "pnpm", "yarn", "bun"}:
        locks = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun", "bun.lock": "bun"}
        manager = next((m for lock, m in locks.items() if lock in paths), "npm")
    command = "bun run test" if manager == "bun" else f"{manager} test"
    return Detected((command,), "package.json: scripts.test")


def _deno(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    name = _top(paths, "deno.json", "deno.jsonc")
    return Detected(("deno test",), f"Deno: {name}") if name else None


def _cargo(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    if "Cargo.toml" not in paths:
        return None
    nextest = ".config/nextest.toml" in paths
    command = "cargo nextest run --workspace" if nextest else "cargo test --workspace"
    return Detected((command,), "Rust: .config/nextest.toml" if nextest else "Rust: Cargo.toml")


def _go(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    name = _top(paths, "go.work", "go.mod")
    return Detected(("go test -v ./...",), f"Go: {name}") if name else None


def _gradle(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    name = _top(paths, "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
    if not name:
        return None
    return Detected(("./gradlew test" if "gradlew" in paths else "gradle test",), f"Gradle: {name}")


def _maven(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    if "pom.xml" not in paths:
        return None
    return Detected(("./mvnw -B test" if "mvnw" in paths else "mvn -B test",), "Maven: pom.xml")


def _mix(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    return Detected(("mix test",), "Elixir: mix.exs") if "mix.exs" in paths else None


def _ruby(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    if ".rspec" in paths or any(p.startswith("spec/") and p.endswith("_spec.rb") for p in paths):
        return Detected(("bundle exec rspec" if "Gemfile" in paths else "rspec",), "RSpec: spec/")
    if any(p.startswith("test/") and p.endswith("_test.rb") for p in paths):
        if "bin/rails" in paths:
            return Detected(("bin/rails test",), "Rails: bin/rails")
        if "Rakefile" in paths:
            return Detected(
                ("bundle exec rake test" if "Gemfile" in paths else "rake test",), "minitest: Rakefile"
            )
    return None


def _php(paths: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    name = _top(paths, "phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml")
    if name:
        return Detected(("vendor/bin/phpunit",), f"PHPUnit: {name}")
    try:
        scripts = json.loads(texts.get("composer.json", "{}")).get("scripts", {})
    except (ValueError, AttributeError, RecursionError):
        return None
    found = isinstance(scripts, dict) and "test" in scripts
    return Detected(("composer test",), "composer.json: scripts.test") if found else None


def _dotnet(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    name = next((p for p in sorted(paths) if "/" not in p and p.endswith((".sln", ".slnx"))), "")
    name = name or next((p for p in sorted(paths) if p.endswith((".csproj", ".fsproj"))), "")
    return Detected(("dotnet test",), f".NET: {name}") if name else None


def _swift(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    return Detected(("swift test",), "Swift: Package.swift") if "Package.swift" in paths else None


def _dart(paths: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    tests = any(p.startswith("test/") and p.endswith("_test.dart") for p in paths)
    if "pubspec.yaml" not in paths or not tests:
        return None
    flutter = re.search(r"^\s+sdk:\s*flutter\b", texts.get("pubspec.yaml", ""), re.MULTILINE)
    name = "flutter" if flutter else "dart"
    return Detected((f"{name} test",), f"{name.capitalize()}: pubspec.yaml")


def _make(paths: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    name = _top(paths, "GNUmakefile", "makefile", "Makefile")
    for target in ("test", "check", "tests"):
        rule = rf"^(?:[\w./-]+[ \t]+)*{target}(?:[ \t]+[\w./-]+)*[ \t]*::?(?!=)"
        if name and re.search(rule, texts.get(name, ""), re.MULTILINE):
            return Detected((f"make {target}",), f"{name}: target {target}")
    return None


def _just(paths: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    name = _top(paths, "justfile", "Justfile", ".justfile")
    if name and re.search(r"^@?test\b[^:=\n]*:(?!=)", texts.get(name, ""), re.MULTILINE):
        return Detected(("just test",), f"{name}: recipe test")
    return None


def _task(paths: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    name = _top(paths, "Taskfile.yml", "Taskfile.yaml")
    found = name and re.search(
        r"^[ \t]+['\"]?test['\"]?:|^tasks:\s*\{\s*test:", texts.get(name, ""), re.MULTILINE
    )
    return Detected(("task test",), f"{name}: task test") if found else None


def _script(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    """A script to rule them all. Source: github.com/github/scripts-to-rule-them-all."""
    name = _top(
        paths, "script/test", "scripts/test", "bin/test", "scripts/test.sh", "test.sh", "run_tests.sh"
    )
    return Detected((f"./{name}",), f"script: {name}") if name else None


def _bats(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    folders = sorted({p.rpartition("/")[0] or "." for p in paths if p.endswith(".bats")})
    if not folders or not re.fullmatch(r"[\w./-]+", folders[0]):
        return None
    return Detected((f"bats --recursive {folders[0]}",), f"bats: {folders[0]}")


def _perl(paths: frozenset[str], _: Mapping[str, str]) -> Detected | None:
    tests = any(p.startswith("t/") and p.endswith(".t") for p in paths)
    return Detected(("prove -lr t",), "Perl: t/") if tests else None


def _cmake(_: frozenset[str], texts: Mapping[str, str]) -> Detected | None:
    if "enable_testing" not in texts.get("CMakeLists.txt", "") and "CTest" not in texts.get(
        "CMakeLists.txt", ""
    ):
        return None
    command = "cmake -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure"
    return Detected((command,), "CMake: CMakeLists.txt enables testing")


_FINDERS: tuple[Finder, ...] = (
    _python, _node, _cargo, _go, _gradle, _maven, _mix, _ruby, _php, _dotnet, _swift, _deno, _dart,
    _tox, _nox, _just, _make, _task, _cmake, _bats, _perl, _script,
)  # fmt: skip
