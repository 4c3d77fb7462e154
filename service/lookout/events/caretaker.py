"""Housekeeping while no record waits to be written: retention, the daily sample, the sweep, emptying the trash."""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Callable

from lookout.events import retention, sampling
from lookout.events.recorder import Recorder
from lookout.events.retention import Limits
from lookout.events.store import Store
from lookout.events.sweep import sweep
from lookout.settings.schema import Settings

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_SWEEP_EVERY_S = 86_400.0
# The first seconds after the start are left to the first answer.
_FIRST_S = 20.0
# After a jump of the clock nothing is deleted by age for this long: a wrong date would empty the diary for good.
_TRUST_AFTER_S = 86_400.0
_JUMP_S = 2 * 86_400.0
# Batches deleted per run; the rest follows in the next run.
_MAX_ROUNDS = 20


class Caretaker:
    """Called by the journal's thread when it is idle. May wait for the disk."""

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        settings: Callable[[], Settings],
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._store, self._recorder, self._settings = store, recorder, settings
        self._clock = clock
        self._rng = rng or random.SystemRandom()
        now = clock()
        self._due = self._sweep_due = now + _FIRST_S
        self._purged_at_start = False
        self._offset: float | None = None
        self._trusted_from = float("-inf")

    def idle(self) -> None:
        """Do whatever is due. Raises LookoutError if the disk refuses; the next call tries again."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + _EVERY_S
        self._store.purge(everything=not self._purged_at_start)
        self._purged_at_start = True
        self.retain()
        self._draw()
        if now >= self._sweep_due:
            self._sweep_due = now + _SWEEP_EVERY_S
            sweep(self._store, self._settings().events.days)

    def limits(self) -> Limits:
        """Return the retention limits in force."""
        settings = self._settings()
        trusted = self._recorder.reading.good and self._clock() >= self._trusted_from
        return Limits.of(settings.events, settings.state.max_bytes, clock_good=trusted)

    def _watch_clock(self) -> None:
        reading, now = self._recorder.reading, self._clock()
        before, self._offset = self._offset, reading.offset
        known = self._jumped_since_last_run(reading.wall(now)) if before is None else None
        if known or (before is not None and reading.offset - before > _JUMP_S):
            self._trusted_from = now + _TRUST_AFTER_S
            log.warning("The clock jumped ahead by days: for one day, no event is deleted by age.")

    def _jumped_since_last_run(self, wall: float) -> bool:
        this_run = self._recorder.run

        def latest(connection: sqlite3.Connection) -> float | None:
            row = connection.execute("SELECT max(ended) FROM runs WHERE run <> ?", (this_run,)).fetchone()
            return None if row[0] is None else float(row[0])

        ended = self._store.database.read(latest)
        return ended is not None and wall - ended > 30 * _JUMP_S

    def retain(self) -> int:
        """Delete the events that are overdue; return how many."""
        self._watch_clock()
        limits, gone = self.limits(), 0
        wall = self._recorder.reading.wall(self._clock())
        for _ in range(_MAX_ROUNDS):
            ids = self._store.database.read(lambda connection: retention.overdue(connection, limits, wall))
            if not ids:
                break
            gone += self._store.delete_now(ids, reserved=False)
        if gone:
            log.info("%d of the oldest events were deleted, as the settings require.", gone)
        return gone

    def _draw(self) -> None:
        reading, sample = self._recorder.reading, self._settings().events.sample
        wall = reading.wall(self._clock())
        if not reading.good or not self._store.database.read(lambda connection: sampling.due(connection, wall)):
            return
        dropped = self._store.database.write(
            lambda connection: sampling.draw(connection, wall, sample, self._rng), reserved=False
        )
        self._store.remove_pictures(dropped)
