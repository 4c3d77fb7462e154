"""Known error messages of camera software and what they mean: from lines on stderr to a sentence and a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lookout.errors import CameraAbsent, CameraBusy, CameraDenied, CameraError, CameraSilent, CameraUnsupported


@dataclass(frozen=True, slots=True)
class Symptom:
    pattern: re.Pattern[str]
    kind: type[CameraError]
    detail: str
    remedy: str


def _symptom(pattern: str, kind: type[CameraError], detail: str, remedy: str) -> Symptom:
    return Symptom(re.compile(pattern), kind, detail, remedy)


_SYMPTOMS = (
    _symptom(
        r"Camera frontend has timed out|Dequeue timer of .* has expired|Device timeout detected",
        CameraSilent,
        "The camera's sensor sends no picture to the Pi.",
        "Switch off, push both ends of the ribbon cable in again, and check the power supply.",
    ),
    _symptom(
        r"in use by another process|Failed to acquire camera|unexpected code: -16|Device or resource busy",
        CameraBusy,
        "Another program holds the camera.",
        "'sudo fuser -v /dev/media* /dev/video*' names it; stop that program.",
    ),
    _symptom(
        r"Permission denied",
        CameraDenied,
        "This user may not open the camera's device.",
        "Add the user to the group video (sudo usermod -aG video USER) and log in again.",
    ),
    _symptom(
        r"dmaHeap allocation failure|Could not open any dma|failed to allocate capture buffers|"
        r"Unable to request \d+ buffers|Cannot allocate memory",
        CameraError,
        "The Pi has no contiguous memory left for the camera's pictures.",
        "Restart the Pi; if it comes back, set dtoverlay=vc4-kms-v3d,cma-256 in config.txt.",
    ),
    _symptom(
        r"VIDIOC_DQBUF.*No such device|No such device",
        CameraAbsent,
        "The camera was unplugged.",
        "Plug it in again; it is picked up by itself.",
    ),
    _symptom(
        r"V4L2.*select\(\) timeout",
        CameraSilent,
        "The USB camera sends no picture.",
        "Try another USB port, without a hub, and a smaller camera.width and camera.height.",
    ),
    _symptom(
        r"numpy\.dtype size changed|compiled using NumPy 1\.x",
        CameraUnsupported,
        "The camera's Python library was built for another NumPy.",
        "Leave camera.python at auto, so that the camera runs with the system's own Python.",
    ),
    _symptom(
        r"cannot import name .* from 'libcamera'|No module named 'libcamera'",
        CameraUnsupported,
        "Python's libcamera binding is missing or damaged.",
        "Run: sudo apt install --reinstall python3-libcamera python3-picamera2",
    ),
)


def diagnose(lines: Iterable[str]) -> CameraError | None:
    """What the newest known line means, as an error to raise; None if no line is known."""
    for line in reversed(list(lines)):
        for symptom in _SYMPTOMS:
            if symptom.pattern.search(line):
                return symptom.kind(symptom.detail, symptom.remedy)
    return None
