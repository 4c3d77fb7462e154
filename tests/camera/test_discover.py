"""Finding cameras, `auto`, and the choice of an interpreter for the Pi camera."""

from __future__ import annotations

import stat
import sys
import threading
import time
from pathlib import Path

import pytest
from lookout.camera import auto, create, discover, interpreters
from lookout.camera.discover import Discovery, FoundCamera
from lookout.camera.interface import CameraOptions
from lookout.camera.interpreters import Probe, choose, probe
from lookout.camera.sources import v4l2
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraBusy, CameraDenied, CameraError, CameraUnsupported

from tests.camera.cards import card, colour_of
from tests.camera.fakes import FakeCapture, fake_usb

PI_CAMERAS = (
    {"Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a", "Num": 0},
    {"Model": "C920", "Id": "/base/scb/pcie/usb@0,0-1.2:1.0-046d:082d", "Num": 1},
)


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "_can", {})


def interpreter(folder: Path, body: str) -> str:
    """A stand-in for a Python interpreter."""
    path = folder / f"python-{len(list(folder.iterdir()))}"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def says(folder: Path, answer: str) -> str:
    return interpreter(folder, f"echo noise; echo '{answer}'")


def test_an_interpreter_with_picamera2_is_recognised_and_remembered(tmp_path: Path) -> None:
    python = says(tmp_path, '{"cameras": []}')
    assert choose(python, Deadline.after(5)) == python
    Path(python).unlink()
    assert choose(python, Deadline.after(5)) == python


def test_one_without_it_is_asked_again_the_next_time(tmp_path: Path) -> None:
    python = says(tmp_path, '{"error": "ModuleNotFoundError: No module named picamera2"}')
    with pytest.raises(CameraUnsupported, match="No module named picamera2") as raised:
        choose(python, Deadline.after(5))
    assert "apt install" in raised.value.remedy
    Path(python).write_text("#!/bin/sh\necho '{\"cameras\": []}'\n")
    assert choose(python, Deadline.after(5)) == python


@pytest.mark.parametrize(
    ("body", "words"),
    [("sleep 20", "did not answer"), ("exit 3", "exit status 3"), ("echo rubbish", "exit status 0")],
)
def test_an_interpreter_that_misbehaves_is_a_reason_by_the_deadline(tmp_path: Path, body: str, words: str) -> None:
    begun = time.monotonic()
    found = probe(interpreter(tmp_path, f"exec {body}" if body.startswith("sleep") else body), Deadline.after(0.5))
    assert words in found.error
    assert time.monotonic() - begun < 2


def test_an_interpreter_that_is_not_there_is_a_reason() -> None:
    assert "cannot be started" in probe("/no/such/python", Deadline.after(1)).error


def test_auto_prefers_this_interpreter_and_falls_back_to_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(python: str, _: Deadline) -> Probe:
        asked.append(python)
        return Probe("" if python == interpreters.SYSTEM_PYTHON else "no")

    monkeypatch.setattr(interpreters, "probe", answer)
    monkeypatch.setattr(interpreters.Path, "exists", lambda _: True)
    assert choose("auto", Deadline.after(1)) == interpreters.SYSTEM_PYTHON
    assert asked == [sys.executable, interpreters.SYSTEM_PYTHON]


def test_the_real_probe_runs_in_this_interpreter_without_our_import_path() -> None:
    found = probe(sys.executable, Deadline.after(20), cameras=True)
    assert found.error == "" or "picamera2" in found.error or "libcamera" in found.error


@pytest.fixture
def pi_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "probe", lambda *_, **__: Probe("", PI_CAMERAS))


@pytest.fixture
def no_pi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "probe", lambda *_, **__: Probe("No module named 'picamera2'"))


@pytest.mark.usefixtures("pi_cameras")
def test_pi_cameras_come_first_and_usb_cameras_once(monkeypatch: pytest.MonkeyPatch) -> None:
    device = v4l2.Device("/dev/video0", "uvcvideo", "C920", True, "usb:/dev/v4l/by-id/c920")
    monkeypatch.setattr(v4l2, "cameras", lambda: ([device], []))
    found = discover.discover("auto", Deadline.after(1))
    assert [(camera.kind, camera.address, camera.name) for camera in found.cameras] == [
        ("pi", "pi:0", "imx708"),
        ("usb", "usb:/dev/v4l/by-id/c920", "C920"),
    ]
    assert found.reasons == ()


