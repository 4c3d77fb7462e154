"""The script of a source faster than any network, for the camera's process: only NumPy, so that it starts fast."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from lookout.camera.sources.scripted import Show

# So many that the processor's caches do not hold them all.
PICTURES = 16


def distinct_pictures(width: int, height: int) -> Iterator[Show]:
    """Yield endless noise. Each picture has its number drawn in, so that no two are alike, however many are skipped."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pictures = [np.ascontiguousarray(np.roll(noise, shift, 1)) for shift in range(PICTURES)]
    for number in itertools.count():
        pixels = pictures[number % PICTURES]
        pixels[0, 0:8, 0] = np.frombuffer(number.to_bytes(8), np.uint8)
        yield Show(pixels)


vga = functools.partial(distinct_pictures, 640, 480)
hd = functools.partial(distinct_pictures, 1280, 720)
full_hd = functools.partial(distinct_pictures, 1920, 1080)
