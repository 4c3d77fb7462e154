"""The store: pages by number, marks that count everywhere, deletions that can be undone and then delete."""

from __future__ import annotations

import contextlib
import errno
import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest
from lookout.errors import DiskGone
from lookout.events import queries, summary, tables
from lookout.events.errors import EventsUnavailable, NoPicture, NothingToUndo, UnknownEvent
from lookout.events.journal import insert_or_stamp
from lookout.events.queries import Filter
from lookout.events.rows import insert
from lookout.events.salvage import set_aside
from lookout.events.store import Store
from lookout.storage import Storage
from lookout.storage.budget import Limits

from tests.events.conftest import Clock
from tests.events.rows import DAY_S, MORNING, add, pictures_in, row, store_at
from tests.events.scenes import CAT, NOBODY, Scene
from tests.support.waiting import until


def _daily(store: Store) -> dict[tuple[str, str], int]:
    found = store.database.read(lambda connection: connection.execute("SELECT day, label, n FROM daily").fetchall())
    return {(day, label): n for day, label, n in found}


def test_a_store_that_holds_nothing_answers(store: Store) -> None:
    assert store.page(Filter()) == ([], None)
    with pytest.raises(UnknownEvent):
        store.get(1)
    assert not store.folder.exists(), "to read is not to write"


def test_pages_go_by_number_and_neither_skip_nor_repeat(store: Store) -> None:
    ids = add(store, *(row(MORNING + second) for second in range(25)))
    seen, before = [], None
    while True:
        events, before = store.page(Filter(), before, 10)
        seen += [event.id for event in events]
        if len(seen) == 10:  # what is added meanwhile moves nothing
            add(store, row())
        if before is None:
            break
    assert seen == ids[::-1]


def test_a_clock_that_jumps_back_reorders_nothing(store: Store) -> None:
    ids = add(store, row(MORNING), row(MORNING - 365 * DAY_S), row(MORNING + 60))
    assert [event.id for event in store.page(Filter())[0]] == ids[::-1]


def test_a_mark_counts_in_every_list_and_count(store: Store) -> None:
    """birdnet-go#1679: a marked event was shown unmarked elsewhere."""
    one, other = add(store, row(), row())
    marked = store.mark([one], {"right": "fox"})
    assert (marked[0].label, marked[0].right, marked[0].called) == ("cat", "fox", "fox")
    assert marked[0].reviewed_at is not None
    assert [event.id for event in store.page(Filter(label="fox"))[0]] == [one]
    assert [event.id for event in store.page(Filter(label="cat"))[0]] == [other]
    assert [event.id for event in store.page(Filter(review="wrong"))[0]] == [one]
    assert _daily(store) == {("2026-05-01", "fox"): 1, ("2026-05-01", "cat"): 1}
    store.mark([one], {"right": None})
    assert store.get(one).reviewed_at is None
    assert _daily(store) == {("2026-05-01", "cat"): 2}


def test_a_mark_of_what_is_not_there_says_so(store: Store) -> None:
    with pytest.raises(UnknownEvent):
        store.mark([7], {"kept": True}, one=True)


def test_undo_takes_back_the_latest_change_first(store: Store) -> None:
    one, other = add(store, row(), row(), pictures=True)
    store.mark([one], {"right": "dog", "note": "at the door"})
    store.delete([one, other])
    assert store.page(Filter())[0] == []
    undone = store.undo()
    assert undone.deleted
    assert {event.id for event in undone.events} == {one, other}
    assert store.get(one).right == "dog"
    assert store.curve(one) is not None
    assert not store.undo().deleted
    assert (store.get(one).right, store.get(one).note) == (None, "")
    with pytest.raises(NothingToUndo):
        store.undo()


def test_after_ten_minutes_nothing_is_left_of_what_was_deleted(store: Store, clock: Clock) -> None:
    """frigate#7742: what was deleted stayed on disk."""
    one, other = add(store, row(note="the postman"), row(), pictures=True)
    store.delete([one])
    assert store.purge() == 0, "it could still be undone"
    assert f"{one}.jpg" in pictures_in(store)
    clock.pass_s(601)
    with pytest.raises(NothingToUndo):
        store.undo()
    assert store.purge() == 1
    assert pictures_in(store) == {f"{other}.jpg", f"{other}.webp"}
    rest = store.database.read(lambda c: c.execute("SELECT id FROM details UNION SELECT id FROM trash").fetchall())
    assert rest == [(other,)]


@pytest.mark.parametrize("page_bytes", [tables.PAGE_BYTES, 4096])
def test_deleting_everything_leaves_no_trace_in_the_file(store: Store, page_bytes: int) -> None:
    store.folder.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(store.database.path)) as fresh:
        fresh.execute(f"PRAGMA page_size = {page_bytes}")  # of files that an earlier version made
        fresh.execute("VACUUM")
    add(store, *(row(note="the postman") for _ in range(50)), pictures=True)
    store.delete([1])
    store.database.checkpoint()
    before = store.database.path.stat().st_size
    assert store.delete_all() == 49
    assert pictures_in(store) == set()
    assert store.database.path.stat().st_size < before
    for path in store.folder.iterdir():
        if path.is_file():
            assert b"postman" not in path.read_bytes(), path
    assert add(store, row()) == [51], "a number is never given twice"


