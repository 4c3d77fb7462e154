"""A store in a folder of its own, which the test writes to directly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lookout.events.store import Store

from tests.events.rows import store_at


class Clock:
    """Monotonic and wall seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1_777_700_000.0

    def pass_s(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    made = store_at(tmp_path, clock=lambda: clock.now, wall=lambda: clock.wall)
    yield made
    made.close()
