"""Periodic work besides requests: feeding the watchdog, systemd's status line, reading the machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from lookout.engine.governor import Governor, Limit, Targets
from lookout.engine.worker import Engine
from lookout.errors import Fault, LookoutError, TooBusy
from lookout.registry.loader import MachineProfile
from lookout.registry.tuning import Candidate, choose, measure_apart
from lookout.state.hub import Hub
from lookout.state.summary import sentence
from lookout.state.view import view
from lookout.system import memory
from lookout.system.monitor import INTERVAL_S, SystemMonitor
from lookout.system.sd_notify import Notifier

log = logging.getLogger(__name__)

STATUS_EVERY_S = 1.0
# Retry, because a model's folder may be on a disk that is mounted late, or be repaired meanwhile.
MODEL_RETRY_S = 30.0
# For a model that loads but keeps failing on frames: the delay doubles each time it is given up, up to this.
MAX_MODEL_RETRY_S = 3600.0
# Uploads and viewers fragment the heap, which would grow by megabytes in a busy hour without trimming.
TIDY_EVERY_S = 20.0
# Measuring starts late enough not to delay the first answer.
TUNE_AFTER_S = 10.0


class Housekeeping:
    """Runs on the event loop, so that the watchdog fires when the loop is stuck, and checks the worker."""

    def __init__(
        self,
        engine: Engine,
        hub: Hub,
        notifier: Notifier | None = None,
        profile: MachineProfile | None = None,
        trouble: Callable[[], LookoutError | None] | None = None,
    ) -> None:
        """profile: where the first run's measurement is stored; None: measure nothing.

        trouble: returns the current problem with the disk or with the data on it.
        """
        self._engine = engine
        self._hub = hub
        self._profile = profile
        self._trouble = trouble
        self.notifier = notifier or Notifier.from_environment()
        self._monitor = SystemMonitor()
        self._governor = Governor()
        self._governed: Limit | None = None
        self._reported = ""
        self._model_due = time.monotonic() + MODEL_RETRY_S
        self._tidy_due = time.monotonic() + TIDY_EVERY_S
        self._reading_due = 0.0
        self._stumbled_over = ""

    def sentence(self) -> str:
        """The state in one sentence."""
        return sentence(view(self._hub.latest(), time.monotonic(), time.time(), self._hub.system))

    async def run(self) -> None:
        """Run until cancelled."""
        tuning = asyncio.create_task(self._tune())
        try:
            await self._keep()
        finally:
            tuning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tuning

    async def _tune(self) -> None:
        """On the first run with a model, measure what is fastest on this machine, store it, and use it."""
        await asyncio.sleep(TUNE_AFTER_S)
        try:
            await self._use_the_fastest()
        except Exception:  # a failed measurement must not end the housekeeping
            log.exception("Precision and threads could not be measured; they stay as they are.")

    async def _use_the_fastest(self) -> None:
        classifier, profile, wanted = self._engine.classifier, self._profile, self._engine.settings.model
        if classifier is None or profile is None or (wanted.precision != "auto" and wanted.threads):
            return
        card, running = classifier.card, Candidate(classifier.precision, classifier.threads)
        del classifier  # so that its memory can be freed if another replaces it meanwhile
        if await asyncio.to_thread(profile.tuning.get, card, wanted.threads) is not None:
            return
        measured = await measure_apart(card, wanted.threads)
        if not measured:
            return
        choice = choose(measured)
        profile.tuning.put(card, wanted.threads, choice, measured)
        log.info("Measured: %s. Chosen: %s.", _in_words(measured), _in_words({choice: measured[choice]}))
        if choice != running:
            try:
                await asyncio.wrap_future(self._engine.reload_model())
            except LookoutError as error:  # the model is being changed right now; the next start uses the choice
                log.info("%s", error)

    async def _keep(self) -> None:
        interval = min(STATUS_EVERY_S, self.notifier.watchdog_interval_s or STATUS_EVERY_S)
        while True:
            if worker_is_alive(self._engine, time.monotonic()):
                self.notifier.watchdog()
            try:
                await self._turn(time.monotonic())
            except Exception as error:  # a sensor with an odd value must not starve the watchdog
                if repr(error) != self._stumbled_over:  # the same error once a second would fill the journal
                    self._stumbled_over = repr(error)
                    log.exception("Housekeeping failed and goes on.")
            await asyncio.sleep(interval)

    async def _turn(self, now: float) -> None:
        self._report_disk()
        self._report_status()
        self._retry_model(now)
        self._engine.model.map_networks.rest(now)
        if now >= self._tidy_due:
            self._tidy_due = now + TIDY_EVERY_S
            await asyncio.to_thread(memory.release_free_memory)
        if now >= self._reading_due:
            self._reading_due = now + INTERVAL_S
            await self._read_machine()

    def _retry_model(self, now: float) -> None:
        """Retry loading the configured model while none runs. The published state does not change during an attempt."""
        if now < self._model_due:
            return
        model = self._engine.model
        self._model_due = now + min(MAX_MODEL_RETRY_S, MODEL_RETRY_S * 2.0 ** min(model.times_given_up, 10))
        if model.classifier is None:
            with contextlib.suppress(LookoutError):  # another change is being made
                self._engine.reload_model()

    def _report_disk(self) -> None:
        trouble = self._trouble() if self._trouble else None
        fault = Fault.of(trouble) if trouble else None
        if fault != self._hub.system.disk:
            self._hub.set_system(replace(self._hub.system, disk=fault))
            if trouble:
                log.warning("%s", trouble)
            else:
                log.info("Changes are kept on disk again.")

    def _report_status(self) -> None:
        if self.notifier.active and (text := self.sentence()) != self._reported:
            self._reported = text
            self.notifier.status(text)

    async def _read_machine(self) -> None:
        try:
            reading = await asyncio.to_thread(self._monitor.read)
            self._hub.set_system(replace(reading, disk=self._hub.system.disk))
        except OSError as error:  # /proc may be hidden by a sandbox, or too slow; the readings are optional
            log.debug("The machine cannot be read: %s", error)
        self._govern()

    def _govern(self) -> None:
        """Slow classification down while the machine is too warm or too busy, and speed it up again afterwards."""
        settings, before = self._engine.settings, self._governed
        power = settings.power
        limit = self._governor.step(
            self._hub.system,
            Targets(power.temperature_c, power.cpu_percent, power.min_rate),
            running=self._hub.latest().rate.classifications_per_s,
            wanted=settings.answer.max_rate,
        )
        if limit == before:
            return
        try:
            self._engine.govern(limit)
        except TooBusy:  # the next reading comes in seconds
            return
        self._governed = limit
        if (limit is None) != (before is None):
            log.info("%s", limit.reason if limit else "Classification is as fast again as the settings allow.")


def worker_is_alive(engine: Engine, now: float) -> bool:
    """Whether the camera loop has made progress lately; trying to open a missing camera is progress."""
    return now - engine.progressed_at < engine.stall_timeout_s


def _in_words(milliseconds: Mapping[Candidate, float]) -> str:
    return ", ".join(
        f"{one.precision} with {one.threads} {'thread' if one.threads == 1 else 'threads'} {ms:.1f} ms"
        for one, ms in milliseconds.items()
    )
