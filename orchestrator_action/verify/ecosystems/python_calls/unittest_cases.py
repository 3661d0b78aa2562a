"""unittest's own runner: its tests are watched as pytest's are, from a `sitecustomize` that imports this module."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any
from unittest.case import TestCase

from . import REPORT, Calls

_RUNS = "_callTestMethod"
"""What calls a test method; every Python from 3.8 on has it."""


def watch_cases() -> None:
    """Each test method is watched while it runs, and written down when it came to its end."""
    plain = getattr(TestCase, _RUNS, None)
    if plain is None or not hasattr(os, "fork"):
        return
    calls = Calls(str(Path.cwd()), str(Path(__file__).parent.with_name(REPORT)))

    def watched(case: TestCase, method: Any) -> Any:
        calls.test_file = str(getattr(sys.modules.get(type(case).__module__), "__file__", ""))
        calls.test_id = case.id()
        sys.setprofile(calls)
        try:
            result = plain(case, method)
        finally:
            sys.setprofile(None)
        with contextlib.suppress(OSError):
            calls.write({"passed": case.id()})
        return result

    setattr(TestCase, _RUNS, watched)
