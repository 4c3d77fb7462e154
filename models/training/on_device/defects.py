"""Camera defects as tensor operations on a batch; `augment.camera` is the version for single pictures.

Light, colour and covered parts are drawn for each picture. The other defects are applied to a run of consecutive
pictures, which is a random choice because batches are shuffled; a filter has one strength for the whole run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import torch
from torch import Tensor
from torch.nn import functional

from models.training.augment import CameraPolicy

Change = Callable[[Tensor], Tensor]
GRAY = (0.299, 0.587, 0.114)
LUMINANCE_TABLE = (  # ITU-T T.81 (JPEG), annex K, table K.1: quantiser steps at quality 50
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


class Camera:
    """Applies random defects by a policy. Pictures are float [n, 3, s, s] from 0 to 255, before and after.

    Numbers for each picture come from ``random`` on the device. Numbers for a whole run come from a generator on the
    CPU, because waiting for the device to return one would cost more than the filter.
    """

    def __init__(self, policy: CameraPolicy, random: torch.Generator, seed: int) -> None:
        self.policy, self.random, self.runs = policy, random, Random(seed)
        k = torch.arange(8)
        waves = torch.cos((2 * k[None, :] + 1) * k[:, None] * math.pi / 16) * 0.5
        waves[0] /= math.sqrt(2)  # the orthonormal DCT-II
        self.waves = waves.to(random.device)
        self.steps = torch.tensor(LUMINANCE_TABLE, dtype=torch.float32, device=random.device)
        self.gray = torch.tensor(GRAY, device=random.device).view(1, 3, 1, 1)

    def __call__(self, x: Tensor) -> Tensor:
        policy, strength, one = self.policy, self.policy.strength, self.runs.uniform
        if strength == 0:
            return x
        scale = x.shape[-1] / 96
        x = self._hide(x)
        x = self._some(x, policy.blur / 2, lambda part: _defocus(part, max(0.3, one(0.5, 2.2) * scale * strength)))
        x = self._some(x, policy.blur / 2, lambda part: self._motion(part, one(3, 9) * scale * strength))
        x = self._tone(x)
        gray = (self._each(x) < policy.gray).float()
        x = x + gray * ((x * self.gray).sum(1, keepdim=True) - x)
        x = self._some(x, policy.noise, self._noise)
        x = self._some(x, policy.low_resolution, lambda part: _coarse(part, one(0.4, 0.8)))
        x = self._some(x, policy.jpeg, lambda part: self._jpeg(part, one(20, 80)))
        return x.clamp(0, 255)

    def _each(self, x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
        """A uniform random number for each picture, [n, 1, 1, 1]."""
        return torch.rand((len(x), 1, 1, 1), generator=self.random, device=x.device) * (high - low) + low

    def _some(self, x: Tensor, share: float, change: Change) -> Tensor:
        """Apply ``change`` to a run of this ``share`` of the pictures, starting at a random one."""
        count = round(len(x) * share)
        if count == 0:
            return x
        start = self.runs.randint(0, len(x) - count)
        return torch.cat([x[:start], change(x[start : start + count]), x[start + count :]])

    def _tone(self, x: Tensor) -> Tensor:
        """Exposure, contrast, gamma and white balance, as `augment._tone_table` draws them."""
        policy = self.policy
        light = (self._each(x) < policy.light).float() * policy.strength
        colour = (self._each(x) < policy.colour).float() * policy.strength
        exposure = torch.exp2(self._each(x, -1.6, 0.9) * light)
        gamma = torch.exp2(self._each(x, -0.5, 0.5) * light)
        contrast = 1 + self._each(x, -0.4, 0.3) * light
        normal = torch.randn((len(x), 3, 1, 1), generator=self.random, device=x.device)
        gains = torch.exp(normal * 0.12 * colour)
        toned = ((x / 255).clamp_min(1e-4) ** gamma * exposure - 0.45) * contrast + 0.45
        return (toned * gains * 255).clamp(0, 255)

    def _motion(self, x: Tensor, length: float) -> Tensor:
        """Motion blur: a line of ``length`` pixels in a random direction, sampled at every half pixel."""
        side = max(3, round(length)) | 1
        angle, middle = self.runs.uniform(0, math.pi), (side - 1) / 2
        kernel = torch.zeros(side, side)
        for at in torch.linspace(-middle, middle, 2 * side):
            kernel[round(middle + float(at) * math.sin(angle)), round(middle + float(at) * math.cos(angle))] += 1
        return _filtered(x, (kernel / kernel.sum()).to(x.device))

    def _noise(self, x: Tensor) -> Tensor:
        """Read noise, and shot noise that grows with the square root of the light."""
        strength = self.policy.strength
        read, shot = self._each(x, 0, 14) * strength, self._each(x, 0, 1.2) * strength
        drawn = torch.randn(x.shape, generator=self.random, device=x.device)
        return x + drawn * (read + shot * x.clamp_min(0).sqrt())

    def _jpeg(self, x: Tensor, quality: float) -> Tensor:
        """JPEG's quantisation of each 8 x 8 block; all channels are treated as luminance, without subsampling."""
        n, c, h, w = x.shape
        scale = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
        steps = (self.steps * scale).clamp_min(1)
        padded = functional.pad(x, (0, -w % 8, 0, -h % 8), mode="replicate")
        rows, columns = padded.shape[2] // 8, padded.shape[3] // 8
        blocks = padded.reshape(n, c, rows, 8, columns, 8).permute(0, 1, 2, 4, 3, 5) - 128
        waves = self.waves @ blocks @ self.waves.T
        kept = self.waves.T @ (torch.round(waves / steps) * steps) @ self.waves + 128
        return kept.permute(0, 1, 2, 4, 3, 5).reshape(n, c, rows * 8, columns * 8)[:, :, :h, :w]

    def _hide(self, x: Tensor) -> Tensor:
        """Cover a rectangle of up to a quarter of some pictures with one of the picture's colours."""
        n, _, _, size = x.shape
        hidden = self._each(x) < self.policy.hidden
        high, wide = self._each(x, 0.125, 0.5), self._each(x, 0.125, 0.5)
        top, left = self._each(x) * (1 - high), self._each(x) * (1 - wide)
        at = (torch.arange(size, device=x.device) + 0.5) / size
        down, across = at.view(1, 1, -1, 1), at.view(1, 1, 1, -1)
        inside = (down > top) & (down < top + high) & (across > left) & (across < left + wide)
        place = torch.randint(size * size, (n, 1, 1), generator=self.random, device=x.device).expand(n, 3, 1)
        colour = x.flatten(2).gather(2, place)[..., None]
        return torch.where(inside & hidden, colour, x)


