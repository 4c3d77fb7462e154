"""The address `auto`: the first camera that works, a Pi camera before a USB camera. Never the demo."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lookout.camera.discover import FoundCamera, discover
from lookout.camera.interface import Camera, CameraInfo, CameraOptions
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraError
from lookout.frame import Frame


class AutoCamera:
    """Searches for cameras each time it is opened, and delegates to the one found, whose address is `address`."""

    def __init__(self, options: CameraOptions, make: Callable[[str], Camera]) -> None:
        """make: creates the camera for an address, without opening it."""
        self._options, self._make = options, make
        self._camera: Camera | None = None
        self._info: CameraInfo | None = None
        self._closing = threading.Event()
        self.address = "auto"

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError("No camera is open.", "Open it first.")
        return self._info

    @property
    def log(self) -> tuple[str, ...]:
        """The last lines that the camera's software printed, if it runs isolated."""
        return tuple(getattr(self._camera, "log", ()))

    def open(self, deadline: Deadline) -> None:
        """Open the first camera that works. Raises CameraAbsent if none is found, or the errors of those that fail."""
        self.close()
        self._closing.clear()
        found = discover(self._options.python, deadline)
        failures: list[CameraError] = []
        for candidate in found.cameras:
            try:
                self._try(candidate, deadline)
            except CameraError as error:
                self._release()
                if self._closing.is_set():
                    raise
                failures.append(error)
                continue
            self.address = candidate.address
            return
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise type(failures[0])(" ".join(failure.detail for failure in failures), failures[0].remedy)
        raise CameraAbsent(
            f"No camera was found: {' and '.join(found.reasons)}.",
            " ".join((*found.remedies[-1:], "Without a camera, 'lookout demo' shows what Lookout does.")),
        )

    def read(self, deadline: Deadline) -> Frame:
        return self._open_camera().read(deadline)

    def wake(self) -> None:
        """Make a waiting `read` return early, if the camera can."""
        wake = getattr(self._camera, "wake", None)
        if wake is not None:
            wake()

    def close(self) -> None:
        """Close the camera. During `open`, also stop it from trying further cameras."""
        self._closing.set()
        self._release()

    def _release(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _open_camera(self) -> Camera:
        camera = self._camera
        if camera is None:
            raise CameraError("No camera is open.", "Open it first.")
        return camera

    def _try(self, candidate: FoundCamera, deadline: Deadline) -> None:
        """Open the candidate. It is assigned before that, so that `close` reaches a camera that hangs while opening."""
        self._camera = camera = self._make(candidate.address)
        self._stop_if_closed()
        camera.open(deadline)
        self._info = camera.info
        self._stop_if_closed()

    def _stop_if_closed(self) -> None:
        if self._closing.is_set():
            raise CameraError("The camera was closed while it opened.", "Open it again.")