def test_everything_goes_whatever_the_budget_and_however_large_the_file(tmp_path: Path) -> None:
    """frigate#7742: delete must delete. To write a large file anew would exceed the budget of a day."""
    store = Store(tmp_path, Storage(tmp_path, limits=Limits(per_day=10 * 2**20, total=2**40)))
    store.database.write(lambda c: c.executemany("INSERT INTO details VALUES (?, ?, ?)", _large(2000)))
    store.database.checkpoint()
    assert store.database.path.stat().st_size > 2**20
    run = {"run": "r", "boot": "b", "mono_start": 0, "started": 1, "ended": 2, "clock_ok": 1, "first": "running"}
    store.database.write(lambda c: insert_or_stamp(c, run))
    assert store.delete_all() == 0
    assert sum(path.stat().st_size for path in store.folder.glob("events.db*")) < 2**18
    assert store.database.read(lambda c: c.execute("SELECT run FROM runs").fetchall()) == [("r",)]
    assert store.database.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)


def _large(count: int) -> Iterator[tuple[int, bytes, bytes]]:
    return ((number, bytes(600), bytes(600)) for number in range(count))


def test_a_file_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    (one,) = add(store, row())
    store.close()
    with contextlib.closing(sqlite3.connect(store.database.path)) as old:
        old.executescript("""
            DROP INDEX events_started;
            CREATE INDEX events_started ON events (started);
            PRAGMA user_version = 1;
        """)
    assert [event.id for event in store.page(Filter())[0]] == [one], "it is read as it is"
    assert add(store, row()) == [one + 1]
    columns = store.database.read(lambda c: c.execute("PRAGMA index_info(events_started)").fetchall())
    assert [column[2] for column in columns] == ["started", "kind", "label", "right", "ended"]


@pytest.mark.parametrize("query", ["hours", "seen"])
def test_a_day_at_a_glance_reads_no_row_of_the_table(store: Store, query: str) -> None:
    sql = {"hours": summary.BY_HOUR, "seen": summary.SEEN}[query]
    plan = store.database.read(lambda c: c.execute(f"EXPLAIN QUERY PLAN {sql}", (0,) * sql.count("?")).fetchall())
    add(store, row())
    assert any("COVERING INDEX events_started" in step[3] for step in plan), plan


def test_pictures_are_found_and_what_is_missing_says_so(store: Store) -> None:
    (one,) = add(store, row(), pictures=True)
    (bare,) = add(store, row())
    assert store.picture(one, "jpg") == b"jpg of 1"
    with pytest.raises(NoPicture):
        store.picture(bare, "webp")
    with pytest.raises(UnknownEvent):
        store.picture(77, "webp")


