from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.kit.repos import Repo
from tests.kit.whole import LIBRARY, House, house


@pytest.fixture
def home(make: Callable[..., Repo], tmp_path: Path) -> House:
    """A small library with tests, a bare remote and an empty local forge."""
    return house(tmp_path, make(LIBRARY))


@pytest.fixture
def home_of(make: Callable[..., Repo], tmp_path: Path) -> Callable[[Mapping[str, str]], House]:
    """A house around files of the test's choice."""
    return lambda files: house(tmp_path, make(files))
