"""Watches the hub and turns its states into records: begun, stamped, ended; quiet moments; corrections of the clock."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable

from lookout.errors import NoFrame
from lookout.events import record as records
from lookout.events.errors import EventsOff
from lookout.events.feed import Feed
from lookout.events.journal import Embed, Journal
from lookout.events.record import Record
from lookout.events.rules import Began, Ended, Happened, Outcome, Rules, Visit
from lookout.events.shots import Shot, is_quiet, shot_of
from lookout.events.store import Store
from lookout.events.wall_clock import Reading, WallClock
from lookout.events.watcher import Candidate, Wanted, Watcher
from lookout.settings.schema import EventsSettings, Settings
from lookout.state.hub import Hub
from lookout.state.state import ModelState, State, is_current, status

log = logging.getLogger(__name__)

# How often time-based rules are checked; a new sight wakes the thread at once.
TURN_S = 0.25
# The same while events are switched off, when a turn only asks whether they still are.
_OFF_TURN_S = 1.0
STAMP_S = 30.0
STAMP_RUN_S = 300.0
HOUR_S = 3600.0
_STOP_S = 0.5


class Recorder:
    """Runs `turn` again and again on one thread, which never waits for a disk: writing is the journal's part."""

    def __init__(
        self,
        hub: Hub,
        store: Store,
        feed: Feed,
        settings: Callable[[], Settings],
        embed: Embed | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boot: str | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """clock, wall: monotonic and Unix seconds. boot: see WallClock. rng: draws the quiet moments."""
        self.journal = Journal(store, feed, embed)
        self.watcher = Watcher()
        self._hub = hub
        self._settings = settings
        self._clock = clock
        self._wall_clock = WallClock(clock, wall, boot)
        self._rng = rng or random.SystemRandom()
        self._rules = Rules(merge_s=5.0, min_s=0.5)
        self._records: dict[Visit, Record] = {}
        self._shots: dict[Visit, Shot] = {}
        now = clock()
        self._started_at = now
        self._stamp_due, self._run_due = now + STAMP_S, now
        self._hour_ends, self._quiet_due = now + HOUR_S, now + self._rng.uniform(0, HOUR_S)
        self._reading = self._wall_clock.read(None)
        self._shifted = False
        self._first: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # --- start and stop -----------------------------------------------------------------------------------------------

    def start(self, idle: Callable[[], None] | None = None) -> None:
        """idle: what the journal runs when no record waits."""
        self._read_clock()
        self._update_wanted(self._settings().events)
        self._hub.listen(self.watcher.observe)
        self.journal.start(idle)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> bool:
        """End the events in progress and write them. Returns whether everything is on disk."""
        self._hub.listen(None)
        self._stopping.set()
        self.watcher.arrived.set()
        if self._thread is not None:
            self._thread.join(_STOP_S)
        return self.journal.stop(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.watcher.arrived.wait(TURN_S if self._settings().events.enabled else _OFF_TURN_S)
            self.watcher.arrived.clear()
            self._safely(self.turn)
        self._safely(self.finish)

    @staticmethod
    def _safely(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # a bug here must not stop the recording
            log.exception("Recording events failed unexpectedly; it continues.")

    # --- a turn -------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Process what was seen since the last turn, and what follows from the passing of time."""
        settings, now = self._settings(), self._clock()
        self._read_clock()
        self._update_wanted(settings.events)
        sights, candidate, state = self.watcher.sights(), self.watcher.candidate(), self._hub.latest()
        if self._first is None:
            self._first = "paused" if state.paused else "running"
        if not settings.events.enabled:
            self._take(self._rules.close_all(), settings)
            self._rules = Rules(merge_s=settings.events.merge_s, min_s=settings.events.min_s)
            return
        self._rules.merge_s, self._rules.min_s = settings.events.merge_s, settings.events.min_s
        for sight in sights:
            self._take(self._rules.see(sight), settings)
        if candidate is not None:
            self._keep_best(candidate)
        newest_at = None if state.frame is None else state.frame.captured_at
        self._take(self._rules.pass_time(now, status(state, now), state.camera, newest_at), settings)
        self._forget_shots()
        self._stamp(now)
        self._look_for_quiet(state, now, settings.events)

    def finish(self) -> None:
        """The service stops: end the events in progress now, so that they do not count as cut short."""
        settings = self._settings()
        if settings.events.enabled:
            for sight in self.watcher.sights():
                self._take(self._rules.see(sight), settings)
            self._take(self._rules.close_all(), settings)
            self._stamp_run(self._clock())

    def _update_wanted(self, events: EventsSettings) -> None:
        wanted = events.enabled and events.pictures == "best"
        rests = is_quiet(events.quiet, self._reading.wall(self._clock()))
        wish = Wanted(wanted and not rests, frozenset(events.labels) if events.labels else None)
        if wish != self.watcher.wish:
            self.watcher.wish = wish

    def _keep_best(self, candidate: Candidate) -> None:
        visit, probability = self._rules.visit_of(candidate.label), candidate.probability
        if visit is None or candidate.since < visit.started:
            return
        before = self._shots.get(visit)
        if before is None or probability > before.probability:
            self._shots[visit] = shot_of(candidate.frame.pixels, candidate.seen, probability, candidate.focus)

    def _forget_shots(self) -> None:
        """Drop the shots of visits that were too short to become events."""
        under_way = set(self._rules.visits)
        for visit in [visit for visit in self._shots if visit not in under_way]:
            del self._shots[visit]

    def _take(self, outcomes: Iterable[Outcome], settings: Settings) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Began):
                self._begin(outcome.visit)
            elif isinstance(outcome, Ended):
                self._end(outcome.visit, settings)
            else:
                self._happen(outcome)

    def _begin(self, visit: Visit) -> None:
        record = self._records[visit] = records.begun(visit, self._wall_clock.boot, self._reading)
        record.shot = self._shots.get(visit)
        self.journal.put(record, **records.standing(visit, record))

    def _end(self, visit: Visit, settings: Settings) -> None:
        record, shot = self._records.pop(visit, None), self._shots.pop(visit, None)
        if record is None:
            return
        record.curve = visit.curve.pack()
        record.shot = shot
        why = records.why_text(visit, settings.answer, shot)
        doubt = records.doubt_about(visit)
        self.journal.put(record, **records.standing(visit, record), open=0, why=why, doubt=doubt)

    def _happen(self, what: Happened) -> None:
        self.journal.put(records.happened(what, self._wall_clock.boot, self._reading))

    # --- the clock ----------------------------------------------------------------------------------------------------

    def _read_clock(self) -> None:
        """Read the clocks; once the wall clock is right, correct the times that this boot wrote before."""
        before, self._reading = self._reading, self._wall_clock.read(self._hub.system.clock_synchronised)
        if self._reading.good and (not before.good or not self._shifted):
            self._shifted = True
            self.journal.shift(self._wall_clock.boot, self._reading.offset, list(self._records.values()))

    def _stamp(self, now: float) -> None:
        """Write the events in progress now and then, so that a power cut costs no more than the last half minute."""
        if now >= self._stamp_due:
            self._stamp_due = now + STAMP_S
            for visit, record in self._records.items():
                self.journal.put(record, **records.standing(visit, record))
        if now >= self._run_due:
            self._run_due = now + STAMP_RUN_S
            self._stamp_run(now)

    def _stamp_run(self, now: float) -> None:
        wall = self._reading.wall
        self.journal.stamp_run(
            {
                "run": self._hub.latest().instance,
                "boot": self._wall_clock.boot,
                "mono_start": self._started_at,
                "started": wall(self._started_at),
                "ended": wall(now),
                "clock_ok": int(self._reading.good),
                "first": self._first or "running",
            }
        )

    # --- single frames ------------------------------------------------------------------------------------------------

    def _look_for_quiet(self, state: State, now: float, events: EventsSettings) -> None:
        """Once an hour, at a random time, record a quiet moment if nothing is seen and pictures are wanted."""
        if now >= self._hour_ends:
            self._hour_ends += HOUR_S * max(1, (now - self._hour_ends) // HOUR_S + 1)
            self._quiet_due = self._hour_ends - HOUR_S + self._rng.uniform(0, HOUR_S)
        if now < self._quiet_due:
            return
        self._quiet_due = float("inf")
        model, frame = state.model, state.frame
        nobody = _neither_label(model)
        if not events.sample or not is_current(state, now) or state.answer.label is not None or nobody is None:
            return
        if not self.watcher.wish.pictures or frame is None or model is None:
            return
        probability = _probability(state, model, nobody)
        record = records.moment(
            "quiet", frame.captured_at, model, nobody, probability, self._wall_clock.boot, self._reading
        )
        record.shot = shot_of(frame.pixels, state.region_seen, probability or 0.0)
        self.journal.put(record)

    def miss(self, right: str) -> Record:
        """Record that `right` is there now, as a person reports. May wait for the disk.

        Raises EventsOff, NoFrame, StateFolderUnusable, DiskBudgetSpent.
        """
        settings, now, state = self._settings().events, self._clock(), self._hub.latest()
        if not settings.enabled:
            raise EventsOff("Events are not recorded (events.enabled).", "Switch them on in the settings.")
        model, frame = state.model, state.frame
        if model is None or frame is None or not is_current(state, now):
            raise NoFrame("There is no current picture to mark.", "The state says how the camera is.")
        said = state.answer.label or _neither_label(model)
        probability = None if said is None else _probability(state, model, said)
        record = records.moment(
            "missed", frame.captured_at, model, said, probability, self._wall_clock.boot, self._reading
        )
        record.row.update(right=right, reviewed_at=self._reading.wall(now))
        if self.watcher.wish.covers(right):
            record.shot = shot_of(frame.pixels, state.region_seen, probability or 0.0)
        return self.journal.write_now(record)

    def now(self) -> float:
        """The wall clock in Unix seconds."""
        return self._reading.wall(self._clock())

    @property
    def run(self) -> str:
        """The id of this run in the table `runs`."""
        return self._hub.latest().instance

    @property
    def reading(self) -> Reading:
        """Both clocks, as of the last turn."""
        return self._reading


def _neither_label(model: ModelState | None) -> str | None:
    """Return the label that means "none of the others", which has no threshold."""
    if model is None:
        return None
    return next((label for label in model.labels if label not in model.thresholds), None)


def _probability(state: State, model: ModelState, label: str) -> float | None:
    if state.prediction is None:
        return None
    return state.prediction.probabilities[model.labels.index(label)]
