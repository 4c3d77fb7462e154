"""A thread that reads a capture as fast as frames come, so that the newest frame is never behind a queue.

Opening, reading and releasing all happen on that thread. Calls of OpenCV and FFmpeg cannot be interrupted, so a caller
with a deadline must be able to abandon them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from lookout.camera.interface import EndOfSource
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraSilent, CameraUnsupported, CameraWaiting
from lookout.frame import Pixels
from lookout.redaction import redact_text

LIVELY_S = 1.0  # data younger than this shows that a source without a picture works
# Some encoders send one key frame a minute, and a large picture takes long over a slow connection. A source that sends
# data without completing a picture for this long has failed.
MAX_WAIT_S = 90.0
STOP_S = 1.0  # a thread that takes longer is stuck in the driver; it releases the device when it returns


class Capture(Protocol):
    """The part of the interface of cv2.VideoCapture and of a stream's feed that is used here."""

    def release(self) -> None: ...


C = TypeVar("C", bound=Capture)


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One frame from a capture: upright BGR pixels, and when it was captured, on the monotonic clock.

    mark: as in `Frame`.
    """

    pixels: Pixels
    captured_at: float
    mark: int | None = None


class Grabber(Generic[C]):
    """Opens a capture and keeps its newest frame.

    opener: opens the capture, or raises CameraError with the reason. take: waits for the next frame; raises CameraError
    if the source is broken and EndOfSource at its end; returns None for a frame that cannot be decoded, and if none
    comes within a short time. Call `hear` whenever data arrives.
    """

    def __init__(self, name: str, opener: Callable[[], C], take: Callable[[C], Taken | None]) -> None:
        self._opener, self._take = opener, take
        self._changed = threading.Condition()
        self._newest: Taken | None = None
        self._count = 0
        self._opened = self._stopped = False
        self._error: CameraError | EndOfSource | None = None
        self._heard_at = self._wait_since = float("-inf")
        self._thread = threading.Thread(target=self._run, name=f"grabber {name}", daemon=True)

    def open(self, deadline: Deadline, late: CameraError) -> None:
        """Start the thread and wait until the capture is open; raises its error, or `late` at the deadline."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._error or self._stopped, deadline.remaining())
            if self._error is not None and self._newest is None:
                raise self._error
            if not self._opened:
                raise late

    def first(self, deadline: Deadline) -> Taken | None:
        """Return the newest frame so far, which `next` will return as well; None if none came by the deadline."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._error or self._stopped, deadline.remaining())
            if self._newest is None and self._error is not None:
                raise self._error
            return self._newest

    def hear(self) -> None:
        """Record that data has arrived, even if it is not a frame yet."""
        self._heard_at = time.monotonic()

    def next(self, deadline: Deadline) -> tuple[Taken, int]:
        """Return the newest frame not returned before, and its number, counted from 0."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._error or self._stopped, deadline.remaining())
            newest, self._newest = self._newest, None
            if newest is not None:
                return newest, self._count - 1
            if self._error is not None:
                raise self._error
            if self._stopped:
                raise CameraError("The camera was closed.", "Open it again.")
            raise self._late()

    def _late(self) -> CameraError:
        now = time.monotonic()
        if now - self._heard_at > LIVELY_S:
            return CameraSilent("The camera sent nothing in time.", "Check its cable, network and power.")
        if now - self._wait_since > MAX_WAIT_S:
            return CameraUnsupported(
                f"The camera has sent data for {now - self._wait_since:.0f} s, and no picture in it can be decoded.",
                "Choose H.264 or MJPEG, and a key frame (I-frame) every second, in the camera's settings.",
            )
        return CameraWaiting(
            "The camera is connected and sends data; its first whole picture has not come yet.",
            "If that takes long, set the key frame (I-frame) interval to one second in the camera's settings.",
        )

    def stop(self) -> None:
        """Make the thread release the capture. Waits at most STOP_S."""
        with self._changed:
            self._stopped = True
            self._newest = None
            self._changed.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        capture = None
        try:
            capture = self._opener()
            self._wait_since = time.monotonic()
            self._publish(opened=True)
            while not self._stopped:
                taken = self._take(capture)
                if taken is not None:
                    self._publish(taken)
        except (CameraError, EndOfSource) as error:
            self._publish(error=error)
        except Exception as error:  # a bug of ours must not look like a silent camera
            self._publish(
                error=CameraError(f"Reading the camera failed: {redact_text(str(error))}.", "It is opened again.")
            )
        finally:
            if capture is not None:
                capture.release()

    def _publish(
        self, taken: Taken | None = None, *, opened: bool = False, error: CameraError | EndOfSource | None = None
    ) -> None:
        with self._changed:
            self._opened = self._opened or opened
            self._error = error
            if taken is not None and not self._stopped:
                self._newest = taken
                self._count += 1
                self._wait_since = time.monotonic()
            self._changed.notify_all()
