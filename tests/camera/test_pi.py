"""`PiCamera` against a stand-in with what libcamera's virtual camera lacks: a sensor that flips, autofocus, limits.

The same class against the real picamera2 is tested in tests/pi.
"""

from __future__ import annotations

import concurrent.futures
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from lookout.camera.interface import CameraOptions
from lookout.camera.sources import pi
from lookout.camera.sources.pi import PiCamera, monotonic, sensor_flips
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraBusy, CameraError, CameraSilent, CameraUnsupported

from tests.camera.cards import card, colour_of
from tests.camera.fakes import FakePicamera2, FakeTransform, fake_picamera2


@pytest.fixture(autouse=True)
def library() -> Iterator[type[FakePicamera2]]:
    with fake_picamera2() as library:
        yield library


def opened(options: CameraOptions | None = None, which: str = "0") -> tuple[PiCamera, FakePicamera2]:
    camera = PiCamera(which, options or CameraOptions())
    camera.open(Deadline.after(5))
    return camera, FakePicamera2.made[-1]


def test_one_configuration_asks_for_a_small_stream_in_our_byte_order() -> None:
    _, library = opened()
    assert library.asked["main"] == {"size": (640, 480), "format": "RGB888"}
    assert library.asked["buffer_count"] == 4
    assert library.asked["controls"] == {"FrameDurationLimits": (66667, 66667), "AfMode": 2}


@pytest.mark.parametrize(
    ("rotate", "flip", "hflip", "vflip"),
    [
        (0, "none", False, False),
        (180, "none", True, True),
        (0, "horizontal", True, False),
        (180, "horizontal", False, True),
        (180, "both", False, False),
        (0, "vertical", False, True),
    ],
)
def test_a_sensor_flips_by_itself(rotate: int, flip: str, hflip: bool, vflip: bool) -> None:
    camera, library = opened(CameraOptions(rotate=rotate, flip=flip))
    assert library.asked["transform"] == FakeTransform(hflip, vflip)
    raw = camera.read_raw(Deadline.after(1))
    assert (raw.rotate, raw.flip) == (0, "none")


def test_what_the_sensor_did_not_grant_is_left_to_software(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakePicamera2, "grants_transform", False)
    camera, _ = opened(CameraOptions(rotate=180, flip="vertical"))
    raw = camera.read_raw(Deadline.after(1))
    assert (raw.rotate, raw.flip) == (180, "vertical")


def test_a_camera_without_colour_filter_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakePicamera2, "properties", {})
    camera, library = opened(CameraOptions(rotate=180))
    assert "transform" not in library.asked
    assert camera.read_raw(Deadline.after(1)).rotate == 180


def test_a_quarter_turn_is_all_software() -> None:
    camera, library = opened(CameraOptions(rotate=90, flip="horizontal"))
    assert "transform" not in library.asked
    raw = camera.read_raw(Deadline.after(1))
    assert (raw.rotate, raw.flip) == (90, "horizontal")
    assert (camera.info.width, camera.info.height) == (480, 640)
    assert sensor_flips(CameraOptions(rotate=270)) is None


def test_the_users_controls_are_passed_on_and_win_over_autofocus() -> None:
    options = CameraOptions(
        controls={"LensPosition": 2.0, "ExposureTime": 10000, "Nonsense": 1, "tuning_file": "x.json"}
    )
    camera, library = opened(options)
    controls = library.asked["controls"]
    assert isinstance(controls, dict)
    assert controls.keys() == {"FrameDurationLimits", "LensPosition", "ExposureTime"}
    assert library.tuning == {"file": "x.json"}
    assert camera.info.notes == ("This camera has no control 'Nonsense'; it was skipped.",)


@pytest.mark.parametrize(("fps", "real"), [(240, 120), (1, 5)])
def test_a_rate_beyond_the_sensor_is_limited_and_said(fps: float, real: float) -> None:
    camera, _ = opened(CameraOptions(fps=fps))
    assert camera.info.fps == pytest.approx(real, rel=0.01)
    assert camera.info.notes == (f"Asked for {fps:g} frames per second, the camera does {real:.1f}.",)


def test_without_a_rate_asked_the_camera_chooses() -> None:
    camera, library = opened(CameraOptions(fps=0))
    assert library.asked["controls"] == {"AfMode": 2}
    assert camera.info.fps is None


def test_frames_are_converted_in_process_too() -> None:
    camera, library = opened()
    library.pixels = card("blue", 640, 480)
    frame = camera.read(Deadline.after(1))
    assert colour_of(frame.pixels) == "blue"
    assert (frame.source, frame.sequence) == ("pi:0", 0)


def test_a_frame_handed_out_before_or_too_old_is_passed_over() -> None:
    camera, library = opened()
    now = time.monotonic_ns()
    library.stamps = [now - 3_000_000_000, now - 100_000_000]
    assert camera.read_raw(Deadline.after(1)).captured_at == pytest.approx((now - 100_000_000) / 1e9)
    library.stamps = [now - 100_000_000, now - 50_000_000]
    assert camera.read_raw(Deadline.after(1)).captured_at == pytest.approx((now - 50_000_000) / 1e9)