def far_away(x: Tensor, scenes: Tensor, random: torch.Generator) -> Tensor:
    """Pictures [n, 3, s, s] shrunk to 0.4 .. 0.8 of their side, somewhere in ``scenes`` of the same shape.

    Borders are feathered, so that the network cannot learn to look for hard edges.
    """
    draw = torch.rand((len(x), 3), generator=random, device=x.device)
    side = 0.4 + 0.4 * draw[:, 0]
    middle = (draw[:, 1:] * 2 - 1) * (1 - side[:, None])  # centre of the shrunk picture, -1 .. 1
    at = (torch.arange(x.shape[-1], device=x.device) + 0.5) * (2 / x.shape[-1]) - 1
    across = (at[None, None, :] - middle[:, 0, None, None]) / side[:, None, None]
    down = (at[None, :, None] - middle[:, 1, None, None]) / side[:, None, None]
    grid = torch.stack(torch.broadcast_tensors(across, down), 3)
    # Pictures shrink by a fifth or more; sampling averages of neighbours avoids aliasing of fine texture.
    soft = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    placed = functional.grid_sample(soft, grid, mode="bilinear", padding_mode="border", align_corners=False)
    inside = (1 - grid.abs().amax(3)) * 5  # opaque from a tenth of the side inside the border
    mask = inside.clamp(0, 1)[:, None]
    return placed * mask + scenes * (1 - mask)


def _filtered(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve every channel with one kernel [k, k]; borders are reflected."""
    n, c, h, w = x.shape
    pad_y, pad_x = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = functional.pad(x, (pad_x, pad_x, pad_y, pad_y), mode="reflect")
    out = functional.conv2d(padded.reshape(n * c, 1, *padded.shape[2:]), kernel[None, None])
    return out.view(n, c, h, w)


def _defocus(x: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur, along the columns and then along the rows."""
    reach = max(1, math.ceil(2.5 * sigma))
    at = torch.arange(-reach, reach + 1, device=x.device).float()
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    return _filtered(_filtered(x, kernel[:, None]), kernel[None, :])


def _coarse(x: Tensor, scale: float) -> Tensor:
    """Shrink and enlarge again, to lower the resolution."""
    size = x.shape[-1]
    small = functional.interpolate(x, size=max(16, round(size * scale)), mode="area")
    return functional.interpolate(small, size=size, mode="bilinear", align_corners=False)
