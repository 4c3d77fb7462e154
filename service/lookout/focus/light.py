"""The light of a picture relative to that of a background: a gain per colour, and its slope across the picture.

A lamp, a cloud or automatic exposure brightens a scene evenly or from one side to the other; an animal in the scene
changes it locally. So a plane is fitted through the ratios of coarse blocks, twice, the second time without the blocks
that the first fit explains badly.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The grid of blocks: enough to fit a plane robustly, few enough to be cheap.
_COLUMNS, _ROWS = 8, 6
# Grey levels added to both sides of a ratio, in which noise would otherwise dominate in the dark.
_DARK = 12.0
# A block whose ratio differs from the fit by more than this share contains an object or another lamp.
_OUTLIER = 0.2
# The gain is limited to this factor and its inverse; a larger change is another scene.
MAX_GAIN = 4.0
# Keeps the fit solvable if few blocks are left.
_RIDGE = 1e-3 * np.eye(3, dtype=np.float32)


def gain_between(now: Floats, background: Floats) -> Floats:
    """The gain that gives the background the light of `now`: rows x columns x 3, float32.

    now, background: rows x columns x 3, 0..255.
    """
    design = _design()
    ratios = ((_blocks(now) + _DARK) / (_blocks(background) + _DARK)).reshape(-1, 3)
    middle = np.partition(ratios, len(ratios) // 2, axis=0)[len(ratios) // 2]
    bound = _OUTLIER * float(middle.max())
    near = np.abs(ratios - middle).max(axis=1) <= 2 * bound
    fit = np.zeros((3, 3), np.float32)
    fit[0] = middle
    for _ in range(2):
        if np.count_nonzero(near) < len(ratios) // 4:
            break
        used = design[near]
        fit = np.linalg.solve(used.T @ used + _RIDGE, used.T @ ratios[near])
        near = np.abs(ratios - design @ fit).max(axis=1) <= bound
    level, slope_x, slope_y = fit
    x, y = _axes(background.shape[0], background.shape[1])
    plane = level + slope_x * x + slope_y * y
    return np.asarray(np.maximum(np.minimum(plane, np.float32(MAX_GAIN)), np.float32(1.0 / MAX_GAIN)), np.float32)


def _blocks(cells: Floats) -> Floats:
    return np.asarray(cv2.resize(cells, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA), np.float32)


@functools.cache
def _design() -> Floats:
    """The design matrix of the fit: for each block 1, its x and its y, both from -1 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, _ROWS), np.linspace(-1, 1, _COLUMNS), indexing="ij")
    return np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _axes(rows: int, columns: int) -> tuple[Floats, Floats]:
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :, None]
    return x, np.linspace(-1, 1, rows, dtype=np.float32)[:, None, None]
