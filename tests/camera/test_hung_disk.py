"""A film or folder on a disk that stops answering holds nobody up, and on one that fails it has not ended."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest
from lookout.camera import create
from lookout.camera.interface import Camera, CameraOptions
from lookout.camera.sources.disk import CHECKED_BYTES
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraError, CameraSilent, CameraUnsupported

from tests.faults import mounts
from tests.requires import requires


@requires("silent-disk")
@pytest.mark.parametrize("address", ["file:{}/clip.mp4", "file:{}/cat.jpg", "folder:{}"])
def test_opening_is_silent_by_its_deadline_and_closing_does_not_wait_for_the_disk(tmp_path: Path, address: str) -> None:
    with mounts.silent(tmp_path):
        camera = create(address.format(tmp_path), CameraOptions(), isolated=True)
        begun = time.monotonic()
        with pytest.raises(CameraSilent):
            camera.open(Deadline.after(2))
        assert time.monotonic() - begun < 5
        camera.close()
        failures: list[CameraError] = []

        def opening() -> None:
            try:
                camera.open(Deadline.after(30))
            except CameraError as error:
                failures.append(error)

        thread = threading.Thread(target=opening)
        thread.start()
        time.sleep(1)
        begun = time.monotonic()
        camera.close()
        assert time.monotonic() - begun < 3
        thread.join(3)
        assert failures


def read_on(camera: Camera, pictures: int = 300) -> None:
    for _ in range(pictures):
        camera.read(Deadline.after(3))


@requires("ffmpeg")
def test_a_film_whose_disk_stops_answering_is_silent_and_closes_at_once(tmp_path: Path) -> None:
    """Its process stopped stands for a read that does not return."""
    source = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=10:duration=20"]
    subprocess.run(["ffmpeg", "-v", "error", *source, str(tmp_path / "clip.mp4")], check=True)
    camera = create(f"file:{tmp_path}/clip.mp4", CameraOptions(), isolated=True)
    camera.open(Deadline.after(20))
    camera.read(Deadline.after(5))
    subprocess.run(["kill", "-STOP", str(camera.pid)], check=True)  # type: ignore[attr-defined]
    with pytest.raises(CameraSilent, match="Check the disk"):
        read_on(camera)
    begun = time.monotonic()
    camera.close()
    assert time.monotonic() - begun < 3


@requires("slow-disk")
@requires("ffmpeg")
@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts"])
def test_a_film_whose_disk_fails_has_not_ended_and_is_none_to_convert(tmp_path: Path, extension: str) -> None:
    """Damage in the film itself ends it, as `test_a_cut_off_video_ends` says; FFmpeg reports both alike."""
    source = ["-f", "lavfi", "-i", "testsrc2=size=640x480:rate=10:duration=20"]
    with mounts.slow(tmp_path, "uncached") as disk:
        path = disk.folder / f"clip.{extension}"
        subprocess.run(["ffmpeg", "-v", "error", *source, "-q:v", "3", str(path)], check=True)
        camera = create(f"file:{path}", CameraOptions(pace=False), isolated=False)
        camera.open(Deadline.after(20))
        camera.read(Deadline.after(5))
        disk.break_down()
        with pytest.raises(CameraError, match="Input/output error") as raised:
            read_on(camera)
        assert "disk or share" in raised.value.remedy
        with pytest.raises(CameraError, match="Input/output error"):
            camera.open(Deadline.after(20))
        disk.set(0.0)
        camera.open(Deadline.after(20))
        read_on(camera, 150)
        path.unlink()
        disk.break_down()
        with pytest.raises(CameraAbsent):
            read_on(camera)
        camera.close()


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_path_that_the_system_cannot_look_at_is_not_missing(
    kind: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a disk that fails or a share that was exported anew."""
    camera = create(f"{kind}:{tmp_path}/there", CameraOptions(), isolated=False)

    def refused(path: Path, **_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(CameraError, match=os.strerror(number)) as raised:
        camera.open(Deadline.after(5))
    assert not isinstance(raised.value, CameraAbsent)
    assert "disk or share" in raised.value.remedy


@requires("slow-disk")
@requires("ffmpeg")
def test_a_film_of_which_the_end_cannot_be_read_is_none_to_convert(tmp_path: Path) -> None:
    """FFmpeg writes the index of an MP4 at its end, far behind what else is looked at."""
    with mounts.slow(tmp_path, "uncached") as disk:
        path = disk.folder / "clip.mp4"
        path.write_bytes(random.Random(0).randbytes(3 * CHECKED_BYTES))
        camera = create(f"file:{path}", CameraOptions(), isolated=False)
        with pytest.raises(CameraUnsupported):
            camera.open(Deadline.after(20))
        disk.break_down(at=2 * CHECKED_BYTES)
        with pytest.raises(CameraError, match="Input/output error"):
            camera.open(Deadline.after(20))
