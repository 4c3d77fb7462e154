"""The Pi camera as the service has it: the child under a Python with picamera2, the parent under one with OpenCV."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lookout.camera import create
from lookout.camera.discover import discover
from lookout.camera.interface import CameraOptions
from lookout.camera.isolation.camera import IsolatedCamera
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Frame

STALL = Path("/tmp/pi-stall")
OPTIONS = CameraOptions(fps=30, python="/opt/camera/bin/python")
# The bars of libcamera's test picture in order: white, yellow, cyan, green, magenta, red, blue, black; here as BGR.
BARS = [(1, 1, 1), (0, 1, 1), (1, 1, 0), (0, 1, 0), (1, 0, 1), (0, 0, 1), (1, 0, 0), (0, 0, 0)]


@pytest.fixture
def camera() -> Iterator[IsolatedCamera]:
    camera = create("pi:0", OPTIONS, isolated=True)
    assert isinstance(camera, IsolatedCamera)
    camera.open(Deadline.after(30))
    yield camera
    STALL.unlink(missing_ok=True)
    camera.close()


def read_on(camera: IsolatedCamera, seconds: float) -> None:
    """Read until it fails: frames that were under way still come."""
    while True:
        camera.read(Deadline.after(seconds))


def bars(frame: Frame) -> list[tuple[int, ...]]:
    """Which of blue, green and red is on in each of the eight bars, left to right."""
    row = frame.pixels[frame.height // 2, frame.width // 16 :: frame.width // 8].astype(int)
    return [tuple(int(value > 100) for value in pixel) for pixel in row[:8]]


def test_the_two_environments_are_apart() -> None:
    assert importlib.util.find_spec("picamera2") is None
    assert importlib.util.find_spec("cv2") is not None


def test_colours_arrive_as_they_are(camera: IsolatedCamera) -> None:
    frame = camera.read(Deadline.after(5))
    assert frame.pixels.shape == (480, 640, 3)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.flags.c_contiguous
    assert bars(frame) == BARS
    assert frame.source == "pi:0"
    assert 0 <= time.monotonic() - frame.captured_at < 1


@pytest.mark.parametrize(
    ("rotate", "flip", "reversed_"), [(180, "none", True), (180, "horizontal", False), (0, "both", True)]
)
def test_turned_pictures_are_upright(rotate: int, flip: str, reversed_: bool) -> None:
    camera = create("pi:0", replace(OPTIONS, rotate=rotate, flip=flip), isolated=True)
    camera.open(Deadline.after(30))
    frame = camera.read(Deadline.after(5))
    camera.close()
    assert bars(frame) == (BARS[::-1] if reversed_ else BARS)


def test_a_quarter_turn_swaps_width_and_height() -> None:
    camera = create("pi:0", replace(OPTIONS, rotate=90), isolated=True)
    camera.open(Deadline.after(30))
    frame = camera.read(Deadline.after(5))
    camera.close()
    assert frame.pixels.shape == (640, 480, 3)
    assert (camera.info.width, camera.info.height) == (480, 640)
    column = frame.pixels[40::80, 240].astype(int)
    assert [tuple(int(value > 100) for value in pixel) for pixel in column] == BARS  # clockwise: left goes up


def test_a_killed_camera_is_reported_at_once_and_comes_back(camera: IsolatedCamera) -> None:
    camera.read(Deadline.after(5))
    assert camera.pid is not None
    os.kill(camera.pid, signal.SIGKILL)
    begun = time.monotonic()
    with pytest.raises(CameraError, match="SIGKILL"):
        read_on(camera, 2)
    assert time.monotonic() - begun < 1
    camera.open(Deadline.after(30))
    assert bars(camera.read(Deadline.after(5))) == BARS


def test_a_stalled_camera_is_silent_and_comes_back_by_itself(camera: IsolatedCamera) -> None:
    camera.read(Deadline.after(5))
    STALL.touch()
    with pytest.raises(CameraSilent):
        read_on(camera, 0.5)
    begun = time.monotonic()
    with pytest.raises(CameraSilent):
        camera.read(Deadline.after(3))
    assert time.monotonic() - begun < 3.5
    STALL.unlink()
    assert bars(camera.read(Deadline.after(3))) == BARS


def test_auto_finds_the_pi_camera() -> None:
    found = discover(OPTIONS.python, Deadline.after(30))
    assert [(camera.address, camera.name) for camera in found.cameras[:2]] == [
        ("pi:0", "Virtual bars"),
        ("pi:1", "Virtual lines"),
    ]
    camera = create("auto", OPTIONS, isolated=True)
    camera.open(Deadline.after(40))
    assert bars(camera.read(Deadline.after(5))) == BARS
    camera.close()


def test_an_interpreter_without_picamera2_is_refused_with_the_remedy() -> None:
    camera = create("pi:0", replace(OPTIONS, python="/opt/lookout/bin/python"), isolated=True)
    with pytest.raises(CameraUnsupported, match="No module named 'picamera2'") as raised:
        camera.open(Deadline.after(30))
    assert "apt install" in raised.value.remedy
