"""Empty rooms and pieces of them, like the squares that the focus classifies: scan tiles and changed parts."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator

from models.training.augment import Box, cut
from models.training.data import Pictures, Pixels

SHARP = 0.6  # share of pieces that come from sharp rooms, if there are any
SHARP_SIDE, SOFT_SIDE = (0.2, 0.6), (0.33, 0.8)  # range of a piece's side as a share of the room's, uniform
BLURRED = 0.3  # share of pieces that are out of focus


class Rooms:
    """Rooms without an animal: ``sharp`` ones, and smaller ones, the ``pictures`` with the indices ``chosen``."""

    def __init__(self, sharp: Sequence[Pixels], pictures: Pictures, chosen: Sequence[int]) -> None:
        if not sharp and not chosen:
            raise ValueError("no picture shows a room without an animal")
        self.sharp, self.pictures, self.chosen = sharp, pictures, chosen

    def piece(self, rng: Generator, size: int, whole: float = 0.1) -> Pixels:
        """A random square of a room as [size, size, 3]; with probability ``whole`` as large as the room."""
        if self.sharp and (not self.chosen or rng.random() < SHARP):
            room, sides = self.sharp[int(rng.integers(len(self.sharp)))], SHARP_SIDE
        else:
            room, sides = self.pictures[self.chosen[int(rng.integers(len(self.chosen)))]], SOFT_SIDE
        height, width = room.shape[:2]
        share = 1.0 if rng.random() < whole else rng.uniform(*sides)
        side = max(1, int(min(height, width) * share))
        x, y = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        out = cut(room, Box(x, y, side, side, 0.0, bool(rng.random() < 0.5)), size)
        if rng.random() < BLURRED:
            out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.6, 2.5) * size / 96), np.uint8)
        return out
