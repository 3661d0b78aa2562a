"""A name that leads to other code than before, while the old is still there, is a place for a person; others are none."""

from __future__ import annotations

import json

import pytest

from orchestrator_action.verify.leads import BUILT, HIDES, OTHER, PATCHED, leads_elsewhere

THERE = frozenset(
    {
        "src/app.js",
        "src/compat.js",
        "src/app.mjs",
        "a/go.mod",
        "c/go.mod",
        "core/Cargo.toml",
        "new/Cargo.toml",
        "a.c",
        "lib/sort.py",
        "lib/sort/__init__.py",
        "lib/twice.ts",
    }
)


def package(**keys: object) -> str:
    return json.dumps({"name": "a", **keys}, indent=2)


CMAKE = "add_library(a a.c)\nadd_executable(t tests/t.c a.c)\nadd_test(NAME twice COMMAND t 2 4)\n"
BASE_NODE = {"imports": {"#app": "./src/app.js"}}
ELSEWHERE: dict[str, tuple[str, str, str, str]] = {
    "imports": ("package.json", package(**BASE_NODE), package(imports={"#app": "./src/compat.js"}), OTHER),
    "imports by a condition": (
        "package.json", package(**BASE_NODE), package(imports={"#app": {"node": "./src/compat.js", "default": "./src/app.js"}}), OTHER),
    "exports by a condition": (
        "package.json", package(exports={".": "./src/app.js"}), package(exports={".": {"test": "./src/compat.js", "default": "./src/app.js"}}), OTHER),
    "main": ("package.json", package(main="src/app.js"), package(main="src/compat.js"), OTHER),
    "paths": (
        "tsconfig.json", '{"compilerOptions": {"paths": {"@app": ["src/app.js"]}}}', '{"compilerOptions": {"paths": {"@app": ["src/compat.js"]}}}', OTHER),
    "a module": ("go.mod", "module b\n\nreplace x.org/a => ./a\n", "module b\n\nreplace x.org/a => ./c\n", OTHER),
    "a crate": ("Cargo.toml", '[dependencies]\ncore = { path = "core" }\n', '[dependencies]\ncore = { path = "new" }\n', OTHER),
    "a definition for a test": ("CMakeLists.txt", CMAKE, CMAKE + "target_compile_definitions(t PRIVATE STRICT)\n", BUILT),
    "another source for a test": ("CMakeLists.txt", CMAKE, CMAKE.replace("t.c a.c", "t.c b.c"), BUILT),
    "a patch": ("patches/chai+5.0.0.patch", "", "+ x\n", PATCHED),
    "a package before a module": ("lib/sort/__init__.py", "", "def sort(): ...\n", HIDES),
    "JavaScript before TypeScript": ("lib/twice.js", "", "export const twice = 4\n", HIDES),
    "a hook of a package manager": (".pnpmfile.cjs", "", "module.exports = {}\n", PATCHED),
}  # fmt: skip
HONEST: dict[str, tuple[str, str, str]] = {
    "a map of exports is added": ("package.json", package(main="src/app.js"), package(main="src/app.js", exports={".": "./src/app.js"})),
    "a second format": (
        "package.json", package(exports={".": "./src/app.js"}), package(exports={".": {"import": "./src/app.mjs", "require": "./src/app.js"}})),
    "a file that was renamed": ("package.json", package(main="src/old.js"), package(main="src/app.js")),
    "an alias more": ("tsconfig.json", '{"compilerOptions": {"paths": {"@a": ["src/app.js"]}}}', '{"compilerOptions": {"paths": {"@a": ["src/app.js"], "@b": ["src/compat.js"]}}}'),
    "a package": ("lib/other/__init__.py", "", "x = 1\n"),
    "a package that was there": ("lib/sort/__init__.py", "x = 1\n", "x = 2\n"),
    "types beside JavaScript": ("src/app.d.ts", "", "export const app: number\n"),
    "a config beside TypeScript": ("eslint.config.js", "", "export default []\n"),
    "a dependency": ("package.json", package(), package(dependencies={"left-pad": "^1.0.0"})),
    "a crate of the workspace more": ("Cargo.toml", "[dependencies]\n", '[dependencies]\nnew = { path = "new" }\n'),
    "a library's own definition": ("CMakeLists.txt", CMAKE, CMAKE + "target_compile_definitions(a PRIVATE FAST)\n"),
    "another test": ("CMakeLists.txt", CMAKE, CMAKE + "add_executable(u tests/u.c a.c)\nadd_test(NAME u COMMAND u)\n"),
    "a source more for a test": ("CMakeLists.txt", CMAKE, CMAKE.replace("t.c a.c", "t.c a.c b.c")),
    "a manifest that cannot be read": ("package.json", package(), "{"),
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_that_leads_elsewhere_is_found(name: str):
    path, before, after, what = ELSEWHERE[name]

    assert [what] == [found for _, found in leads_elsewhere(path, before, after, THERE)]


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_manifest_is_none(name: str):
    assert [] == list(leads_elsewhere(*HONEST[name], THERE))


def test_the_line_is_that_of_the_new_target():
    """As the head has it."""
    _, before, after, _ = ELSEWHERE["main"]

    [(line, _)] = leads_elsewhere("package.json", before, after, THERE)

    assert "compat" in after.splitlines()[line - 1]