def test_a_malformed_file_is_set_aside_and_what_can_be_read_is_kept(tmp_path: Path) -> None:
    """frigate#2006: an error of the file ended the recording of events."""
    store = store_at(tmp_path)
    add(store, *(row(MORNING + number) for number in range(400)))
    store.database.checkpoint()
    store.close()
    path = store.database.path
    content = bytearray(path.read_bytes())
    pages = [start for start in range(4096, len(content), 4096) if content.count(b"boot-1", start, start + 4096) > 5]
    for start in pages[len(pages) // 2 : len(pages) // 2 + 2]:
        content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    store = store_at(tmp_path)
    assert len(store.page(Filter(), None, 500)[0]) > 100
    (new,) = add(store, row())
    assert new == 401
    assert path.with_name("events.db.malformed").exists()
    store.close()


def test_a_column_that_an_older_malformed_file_lacks_gets_its_default(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.executescript(tables.SCHEMA.replace("    note TEXT NOT NULL DEFAULT '',\n", ""))
        insert(older, "events", row())
        older.commit()
    assert set_aside(path) == 1
    with contextlib.closing(tables.connect_reader(str(path))) as fresh:
        assert fresh.execute("SELECT label, note FROM events").fetchall() == [("cat", "")]


def test_a_file_that_is_not_a_database_is_set_aside(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.folder.mkdir(parents=True)
    store.database.path.write_bytes(b"nothing of the kind" * 500)
    assert store.page(Filter())[0] == []
    assert len(add(store, row())) == 1
    assert store.database.set_aside == 1
    store.close()


def test_counts_of_all_stay_true(store: Store) -> None:
    ids = add(store, *(row(bytes=10) for _ in range(30)))
    store.delete(ids[:10])
    store.delete_now(ids[10:15])
    assert store.database.read(queries.totals) == (15, 150)


def test_between_its_uses_no_file_of_it_is_open_for_longer_than_a_moment(store: Store) -> None:
    """A file that is open for writing keeps the disk from being remounted read-only, any from being unmounted."""
    folder = store.folder.resolve()

    def opened() -> list[Path]:
        found = []
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # another thread has just closed it
                found.append(link.readlink())
        return [path for path in found if path.is_relative_to(folder)]

    (one,) = add(store, row(), pictures=True)
    assert opened() == []
    assert store.get(one).label == "cat"
    assert store.picture(one, "jpg")
    assert opened(), "what is asked next, at the same moment as a rule, need not open it again"
    store.database.checkpoint()
    store.delete_all()
    assert opened() == []
    store.page(Filter())
    until(lambda: not opened(), 3.0, "closed again")


def test_a_reader_that_stays_open_reads_what_is_there_now(store: Store, tmp_path: Path) -> None:
    """After a write, and after the file was exchanged, as by a disk that is plugged in again."""
    add(store, row())
    assert len(store.page(Filter())[0]) == 1
    add(store, row())
    assert len(store.page(Filter())[0]) == 2
    other = store_at(tmp_path / "other")
    add(other, row(label="dog"))
    other.close()
    assert len(store.page(Filter())[0]) == 2
    for path in store.folder.glob("events.db*"):
        path.rename(tmp_path / path.name)
    (other.folder / "events.db").rename(store.folder / "events.db")
    assert [event.label for event in store.page(Filter())[0]] == ["dog"]


def test_what_stays_open_for_reading_keeps_no_other_store_of_the_process_from_writing(store: Store) -> None:
    (one,) = add(store, row())
    assert store.get(one)
    store_at(store.folder.parent).mark([one], {"kept": True})
    assert store.get(one).kept


def test_the_rows_of_an_event_cost_a_card_no_more_than_its_picture(tmp_path: Path) -> None:
    """A day's budget of 200 MiB ended after 1,800 events. To write the log back counts each page once."""
    storage = Storage(tmp_path, limits=Limits(per_day=2**40, total=2**40))
    scene = Scene(Store(tmp_path, storage), {"merge_s": 0.2, "min_s": 0.2, "pictures": "none"})
    for _ in range(40):
        for seen in (CAT, NOBODY):
            scene.show(seen, 0.6)
            scene.recorder.journal.flush()
    assert len(scene.store.page(Filter(), None, 1000)[0]) == 40
    written = json.loads((tmp_path / "written.json").read_text())["bytes"]
    assert 0 < written < 40 * 40 * 1024


def test_a_change_does_not_write_the_log_of_changes_back_each_time(store: Store) -> None:
    """That would double what a card has to take."""
    add(store, row())
    store.database.checkpoint()
    before = store.database.path.read_bytes()
    add(store, row())
    add(store, row())
    assert store.database.path.read_bytes() == before
    assert len(store.page(Filter())[0]) == 3
    store.close()
    assert [path.name for path in store.folder.iterdir() if path.is_file()] == ["events.db"]
    assert len(store.page(Filter())[0]) == 3


def test_reading_writes_nothing(store: Store) -> None:
    """A dashboard that asks every few seconds would wear the card out."""
    (one,) = add(store, row())
    files = [path for path in store.folder.iterdir() if path.is_file()]
    before = [(path, path.stat().st_mtime_ns, path.read_bytes()) for path in files]
    assert store.get(one).label == "cat"
    assert [(path, path.stat().st_mtime_ns, path.read_bytes()) for path in files] == before


def test_changes_wait_for_reads_and_reads_for_nobody(store: Store) -> None:
    """One that reads lightly, and opens first, would take the writer's right to write."""
    (one,) = add(store, row())
    began, go_on = threading.Event(), threading.Event()

    def slowly(connection: sqlite3.Connection) -> str:
        began.set()
        assert go_on.wait(5)
        return queries.one(connection, one).note

    with ThreadPoolExecutor(3) as pool:
        slow = pool.submit(store.database.read, slowly)
        assert began.wait(5)
        change = pool.submit(store.mark, [one], {"note": "changed"})
        go_on.set()
        assert slow.result(5) == ""
        assert change.result(5)[0].note == "changed"
        reads = [pool.submit(store.get, one) for _ in range(60)]
        for number in range(20):
            store.mark([one], {"note": str(number)})
        assert all(read.result(5).id == one for read in reads)
    assert store.get(one).note == "19"


def test_a_disk_that_is_gone_is_not_taken_for_an_empty_diary(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.page(Filter())[0] == [], "nothing was kept yet"
    monkeypatch.setattr(
        store.storage, "trouble", lambda: DiskGone(f"The disk that holds {tmp_path} is gone.", "Plug it in.")
    )
    with pytest.raises(EventsUnavailable, match="is gone"):
        store.page(Filter())


def test_a_disk_that_fails_at_a_look_is_not_taken_for_an_empty_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, row())
    monkeypatch.setattr(Path, "stat", mock.Mock(side_effect=OSError(errno.EIO, "Input/output error")))
    assert store.database.is_there()
