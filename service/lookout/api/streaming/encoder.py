"""JPEGs of frames: each frame and size is encoded once, however many viewers there are, and never without one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from lookout.frame import Frame, Pixels
from lookout.geometry import Rect
from lookout.system.threads import start_pool

T = TypeVar("T")

QUALITY = 80
# How many results are kept: the newest frames in the requested sizes, since older ones are never requested again.
_KEPT = 16


@dataclass(frozen=True, slots=True)
class Jpeg:
    """An encoded picture; width and height in pixels."""

    data: bytes
    width: int
    height: int


class Encoder:
    """One thread that scales, draws and encodes. Its methods are for the event loop."""

    def __init__(self) -> None:
        self._thread = start_pool(1, "jpeg")
        self._kept: OrderedDict[Hashable, asyncio.Future[Jpeg]] = OrderedDict()
        self.encoded = 0

    async def frame(self, frame: Frame, width: int | None = None, part: Rect | None = None) -> Jpeg:
        """Return the frame or the given part of it as JPEG, at most `width` pixels wide."""
        return await self.drawn(("frame", width, part), frame, lambda: shrunk(cropped(frame.pixels, part), width))

    async def drawn(self, key: Hashable, frame: Frame | None, draw: Callable[[], Pixels]) -> Jpeg:
        """Return the result of `draw` as JPEG. `draw` runs on the encoder's thread, once per key and frame."""
        full = (key, None if frame is None else (frame.sequence, frame.captured_at, frame.source))
        future = self._kept.get(full)
        if future is None:
            future = asyncio.get_running_loop().run_in_executor(self._thread, self._encode, draw)
            self._kept[full] = future
            future.add_done_callback(lambda done: self._forget_failed(full, done))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        # Shielded: a viewer who leaves must not cancel what others wait for.
        return await asyncio.shield(future)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _encode(self, draw: Callable[[], Pixels]) -> Jpeg:
        pixels = draw()
        ok, data = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        if not ok:
            raise RuntimeError("a frame cannot be encoded")
        self.encoded += 1
        return Jpeg(data.tobytes(), pixels.shape[1], pixels.shape[0])

    def _forget_failed(self, key: Hashable, future: asyncio.Future[Jpeg]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._kept.pop(key, None)


def cropped(pixels: Pixels, part: Rect | None) -> Pixels:
    """Return the part of a picture, at least one pixel wide and high."""
    if part is None:
        return pixels
    height, width = pixels.shape[:2]
    left, top = min(round(part.x * width), width - 1), min(round(part.y * height), height - 1)
    right = max(left + 1, min(width, round((part.x + part.width) * width)))
    bottom = max(top + 1, min(height, round((part.y + part.height) * height)))
    return pixels[top:bottom, left:right]


def shrunk(pixels: Pixels, width: int | None) -> Pixels:
    """Return the picture at most `width` pixels wide, in its aspect ratio. Enlarging is left to the viewer."""
    if width is None or width >= pixels.shape[1]:
        return pixels
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
