"""USB cameras: what is asked of them, the newest frame, damaged frames, unplugging."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import pytest
from lookout.camera.interface import CameraOptions
from lookout.camera.sources.usb import UsbCamera
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraBusy, CameraError, CameraSilent, CameraUnsupported

from tests.camera.cards import card, colour_of, corner, white_corner
from tests.camera.fakes import FakeCapture, fake_usb

OPTIONS = CameraOptions(width=160, height=120, fps=100)


@pytest.fixture
def capture() -> FakeCapture:
    return FakeCapture([card("red"), card("green"), card("blue")])


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capture: FakeCapture) -> Path:
    return fake_usb(monkeypatch, tmp_path, capture)


def opened(options: CameraOptions = OPTIONS) -> UsbCamera:
    camera = UsbCamera("0", options)
    camera.open(Deadline.after(5))
    return camera


@pytest.mark.usefixtures("node")
def test_mjpg_is_asked_for_before_the_size_and_one_buffer(capture: FakeCapture) -> None:
    camera = opened()
    camera.close()
    properties = [prop for prop, _ in capture.asked]
    assert capture.asked[0] == (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    assert properties.index(cv2.CAP_PROP_FOURCC) < properties.index(cv2.CAP_PROP_FRAME_WIDTH)
    assert (cv2.CAP_PROP_BUFFERSIZE, 1) in capture.asked
    assert camera.info.name == "HD Cam"
    assert camera.info.notes == ()


@pytest.mark.usefixtures("node")
def test_what_was_not_granted_is_noted() -> None:
    camera = opened(CameraOptions(width=640, height=480, fps=15, controls={"gain": 3, "zoom": 2, "Iris": 1}))
    camera.close()
    assert camera.info.notes == (
        "The camera does not accept 'zoom' = 2.",
        "The control 'Iris' is unknown for USB cameras and was skipped.",
        "Asked for 640 x 480, got 160 x 120.",
        "Asked for 15 frames per second, got 100.",
    )
    assert (camera.info.width, camera.info.height, camera.info.fps) == (160, 120, 100)


@pytest.mark.usefixtures("node")
def test_a_slow_reader_gets_the_newest_frame() -> None:
    camera = opened()
    first = camera.read(Deadline.after(1))
    time.sleep(0.2)
    begun = time.monotonic()
    second = camera.read(Deadline.after(1))
    camera.close()
    assert second.sequence - first.sequence > 5
    assert begun - second.captured_at < 0.1


@pytest.mark.usefixtures("node")
def test_the_drivers_time_stamp_is_taken_where_it_makes_sense(capture: FakeCapture) -> None:
    camera = opened()
    capture.stamp = time.monotonic() - 0.5
    camera.read(Deadline.after(1))
    assert camera.read(Deadline.after(1)).captured_at == pytest.approx(capture.stamp)
    capture.stamp = time.time()
    camera.read(Deadline.after(1))
    frame = camera.read(Deadline.after(1))
    camera.close()
    assert abs(time.monotonic() - frame.captured_at) < 1


def test_frames_are_turned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_usb(monkeypatch, tmp_path, FakeCapture([corner()]))
    camera = opened(CameraOptions(width=160, height=120, rotate=90, flip="horizontal"))
    frame = camera.read(Deadline.after(1))
    camera.close()
    assert frame.pixels.shape == (160, 120, 3)
    assert white_corner(frame.pixels) == "top left"
    assert (camera.info.width, camera.info.height) == (120, 160)


def test_unplugging_is_reported_as_such(capture: FakeCapture, node: Path) -> None:
    camera = opened()
    camera.read(Deadline.after(1))
    node.unlink()
    capture.broken.set()
    begun = time.monotonic()
    with pytest.raises(CameraAbsent, match="unplugged"):
        read_on(camera)
    assert time.monotonic() - begun < 1
    camera.close()
    assert capture.released.wait(1)


@pytest.mark.usefixtures("node")
def test_a_camera_that_stops_sending_is_a_fault(capture: FakeCapture) -> None:
    camera = opened()
    capture.broken.set()
    with pytest.raises(CameraError, match="stopped sending"):
        read_on(camera)
    camera.close()


@pytest.mark.usefixtures("node")
def test_damaged_frames_are_passed_over(capture: FakeCapture) -> None:
    camera = opened()
    capture.undecodable = True
    with pytest.raises(CameraSilent):
        read_on(camera, 0.2)
    capture.undecodable = False
    assert colour_of(camera.read(Deadline.after(1)).pixels) in ("red", "green", "blue")
    camera.close()


@pytest.mark.usefixtures("node")
def test_a_hang_in_the_driver_is_silent_by_the_deadline_and_close_is_bounded(capture: FakeCapture) -> None:
    camera = opened()
    capture.hung.set()
    with pytest.raises(CameraSilent):
        read_on(camera, 0.2)
    begun = time.monotonic()
    camera.close()
    camera.close()
    assert time.monotonic() - begun < 1.5
    capture.hung.clear()
    assert capture.released.wait(2)  # by the thread that was left behind


@pytest.mark.usefixtures("node")
def test_a_hang_while_opening_ends_at_the_deadline(capture: FakeCapture) -> None:
    capture.hung.set()
    camera = UsbCamera("0", OPTIONS)
    begun = time.monotonic()
    with pytest.raises(CameraSilent, match="did not start"):
        camera.open(Deadline.after(0.2))
    assert time.monotonic() - begun < 1
    capture.hung.clear()
    camera.close()


def test_a_camera_that_does_not_open_is_in_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_usb(monkeypatch, tmp_path, FakeCapture([card("red")], opens=False))
    camera = UsbCamera("0", OPTIONS)
    with pytest.raises(CameraBusy, match="video0"):
        camera.open(Deadline.after(2))
    camera.close()


def test_a_camera_that_sends_nothing_at_the_start_is_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    capture = FakeCapture([card("red")])
    capture.broken.set()
    fake_usb(monkeypatch, tmp_path, capture)
    camera = UsbCamera("0", OPTIONS)
    with pytest.raises(CameraSilent, match="sends no picture"):
        camera.open(Deadline.after(2))
    assert capture.released.is_set()
    camera.close()


def test_a_node_that_is_not_there_or_no_camera_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CameraAbsent, match="There is no camera at /dev/video99"):
        UsbCamera("99", OPTIONS).open(Deadline.after(1))
    (tmp_path / "video0").write_bytes(b"")
    with pytest.raises(CameraUnsupported, match="not a video device"):
        UsbCamera(str(tmp_path / "video0"), OPTIONS).open(Deadline.after(1))


def test_reading_before_opening_and_after_closing_is_an_error(node: Path) -> None:
    camera = UsbCamera(str(node), OPTIONS)
    with pytest.raises(CameraError):
        _ = camera.info
    with pytest.raises(CameraError, match="closed"):
        camera.read(Deadline.after(1))


def read_on(camera: UsbCamera, seconds: float = 2.0) -> None:
    while True:
        camera.read(Deadline.after(seconds))