def test_a_camera_whose_frames_are_all_old_still_delivers() -> None:
    camera, library = opened()
    library.stamps = [time.monotonic_ns() - 3_000_000_000] * 9
    assert time.monotonic() - camera.read_raw(Deadline.after(1)).captured_at == pytest.approx(3, abs=0.5)


def test_there_is_never_more_than_one_job_and_a_stuck_one_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pi, "GIVE_UP_S", 0.15)
    camera, library = opened(CameraOptions(fps=100))
    library.stalled = True
    for _ in range(4):
        with pytest.raises(CameraSilent):
            camera.read_raw(Deadline.after(0.05))
        assert len(library.jobs) <= 1
    assert library.cancelled == 1
    library.stalled = False
    assert camera.read_raw(Deadline.after(1)).sequence == 0


def test_a_job_outlives_a_short_deadline() -> None:
    camera, library = opened()
    library.stalled = True
    with pytest.raises(CameraSilent):
        camera.read_raw(Deadline.after(0.01))
    waiting = list(library.jobs)
    library.stalled = False
    camera.read_raw(Deadline.after(1))
    assert waiting
    assert library.cancelled == 0


def test_a_library_that_hangs_while_cancelling_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pi, "GIVE_UP_S", 0.0)
    monkeypatch.setattr(pi, "CLOSE_S", 0.1)
    camera, library = opened(CameraOptions(fps=1000))
    library.stalled = True
    release = threading.Event()
    monkeypatch.setattr(library, "cancel_all_and_flush", lambda: release.wait(5))
    with pytest.raises(CameraError, match="hangs"):
        camera.read_raw(Deadline.after(0.05))
    release.set()


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (concurrent.futures.CancelledError(), "closed"),
        (RuntimeError("Camera has gone"), "RuntimeError: Camera has gone"),
    ],
)
def test_what_a_capture_raises_is_a_sentence(failure: Exception, words: str) -> None:
    camera, library = opened()
    library.failure = failure
    with pytest.raises(CameraError, match=words):
        camera.read_raw(Deadline.after(1))


def test_close_is_bounded_and_safe_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pi, "CLOSE_S", 0.1)
    camera, library = opened()
    release = threading.Event()
    monkeypatch.setattr(library, "close", lambda: release.wait(5))
    begun = time.monotonic()
    camera.close()
    camera.close()
    release.set()
    assert time.monotonic() - begun < 1
    with pytest.raises(CameraError, match="closed"):
        camera.read_raw(Deadline.after(1))


def test_a_step_that_hangs_while_opening_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(FakePicamera2, "start", lambda _: release.wait(5))
    with pytest.raises(CameraSilent, match="starting the camera took too long"):
        PiCamera("0", CameraOptions()).open(Deadline.after(0.2))
    release.set()
    assert FakePicamera2.made[-1].closed == 1


def caused(cause: str) -> RuntimeError:
    error = RuntimeError("Camera __init__ sequence did not complete.")
    error.__cause__ = RuntimeError(cause)
    return error


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (caused("Failed to acquire camera: Device or resource busy"), CameraBusy),
        (caused("something else"), CameraError),
        (RuntimeError('No camera number 0 found - use "rpicam-hello --list-cameras"'), CameraAbsent),
        (RuntimeError("anything"), CameraError),
    ],
)
def test_what_picamera2_raises_on_opening_is_understood(
    refusal: Exception, kind: type[CameraError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePicamera2, "refusal", refusal)
    with pytest.raises(CameraError) as raised:
        PiCamera("0", CameraOptions()).open(Deadline.after(5))
    assert type(raised.value) is kind
    assert raised.value.remedy


def test_no_camera_and_another_camera_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CameraAbsent, match="no camera pi:3") as other:
        PiCamera("3", CameraOptions()).open(Deadline.after(5))
    assert "pi:0 (imx708)" in other.value.remedy
    monkeypatch.setattr(FakePicamera2, "cameras", [])
    with pytest.raises(CameraAbsent, match="libcamera finds no camera") as none:
        PiCamera("0", CameraOptions()).open(Deadline.after(5))
    assert "camera_auto_detect" in none.value.remedy


def test_a_camera_is_found_by_its_model() -> None:
    camera, _ = opened(which="imx708")
    assert camera.info.name == "imx708"


def test_without_picamera2_the_remedy_is_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraUnsupported) as raised:
        PiCamera("0", CameraOptions()).open(Deadline.after(5))
    assert "apt install python3-picamera2" in raised.value.remedy


NOW = 5_000_000_000_000
MINUTE = 60_000_000_000


@pytest.mark.parametrize(
    ("stamp", "boot_ahead", "expected"),
    [
        (NOW - 50_000_000, 0, NOW - 50_000_000),  # both clocks are one
        (NOW - 50_000_000, 7 * MINUTE, NOW - 50_000_000),  # the machine slept, the stamp is monotonic
        (NOW + 7 * MINUTE - 50_000_000, 7 * MINUTE, NOW - 50_000_000),  # it slept, the stamp is of boot time
        (0, 0, NOW),  # no time stamp
        (1_700_000_000_000_000_000, 0, NOW),  # wall time
        (NOW - 5 * MINUTE, 0, NOW),  # nonsense
    ],
)
def test_time_stamps_of_either_clock_are_understood(stamp: int, boot_ahead: int, expected: int) -> None:
    assert monotonic(stamp, NOW, boot_ahead) == expected / 1e9
