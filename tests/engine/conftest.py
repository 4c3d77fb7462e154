"""A place to run engines in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import write_model
from tests.support.engines import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    write_model(tmp_path)
    made = Bench(tmp_path)
    yield made
    for engine in made.engines:
        engine.stop()
