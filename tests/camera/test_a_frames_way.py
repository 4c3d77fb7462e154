"""A frame's way: a red, a green and a blue card through every kind of source arrive so in the tensor.

The Pi camera's part, with the real picamera2, is in tests/pi; that every pixel format keeps its colour in test_convert.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from lookout.camera import create
from lookout.camera.interface import CameraOptions
from lookout.deadline import Deadline
from lookout.frame import Frame, Pixels
from lookout.pipeline.card import load_card
from lookout.pipeline.preprocess import new_tensor, preprocess
from lookout.resources import models_folder
from lookout.settings.schema import Settings

from tests.camera import servers
from tests.camera.cards import COLOURS, card, colour_of
from tests.camera.fakes import FakeCapture, fake_usb
from tests.requires import requires

OPTIONS = CameraOptions(width=160, height=120, fps=20)


def first_frame(address: str, options: CameraOptions = OPTIONS, *, isolated: bool = False) -> Frame:
    camera = create(address, options, isolated=isolated)
    camera.open(Deadline.after(20))
    try:
        frame = camera.read(Deadline.after(10))
    finally:
        camera.close()
    pixels = frame.pixels
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    assert (camera.info.width, camera.info.height) == (frame.width, frame.height)
    assert colour_in_tensor(pixels) == colour_of(pixels)
    return frame


def colour_in_tensor(pixels: Pixels) -> str:
    """Which card the shipped network is given: its tensor is red-green-blue."""
    spec = load_card(models_folder() / Settings().model.name).input
    tensor = new_tensor(spec)
    preprocess(pixels, spec, tensor)
    assert spec.color == "rgb"
    return colour_of(np.ascontiguousarray(tensor[0, :, :, ::-1]).astype(np.uint8))


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("colour", COLOURS)
def test_scripted(colour: str, isolated: bool) -> None:
    assert colour_of(first_frame(f"scripted:tests.camera.cards:{colour}", isolated=isolated).pixels) == colour


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_video_file(colour: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"card{suffix}"
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*("mp4v" if suffix == ".mp4" else "MJPG")), 20, (160, 120)
    )
    for _ in range(5):
        writer.write(card(colour))
    writer.release()
    assert colour_of(first_frame(f"file:{path}").pixels) == colour


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("colour", COLOURS)
def test_pictures(colour: str, suffix: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / f"card{suffix}"), card(colour))
    assert colour_of(first_frame(f"folder:{tmp_path}").pixels) == colour
    assert colour_of(first_frame(f"file:{tmp_path}/card{suffix}").pixels) == colour


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("colour", COLOURS)
def test_http(colour: str, isolated: bool) -> None:
    with servers.mjpeg(card(colour)) as server:
        frame = first_frame(f"http://127.0.0.1:{server.port}/stream.mjpg", isolated=isolated)
    assert colour_of(frame.pixels) == colour


@pytest.fixture(scope="module")
def rtsp_port() -> Iterator[int]:
    with servers.rtsp() as (port, _):
        yield port


@requires("rtsp")
@pytest.mark.parametrize(("colour", "isolated"), [("red", True), ("green", False), ("blue", True)])
def test_rtsp(colour: str, isolated: bool, rtsp_port: int) -> None:
    assert colour_of(first_frame(f"rtsp://127.0.0.1:{rtsp_port}/{colour}", isolated=isolated).pixels) == colour


@pytest.mark.parametrize("colour", COLOURS)
def test_usb(colour: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_usb(monkeypatch, tmp_path, FakeCapture([card(colour)]))
    assert colour_of(first_frame("usb:0").pixels) == colour
