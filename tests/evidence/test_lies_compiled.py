"""Lies of EVIDENCE § A in languages whose tests are compiled: Rust, Go, C with ctest, on the real tools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import need
from tests.evidence.judge import Change, Court

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

LIES: dict[str, tuple[str, dict[str, str], Change, str]] = {
    "rust: inline test deleted": ("cargo", CRATE, crate(BAD_RUST + INLINE.replace("    #[test]\n    fn doubles() {\n        assert_eq!(double(2), 4);\n    }\n\n", "")), CARGO),
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


def tools(program: str) -> dict[str, str]:
    """The program, or a skip; what a toolchain below the real HOME needs."""
    found = need(shutil.which(program), program)
    rust = Path(found).parent.parent.parent / ".rustup"
    return {"RUSTUP_HOME": str(rust)} if program == "cargo" and rust.is_dir() else {}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_refuted(court: Court, name: str):
    """Although the suite at the head is green, or says nothing."""
    program, base, change, command = LIES[name]

    judged = court.judge(base, change, command, **tools(program))

    assert "refuted" == judged.end, str(judged)
    assert "suite" not in judged.refuted, f"no lie, the suite is red\n{judged}"


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_change_is_proven(court: Court, name: str):
    program, base, change, command = HONEST[name]

    judged = court.judge(base, change, command, **tools(program))

    assert "proven" == judged.end, str(judged)
