"""Opening a cv2.VideoCapture with FFmpeg options, which OpenCV takes from the environment alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2

_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_lock = threading.Lock()


def opened(address: str, options: str = "", limits: Sequence[int] = ()) -> cv2.VideoCapture:
    """A capture of a file or stream, open or not.

    options: "name;value|name;value", for this capture only: what makes a stream quick makes a file unreadable. A
    value the user has set in the environment is left alone. limits: properties and values, as OpenCV takes them.
    """
    with _lock:
        mine = bool(options) and _VARIABLE not in os.environ
        if mine:
            os.environ[_VARIABLE] = options
        try:
            return cv2.VideoCapture(address, cv2.CAP_FFMPEG, list(limits))
        finally:
            if mine:
                del os.environ[_VARIABLE]


def opened_file(path: Path) -> cv2.VideoCapture:
    """A capture of a video file, whatever it is called. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        # Absolute, or FFmpeg takes what stands before a colon for a protocol: "2026-05-01T12:30.mp4".
        name = str(path.absolute())
        try:
            name.encode()
        except UnicodeEncodeError:  # not in UTF-8, which ends the whole process in OpenCV's conversion
            name = f"/proc/self/fd/{file.fileno()}"
        return opened(name)
