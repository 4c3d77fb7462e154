"""Training batches: a pure function of seed and step, prepared a few steps ahead by one thread.

Because a batch does not depend on earlier ones, a run that is stopped at any step and resumed sees the same pictures.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.augment import (
    Box,
    CameraPolicy,
    CropPolicy,
    camera,
    centre_square,
    cut,
    draw_box,
    far_away,
    jittered,
)
from models.training.data import Pictures, Pixels

AHEAD = 6  # batches prepared in advance

Made = TypeVar("Made")


@dataclass(frozen=True)
class Batch:
    """``indices`` [n] into the pictures, ``view`` (index of the fixed crop), ``pixels`` [n, s, s, 3], ``targets`` [n].

    ``clean`` holds the same crops for the teacher, [n, t, t, 3], without camera defects; None if not requested.
    """

    step: int
    view: int
    indices: NDArray[np.int64]
    pixels: Pixels
    targets: NDArray[np.int64]
    clean: Pixels | None


@dataclass(frozen=True)
class BatchSource:
    """Makes the batches. With ``views`` > 0, each picture has this many fixed crops, used in turn, one per epoch.

    With fixed crops, a teacher's answers can be stored (Shen and Xing 2022); the camera defects are still drawn anew
    each time. ``repeats`` [n] is how often each picture occurs in an epoch, to show hard ones more often; None: once.
    ``scenes`` are indices of the pictures without an animal, used as the background of far animals.
    """

    pictures: Pictures
    crops: CropPolicy
    defects: CameraPolicy
    batch_size: int = 64
    seed: int = 0
    views: int = 0
    channels: int = 3
    repeats: NDArray[np.int64] | None = None
    scenes: NDArray[np.int64] | None = None

    @property
    def steps_per_epoch(self) -> int:
        seen = len(self.pictures) if self.repeats is None else int(self.repeats.sum())
        return max(1, seen // self.batch_size)

    def indices(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """The epoch of a step, and the indices of its pictures: a part of that epoch's permutation."""
        epoch, place = divmod(step, self.steps_per_epoch)
        count = len(self.pictures)
        shown = np.arange(count) if self.repeats is None else np.repeat(np.arange(count), self.repeats)
        order = np.random.default_rng((self.seed, 1, epoch)).permutation(shown)
        return epoch, order[place * self.batch_size : (place + 1) * self.batch_size]

    def box(self, index: int, view: int) -> Box:
        """The crop number ``view`` of a picture."""
        height, width = self.pictures.sizes[index]
        return draw_box(np.random.default_rng((self.seed, 2, index, view)), int(height), int(width), self.crops)

    def batch(self, step: int, size: int, clean_size: int = 0) -> Batch:
        """The batch of a step at ``size`` pixels a side, with crops for the teacher if ``clean_size`` > 0."""
        epoch, indices = self.indices(step)
        view = epoch % self.views if self.views else epoch
        rng = np.random.default_rng((self.seed, 3, step))
        pixels, clean = [], []
        for index in indices.tolist():
            picture, box = self.pictures[index], self.box(index, view)
            height, width = picture.shape[:2]
            seen = cut(picture, jittered(rng, box, height, width, self.crops.jitter), size)
            if self.scenes is not None and rng.random() < self.defects.far:
                seen = far_away(rng, seen, self._scene(rng, size))
            pixels.append(in_channels(camera(rng, seen, self.defects), self.channels))
            if clean_size:
                clean.append(cut(picture, box, clean_size))
        return Batch(
            step,
            view,
            indices,
            np.stack(pixels),
            self.pictures.targets[indices],
            np.stack(clean) if clean else None,
        )

    def _scene(self, rng: np.random.Generator, size: int) -> Pixels:
        """The centre square of a random picture without an animal, [size, size, 3]."""
        assert self.scenes is not None
        picture = self.pictures[int(rng.choice(self.scenes))]
        return cut(picture, centre_square(*picture.shape[:2]), size)


def ahead(make: Callable[[int], Made], first: int, end: int) -> Iterator[Made]:
    """Yield the batches of the steps first .. end - 1, made by another thread (OpenCV releases the GIL)."""
    ready: queue.Queue[Made | BaseException] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def put(item: Made | BaseException) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for step in range(first, end):
                if stopped.is_set():
                    return
                put(make(step))
        except BaseException as error:  # raised again in the training loop
            put(error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        for _ in range(first, end):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def in_channels(picture: Pixels, channels: int) -> Pixels:
    """RGB [h, w, 3] unchanged, or converted to gray [h, w, 1]."""
    return picture if channels == 3 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)[:, :, None]


def centre_crops(pictures: Pictures, size: int, channels: int = 3, chosen: Iterable[int] | None = None) -> Pixels:
    """Centre squares [n, size, size, channels] of all or the chosen pictures, as the service crops a whole frame."""
    crops = []
    for index in range(len(pictures)) if chosen is None else chosen:
        picture = pictures[index]
        crops.append(in_channels(cut(picture, centre_square(*picture.shape[:2]), size), channels))
    return np.stack(crops)
