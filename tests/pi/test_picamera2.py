"""`PiCamera` in one process with the real picamera2, under an interpreter that has neither OpenCV nor our packages."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lookout.camera.interface import CameraOptions
from lookout.camera.sources.pi import PiCamera
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraError, CameraSilent

STALL = Path("/tmp/pi-stall")
OPTIONS = CameraOptions(fps=30)


@pytest.fixture
def camera() -> Iterator[PiCamera]:
    camera = PiCamera("0", OPTIONS)
    camera.open(Deadline.after(20))
    yield camera
    STALL.unlink(missing_ok=True)
    camera.close()


def read_on(camera: PiCamera) -> None:
    """Read until it fails: frames that were under way still come."""
    while True:
        camera.read_raw(Deadline.after(0.4))


def test_nothing_of_the_services_environment_is_needed(camera: PiCamera) -> None:
    camera.read_raw(Deadline.after(5))
    assert "cv2" not in sys.modules
    assert "pydantic" not in sys.modules


def test_the_format_really_delivered_is_reported(camera: PiCamera) -> None:
    raw = camera.read_raw(Deadline.after(5))
    assert (raw.format, raw.width, raw.height) == ("NV12", 640, 480)  # RGB888 was asked for
    assert raw.pixels.shape == (720, 640)
    assert camera.info.kind == "pi"
    assert camera.info.name == "Virtual bars"
    assert camera.info.fps == pytest.approx(30, abs=0.1)


def test_a_size_the_camera_lacks_is_read_back_and_said() -> None:
    camera = PiCamera("0", replace(OPTIONS, width=800, height=600))
    camera.open(Deadline.after(20))
    raw = camera.read_raw(Deadline.after(5))
    camera.close()
    assert (raw.width, raw.height) == (1920, 1080)
    assert camera.info.notes == ("Asked for 800 x 600, got 1920 x 1080.",)


def test_frames_carry_the_sensors_time_and_are_never_the_same(camera: PiCamera) -> None:
    frames = [camera.read_raw(Deadline.after(5)) for _ in range(20)]
    times = [frame.captured_at for frame in frames]
    assert times == sorted(set(times))
    assert 0 < time.monotonic() - times[-1] < 1.0
    assert [frame.sequence for frame in frames] == list(range(20))


def test_a_stalled_camera_is_silent_by_the_deadline_and_leaves_no_job_behind(camera: PiCamera) -> None:
    camera.read_raw(Deadline.after(5))
    STALL.touch()
    begun = time.monotonic()
    with pytest.raises(CameraSilent):
        read_on(camera)
    for _ in range(7):
        with pytest.raises(CameraSilent):
            camera.read_raw(Deadline.after(0.3))
    assert time.monotonic() - begun < 6
    library = camera._library
    assert len(library._job_list) <= 1  # type: ignore[union-attr]
    STALL.unlink()
    assert camera.read_raw(Deadline.after(3)).pixels.any()


def test_closing_a_stalled_camera_is_bounded_and_it_opens_again(camera: PiCamera) -> None:
    camera.read_raw(Deadline.after(5))
    STALL.touch()
    with pytest.raises(CameraSilent):
        read_on(camera)
    begun = time.monotonic()
    camera.close()
    camera.close()
    assert time.monotonic() - begun < 2.5
    STALL.unlink()
    camera.open(Deadline.after(20))
    assert camera.read_raw(Deadline.after(5)).sequence == 0


def test_another_thread_may_close_while_one_reads(camera: PiCamera) -> None:
    camera.read_raw(Deadline.after(5))
    STALL.touch()
    failures: list[CameraError] = []

    def read() -> None:
        try:
            while True:
                camera.read_raw(Deadline.after(3))
        except CameraError as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)
    camera.close()
    reader.join(5)
    assert not reader.is_alive()
    assert failures


def test_unknown_controls_are_named_and_skipped() -> None:
    camera = PiCamera("0", replace(OPTIONS, controls={"AfMode": 2, "Sharpnes": 1.0}))
    camera.open(Deadline.after(20))
    camera.read_raw(Deadline.after(5))
    camera.close()
    assert camera.info.notes == (
        "This camera has no control 'AfMode'; it was skipped.",
        "This camera has no control 'Sharpnes'; it was skipped.",
    )


def test_a_rate_the_camera_lacks_is_reported() -> None:
    camera = PiCamera("0", replace(OPTIONS, fps=5))
    camera.open(Deadline.after(20))
    camera.close()
    assert camera.info.notes == ("Asked for 5 frames per second, the camera does 30.0.",)


def test_turns_are_left_to_software_where_the_camera_would_only_claim_them() -> None:
    camera = PiCamera("0", replace(OPTIONS, rotate=180, flip="horizontal"))
    camera.open(Deadline.after(20))
    raw = camera.read_raw(Deadline.after(5))
    camera.close()
    assert (raw.rotate, raw.flip) == (180, "horizontal")


@pytest.mark.parametrize("which", ["1", "Virtual lines", "Virtual0"])
def test_a_camera_is_found_by_number_model_or_id(which: str) -> None:
    camera = PiCamera(which, OPTIONS)
    camera.open(Deadline.after(20))
    camera.close()
    assert camera.info.name == "Virtual lines"


def test_a_camera_that_is_not_there_is_absent_and_the_others_are_named() -> None:
    with pytest.raises(CameraAbsent, match="no camera pi:7") as raised:
        PiCamera("7", OPTIONS).open(Deadline.after(20))
    assert "pi:0 (Virtual bars)" in raised.value.remedy


def test_a_camera_in_use_is_refused(camera: PiCamera) -> None:
    other = PiCamera("0", OPTIONS)
    with pytest.raises(CameraError) as raised:
        other.open(Deadline.after(20))
    assert "fuser" in raised.value.remedy
    assert camera.read_raw(Deadline.after(5)).pixels.any()


def test_ten_reopenings_leave_no_thread_behind(camera: PiCamera) -> None:
    camera.read_raw(Deadline.after(5))
    before = threading.active_count()
    for _ in range(10):
        camera.open(Deadline.after(20))
        camera.read_raw(Deadline.after(5))
    assert threading.active_count() <= before


def test_opening_is_bounded() -> None:
    camera = PiCamera("0", OPTIONS)
    camera._constructed = lambda: threading.Event().wait(30)  # type: ignore[assignment,method-assign,return-value]
    begun = time.monotonic()
    with pytest.raises(CameraSilent, match="finding the camera took too long"):
        camera.open(Deadline.after(0.3))
    assert time.monotonic() - begun < 1
