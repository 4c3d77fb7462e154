"""A few of the thousand respawns of `python -m tests.respawns`."""

from __future__ import annotations

from tests.respawns import respawn


def test_cameras_that_were_killed_leave_nothing_behind() -> None:
    more, outlived = respawn(20)
    assert not more.grew(), more
    assert outlived == 0
