"""A power cut at any write: every prefix of what was asked of the disk is replayed, the unsynced dropped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.changes import CHANGES, check_it_opens, kept_files, prepare
from tests.storage.power import WORLDS, Disk, content_of, recorded, restore


@pytest.fixture(autouse=True)
def _no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk that loses power is played; syncing the real one would only take time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("used_before", [False, True], ids=["new", "used"])
def test_a_power_cut_at_any_write_leaves_the_old_or_the_new_and_a_folder_that_opens(
    tmp_path: Path, what: str, used_before: bool
) -> None:
    folder = tmp_path / "state"
    prepare(folder, what, used=used_before)
    before = content_of(folder)
    with recorded(folder) as steps:
        CHANGES[what](folder)
    after = content_of(folder)
    assert len(steps) >= 2

    seen: set[tuple[tuple[str, bytes], ...]] = set()
    disk = Disk(before)
    for number, world in ((number, world) for number in range(len(steps) + 1) for world in WORLDS):
        if world == WORLDS[0] and number > 0:
            steps[number - 1](disk)
        left = disk.after_power_cut(world)
        for name, data in kept_files(left).items():
            assert data in (before.get(name), after.get(name)), f"{name} is neither old nor new: step {number}, {world}"
        missing = kept_files(before).keys() - left.keys()
        assert all(name not in after for name in missing), f"{missing} lost: step {number}, {world}"
        if number == len(steps):
            assert kept_files(left) == kept_files(after), f"{what} was said to be kept, and is lost: {world}"
        found = tuple(sorted(left.items()))
        if found not in seen:
            seen.add(found)
            again = tmp_path / f"{number}-{world}" / "state"
            restore(left, again)
            check_it_opens(again)
            shutil.rmtree(again.parent)
    assert disk.after_power_cut("all") == after, "the recorder has missed a write"


def test_a_service_killed_at_any_write_leaves_a_folder_that_opens(tmp_path: Path) -> None:
    """SIGKILL at the first, the second, … write of each kind, in processes of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.storage.killed", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    kills = dict(line.rsplit(": ", 1) for line in done.stdout.splitlines())
    assert kills.keys() == CHANGES.keys()
    assert all(int(times) >= 2 for times in kills.values()), kills
