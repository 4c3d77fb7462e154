"""Keeps a camera running: opens it, reads it, notices when it is late or stuck, reopens it, and reports its state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from lookout.camera import create, is_live, shows_one_scene
from lookout.camera.interface import Camera, CameraOptions, EndOfSource
from lookout.camera.repeats import RepeatDetector
from lookout.deadline import Deadline
from lookout.engine.meters import RateMeter
from lookout.engine.supervisor import Supervisor
from lookout.errors import (
    CameraAbsent,
    CameraError,
    CameraRepeats,
    CameraSilent,
    CameraUnsupported,
    CameraWaiting,
    Fault,
)
from lookout.frame import Frame
from lookout.redaction import redact, redact_text
from lookout.settings.schema import CameraSettings
from lookout.state.state import CameraState, CameraStatus

log = logging.getLogger(__name__)

MakeCamera = Callable[[str, CameraOptions], Camera]

# The longest a command waits while a camera delivers nothing.
READ_SLICE_S = 0.1
# The rate is for display only. Computing and publishing it per frame took 25 microseconds; this takes 3.
RATE_EVERY_S = 0.2
# The first frame may take as long as the slowest exposure plus the longest gap between key frames.
FIRST_FRAME_S = 5.0
# Seconds without a picture after which the state says why an open source shows none.
WAIT_SAID_S = 3.0
# A film or a folder of pictures never goes stale, but its disk may hang.
DISK_OVERDUE_S = 10.0


def isolated_camera(address: str, options: CameraOptions) -> Camera:
    """Create a camera as the service does: a live one in a process of its own."""
    return create(address, options, isolated=True)


def options_of(settings: CameraSettings) -> CameraOptions:
    """The settings as camera options."""
    return CameraOptions(
        width=settings.width,
        height=settings.height,
        fps=settings.fps,
        rotate=settings.rotate,
        flip=settings.flip,
        controls=dict(settings.controls),
        python=settings.python,
    )


class Source:
    """One source of frames, reopened after every failure. Used by one thread; others may only call `interrupt`."""

    def __init__(self, settings: CameraSettings, make_camera: MakeCamera, now: float, next_sequence: int = 0) -> None:
        """next_sequence: the number of the first frame, which continues the previous source's numbers."""
        self._settings = settings
        self._make_camera = make_camera
        self._live = is_live(settings.source)
        overdue_s = settings.stale_after_s if self._live else max(DISK_OVERDUE_S, settings.stale_after_s)
        self._supervisor = Supervisor(overdue_s, now)
        self._repeats = RepeatDetector(settings.stale_after_s)
        self._watch_repeats = self._live and settings.repeats == "stalled"
        self._rate = RateMeter()
        self._camera: Camera | None = None
        self._sequence_offset: int | None = None
        self._interrupted = False
        self._rate_due_at = self._opened_at = now
        self._state = CameraState("opening", redact(settings.source), now, live=self._live)
        self.one_scene = shows_one_scene(settings.source)
        self.dropped_frames = 0
        self.next_sequence = next_sequence

    def state(self, now: float) -> CameraState:
        """The source's state; the same object while nothing visible has changed."""
        streaming = self._state.status == "streaming"
        if streaming and now < self._rate_due_at:
            return self._state
        self._rate_due_at = now + RATE_EVERY_S
        frames_per_s = round(self._rate.per_s(now), 1) if streaming else 0.0
        restarts = self._supervisor.restarts
        retry_at = self._supervisor.retry_at if self._state.fault else None
        state = self._state
        if (state.frames_per_s, state.restarts, state.retry_at) != (frames_per_s, restarts, retry_at):
            self._state = replace(state, frames_per_s=frames_per_s, restarts=restarts, retry_at=retry_at)
        return self._state

    @property
    def open_within_s(self) -> float:
        """Seconds for which the next attempt to open, or the current one, may occupy the worker."""
        return self._supervisor.open_within_s

    def step(self, idle: Callable[[float], object]) -> Frame | None:
        """Take the next step and return a new frame, if there is one.

        Returns within a fraction of a second, except when opening.

        idle: called with seconds to wait when there is nothing to do; may return early.
        """
        if self._state.status == "ended":
            idle(READ_SLICE_S)
            return None
        match self._supervisor.due(time.monotonic()):
            case "open":
                self._open()
            case "read":
                return self._read()
            case "wait":
                idle(READ_SLICE_S)
        return None

    def pause(self) -> None:
        """Close the camera, which turns its light off. No `step` until `resume`."""
        self._release("paused")

    def resume(self) -> None:
        """Start over: the next `step` opens the camera."""
        self._release("opening")

    def interrupt(self) -> None:
        """Interrupt whatever the camera is doing; the next `step` opens it again. May be called from any thread."""
        self._interrupted = True
        camera = self._camera
        if camera is not None:
            camera.close()

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _open(self) -> None:
        began = time.monotonic()
        try:
            self._camera = self._make_camera(self._settings.source, options_of(self._settings))
            if self._interrupted:  # `interrupt` came before there was a camera to close
                self._start_over()
                return
            self._camera.open(Deadline.after(self._supervisor.open_within_s))
            info = self._camera.info
        except EndOfSource:
            self._end()
            return
        except Exception as error:  # drivers may raise anything
            self._lose(error)
            return
        now = self._opened_at = time.monotonic()
        self._supervisor.opened(now + max(0.0, FIRST_FRAME_S - self._supervisor.overdue_s), now - began)
        self._sequence_offset = None
        if self._state.fault is not None and self._state.fault.code == CameraRepeats.code:
            self._repeats.doubt()
        else:
            self._repeats.reset()
        self._state = replace(
            self._state, name=info.name, width=info.width, height=info.height, live=info.live, notes=info.notes
        )
        log.info("Camera %s opened: %s, %d x %d.", self._state.source, info.name, info.width, info.height)
        for note in info.notes:
            log.warning("Camera %s: %s", self._state.source, note)

    def _read(self) -> Frame | None:
        assert self._camera is not None
        try:
            frame = self._camera.read(Deadline.after(READ_SLICE_S))
        except CameraWaiting as error:
            self._wait(error)
            return None
        except CameraSilent as error:
            if self._supervisor.is_overdue(time.monotonic()):
                self._lose(error)
            return None
        except EndOfSource:
            self._end()
            return None
        except Exception as error:  # drivers may raise anything
            self._lose(error)
            return None
        return self._accept(frame)

    def _wait(self, error: CameraWaiting) -> None:
        """Keep waiting for a camera that works but has no picture yet; reopening it would only restart the wait."""
        now = time.monotonic()
        self._supervisor.heard(now)
        if self._state.status != "streaming" and now - self._opened_at > WAIT_SAID_S:
            fault = Fault.of(error)
            if fault != self._state.fault:
                log.info("Camera %s: %s", self._state.source, error)
                self._state = replace(self._state, fault=fault)

    def _accept(self, frame: Frame) -> Frame | None:
        now = time.monotonic()
        if self._watch_repeats:
            stuck, doubted = self._repeats.see(frame), self._repeats.doubted
            if doubted:
                stuck = self._supervisor.is_overdue(now)
            if stuck:
                self._lose(_REPEATS)
            if stuck or doubted:
                return None
        self._interrupted = False
        self._supervisor.frame(now)
        self._rate.tick(now)
        frame = self._numbered(frame)
        height, width = frame.pixels.shape[:2]
        if width != self._state.width or height != self._state.height:  # a stream may change its size
            self._state = replace(self._state, width=width, height=height)
        if self._state.status != "streaming":
            log.info("Camera %s delivers pictures.", self._state.source)
            self._become("streaming", now)
        return frame

    def _numbered(self, frame: Frame) -> Frame:
        """Return the frame with a number that never repeats, although a camera counts from 0 each time it is opened."""
        if self._sequence_offset is None or frame.sequence + self._sequence_offset < self.next_sequence:
            self._sequence_offset = self.next_sequence - frame.sequence
        sequence = frame.sequence + self._sequence_offset
        self.dropped_frames += max(0, sequence - self.next_sequence)
        self.next_sequence = sequence + 1
        return replace(frame, sequence=sequence) if self._sequence_offset else frame

    def _end(self) -> None:
        self.close()
        log.info("The source %s has ended.", self._state.source)
        self._become("ended", time.monotonic())

    def _lose(self, error: Exception) -> None:
        if self._interrupted:  # the error is the result of our closing it
            self._start_over()
            return
        self.close()
        now = time.monotonic()
        opened = self._supervisor.due(now) == "read"
        self._supervisor.failed(now)
        self._rate.clear()
        if not isinstance(error, CameraError):
            log.error("Camera %s: its software failed.", self._state.source, exc_info=error)
            error = _software_failed(error, self._settings.source)
        status, fault = _status_after(error, opened), Fault.of(error)
        if (status, fault) != (self._state.status, self._state.fault):
            log.warning("Camera %s: %s", self._state.source, error)
        self._become(status, now, fault)

    def _start_over(self) -> None:
        """Close the camera after an interruption, which is not its failure; the next `step` opens it again."""
        self.close()
        self._interrupted = False
        self._supervisor.closed(time.monotonic())

    def _release(self, status: CameraStatus) -> None:
        self.close()
        self._interrupted = False
        self._rate.clear()
        now = time.monotonic()
        self._supervisor.closed(now)
        self._become(status, now)

    def _become(self, status: CameraStatus, now: float, fault: Fault | None = None) -> None:
        since = self._state.since if status == self._state.status else now
        self._state = replace(self._state, status=status, since=since, fault=fault)


_REPEATS = CameraRepeats(
    "The camera delivers the same picture over and over, so its driver is stuck.",
    "Lookout restarts it; if this keeps happening, check the cable. For a still picture set camera.repeats to ignore.",
)


def _software_failed(error: Exception, source: str) -> CameraError:
    what = redact_text(str(error), source).strip() or type(error).__name__
    return CameraError(f"The camera's software failed: {what.rstrip('.')}.", "The log has the details.")


def _status_after(error: CameraError, opened: bool) -> CameraStatus:
    """Return "stalled" for a source that was open and went silent, otherwise "absent" or "failed"."""
    if isinstance(error, (CameraAbsent, CameraUnsupported)):
        return "absent"
    if opened:
        return "stalled"
    return "failed"
