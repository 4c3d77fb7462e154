"""A disk that is full, slow or gone: rows before pictures, then counts only; the recorder never waits for it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lookout.errors import DiskFull
from lookout.events import journal as journal_module
from lookout.events.journal import MAX_RECORDS, MAX_SHOTS, Journal
from lookout.events.store import Store
from lookout.storage import Limits, Storage
from lookout.storage.atomic_files import replace_file

from tests.events.scenes import CAT, DOG, NOBODY, Scene


def _full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_with_little_space_rows_are_kept_before_pictures(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Scene(store)
    monkeypatch.setattr("lookout.storage.writer.replace_file", lambda path, *a, **k: _pictures_refused(path, *a, **k))
    here.show(CAT, 2)
    here.end()
    (event,) = here.visits()
    assert (event.picture, event.bytes) == (False, 0)
    trouble = here.recorder.journal.trouble()
    assert trouble is not None
    assert trouble.code == "events_limited"
    assert "without pictures" in trouble.detail
    monkeypatch.undo()
    here.show(NOBODY, 8)
    here.show(DOG, 2)
    here.end()
    assert here.visits()[-1].picture
    assert here.recorder.journal.trouble() is None, "once there is room it is over"


def _pictures_refused(path: Path, *arguments: Any, **more: Any) -> None:
    if path.suffix in (".jpg", ".webp"):
        _full()
    replace_file(path, *arguments, **more)


def test_the_budget_refuses_pictures_first(tmp_path: Path) -> None:
    store = Store(tmp_path, Storage(tmp_path, limits=Limits(per_day=8_000_000, total=2**30)))
    store.storage.run(lambda writer: writer.admit(7_100_000, 0))
    store.storage.run(lambda writer: writer.charge(7_100_000, 0))  # between what pictures and what rows may use
    here = Scene(store)
    here.show(CAT, 1)
    here.end()
    (event,) = here.visits()
    assert not event.picture
    trouble = here.recorder.journal.trouble()
    assert trouble is not None
    assert "state.max_bytes_per_day" in trouble.detail
    here.store.close()


def test_a_disk_that_takes_nothing_costs_no_row_that_still_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Scene(store)
    with here.feed.subscribe() as news:
        monkeypatch.setattr(store.storage, "run", _refuse)
        here.show(CAT, 2)
        here.show(NOBODY, 8)
        assert not here.recorder.journal.flush()
        reported = [(one.what, one.event.label, one.event.id) for one in news.take()]
        assert reported == [("begun", "cat", 0), ("ended", "cat", 0)], "who acts on events hears of them all the same"
        assert here.recorder.journal.trouble() is not None
        monkeypatch.undo()
        assert [event.label for event in here.visits()] == ["cat"]
        assert news.take() == [], "and of none twice"
    assert here.recorder.journal.trouble() is None


def _refuse(*_: Any, **__: Any) -> None:
    raise DiskFull("The disk is full.", "Free some space.")


def test_what_waits_is_bounded_and_what_is_lost_is_counted(store: Store) -> None:
    here = Scene(store, {"merge_s": 0.0, "min_s": 0.0})
    rounds = MAX_RECORDS + 20
    for _ in range(rounds):
        here.show(CAT, 0.2)
        here.show(NOBODY, 0.1)
    journal = here.recorder.journal
    assert journal.unwritten == MAX_RECORDS
    assert journal.lost >= 20
    assert sum(record.shot is not None for record in journal._waiting) <= MAX_SHOTS
    assert journal.without_picture >= rounds - MAX_SHOTS - 21


@pytest.mark.parametrize("seconds", [0.6])
def test_a_slow_disk_does_not_slow_what_is_recorded(
    store: Store, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """The camera loop's part and the recorder's take no longer while the writer waits for the disk."""
    here = Scene(store)
    write = store.database.write

    def slowly(*arguments: Any, **more: Any) -> Any:
        time.sleep(seconds)
        return write(*arguments, **more)

    monkeypatch.setattr(store.database, "write", slowly)
    journal = here.recorder.journal
    journal.start()
    slowest = 0.0
    for _ in range(30):
        here.show(CAT, 0.5)
        began = time.thread_time()
        here.publish(answer=here.state.answer)
        slowest = max(slowest, time.thread_time() - began)
    assert slowest < 0.02
    here.recorder.finish()
    assert journal.stop(20.0)
    assert len(here.visits()) == 1


def test_a_mistake_of_ours_does_not_end_the_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """frigate#2006: an error while writing ended the thread of events for good."""
    here = Scene(store)
    monkeypatch.setattr(journal_module, "_FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(journal_module, "_MAX_RETRY_S", 0.01)
    real: Callable[[], None] = Journal._prepare.__get__(here.recorder.journal)
    calls: list[int] = []

    def stumbles() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        real()

    monkeypatch.setattr(here.recorder.journal, "_prepare", stumbles)
    here.recorder.journal.start()
    here.show(CAT, 2)
    here.recorder.finish()
    deadline = time.monotonic() + 20
    while here.recorder.journal.unwritten and time.monotonic() < deadline:
        time.sleep(0.01)
    assert here.recorder.journal.stop(10.0)
    assert len(here.visits()) == 1
