"""Stand-ins for what a development machine lacks: a V4L2 device with its cv2.VideoCapture, and picamera2."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.camera import usb, v4l2

Pixels = NDArray[np.uint8]


class FakeCapture:
    """A cv2.VideoCapture of a USB camera that delivers these pictures in turn, for ever.

    size: what the camera offers whatever is asked, None: what is asked. broken: `grab` fails while it is set.
    hung: `grab` does not come back while it is set.
    """

    def __init__(self, pictures: list[Pixels], *, fps: float = 100, opens: bool = True) -> None:
        self.pictures, self.fps, self._opens = pictures, fps, opens
        self.asked: list[tuple[int, float]] = []
        self.broken, self.hung, self.released = threading.Event(), threading.Event(), threading.Event()
        self.undecodable = False
        self.stamp = 0.0
        self._count = 0

    def isOpened(self) -> bool:  # noqa: N802
        return self._opens

    def set(self, prop: int, value: float) -> bool:
        self.asked.append((prop, value))
        return prop != cv2.CAP_PROP_ZOOM

    def get(self, prop: int) -> float:
        height, width = self.pictures[0].shape[:2]
        known = {
            cv2.CAP_PROP_FRAME_WIDTH: float(width),
            cv2.CAP_PROP_FRAME_HEIGHT: float(height),
            cv2.CAP_PROP_FPS: self.fps,
            cv2.CAP_PROP_POS_MSEC: self.stamp * 1000,
        }
        return known.get(prop, 0.0)

    def grab(self) -> bool:
        threading.Event().wait(1 / self.fps)
        while self.hung.is_set():
            threading.Event().wait(0.01)
        self._count += 1
        return not self.broken.is_set()

    def retrieve(self) -> tuple[bool, Pixels | None]:
        if self.undecodable:
            return False, None
        return True, self.pictures[self._count % len(self.pictures)]

    def release(self) -> None:
        self.released.set()


def fake_usb(monkeypatch: pytest.MonkeyPatch, folder: Path, capture: FakeCapture, card: str = "HD Cam") -> Path:
    """Let /dev be `folder` with one camera, video0, behind `capture`; its node."""
    node = folder / "video0"
    node.touch()
    monkeypatch.setattr(v4l2, "DEV", folder)
    monkeypatch.setattr(v4l2, "BY_ID", folder / "by-id")

    def query(path: str) -> v4l2.Device:
        return v4l2.Device(path, "uvcvideo", card, True, f"usb:{path}")

    monkeypatch.setattr(v4l2, "query", query)
    monkeypatch.setattr(usb.cv2, "VideoCapture", lambda *_: capture)
    return node
