"""What the tests of evidence share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evidence.judge import Court
from tests.kit.repos import Repo


@pytest.fixture
def court(make: Callable[..., Repo], tmp_path: Path) -> Court:
    """Where a change is judged against its base."""
    return Court(make, tmp_path)
