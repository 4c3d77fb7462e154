"""A thread that empties a cv2.VideoCapture as fast as frames come, so that the newest frame is never behind a queue.

Opening, reading and releasing all happen in that thread: none of OpenCV's calls can be interrupted, so a caller with a
deadline must be able to walk away from them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from lookout.errors import CameraError, CameraSilent
from lookout.frame import Deadline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

STOP_S = 1.0  # a thread that is not back by then is stuck in the driver; it releases the device when it returns


class Capture(Protocol):
    """What is used of cv2.VideoCapture."""

    def isOpened(self) -> bool: ...  # noqa: N802
    def grab(self) -> bool: ...
    def get(self, prop: int, /) -> float: ...
    def release(self) -> None: ...


C = TypeVar("C", bound=Capture)


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One frame out of a capture: upright BGR pixels, and when it was caught, on the monotonic clock."""

    pixels: Pixels
    captured_at: float


class Grabber(Generic[C]):
    """Opens a capture and keeps its newest frame.

    opener: makes the capture, or raises CameraError with the reason. take: waits for the next frame; raises CameraError
    when the source is broken, returns None for a frame that could not be decoded.
    """

    def __init__(self, name: str, opener: Callable[[], C], take: Callable[[C], Taken | None]) -> None:
        self._opener, self._take = opener, take
        self._changed = threading.Condition()
        self._newest: Taken | None = None
        self._count = 0
        self._opened = self._stopped = False
        self._error: CameraError | None = None
        self._thread = threading.Thread(target=self._run, name=f"grabber {name}", daemon=True)

    def open(self, deadline: Deadline, late: CameraError) -> None:
        """Start the thread and wait until the capture is open; raises its error, or `late` at the deadline."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._error or self._stopped, deadline.remaining())
            if self._error is not None:
                raise self._error
            if not self._opened:
                raise late

    def next(self, deadline: Deadline) -> tuple[Taken, int]:
        """The newest frame not handed out before, and its number counted from 0."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._error or self._stopped, deadline.remaining())
            newest, self._newest = self._newest, None
            if newest is not None:
                return newest, self._count - 1
            if self._error is not None:
                raise self._error
            if self._stopped:
                raise CameraError("The camera was closed.", "Open it again.")
            raise CameraSilent("The camera sent nothing in time.", "Check its cable, network and power.")

    def stop(self) -> None:
        """Have the thread release the capture; waits STOP_S at most."""
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
            self._publish(opened=True)
            while not self._stopped:
                taken = self._take(capture)
                if taken is not None:
                    self._publish(taken)
        except CameraError as error:
            self._publish(error=error)
        except Exception as error:  # a fault of ours must not look like a camera that is merely silent
            self._publish(error=CameraError(f"Reading the camera failed: {error}.", "It is opened again."))
        finally:
            if capture is not None:
                capture.release()

    def _publish(self, taken: Taken | None = None, *, opened: bool = False, error: CameraError | None = None) -> None:
        with self._changed:
            self._opened = self._opened or opened
            self._error = error
            if taken is not None and not self._stopped:
                self._newest = taken
                self._count += 1
            self._changed.notify_all()
