"""Feeds pictures to the real engine as fast as it reads them.

The engine's clock follows the pictures' times, so that results do not depend on how busy the machine is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol
from unittest import mock

from lookout.camera.interface import Camera, CameraInfo, EndOfSource
from lookout.deadline import Deadline
from lookout.engine.worker import Engine, first_state
from lookout.frame import Frame, Pixels
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import Settings
from lookout.state.hub import Hub
from lookout.state.state import State

from tests.support.waiting import until

Note = Callable[[State], None]


class PlayedCamera(Camera, Protocol):
    """A camera whose pictures end, and whose `monotonic` returns the time of the newest picture."""

    def monotonic(self) -> float: ...


class PictureCamera:
    """Delivers pictures from memory, each with its time: (seconds, uint8, height x width x 3)."""

    def __init__(self, pictures: Iterator[tuple[float, Pixels]], width: int, height: int, fps: float) -> None:
        self._pictures, self._next = pictures, 0
        self._began = self._now = time.monotonic()
        self.info = CameraInfo("file", "film", width, height, fps, live=False)

    def monotonic(self) -> float:
        return self._now

    def open(self, deadline: Deadline) -> None:
        del deadline

    def read(self, deadline: Deadline) -> Frame:
        del deadline
        try:
            at, pixels = next(self._pictures)
        except StopIteration:
            raise EndOfSource from None
        self._now, self._next = self._began + at, self._next + 1
        return Frame(pixels, self._now, self._next - 1, "film")

    def close(self) -> None:
        pass


def play(settings: Settings, camera: PlayedCamera, note: Note, within_s: float) -> None:
    """Run the engine until the camera ends. note: called on its thread with the state of each classified frame."""
    clock = _Clock(camera)
    with mock.patch("lookout.engine.worker.time", clock), mock.patch("lookout.engine.source.time", clock):
        hub = _Noting(first_state(settings, camera.monotonic()), note)
        engine = Engine(settings, Catalogue.of(settings), hub, make_camera=lambda *_: camera)
        engine.start()
        try:
            until(lambda: hub.latest().camera.status == "ended", within_s, "the pictures do not end")
        finally:
            engine.stop()


class _Clock:
    """The module `time`, except that `monotonic` returns the time of the newest picture."""

    def __init__(self, camera: PlayedCamera) -> None:
        self.monotonic = camera.monotonic

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)


class _Noting(Hub):
    def __init__(self, state: State, note: Note) -> None:
        super().__init__(state)
        self._note = note

    def publish(self, state: State) -> None:
        super().publish(state)
        if state.frame is not None and state.prediction is not None:
            self._note(state)
