"""A look at a disk is waited for this long and no longer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from lookout.errors import DiskSlow
from lookout.storage import with_timeout


def test_what_a_request_finds_or_raises_reaches_its_caller(tmp_path: Path) -> None:
    assert with_timeout(tmp_path, tmp_path.is_dir) is True
    with pytest.raises(FileNotFoundError):
        with_timeout(tmp_path, (tmp_path / "none").stat)

    def late() -> None:
        raise TimeoutError("the look's own")

    with pytest.raises(TimeoutError, match="own"):
        with_timeout(tmp_path, late)


def test_a_look_that_does_not_come_back_is_given_up(tmp_path: Path) -> None:
    end = threading.Event()
    with pytest.raises(DiskSlow, match=str(tmp_path)):
        with_timeout(tmp_path, end.wait, 0.05)
    end.set()
