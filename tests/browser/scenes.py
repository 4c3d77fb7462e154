"""A camera that does what a test writes into a file: it runs as `scripted:tests.browser.scenes:as_ordered`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from lookout.camera.sources.scripted import End, Fail, Show, Step, Wait
from lookout.errors import CameraAbsent, CameraBusy

# The file holds one word of these.
ORDER_FILE = "CAMERA_ORDER_FILE"
SOURCE = "scripted:tests.browser.scenes:as_ordered"
WIDTH, HEIGHT = 640, 480
COLOURS = {"red": (0, 0, 240), "green": (0, 240, 0), "blue": (240, 0, 0)}


def as_ordered() -> Iterator[Step]:
    """One step each time the file is read; it starts from the beginning whenever the camera is opened."""
    cat = _framed(cv2.cvtColor(skimage.data.chelsea(), cv2.COLOR_RGB2BGR))
    noise = np.random.default_rng(7)
    first = True
    while True:
        order = Path(os.environ[ORDER_FILE]).read_text("utf-8").strip()
        if order == "live":
            yield Show(cv2.add(cat, noise.integers(0, 8, cat.shape, dtype=np.uint8)))
        elif order in COLOURS:
            yield Show(cv2.add(np.full_like(cat, COLOURS[order]), noise.integers(0, 8, cat.shape, dtype=np.uint8)))
        elif order == "absent":
            yield Fail(CameraAbsent("No camera is connected.", "See what is there: lookout cameras"))
        elif order == "busy":
            yield Fail(CameraBusy("Another program has the camera.", "End it: sudo fuser -k /dev/video0"))
        elif order == "end" and not first:
            yield End()
        else:
            yield Wait(0.1)
        first = False


def _framed(picture: np.ndarray) -> np.ndarray:
    scale = max(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (large.shape[0] - HEIGHT) // 2, (large.shape[1] - WIDTH) // 2
    return np.ascontiguousarray(large[top : top + HEIGHT, left : left + WIDTH])
