"""Stand-ins for what a development machine lacks: a V4L2 device with its cv2.VideoCapture, and picamera2."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from lookout.camera.sources import usb, v4l2
from numpy.typing import NDArray

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


class FakeJob:
    """A capture of FakePicamera2."""

    def __init__(self, camera: FakePicamera2) -> None:
        self._camera = camera

    def get_result(self, timeout: float | None = None) -> tuple[list[Pixels], dict[str, object]]:
        if self._camera.failure is not None:
            raise self._camera.failure
        if self._camera.stalled:
            threading.Event().wait(timeout)
            raise TimeoutError
        self._camera.jobs.remove(self)
        stamp = self._camera.stamps.pop(0) if self._camera.stamps else time.monotonic_ns()
        return [self._camera.pixels], {"SensorTimestamp": stamp}


class FakePicamera2:
    """What `PiCamera` uses of picamera2, with what a real Pi sensor has and libcamera's virtual camera lacks.

    Class attributes are the machine: set them with monkeypatch. `made` holds the cameras constructed.
    """

    cameras: ClassVar[list[dict[str, object]]] = [{"Model": "imx708", "Id": "/base/imx708@1a", "Num": 0}]
    properties: ClassVar[dict[str, object]] = {"ColorFilterArrangement": 0, "Model": "imx708"}
    controls: ClassVar[dict[str, tuple[object, ...]]] = {
        "FrameDurationLimits": (8333, 200_000, 33333),
        "AfMode": (0, 2, 0),
        "LensPosition": (0.0, 15.0, 1.0),
        "ExposureTime": (9, 66666, 20000),
    }
    grants_transform: ClassVar[bool] = True
    refusal: ClassVar[Exception | None] = None
    made: ClassVar[list[FakePicamera2]] = []

    def __init__(self, number: int, tuning: object = None) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.number, self.tuning = number, tuning
        self.camera_controls, self.camera_properties = self.controls, self.properties
        self.pixels = np.zeros((480, 640, 3), dtype=np.uint8)
        self.jobs: list[FakeJob] = []
        self.stamps: list[int] = []
        self.stalled = False
        self.failure: Exception | None = None
        self.cancelled = self.closed = 0
        self.asked: dict[str, object] = {}
        self.made.append(self)

    @classmethod
    def global_camera_info(cls) -> list[dict[str, object]]:
        return cls.cameras

    @staticmethod
    def load_tuning_file(name: str) -> dict[str, str]:
        return {"file": name}

    def create_video_configuration(self, **arguments: object) -> dict[str, object]:
        return arguments

    def configure(self, configuration: dict[str, object]) -> None:
        assert not self.asked, "more than one configuration call"
        self.asked = configuration

    def camera_configuration(self) -> dict[str, object]:
        transform = self.asked.get("transform") if self.grants_transform else FakeTransform()
        return {**self.asked, "transform": transform}

    def start(self) -> None:
        pass

    def capture_arrays(self, names: list[str], wait: bool) -> FakeJob:
        assert (names, wait) == (["main"], False)
        self.jobs.append(FakeJob(self))
        return self.jobs[-1]

    def cancel_all_and_flush(self) -> None:
        self.cancelled += 1
        self.jobs.clear()

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeTransform:
    hflip: bool = False
    vflip: bool = False
    transpose: bool = False


@contextlib.contextmanager
def fake_picamera2() -> Iterator[type[FakePicamera2]]:
    """Let `import picamera2` and `import libcamera` find the fakes."""
    picamera2, libcamera = types.ModuleType("picamera2"), types.ModuleType("libcamera")
    picamera2.Picamera2 = FakePicamera2  # type: ignore[attr-defined]
    libcamera.Transform = FakeTransform  # type: ignore[attr-defined]
    FakePicamera2.made.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "picamera2", picamera2)
        patch.setitem(sys.modules, "libcamera", libcamera)
        yield FakePicamera2