@pytest.mark.usefixtures("no_pi")
def test_what_is_missing_is_reported_with_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "cameras", lambda: ([], []))
    found = discover.discover("auto", Deadline.after(1))
    assert found.cameras == ()
    assert found.reasons[0] == "picamera2 is not installed"
    assert found.reasons[1] == "no USB camera is plugged in"
    assert "apt install" in found.remedies[0]


@pytest.mark.usefixtures("no_pi")
def test_a_camera_one_may_not_open_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = CameraDenied("This user may not open /dev/video0.", "Add the user to the group video.")
    monkeypatch.setattr(v4l2, "cameras", lambda: ([], [refused]))
    found = discover.discover("auto", Deadline.after(1))
    assert found.reasons[1] == "This user may not open /dev/video0"
    assert found.remedies[1] == "Add the user to the group video."


def test_libcamera_without_a_camera_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "probe", lambda *_, **__: Probe(""))
    monkeypatch.setattr(v4l2, "cameras", lambda: ([], []))
    assert discover.discover("auto", Deadline.after(1)).reasons[0] == "libcamera finds no Pi camera"


@pytest.mark.usefixtures("no_pi")
def test_auto_without_any_camera_is_absent_and_never_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "cameras", lambda: ([], []))
    camera = create("auto", CameraOptions(), isolated=True)
    with pytest.raises(CameraAbsent, match="no USB camera is plugged in") as raised:
        camera.open(Deadline.after(5))
    assert "picamera2" in raised.value.detail
    assert "lookout demo" in raised.value.remedy
    with pytest.raises(CameraError):
        camera.read(Deadline.after(1))
    with pytest.raises(CameraError):
        _ = camera.info
    camera.close()


@pytest.mark.usefixtures("no_pi")
def test_auto_opens_a_usb_camera_and_stands_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node = fake_usb(monkeypatch, tmp_path, FakeCapture([card("green")]))
    camera = create("auto", CameraOptions(width=160, height=120), isolated=False)
    camera.open(Deadline.after(5))
    frame = camera.read(Deadline.after(2))
    assert isinstance(camera, auto.AutoCamera)
    assert colour_of(frame.pixels) == "green"
    assert camera.info.kind == "usb"
    assert camera.address == frame.source == f"usb:{node}"
    assert camera.log == ()
    camera.wake()
    camera.close()
    camera.close()


def two_cameras(monkeypatch: pytest.MonkeyPatch, second: str) -> None:
    found = Discovery(
        (FoundCamera("usb", "scripted:tests.camera.scripts:busy_at_once", "one"), FoundCamera("usb", second, "two")),
        (),
        (),
    )
    monkeypatch.setattr(auto, "discover", lambda *_: found)


def test_auto_passes_over_a_camera_that_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    two_cameras(monkeypatch, "scripted:tests.camera.scripts:still")
    camera = create("auto", CameraOptions(), isolated=True)
    camera.open(Deadline.after(20))
    assert colour_of(camera.read(Deadline.after(5)).pixels) == "red"
    camera.close()


def test_auto_reports_the_cameras_own_errors_when_none_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    two_cameras(monkeypatch, "scripted:tests.camera.scripts:nothing")
    with pytest.raises(CameraBusy, match=r"Another program holds it.*cannot be loaded"):
        create("auto", CameraOptions(), isolated=False).open(Deadline.after(5))


@pytest.mark.parametrize("first", ["hang_at_once", "busy_at_once"])
def test_auto_is_closed_at_once_while_a_camera_hangs_in_being_opened(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Pausing or stopping the service does not wait for the deadline, and no further camera is tried."""
    hanging = FoundCamera("usb", "scripted:tests.camera.scripts:hang_at_once", "hanging")
    cameras = (FoundCamera("usb", f"scripted:tests.camera.scripts:{first}", "one"), hanging, hanging)
    monkeypatch.setattr(auto, "discover", lambda *_: Discovery(cameras, (), ()))
    camera = create("auto", CameraOptions(), isolated=True)
    closing = threading.Timer(2.0, camera.close)
    closing.start()
    started = time.monotonic()
    with pytest.raises(CameraError, match="closed while it opened"):
        camera.open(Deadline.after(20))
    assert time.monotonic() - started < 8
    closing.join()
