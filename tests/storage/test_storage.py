"""The writer on its thread: deadlines, what is given up, what is reported while the disk is slow, failing or gone."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lookout.errors import DiskBudgetSpent, StateFolderUnusable
from lookout.storage import Limits, Storage, Writer, storage
from lookout.storage.job import GivenUp
from lookout.storage.watch import DiskWatch

from tests.faults import mounts
from tests.requires import requires
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in a fraction of the time."""
    monkeypatch.setattr(storage, "DEADLINE_S", 0.5)
    monkeypatch.setattr(storage, "SLOW_AFTER_S", 0.2)
    monkeypatch.setattr(storage, "CHECK_EVERY_S", 0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


@pytest.fixture
def running(folder: Path) -> Iterator[Storage]:
    one = Storage(folder, folder.parent / "cache")
    one.start()
    yield one
    one.close()


class Gate:
    """A disk that holds up `os.fsync` or `os.replace` until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        real = getattr(os, name)

        def held(*arguments: object) -> object:
            self.entered.set()
            assert self.opened.wait(20)
            return real(*arguments)

        monkeypatch.setattr(os, name, held)


def code(one: Storage) -> str | None:
    trouble = one.trouble()
    return trouble.code if trouble else None


def test_what_is_kept_is_there_when_keep_returns(running: Storage, folder: Path) -> None:
    running.keep(folder / "file", b"content")
    assert (folder / "file").read_bytes() == b"content"
    running.remove(folder / "file")
    assert not (folder / "file").exists()
    assert running.trouble() is None


def test_a_slow_disk_is_reported_a_change_is_refused_and_does_not_appear_later(
    running: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.keep(folder / "file", b"old")
    gate = Gate(monkeypatch, "fsync")
    began = time.monotonic()
    with pytest.raises(StateFolderUnusable, match="does not answer") as refused:
        running.keep(folder / "file", b"new")
    assert 0.4 < time.monotonic() - began < 5.0
    assert refused.value.code == "state_folder_unusable"
    assert refused.value.remedy
    assert code(running) == "disk_slow"
    again = time.monotonic()
    with pytest.raises(StateFolderUnusable):
        running.keep(folder / "file", b"newer")
    assert time.monotonic() - again < 0.3, "a disk that hangs already is not waited for"
    gate.opened.set()
    until(lambda: running.trouble() is None)
    running.keep(folder / "other", b"")  # by now the refused change has had its turn
    assert (folder / "file").read_bytes() == b"old"
    assert not list(folder.glob(".*.new"))


def test_a_change_whose_last_step_is_under_way_is_waited_for(
    running: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.keep(folder / "file", b"old")
    gate = Gate(monkeypatch, "replace")
    threading.Timer(0.7, gate.opened.set).start()
    running.keep(folder / "file", b"new")
    assert (folder / "file").read_bytes() == b"new"


def test_a_database_writes_within_the_budget_and_not_after_it_was_given_up(running: Storage, folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "history.sqlite", check_same_thread=False)) as database:
        database.execute("CREATE TABLE events (what TEXT)")
        database.commit()
        slow, opened = threading.Event(), threading.Event()

        def add(writer: Writer) -> None:
            writer.admit(4096, 0)
            database.execute("INSERT INTO events VALUES ('cat')")
            assert not slow.is_set() or opened.wait(20)
            try:
                writer.commit()
            except GivenUp:
                database.rollback()
                raise
            database.commit()
            writer.charge(4096, 0)

        running.run(add)
        slow.set()
        with pytest.raises(StateFolderUnusable):
            running.run(add)
        opened.set()
        until(lambda: running.trouble() is None)
        running.run(add)
        assert database.execute("SELECT count(*) FROM events").fetchone() == (2,)
        assert running._budget._count.written >= 2 * 4096


def test_caches_keep_nobody_waiting_and_people_go_first(
    running: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.keep(folder / "before", b"")
    order: list[str] = []
    gate = Gate(monkeypatch, "fsync")

    def cache(name: str) -> None:
        def write(writer: Writer) -> None:
            writer.replace(folder / name, b"x" * 3 * 2**20)
            order.append(name)

        running.later(write, name)

    began = time.monotonic()
    cache("one")
    cache("two")
    assert time.monotonic() - began < 0.3
    assert gate.entered.wait(5)
    monkeypatch.setattr(storage, "SLOW_AFTER_S", 60.0)
    change = threading.Thread(target=lambda: running.run(lambda _: order.append("a change")))
    change.start()
    until(lambda: len(running._waiting) == 1)
    gate.opened.set()
    change.join(10)
    until(lambda: len(order) == 3)
    assert order == ["a change", "one", "two"], "it goes between two chunks of the first"


def test_an_error_is_reported_until_the_disk_works_again(
    running: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(StateFolderUnusable, match="Input/output error"):
            running.keep(folder / "file", b"x")
        until(lambda: code(running) == "disk_failing")
        with pytest.raises(StateFolderUnusable):
            running.keep(folder / "file", b"x")
    until(lambda: running.trouble() is None)
    running.keep(folder / "file", b"x")
    assert sorted(path.name for path in folder.iterdir()) == ["file", "written.json"]


def test_a_mistake_in_the_work_reaches_only_its_caller(running: Storage, folder: Path) -> None:
    def mistaken(_: Writer) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        running.run(mistaken)
    running.keep(folder / "file", b"x")


def test_a_spent_budget_is_reported_and_ends_with_the_day(folder: Path) -> None:
    day = ["2026-05-01"]
    one = Storage(folder, None, Limits(per_day=2**16), today=lambda: day[0])
    one.start()
    one.keep(folder / "file", b"x" * 63 * 2**10)
    until(lambda: code(one) == "disk_budget_spent")
    reported = one.trouble()
    assert reported is not None
    assert max(len(reported.detail), len(reported.remedy)) <= 80, "the dashboard shows it in a narrow panel"
    with pytest.raises(DiskBudgetSpent):
        one.keep(folder / "file", b"x" * 2**13)
    day[0] = "2026-05-02"
    until(lambda: one.trouble() is None)
    one.keep(folder / "file", b"x" * 2**13)
    one.close()


def test_a_disk_that_hangs_does_not_hold_up_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Storage(folder)
    one.start()
    gate = Gate(monkeypatch, "fsync")
    one.later(lambda writer: writer.replace(folder / "file", b"x"), "A cache")
    assert gate.entered.wait(5)
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 3.0
    with pytest.raises(StateFolderUnusable):
        one.keep(folder / "file", b"x")
    gate.opened.set()


def test_what_a_power_cut_left_half_written_is_swept_away(folder: Path) -> None:
    left = folder / f".tokens.json.{2**22 + 1}.new"  # no process has this number
    others = [folder / f".tokens.json.{os.getppid()}.new", folder / "file.new", folder / ".hidden"]
    for path in (left, *others):
        path.write_bytes(b"half")
    one = Storage(folder)
    one.start()
    until(lambda: not left.exists())
    assert all(path.exists() for path in others)
    one.close()


def test_a_disk_that_is_exchanged_is_gone_until_what_it_held_is_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Storage(folder).keep(folder / "file", b"x")
    watch = DiskWatch(folder)
    device = [1]
    monkeypatch.setattr("lookout.storage.watch._device", lambda _: device[0])
    assert watch.look() is None
    count = folder / "written.json"
    kept = count.read_bytes()
    count.unlink()
    assert watch.look() is None, "on the same disk somebody has tidied up"
    count.write_bytes(kept)
    assert watch.look() is None
    count.unlink()
    device[0] = 2
    trouble = watch.look()
    assert trouble is not None
    assert trouble.code == "disk_gone"
    count.write_bytes(kept)
    assert watch.look() is None, "it came back under another number"


def test_a_disk_that_is_pulled_out_while_it_is_looked_at_is_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Storage(folder).keep(folder / "file", b"x")
    watch = DiskWatch(folder)
    device = 1
    monkeypatch.setattr("lookout.storage.watch._device", lambda _: device)
    assert watch.look() is None

    def pulled_out_after_this(_: Path) -> int:
        nonlocal device
        before, device = device, 2
        (folder / "written.json").unlink(missing_ok=True)
        return before

    monkeypatch.setattr("lookout.storage.watch._device", pulled_out_after_this)
    trouble = watch.look()
    assert trouble is not None
    assert trouble.code == "disk_gone"


@requires("mount")
def test_nothing_is_written_below_the_mount_point_of_a_disk_that_is_gone(tmp_path: Path) -> None:
    with mounts.small_disk(tmp_path / "stick") as stick:
        folder = tmp_path / "mounted"
        one = Storage(folder)
        with mounts.bound(stick, folder) as bound:
            one.start()
            one.keep(folder / "file", b"old")
            until(lambda: one._watch._had_content)
            bound.unmount()
            until(lambda: code(one) == "disk_gone")
            with pytest.raises(StateFolderUnusable, match="is gone"):
                one.keep(folder / "file", b"new")
            assert list(folder.iterdir()) == []
            bound.mount()
            until(lambda: one.trouble() is None)
            one.keep(folder / "file", b"new")
            one.close()
        assert (stick / "file").read_bytes() == b"new"
