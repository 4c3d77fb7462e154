"""Photographs in the accelerator's memory, and rendering of random crops there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.training.augment import CropPolicy
from models.training.data import SHORT_SIDE, Pictures

LONG_SIDE = SHORT_SIDE * 3 // 2  # pixels; longer pictures are cropped to their centre


@dataclass(frozen=True)
class Boxes:
    """Crops in pixels, a row each: centre x and y, width, height, angle in radians; ``flip`` is -1 or 1."""

    rows: Tensor
    flip: Tensor

    def __getitem__(self, chosen: Tensor) -> Boxes:
        return Boxes(self.rows[chosen], self.flip[chosen])


class Store:
    """All pictures as one uint8 tensor [n, 3, SHORT_SIDE, LONG_SIDE], each in the top left corner of its canvas.

    ``sizes`` [n, 2] are height and width, ``targets`` [n] the labels. Tall pictures, marked in ``tall`` [n], are stored
    transposed.
    """

    def __init__(self, pictures: Pictures, device: torch.device) -> None:
        canvas = np.zeros((len(pictures), SHORT_SIDE, LONG_SIDE, 3), np.uint8)
        sizes = np.zeros((len(pictures), 2), np.float32)
        tall = np.zeros(len(pictures), bool)
        for index in range(len(pictures)):
            picture = pictures[index]
            tall[index] = picture.shape[0] > picture.shape[1]
            lying = picture.transpose(1, 0, 2) if tall[index] else picture
            start = max(0, (lying.shape[1] - LONG_SIDE) // 2)
            lying = lying[:, start : start + LONG_SIDE]
            sizes[index] = lying.shape[:2]
            canvas[index, : lying.shape[0], : lying.shape[1]] = lying
        self.device = device
        self.pixels = torch.from_numpy(canvas).to(device).permute(0, 3, 1, 2)
        self.tall = torch.from_numpy(tall).to(device)
        lying_sizes = torch.from_numpy(sizes).to(device)
        self.sizes = torch.where(self.tall[:, None], lying_sizes.flip(1), lying_sizes)
        self.targets = torch.from_numpy(pictures.targets).to(device)

    def __len__(self) -> int:
        return len(self.targets)

    def centre_squares(self, indices: Tensor) -> Boxes:
        """The crop that the service makes of a whole frame."""
        height, width = self.sizes[indices].unbind(1)
        side = torch.minimum(height, width)
        rows = torch.stack([width / 2, height / 2, side, side, torch.zeros_like(side)], 1)
        return Boxes(rows, torch.ones_like(side))

    def draw(self, indices: Tensor, policy: CropPolicy, random: torch.Generator) -> Boxes:
        """Random crops, as `augment.draw_box` draws them, except that a side that does not fit is shortened."""

        def uniform(low: float, high: float) -> Tensor:
            return torch.rand(len(indices), generator=random, device=self.device) * (high - low) + low

        height, width = self.sizes[indices].unbind(1)
        area = height * width * uniform(policy.min_area, 1.0)
        aspect = torch.exp(uniform(-1, 1) * math.log(policy.aspect))
        w, h = torch.minimum((area * aspect).sqrt(), width), torch.minimum((area / aspect).sqrt(), height)
        x = w / 2 + (width - w) * uniform(0, 1)
        y = h / 2 + (height - h) * uniform(0, 1)
        turned = (uniform(0, 1) < policy.turned).float()
        angle = uniform(-1, 1) * math.radians(policy.max_degrees) * turned
        plain = (uniform(0, 1) < policy.plain)[:, None]
        rows = torch.where(plain, self.centre_squares(indices).rows, torch.stack([x, y, w, h, angle], 1))
        return Boxes(rows, 1 - 2 * (uniform(0, 1) < policy.mirrored).float())

    def jittered(self, indices: Tensor, boxes: Boxes, share: float, random: torch.Generator) -> Boxes:
        """Boxes moved and scaled by up to ``share`` of their sides within the pictures; mirroring is drawn anew."""
        draw = torch.rand((len(indices), 5), generator=random, device=self.device)
        height, width = self.sizes[indices].unbind(1)
        x, y, w, h, angle = boxes.rows.unbind(1)
        moved = (draw[:, :4] * 2 - 1) * share
        wide, high = torch.minimum(w * (1 + moved[:, 0]), width), torch.minimum(h * (1 + moved[:, 1]), height)
        x = torch.minimum(torch.maximum(x + moved[:, 2] * w, wide / 2), width - wide / 2)
        y = torch.minimum(torch.maximum(y + moved[:, 3] * h, high / 2), height - high / 2)
        return Boxes(torch.stack([x, y, wide, high, angle], 1), 1 - 2 * (draw[:, 4] < 0.5).float())

    def render(self, indices: Tensor, boxes: Boxes, size: int) -> Tensor:
        """Render ``boxes`` as float32 [n, 3, size, size], 0 to 255; areas outside a picture are filled by reflection.

        Boxes are sampled at twice the size and averaged in 2 x 2 blocks, which is close to area averaging if a box is
        no larger than twice the size.
        """
        x, y, w, h, angle = (column[:, None, None] for column in boxes.rows.unbind(1))
        side = 2 * size
        steps = (torch.arange(side, device=self.device) + 0.5) / side - 0.5
        u, v = (steps * boxes.flip[:, None, None]) * w, steps[None, :, None] * h
        cos, sin = torch.cos(angle), torch.sin(angle)
        height, width = self.sizes[indices].unbind(1)
        across = _reflected(x + cos * u - sin * v, width[:, None, None])
        down = _reflected(y + sin * u + cos * v, height[:, None, None])
        tall = self.tall[indices][:, None, None]
        across, down = torch.where(tall, down, across), torch.where(tall, across, down)
        grid = torch.stack([across * (2 / LONG_SIDE) - 1, down * (2 / SHORT_SIDE) - 1], 3)
        pixels = self.pixels[indices].float()
        sampled = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
        return functional.avg_pool2d(sampled, 2)


def _reflected(at: Tensor, length: Tensor) -> Tensor:
    """Reflect positions into 0 .. length, at least half a pixel from the end, beyond which the canvas is empty."""
    period = 2 * length
    folded = at - torch.floor(at / period) * period
    folded = torch.where(folded > length, period - folded, folded)
    return torch.minimum(folded, length - 0.5)
