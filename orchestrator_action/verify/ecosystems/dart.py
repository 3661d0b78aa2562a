"""Dart and Flutter."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import (
    Detected,
    Ecosystem,
    Files,
    Runner,
    SetupStep,
    Source,
    is_simple,
)
from orchestrator_action.verify.ecosystems.lines import each


def _flutter(files: Files) -> bool:
    return bool(re.search(r"^\s+sdk:\s*flutter\b", files.text("pubspec.yaml"), re.MULTILINE))


def _detect(files: Files) -> Detected | None:
    tests = any(p.startswith("test/") and p.endswith("_test.dart") for p in files.paths)
    if "pubspec.yaml" not in files.paths or not tests:
        return None
    name = "flutter" if _flutter(files) else "dart"
    return Detected((f"{name} test",), f"{name.capitalize()}: pubspec.yaml")


def _setup(files: Files) -> SetupStep | None:
    if _detect(files) is None:
        return None
    tool = "flutter" if _flutter(files) else "dart"
    return SetupStep(how=f"Dart: {tool} pub get", commands=(f"{tool} pub get",), tools=(tool,))


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    fine = is_simple(command) and all(n.endswith(".dart") for n in names)
    return f"{command} {shlex.join(names)}" if fine else None


ECOSYSTEM = Ecosystem(
    name="Dart",
    manifests=("pubspec.yaml",),
    reads=("pubspec.yaml",),
    detect=_detect,
    setup=_setup,
    counts=(
        each(
            "dart test",
            r"(?:[\d:]+ )?\+(?P<passed>\d+)(?: ~(?P<skipped>\d+))?(?: -(?P<failed>\d+))?: "
            r"(?:All tests passed!|All tests skipped\.|Some tests failed\.|No tests ran\.)",
        ),
    ),
    runners=(
        Runner(name="dart test", command=r"^(?:dart|flutter)\s+test\b", only=_only, sources=("dart test",)),
    ),
    test_files=("*_test.dart",),
    source=Source(
        endings=("dart",),
        tests=r"^\s*test(?:Widgets)?\(\s*['\"]([^'\"]+)",
        skips=r"\bskip:\s*(?:true|['\"])|\bsolo:\s*true|@Skip\b",
        comments=r"//[^\n]*|/\*.*?\*/",
        runner_marks=r"FLUTTER_TEST\b",
    ),
    config_files=("**/dart_test.yaml",),
)
