"""Which pictures a step sees: a pure function of seed and step, prepared a few steps ahead by one thread.

Because nothing depends on what came before, a run that is stopped at any step and resumed there sees the same pictures.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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

AHEAD = 6  # batches prepared before they are asked for


@dataclass(frozen=True)
class Batch:
    """``indices`` [n] into the pictures, ``view`` (which of the fixed crops), ``pixels`` [n, s, s, 3], ``targets`` [n].

    ``clean`` holds the same crops for the teacher, [n, t, t, 3], without the camera's defects; None when not asked for.
    """

    step: int
    view: int
    indices: NDArray[np.int64]
    pixels: Pixels
    targets: NDArray[np.int64]
    clean: Pixels | None


@dataclass(frozen=True)
class BatchSource:
    """Training batches. With ``views`` > 0 each picture has this many crops, used in turn, one per epoch.

    Fixed crops let a teacher's answers be kept (Shen and Xing 2022); what the camera does to them is always fresh.
    ``repeats`` [n] says how often each picture comes in an epoch (once, without it): hard ones more often.
    ``scenes`` are the pictures that may stand behind a far animal: those without one.
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
        """Epoch of a step, and the pictures it sees: a part of that epoch's own permutation."""
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
        """The batch of a step at ``size`` pixels a side, with the teacher's crops when ``clean_size`` > 0."""
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
        """The middle of a picture that shows none of the animals, [size, size, 3]."""
        assert self.scenes is not None
        picture = self.pictures[int(rng.choice(self.scenes))]
        return cut(picture, centre_square(*picture.shape[:2]), size)


def ahead(make: Callable[[int], Batch], first: int, end: int) -> Iterator[Batch]:
    """Batches of the steps first .. end - 1, made by another thread (OpenCV releases the interpreter lock)."""
    ready: queue.Queue[Batch | BaseException] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def put(item: Batch | BaseException) -> None:
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
        except BaseException as error:  # handed over: the training loop raises it
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
    """RGB [h, w, 3] as it is, or as gray [h, w, 1]."""
    return picture if channels == 3 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)[:, :, None]


def centre_crops(pictures: Pictures, size: int, channels: int = 3, chosen: Iterable[int] | None = None) -> Pixels:
    """Centre squares [n, size, size, channels] of all or the chosen pictures, as the service sees a whole frame."""
    crops = []
    for index in range(len(pictures)) if chosen is None else chosen:
        picture = pictures[index]
        crops.append(in_channels(cut(picture, centre_square(*picture.shape[:2]), size), channels))
    return np.stack(crops)
