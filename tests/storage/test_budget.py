"""The budget: what is written a day and kept in all is counted, over restarts, and refused in one clear sentence."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from lookout.errors import DiskBudgetSpent
from lookout.storage import Limits, Storage, Writer
from lookout.storage.budget import COUNT_FILE

KIB, MIB = 2**10, 2**20


class Days:
    """A calendar to turn by hand."""

    def __init__(self) -> None:
        self.day = "2026-05-01"

    def __call__(self) -> str:
        return self.day


@pytest.fixture
def days() -> Days:
    return Days()


def storage(folder: Path, days: Days, per_day: int = MIB, total: int = 64 * MIB) -> Storage:
    return Storage(folder / "state", folder / "cache", Limits(per_day, total), today=days)


def count_on_disk(folder: Path) -> int:
    return int(json.loads((folder / "state" / COUNT_FILE).read_text())["bytes"])


def test_a_change_over_the_days_budget_is_refused_with_what_helps_and_the_old_stands(
    tmp_path: Path, days: Days
) -> None:
    one, file = storage(tmp_path, days), tmp_path / "state" / "file"
    one.keep(file, b"x" * 600 * KIB)
    with pytest.raises(DiskBudgetSpent) as refused:
        one.keep(file, b"y" * 600 * KIB)
    assert refused.value.detail == (
        "Lookout has written 600 KiB to disk today; 600 KiB more would exceed state.max_bytes_per_day (1 MiB)."
    )
    assert "raise state.max_bytes_per_day" in refused.value.remedy
    assert file.read_bytes() == b"x" * 600 * KIB
    one.keep(file, b"z")
    days.day = "2026-05-02"
    one.keep(file, b"y" * 600 * KIB)


def test_the_days_count_outlives_restarts_and_costs_no_write_each_time(tmp_path: Path, days: Days) -> None:
    one, count = storage(tmp_path, days), tmp_path / "state" / COUNT_FILE
    one.keep(tmp_path / "state" / "file", b"x")
    first = count.stat().st_ino
    for _ in range(100):
        one.keep(tmp_path / "state" / "file", b"x" * 100)
    assert count.stat().st_ino == first, "a hundred small writes cost no further write of the count"
    one.keep(tmp_path / "state" / "file", b"x" * 900 * KIB)
    assert count.stat().st_ino != first
    restarted = storage(tmp_path, days)
    with pytest.raises(DiskBudgetSpent):
        restarted.keep(tmp_path / "state" / "file", b"x" * 200 * KIB)


def test_the_count_on_disk_is_never_less_than_what_was_written_and_little_more(tmp_path: Path, days: Days) -> None:
    written, restarts = 0, 40
    for _ in range(restarts):
        one = storage(tmp_path, days, per_day=64 * MIB)
        for size in (10, 3000, 70_000):
            one.keep(tmp_path / "state" / "file", b"x" * size)
            written += size
            assert count_on_disk(tmp_path) >= written
    assert count_on_disk(tmp_path) - written <= restarts * (256 * KIB + 200)


def test_two_processes_share_one_budget(tmp_path: Path, days: Days) -> None:
    service, command = storage(tmp_path, days), storage(tmp_path, days)
    service.keep(tmp_path / "state" / "one", b"x" * 500 * KIB)
    command.keep(tmp_path / "state" / "two", b"x" * 400 * KIB)
    service.keep(tmp_path / "state" / "one", b"x" * 20 * KIB)
    with pytest.raises(DiskBudgetSpent):
        service.keep(tmp_path / "state" / "one", b"x" * 120 * KIB)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"day": "2026-05-01"}',
        '{"day": "2026-05-01", "bytes": "many"}',
        '{"day": "2026-05-01", "bytes": 1e999}',
        "[" * 100_000,
    ],
)
def test_a_damaged_count_counts_as_none(tmp_path: Path, days: Days, content: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / COUNT_FILE).write_text(content)
    storage(tmp_path, days).keep(tmp_path / "state" / "file", b"x")
    assert count_on_disk(tmp_path) >= 1


def test_caches_leave_a_part_of_the_budget_to_peoples_changes(
    tmp_path: Path, days: Days, caplog: pytest.LogCaptureFixture
) -> None:
    one, cache = storage(tmp_path, days), tmp_path / "cache"
    caplog.set_level("INFO")
    for number in range(12):
        one.later(partial(Writer.replace, path=cache / str(number), content=b"x" * 100 * KIB), "A cache")
    assert len(list(cache.iterdir())) == 9, "a tenth would go into the last sixteenth"
    assert "A cache is not kept: Lookout has written 900 KiB" in caplog.text
    one.keep(tmp_path / "state" / "file", b"x" * 30 * KIB)


def test_what_is_kept_in_all_is_bounded_and_removing_makes_room(tmp_path: Path, days: Days) -> None:
    one = storage(tmp_path, days, per_day=64 * MIB, total=MIB)
    one.keep(tmp_path / "state" / "one", b"x" * 500 * KIB)
    one.keep(tmp_path / "state" / "one", b"x" * 500 * KIB)
    one.keep(tmp_path / "cache" / "two", b"x" * 500 * KIB)
    with pytest.raises(DiskBudgetSpent) as refused:
        one.keep(tmp_path / "state" / "three", b"x" * 100 * KIB)
    assert "state.max_bytes (1 MiB)" in refused.value.detail
    assert "Delete the cache folder" in refused.value.remedy
    (tmp_path / "cache" / "two").unlink()
    one.keep(tmp_path / "state" / "three", b"x" * 100 * KIB)
    one.remove(tmp_path / "state" / "one")
    one.keep(tmp_path / "state" / "one", b"x" * 800 * KIB)


def test_models_that_somebody_added_do_not_count(tmp_path: Path, days: Days) -> None:
    models = tmp_path / "state" / "models" / "mine"
    models.mkdir(parents=True)
    (models / "fp32.onnx").write_bytes(b"x" * 2 * MIB)
    storage(tmp_path, days, total=MIB).keep(tmp_path / "state" / "file", b"x" * 100 * KIB)


def test_a_removal_is_never_refused(tmp_path: Path, days: Days) -> None:
    one = storage(tmp_path, days)
    one.keep(tmp_path / "state" / "paused", b"")
    one.keep(tmp_path / "state" / "file", b"x" * 1000 * KIB)
    with pytest.raises(DiskBudgetSpent):
        one.keep(tmp_path / "state" / "file", b"x" * 100 * KIB)
    one.remove(tmp_path / "state" / "paused")
    assert not (tmp_path / "state" / "paused").exists()
