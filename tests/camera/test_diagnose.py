"""Known last words: each line seen in the field gets its remedy."""

from __future__ import annotations

import pytest
from lookout.camera.symptoms import diagnose
from lookout.errors import CameraAbsent, CameraBusy, CameraDenied, CameraError, CameraSilent, CameraUnsupported


@pytest.mark.parametrize(
    ("line", "kind", "remedy"),
    [
        ("[1:02:03] ERROR V4L2 v4l2_videodevice.cpp: Camera frontend has timed out!", CameraSilent, "ribbon"),
        ("WARN V4L2 Dequeue timer of 1000000.00us has expired!", CameraSilent, "ribbon"),
        ("RuntimeError: Failed to acquire camera: Device or resource busy", CameraBusy, "fuser"),
        ("Pipeline handler in use by another process", CameraBusy, "fuser"),
        ("Cannot open '/dev/video0': 13, Permission denied", CameraDenied, "group video"),
        ("ERROR RPI dmaHeap allocation failure for buffer", CameraError, "cma"),
        ("OSError: [Errno 12] Cannot allocate memory", CameraError, "cma"),
        ("VIDIOC_DQBUF: errno=19 (No such device)", CameraAbsent, "Plug it in"),
        ("VIDEOIO(V4L2:/dev/video0): select() timeout.", CameraSilent, "USB port"),
        (
            "ValueError: numpy.dtype size changed, may indicate binary incompatibility",
            CameraUnsupported,
            "camera.python",
        ),
        ("ModuleNotFoundError: No module named 'libcamera'", CameraUnsupported, "apt install"),
    ],
)
def test_known_lines(line: str, kind: type[CameraError], remedy: str) -> None:
    error = diagnose(["harmless", line, "INFO Camera started"])
    assert error is not None
    assert type(error) is kind
    assert remedy in error.remedy


def test_the_newest_known_line_counts() -> None:
    error = diagnose(["Permission denied", "Camera frontend has timed out!"])
    assert isinstance(error, CameraSilent)


def test_unknown_lines_say_nothing() -> None:
    assert diagnose(["Corrupt JPEG data: 2 extraneous bytes before marker 0xd1"]) is None
    assert diagnose([]) is None
