"""The worker thread: newest frame -> network -> answer -> hub; and the few commands that control it."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from concurrent.futures import Future
from dataclasses import replace

from lookout.deadline import Deadline
from lookout.engine.governor import Limit
from lookout.engine.mailbox import Mailbox
from lookout.engine.meters import smoothed
from lookout.engine.model_in_use import ModelInUse
from lookout.engine.model_loader import ModelLoader
from lookout.engine.pace import Pace, usual_interval_s
from lookout.engine.source import MakeCamera, Source, isolated_camera
from lookout.engine.supervisor import OPEN_DEADLINE_S
from lookout.engine.thresholds import new_smoother, thresholds_of
from lookout.errors import Fault, LookoutError
from lookout.focus.viewer import Viewed, Viewer
from lookout.frame import Frame
from lookout.pipeline.change_gate import ChangeGate
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.smoothing import Answer, Smoother
from lookout.registry import loader
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import AnswerSettings, Settings
from lookout.state.hub import Hub, StageDurations
from lookout.state.state import CameraState, PredictionRecord, Rate, StageTimes, State
from lookout.system import memory

log = logging.getLogger(__name__)

# A camera's process is killed within a second; a worker that takes longer than this is stuck in a library: abandon it.
STOP_DEADLINE_S = 3.0
# How much longer the worker may take than the time allowed for opening a camera.
STALL_MARGIN_S = 2.0


def first_state(settings: Settings, now: float) -> State:
    """The state before anything ran."""
    return State(
        instance=secrets.token_hex(4),
        sequence=1,
        started_at=now,
        camera=CameraState("opening", "", now),
        answer=Answer(None, "no_data", now),
        stale_after_s=settings.camera.stale_after_s,
        interval_s=usual_interval_s(settings),
        region_asked=settings.answer.region.rect,
    )


class Engine:
    """Runs the worker thread. Its commands may be called from any thread; most return a future."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        hub: Hub,
        *,
        make_camera: MakeCamera = isolated_camera,
        profile: loader.MachineProfile | None = None,
        paused: bool = False,
    ) -> None:
        """profile: what earlier runs measured on this machine; None: start afresh and store nothing."""
        now = time.monotonic()
        self._settings = settings
        self.model = ModelInUse(catalogue, profile)
        self._hub = hub
        self._make_camera = make_camera
        self._profile = profile
        self._state = replace(hub.latest(), paused=paused)
        self._viewer: Viewer | None = None
        self._smoother: Smoother | None = None
        self._source = Source(settings.camera, make_camera, now)
        self._mailbox = Mailbox()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._loader = ModelLoader()
        self._pace = Pace(now)
        self._gate = ChangeGate()
        self._publish_ms = 0.0
        self.progressed_at = now

    # --- commands: any thread ---------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The worker's own copy, which changes between two frames; other code should read `Control.loaded`."""
        return self._settings

    @property
    def classifier(self) -> Classifier | None:
        """The network in use; None if none could be loaded or the last one failed."""
        return self.model.classifier

    @property
    def stall_timeout_s(self) -> float:
        """Seconds since `progressed_at` after which the worker counts as stuck; opening a camera takes longest."""
        return max(OPEN_DEADLINE_S, self._source.open_within_s) + STALL_MARGIN_S

    def start(self) -> None:
        """Load the model, then let the worker run. A model that cannot be loaded is a state, not a crash."""
        try:
            self._adopt(*self.model.read(self._settings, self._settings))
            memory.release_free_memory()
        except LookoutError as error:
            log.error("%s", error)
            self.model.fault = Fault.of(error)
            self._state = replace(self._state, model_fault=self.model.fault)
        if self._state.paused:
            self._source.pause()
        self._restart_answer(camera=self._source.state(time.monotonic()))
        self._thread.start()

    def close_mailbox(self) -> None:
        """Accept no further commands and refuse those waiting, so that no caller waits for them. Never blocks."""
        self._mailbox.close()

    def stop(self) -> bool:
        """End the worker and close the camera. Returns whether it ended in time. Safe to call twice."""
        self._stopping.set()
        self.close_mailbox()
        self._loader.close()
        if self._profile is not None:
            self._profile.trials.stop()  # the interpreter waits for the loader's thread when it exits
        deadline = Deadline.after(STOP_DEADLINE_S)
        while self._thread.is_alive() and not deadline.passed:
            self._source.interrupt()  # more than once: the worker may be about to open the next camera
            self._thread.join(0.1)
        return not self._thread.is_alive()

    def pause(self, paused: bool) -> Future[None]:
        """Close the camera, which turns its light off; or open it again."""
        future = self._mailbox.post(lambda: self._set_paused(paused))
        if paused:
            self._source.interrupt()
        return future

    def apply(self, settings: Settings) -> Future[None]:
        """Apply new settings, all or none. A new model is loaded beside the old one first.

        While no model runs, applying the same settings again is another attempt to load it. Raises ModelBusy.
        """
        again = self.model.classifier is None and settings == self._settings
        if settings.model != self._settings.model or again:
            return self._load_beside(settings)
        goes = self._source if settings.camera != self._settings.camera else None
        future = self._mailbox.post(lambda: self._use(settings, None))
        if goes is not None:
            goes.interrupt()  # otherwise a camera that hangs while opening would delay the change
        return future

    def govern(self, limit: Limit | None) -> Future[None]:
        """Limit the rate of classification; None: as fast as the settings allow."""
        return self._mailbox.post(lambda: self._govern(limit))

    def reload_model(self) -> Future[None]:
        """Load the model again, because its files or the machine's profile have changed. Raises ModelBusy."""
        return self._load_beside(None)

    # --- the worker -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._mailbox.run_all()
            self.progressed_at = time.monotonic()
            try:
                self._step()
            except Exception:  # a bug of ours must not leave the service running with a dead camera
                log.exception("The camera loop failed and goes on.")
                self._source.resume()
                self._stopping.wait(1.0)
        self._source.close()

    def _step(self) -> None:
        if self._state.paused:
            self._mailbox.arrived.wait(1.0)
            return
        frame = self._source.step(self._mailbox.arrived.wait)
        camera = self._source.state(time.monotonic())
        if frame is not None:
            self._take(frame, camera)
        elif _differs(camera, self._state.camera):
            if camera.status != "streaming":
                self._pace.stand_still()
            self._publish(camera=camera, rate=self._rate(camera, time.monotonic()))

    def _take(self, frame: Frame, camera: CameraState) -> None:
        """Classify the frame if a classification is due; publish it in any case."""
        now = time.monotonic()
        if self._viewer is None or not self._pace.is_due(self._settings, now):
            self._publish(camera=camera, frame=frame)
            return
        if self._may_rest(frame, now):
            self._reuse_prediction(frame, camera, now)
            return
        try:
            viewed = self._viewer.view(frame.pixels, self._state.region_asked, frame.captured_at)
        except Exception as error:  # onnxruntime's errors have no common base class
            self._give_up_model(error)
            return
        self._pace.classified(time.monotonic())
        self._conclude(frame, camera, viewed, capture_ms=(now - frame.captured_at) * 1e3)
        self._pace.was_busy(time.monotonic() - now)

    def _may_rest(self, frame: Frame, now: float) -> bool:
        """Whether the picture is still the one last classified."""
        keep_alive = self._settings.answer.unchanged_rate
        if keep_alive <= 0 or self._state.prediction is None:
            self._gate.resting = False
            return False
        if self._viewer is not None and self._viewer.searching:
            self._gate.resting = False
            return False
        # Something that enters outside the square in focus is a change as well.
        focused = self._viewer is not None and self._viewer.focused
        part = self._state.region_asked if focused else self._state.region_seen
        return self._gate.rests(frame.pixels, part, now, keep_alive)

    def _reuse_prediction(self, frame: Frame, camera: CameraState, now: float) -> None:
        """Reuse the last prediction for an unchanged picture: the smoother sees no gap and the answer stays fresh."""
        assert self._smoother is not None
        assert self._state.prediction is not None
        answer = self._smoother.add(self._state.prediction.probabilities, frame.captured_at)
        self._publish(camera=camera, frame=frame, answer=answer, rate=self._rate(camera, now))

    def _conclude(self, frame: Frame, camera: CameraState, viewed: Viewed, capture_ms: float) -> None:
        assert self._smoother is not None
        prediction = viewed.prediction
        answer = self._smoother.add(prediction.probabilities, frame.captured_at)
        before, timing, now = self._state.timing, prediction.timing, time.monotonic()
        self._publish(
            camera=camera,
            frame=frame,
            answer=answer,
            prediction=PredictionRecord(prediction.probabilities, frame.sequence, frame.captured_at),
            region_seen=prediction.seen,
            focus=viewed.why,
            rate=self._rate(camera, now),
            timing=StageTimes(
                capture=smoothed(before.capture, capture_ms),
                preprocess=smoothed(before.preprocess, timing.preprocess_ms),
                inference=smoothed(before.inference, timing.inference_ms),
                postprocess=smoothed(before.postprocess, timing.postprocess_ms),
                publish=self._publish_ms,
            ),
        )
        self._publish_ms = smoothed(self._publish_ms, (time.monotonic() - now) * 1e3)
        if self._hub.meter is not None:
            stages = (capture_ms, timing.preprocess_ms, timing.inference_ms, timing.postprocess_ms)
            self._hub.meter.classified(StageDurations(stages, now - frame.captured_at))

    def _rate(self, camera: CameraState, now: float) -> Rate:
        return self._pace.rate(
            self._settings,
            now,
            frames_per_s=camera.frames_per_s,
            dropped_frames=self._source.dropped_frames,
            resting=self._gate.resting,
        )

    def _publish(self, **changes: object) -> None:
        self._state = self._state.but(sequence=self._state.sequence + 1, **changes)
        self._hub.publish(self._state)

    # --- the commands, on the worker ----------------------------------------------------------------------------

    def _set_paused(self, paused: bool) -> None:
        if paused == self._state.paused:
            return
        if paused:
            self._source.pause()
        else:
            self._source.resume()
        # A picture from before the pause is private during it, and out of date after it.
        self._restart_answer(paused=paused, frame=None, camera=self._source.state(time.monotonic()))

    def _govern(self, limit: Limit | None) -> None:
        self._pace.limit = limit
        self._publish(interval_s=self._pace.interval_s(self._settings))

    def _load_beside(self, settings: Settings | None) -> Future[None]:
        """Load the model of the new settings or, for None, of those in force. Raises ModelBusy."""
        return self._loader.load(lambda done: self._load_and_use(settings, done))

    def _load_and_use(self, settings: Settings | None, done: Future[None]) -> None:
        """Load on the loader's thread while the worker keeps the old model. `done` may be cancelled until the swap."""
        loaded = self.model.read(settings or self._settings, self._settings)
        self._mailbox.post(lambda: self._swap(settings, loaded, done)).result()
        memory.release_free_memory()  # of the old network, and of loading the new one

    def _swap(self, settings: Settings | None, loaded: tuple[Catalogue, Classifier], done: Future[None]) -> None:
        if done.set_running_or_notify_cancel():
            self._use(settings or self._settings, loaded)

    def _use(self, settings: Settings, loaded: tuple[Catalogue, Classifier] | None) -> None:
        """Put new settings, and a new network if one was loaded, into force between two frames."""
        before, self._settings = self._settings, settings
        if settings.model != before.model:
            self.model.times_given_up = 0
        if loaded is not None:
            self._adopt(*loaded)
        elif settings.answer != before.answer:
            self._describe()
        if settings.camera != before.camera:
            self._change_source()
        elif loaded is not None or _looks_elsewhere(before.answer, settings.answer):
            self._restart_answer()
        else:
            self._tune()

    def _adopt(self, catalogue: Catalogue, classifier: Classifier) -> None:
        self.model.use(classifier, catalogue)
        self._describe()

    def _describe(self) -> None:
        described = self.model.describe(self._settings.answer)
        if described is not None:
            self._state = replace(self._state, model=described, model_fault=None)

    def _change_source(self) -> None:
        self._source.close()
        now = time.monotonic()
        self._source = Source(self._settings.camera, self._make_camera, now, self._source.next_sequence)
        if self._state.paused:
            self._source.pause()
        self._restart_answer(frame=None, camera=self._source.state(now))

    def _tune(self) -> None:
        """Use other thresholds and times; the current answer stands until the next prediction."""
        classifier = self.model.classifier
        if self._smoother is not None and classifier is not None:
            answer = self._settings.answer
            limits = thresholds_of(classifier.card, answer)
            self._smoother.tune(limits, window_s=answer.window_s, hold_s=answer.hold_s)
        self._publish(interval_s=self._pace.interval_s(self._settings))

    def _restart_answer(self, **changes: object) -> None:
        """Start without an answer, since results from another source, model or region do not apply."""
        now = time.monotonic()
        classifier = self.model.classifier
        self._smoother = new_smoother(classifier.card, self._settings, now) if classifier else None
        self._viewer = self._new_viewer(classifier)
        self._pace.restart(now)
        self._gate.reset()
        self._publish(
            answer=Answer(None, "no_data", now),
            prediction=None,
            region_asked=self._settings.answer.region.rect,
            region_seen=self._settings.answer.region.rect,
            focus=None,
            stale_after_s=self._settings.camera.stale_after_s,
            interval_s=self._pace.interval_s(self._settings),
            rate=Rate(dropped_frames=self._source.dropped_frames),
            **changes,
        )

    def _new_viewer(self, classifier: Classifier | None) -> Viewer | None:
        if classifier is None:
            return None
        return Viewer(classifier, focused=self._settings.answer.focus == "auto" and self._source.one_scene)

    def _give_up_model(self, error: Exception) -> None:
        self._restart_answer(model=None, model_fault=self.model.give_up(error))


def _differs(one: CameraState, other: CameraState) -> bool:
    """Whether the change is worth publishing at once; a change of the rate only is published with the next frame."""
    return replace(one, frames_per_s=0.0) != replace(other, frames_per_s=0.0)


def _looks_elsewhere(one: AnswerSettings, other: AnswerSettings) -> bool:
    """Whether a result under one of the settings does not apply under the other."""
    return (one.region, one.focus) != (other.region, other.focus)
