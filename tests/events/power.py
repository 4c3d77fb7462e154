"""A process that records events until it is killed: each one it says is kept must be there afterwards.

`python -m tests.events 1000` kills a thousand; the suite kills a few.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from lookout.events.event import Event
from lookout.events.queries import Filter
from lookout.events.store import Store
from lookout.events.sweep import sweep
from lookout.storage import Storage
from lookout.storage.budget import Limits

from tests.events.scenes import CAT, DOG, NOBODY, Scene

# A process of its own for each, forked from one that has imported everything: a thousand take minutes, not hours.
_PROCESSES = multiprocessing.get_context("forkserver")
_WAIT_S = 60.0


def _store(folder: Path) -> Store:
    """Without a budget: a thousand deaths cost the count of what was written 200 MiB."""
    return Store(folder, Storage(folder, limits=Limits(per_day=2**40, total=2**40)))


def _record(folder: str, boot: str, pipe: Connection) -> None:
    """Report each event that is on disk, until killed."""
    scene = Scene(_store(Path(folder)), {"merge_s": 0.2, "min_s": 0.2}, boot=boot)
    subscription = scene.feed.subscribe()
    while True:
        for seen in (CAT, NOBODY, DOG, NOBODY):
            scene.show(seen, 0.6)
            scene.recorder.journal.flush()
            for news in subscription.take():
                assert news.event.id, "it is kept before it is said"
                pipe.send((news.what, news.event.id))


class Recording:
    """One process, and what it has acknowledged."""

    def __init__(self, folder: Path, boot: str) -> None:
        self._pipe, theirs = _PROCESSES.Pipe(duplex=False)
        start = cast("Callable[..., Any]", _PROCESSES.Process)
        self._process = start(target=_record, args=(str(folder), boot, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def kill_after(self, news: int, pause_s: float) -> tuple[set[int], set[int]]:
        """kill -9 a moment after it has acknowledged that many; returns the numbers that have begun, and have ended."""
        said: list[tuple[str, int]] = []
        for _ in range(news):
            assert self._pipe.poll(_WAIT_S), "it records nothing"
            said.append(self._pipe.recv())
        time.sleep(pause_s)
        self._process.kill()
        with contextlib.suppress(EOFError):
            while True:
                said.append(self._pipe.recv())
        self._process.join()
        self._pipe.close()
        begun = {number for what, number in said if what == "begun"}
        return begun, {number for what, number in said if what == "ended"}


def check(folder: Path, begun: set[int], ended: set[int]) -> None:
    """After a restart: what was acknowledged is there, nothing is in progress, no picture is without its row."""
    store = _store(folder)
    try:
        store.database.write(lambda c: c.execute("UPDATE events SET open = 0, cut = 1 WHERE open = 1").rowcount)
        sweep(store, 90, now=4e9)
        events: dict[int, Event] = {}
        before: int | None = None
        while True:
            page, before = store.page(Filter(), before, 1000)
            events |= {event.id: event for event in page}
            if before is None:
                break
        lost = (begun | ended) - events.keys()
        assert not lost, f"lost: {sorted(lost)}"
        assert all(not events[number].cut for number in ended), "an end that was acknowledged is kept"
        # Not from the pages, which do not show a quiet moment before it is drawn.
        of_pictures = "SELECT id FROM events WHERE folder IS NOT NULL"
        with_picture = store.database.read(lambda c: {row[0] for row in c.execute(of_pictures)})
        files = {int(path.stem) for path in store.folder.glob("????-??/*.jpg")}
        assert files == with_picture, (sorted(files - with_picture), sorted(with_picture - files))
        assert store.database.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    finally:
        store.close()


def kill_often(folder: Path, times: int, rng: random.Random, *, news: int = 12) -> int:
    """Returns how many events were acknowledged."""
    _PROCESSES.set_forkserver_preload(["tests.events.power"])
    begun: set[int] = set()
    ended: set[int] = set()
    for number in range(times):
        recording = Recording(folder, f"boot-{number}")
        # Anywhere in what follows: a row, its pictures, the next one's beginning.
        more_begun, more_ended = recording.kill_after(rng.randint(1, news), rng.uniform(0, 0.05))
        begun |= more_begun
        ended |= more_ended
        check(folder, begun, ended)
    return len(begun | ended)
