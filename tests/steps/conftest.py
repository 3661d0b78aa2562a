from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.repos import Repo
from tests.kit.steps import Split
from tests.kit.whole import GOOD, LIBRARY, house


@pytest.fixture
def split(make: Callable[..., Repo], tmp_path: Path) -> Split:
    """A small library with tests, its bare remote, a local forge, and a clone for each step."""
    return Split(house(tmp_path, make(LIBRARY)))


@pytest.fixture
def planned(split: Split) -> Split:
    """The same with one issue, and a plan for it."""
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    return split
