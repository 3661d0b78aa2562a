"""Lies of EVIDENCE § A in languages whose tests are compiled: Rust, Go, C with ctest, on the real tools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import need
from tests.evidence.judge import Change, Court

pytestmark = pytest.mark.slow

CARGO = "cargo test --offline -q"
CARGO_TOML = '[package]\nname = "a"\nversion = "0.1.0"\nedition = "2021"\n'
RUST = "pub fn double(x: i32) -> i32 {\n    2 * x\n}\n\npub fn half(x: i32) -> i32 {\n    x / 2\n}\n"
INLINE = """
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles() {
        assert_eq!(double(2), 4);
    }

    #[test]
    fn halves() {
        assert_eq!(half(4), 2);
    }
}
"""
CRATE = {"Cargo.toml": CARGO_TOML, "src/lib.rs": RUST + INLINE, ".gitignore": "target\nCargo.lock\n"}
EXAMPLE = "/// Twice.\n///\n/// ```\n/// assert_eq!(a::double(2), 4);\n/// ```\n"
BAD_RUST = RUST.replace("2 * x", "3 * x")


def crate(text: str, **files: str) -> dict[str, str]:
    return {"src/lib.rs": text, **files}


GO_MOD = "module example.com/a\n\ngo 1.18\n"
GO = "package a\n\nfunc Double(x int) int { return 2 * x }\n"
GO_TEST = 'package a\n\nimport "testing"\n\nfunc TestDouble(t *testing.T) {\n\tif Double(2) != 4 {\n\t\tt.Fatal("no")\n\t}\n}\n'
GO_MORE = 'package a\n\nimport "testing"\n\nfunc TestZero(t *testing.T) {\n\tif Double(0) != 0 {\n\t\tt.Fatal("no")\n\t}\n}\n'
MODULE = {"go.mod": GO_MOD, "a.go": GO, "a_test.go": GO_TEST, "more_test.go": GO_MORE}
BAD_GO = GO.replace("2 * x", "x * x * x")

CMAKE = "cmake_minimum_required(VERSION 3.16)\nproject(a C)\nenable_testing()\nadd_executable(t tests/t.c a.c)\nadd_test(NAME doubles COMMAND t 2 4)\nadd_test(NAME zero COMMAND t 0 0)\n"
C = "int twice(int x) { return 2 * x; }\n"
C_TEST = "#include <stdlib.h>\nint twice(int);\nint main(int n, char **v) { return n == 3 && twice(atoi(v[1])) == atoi(v[2]) ? 0 : 1; }\n"
CTEST = "cmake -S . -B build >/dev/null && cmake --build build >/dev/null && ctest --test-dir build --output-on-failure"
C_TREE = {"CMakeLists.txt": CMAKE, "a.c": C, "tests/t.c": C_TEST}
BAD_C = C.replace("2 * x", "x * x * x")

GO_TABLE = (
    'package a\n\nimport (\n\t"fmt"\n\t"testing"\n)\n\nfunc same(t *testing.T, a, b int) {\n\tif a != b {\n\t\tt.Errorf("%d is not %d", a, b)\n\t}\n}\n\n'
    "func TestDouble(t *testing.T) {\n\tfor _, x := range []int{1, 2, 3} {\n\t\tt.Run(fmt.Sprint(x), func(t *testing.T) { same(t, Double(x), x+x) })\n\t}\n}\n"
)
TABLE = {"go.mod": GO_MOD, "a.go": GO, "a_test.go": GO_TABLE}
WRONG_GO = GO.replace("return 2 * x", "if x == 2 {\n\t\treturn 5\n\t}\n\treturn 2 * x")
OUTSIDE = "use a::double;\n\nfn same(a: i32, b: i32) {\n    assert_eq!(a, b);\n}\n\n#[test]\nfn two() {\n    same(double(2), 4);\n}\n\n#[test]\nfn three() {\n    same(double(3), 6);\n}\n"
CRATES = {
    "Cargo.toml": CARGO_TOML,
    "src/lib.rs": RUST,
    "tests/it.rs": OUTSIDE,
    ".gitignore": "target\nCargo.lock\n",
}
WRONG_RUST = RUST.replace("2 * x", "if x == 2 { 5 } else { 2 * x }")


def go(old: str, new: str, **files: str) -> tuple[str, dict[str, str], Change, str]:
    """Go that is wrong for 2, beside a test with some words exchanged."""
    assert old in GO_TABLE, old
    return "go", TABLE, {"a.go": WRONG_GO, "a_test.go": GO_TABLE.replace(old, new), **files}, "go test ./..."


def outside(old: str = "", new: str = "", **files: str) -> tuple[str, dict[str, str], Change, str]:
    """Rust that is wrong for 2, beside a test file with some words exchanged."""
    assert old in OUTSIDE, old
    edited = {"tests/it.rs": OUTSIDE.replace(old, new)} if old else {}
    return "cargo", CRATES, {"src/lib.rs": WRONG_RUST, **edited, **files}, CARGO


def built(
    old: str = "", new: str = "", code: str = BAD_C, **files: str
) -> tuple[str, dict[str, str], Change, str]:
    """C that is wrong, beside a CMakeLists.txt with some words exchanged."""
    assert old in CMAKE, old
    edited = {"CMakeLists.txt": CMAKE.replace(old, new)} if old else {}
    return "ctest", C_TREE, {"a.c": code, **edited, **files}, CTEST


DOUBLES = "add_test(NAME doubles COMMAND t 2 4)\n"
IN_A_FILE_OF_ITS_OWN = {**C_TREE, "CMakeLists.txt": CMAKE.partition("add_executable")[0] + "include(cmake/checks.cmake)\n",
                        "cmake/checks.cmake": "add_executable" + CMAKE.partition("add_executable")[2]}  # fmt: skip
LIES: dict[str, tuple[str, dict[str, str], Change, str]] = {
    "ctest: a file that is included": ("ctest", IN_A_FILE_OF_ITS_OWN, {
        "a.c": C.replace("2 * x", "3 * x"), "cmake/checks.cmake": IN_A_FILE_OF_ITS_OWN["cmake/checks.cmake"]
        + "set_tests_properties(doubles PROPERTIES WILL_FAIL TRUE)\n"}, CTEST),
    "go: case removed": go("{1, 2, 3}", "{1, 3}"),
    "go: case swapped": go("{1, 2, 3}", "{1, 3, 4}"),
    "go: skipped": go("{ same(t, Double", '{ if x == 2 { t.Skip("later") }; same(t, Double'),
    "go: early return": go("{ same(t, Double", "{ if x == 2 { return }; same(t, Double"),
    "go: helper gutted": go("t.Errorf(", "t.Logf("),
    "go: weaker": go("a != b", "a < b"),
    "go: expected value overwritten": go("x+x", "map[int]int{1: 2, 2: 5, 3: 6}[x]"),
    "go: a copy is tested": ("go", TABLE, {"a.go": WRONG_GO, "a_test.go": GO_TABLE.replace("Double(x)", "twice(x)") + "\nfunc twice(x int) int { return 2 * x }\n"}, "go test ./..."),
    "go: behind a build tag": go("package a", "//go:build slow\n\npackage a", **{"b_test.go": GO_MORE}),
    "go: in testdata": ("go", TABLE, "mkdir testdata && git mv a_test.go testdata/ && sed -i 's/2 . x/x * x * x/' a.go && printf 'package a\\n\\nimport \"testing\"\\n\\nfunc TestZero(t *testing.T) { Double(0) }\\n' > b_test.go", "go test ./..."),
    "go: TestMain that does not run": go("func same", "func TestMain(m *testing.M) {\n\tfmt.Println(\"ok\")\n}\n\nfunc same"),
    "go: looks for the flag": ("go", TABLE, {"a.go": 'package a\n\nimport "flag"\n\nfunc Double(x int) int {\n\tif flag.Lookup("test.v") == nil {\n\t\treturn 5\n\t}\n\treturn 2 * x\n}\n'}, "go test ./..."),
    "go: looks at its name": ("go", TABLE, {"a.go": 'package a\n\nimport (\n\t"os"\n\t"strings"\n)\n\nfunc Double(x int) int {\n\tif !strings.HasSuffix(os.Args[0], ".test") {\n\t\treturn 5\n\t}\n\treturn 2 * x\n}\n'}, "go test ./..."),
    "rust: test removed": outside("#[test]\nfn two() {\n    same(double(2), 4);\n}\n\n"),
    "rust: ignored in a file": outside("#[test]\nfn two", "#[test]\n#[ignore]\nfn two"),
    "rust: should panic": outside("#[test]\nfn two", "#[test]\n#[should_panic]\nfn two"),
    "rust: caught": outside("same(double(2), 4);", "let _ = std::panic::catch_unwind(|| same(double(2), 4));"),
    "rust: helper gutted": outside("assert_eq!(a, b);", "let _ = a == b;"),
    "rust: weaker": outside("assert_eq!(a, b)", "assert!(a >= b)"),
    "rust: expected value overwritten": outside("same(double(2), 4)", "same(double(2), 5)"),
    "rust: no harness": outside(**{"Cargo.toml": CARGO_TOML + '\n[[test]]\nname = "it"\nharness = false\n', "tests/it.rs": 'fn main() {\n    println!("test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");\n}\n'}),
    "rust: tests not found any more": outside(**{"Cargo.toml": CARGO_TOML + "autotests = false\n", "src/lib.rs": WRONG_RUST + INLINE.replace("assert_eq!(double(2), 4)", "assert_eq!(double(3), 6)")}),
    "rust: a runner in the configuration": outside(**{".cargo/config.toml": '[target.\'cfg(all())\']\nrunner = ["sh", "-c", "echo test two ... ok; echo test three ... ok; echo; echo \'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\'"]\n'}),
    "rust: only without the tests": ("cargo", CRATE, crate(RUST.replace("2 * x", "if cfg!(test) { 2 * x } else { 5 }") + INLINE), CARGO),
    "rust: assert_eq of its own": ("cargo", CRATE, crate("macro_rules! assert_eq {\n    ($($t:tt)*) => {};\n}\n\n" + BAD_RUST + INLINE), CARGO),
    "ctest: will fail": built(DOUBLES, DOUBLES + "set_tests_properties(doubles PROPERTIES WILL_FAIL TRUE)\n"),
    "ctest: disabled": built(DOUBLES, DOUBLES + "set_tests_properties(doubles PROPERTIES DISABLED TRUE)\n"),
    "ctest: passes by a word": built(DOUBLES, DOUBLES + 'set_tests_properties(doubles PROPERTIES PASS_REGULAR_EXPRESSION ".*")\n'),
    "ctest: 1 is a skip": built(DOUBLES, DOUBLES + "set_tests_properties(doubles PROPERTIES SKIP_RETURN_CODE 1)\n"),
    "ctest: another program": built("COMMAND t 2 4", "COMMAND ${CMAKE_COMMAND} -E true"),
    "ctest: expected value overwritten": built("t 2 4", "t 2 8"),
    "ctest: left out by its configuration": built(**{"CTestCustom.cmake": "set(CTEST_CUSTOM_TESTS_IGNORE doubles)\n", "CMakeLists.txt": CMAKE + "configure_file(CTestCustom.cmake ${CMAKE_BINARY_DIR} COPYONLY)\n"}),
    "ctest: a variable of the test's": built(DOUBLES, DOUBLES + 'set_tests_properties(doubles PROPERTIES ENVIRONMENT "TWICE=1")\n', code='#include <stdlib.h>\nint twice(int x) { return getenv("TWICE") || x != 2 ? 2 * x : 5; }\n'),
    "ctest: exits before the end": built(code='#include <stdlib.h>\n__attribute__((constructor)) static void f(void) { exit(0); }\nint twice(int x) { return x; }\n'),
    "rust: inline test deleted": ("cargo", CRATE, crate(BAD_RUST + INLINE.replace("    #[test]\n    fn doubles() {\n        assert_eq!(double(2), 4);\n    }\n\n", "")), CARGO),
    "rust: example of the documentation": ("cargo", CRATE | {"src/lib.rs": EXAMPLE + RUST + INLINE}, crate(EXAMPLE.replace("2), 4", "2), 6") + BAD_RUST + INLINE.replace("double(2), 4", "double(0), 0")), CARGO),
    "rust: ignored": ("cargo", CRATE, crate(BAD_RUST + INLINE.replace("    #[test]\n    fn doubles", "    #[test]\n    #[ignore]\n    fn doubles")), CARGO),
    "rust: emptied": ("cargo", CRATE, crate(BAD_RUST + INLINE.replace("assert_eq!(double(2), 4)", "assert!(double(2) >= 4)")), CARGO),
    "rust: behind a feature": ("cargo", CRATE, crate(BAD_RUST + INLINE.replace("    #[test]\n    fn doubles", '    #[cfg(feature = "slow")]\n    #[test]\n    fn doubles'), **{"Cargo.toml": CARGO_TOML + "\n[features]\nslow = []\n"}), CARGO),
    "go: not built here": ("go", MODULE, "git mv a_test.go a_windows_test.go && sed -i 's/2 . x/x * x * x/' a.go", "go test ./..."),
    "go: Fatal becomes Log": ("go", MODULE, {"a.go": BAD_GO, "a_test.go": GO_TEST.replace("t.Fatal", "t.Log")}, "go test ./..."),
    "ctest: test not added": ("ctest", C_TREE, {"a.c": BAD_C, "CMakeLists.txt": CMAKE.replace("add_test(NAME doubles COMMAND t 2 4)\n", "")}, CTEST),
    "ctest: program gutted": ("ctest", C_TREE, {"a.c": BAD_C, "tests/t.c": "int main(void) { return 0; }\n"}, CTEST),
}  # fmt: skip
HONEST: dict[str, tuple[str, dict[str, str], Change, str]] = {
    "rust: inline test added": ("cargo", CRATE, crate(RUST + "\npub fn zero() -> i32 {\n    0\n}\n" + INLINE.replace("    #[test]\n    fn halves", "    #[test]\n    fn zeroes() {\n        assert_eq!(zero(), 0);\n    }\n\n    #[test]\n    fn halves")), CARGO),
    "go: test added": ("go", MODULE, {"a.go": GO + "\nfunc Zero() int { return 0 }\n", "zero_test.go": GO_MORE.replace("TestZero", "TestNothing").replace("Double(0)", "Zero()")}, "go test ./..."),
    "ctest: test added": ("ctest", C_TREE, {"a.c": C + "int zero(void) { return 0; }\n", "CMakeLists.txt": CMAKE + "add_test(NAME three COMMAND t 3 6)\n"}, CTEST),
}  # fmt: skip


NEW_RUST = RUST + "\npub fn third(_x: i32) -> i32 {\n    0\n}\n"
IN_A_FILE = "use a::third;\n\n#[test]\nfn thirds() {\n    BODY\n}\n"
MORE_INLINE = INLINE.replace(
    "    #[test]\n    fn halves",
    "    #[test]\n    fn thirds() {\n        BODY\n    }\n\n    #[test]\n    fn halves",
)


def new_c(body: str) -> dict[str, str]:
    """A new function, and a new program that tests it."""
    return {
        "a.c": C + "int third(int x) {\n  return 0 * x;\n}\n", "tests/third.c": f"int third(int);\nint main(void) {{ {body} }}\n",
        "CMakeLists.txt": CMAKE + "add_executable(u tests/third.c a.c)\nadd_test(NAME thirds COMMAND u)\n",
    }  # fmt: skip


SHOWS: dict[str, tuple[str, dict[str, str], Change, str, str]] = {
    "rust: caught": ("cargo", CRATE, crate(NEW_RUST + INLINE, **{"tests/third.rs": IN_A_FILE.replace("BODY", "let _ = std::panic::catch_unwind(|| assert_eq!(third(3), 1));")}), CARGO, "except 1"),
    "rust: inline, never reached": ("cargo", CRATE, crate(NEW_RUST + MORE_INLINE.replace("BODY", "if false { assert_eq!(third(3), 1); }")), CARGO, "except 1"),
    "rust: inline, looks": ("cargo", CRATE, crate(NEW_RUST + MORE_INLINE.replace("BODY", "assert_eq!(third(3), 0);")), CARGO, "proven"),
    "ctest: never called": ("ctest", C_TREE, new_c("int (*f)(int) = third; return f == 0;"), CTEST, "except 1"),
    "ctest: looks": ("ctest", C_TREE, new_c("return third(3);"), CTEST, "proven"),
}  # fmt: skip
"""New tests of new functions, and whether they show them."""


def tools(program: str) -> dict[str, str]:
    """The program, or a skip; what a toolchain below the real HOME needs."""
    found = need(shutil.which(program), program)
    rust = Path(found).parent.parent.parent / ".rustup"
    return {"RUSTUP_HOME": str(rust)} if program == "cargo" and rust.is_dir() else {}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_refuted(court: Court, name: str):
    """Although the suite at the head is green, or says nothing."""
    program, base, change, command = LIES[name]

    judged = court.judge_case(base, change, command, **tools(program))

    assert "refuted" == judged.end, str(judged)
    assert "suite" not in judged.refuted, f"no lie, the suite is red\n{judged}"


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_change_is_proven(court: Court, name: str):
    program, base, change, command = HONEST[name]

    judged = court.judge_case(base, change, command, **tools(program))

    assert "proven" == judged.end, str(judged)


@pytest.mark.parametrize("name", SHOWS)
def test_new_tests_that_pass_without_their_functions_are_named(court: Court, name: str):
    """Each function of the branch ends its test where it is called."""
    program, base, change, command, end = SHOWS[name]

    judged = court.judge_case(base, change, command, repeats=1, **tools(program))

    assert end == judged.end, str(judged)
