"""Composites of cut-out animals and rooms, like a camera's view from a shelf, with labels that are certain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.training.data import Pixels

MIN_VISIBLE_PIXELS = 20.0  # visible pixels of the animal below which nothing is pasted
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CutOut:
    """An animal or a toy, ``pixels`` [h, w, 4], RGB and opacity; ``grounded``: cut off by its picture's lower edge."""

    pixels: Pixels
    grounded: bool = False


@dataclass(frozen=True)
class _Place:
    """The position and size of a cut-out in a scene, in pixels; its corner may be outside."""

    x: int
    y: int
    width: int
    height: int


def paste(rng: Generator, cutout: CutOut, scene: Pixels, front: Pixels | None = None) -> Pixels:
    """Paste the cut-out into ``scene`` [s, s, 3], off-centre and perhaps partly outside.

    Its longer side is mostly 42 to 95 % of the scene's side, and its light is adapted to the scene's. ``front``,
    another scene, covers its lowest part, as a sofa would.
    """
    size = scene.shape[0]
    place = _drawn_place(rng, cutout, size)
    shown = _resized(cutout.pixels, place)
    if rng.random() < 0.5:
        shown = shown[:, ::-1]
    x0, y0 = max(place.x, 0), max(place.y, 0)
    x1, y1 = min(place.x + place.width, size), min(place.y + place.height, size)
    part = shown[y0 - place.y : y1 - place.y, x0 - place.x : x1 - place.x]
    colour, opacity = part[:, :, :3], part[:, :, 3:]
    if opacity.sum() < MIN_VISIBLE_PIXELS:
        return scene
    out = scene.astype(np.float32)
    gains = _light(rng, colour.sum((0, 1)) / opacity.sum(), out[y0:y1, x0:x1].mean((0, 1)))
    if not cutout.grounded and rng.random() < 0.6:
        out *= 1 - _shadow(place, size) * np.float32(rng.uniform(0.2, 0.5))
    out[y0:y1, x0:x1] = out[y0:y1, x0:x1] * (1 - opacity) + np.clip(colour * gains, 0, 255 * opacity)
    if front is not None:
        top = int(y0 + (y1 - y0) * rng.uniform(0.65, 0.85))
        out[top:] = front[top:]
    pasted = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        pasted = np.asarray(cv2.GaussianBlur(pasted, (0, 0), rng.uniform(0.4, 1.5) * size / 96), np.uint8)
    return pasted


def _drawn_place(rng: Generator, cutout: CutOut, size: int) -> _Place:
    share = rng.uniform(0.42, 0.95) if rng.random() < 0.8 else rng.uniform(0.25, 0.42)
    h, w = cutout.pixels.shape[:2]
    scale = share * size / max(h, w)
    width, height = max(4, round(w * scale * rng.uniform(0.92, 1.08))), max(4, round(h * scale))
    outside = 0.35 if rng.random() < 0.3 else 0.04  # share of the cut-out that may be outside the frame
    x = int(rng.uniform(-outside * width, size - width + outside * width))
    highest = max(-outside * height, 0.2 * (size - height))
    y = size - height if cutout.grounded else int(rng.uniform(highest, size - height + outside * height))
    return _Place(x, y, width, height)


def _resized(pixels: Pixels, place: _Place) -> Floats:
    """Resize with premultiplied opacity; otherwise the old background would show at the animal's edge."""
    opacity = pixels[:, :, 3:].astype(np.float32) / 255
    premultiplied = np.concatenate([pixels[:, :, :3] * opacity, opacity], 2)
    way = cv2.INTER_AREA if place.height < pixels.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(premultiplied, (place.width, place.height), interpolation=way), np.float32)


def _light(rng: Generator, own: Floats, here: Floats) -> Floats:
    """Random gains [3] that move the mean colour ``own`` some of the way to ``here``."""
    gain = (here.mean() / max(own.mean(), 8)) ** rng.uniform(0.2, 0.7) * rng.uniform(0.75, 1.3)
    cast = (here / max(here.mean(), 8)) / np.maximum(own / max(own.mean(), 8), 0.05)
    return np.asarray(np.clip(gain * cast ** rng.uniform(0, 0.4), 0.25, 2.2), np.float32)


def _shadow(place: _Place, size: int) -> Floats:
    """A soft shadow on the ground below, [s, s, 1], from 0 to 1."""
    shadow = np.zeros((size, size), np.float32)
    middle = (place.x + place.width // 2, min(place.y + place.height, size - 1))
    cv2.ellipse(shadow, middle, (max(2, place.width // 2), max(2, place.height // 8)), 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(shadow, (0, 0), size / 40), np.float32)[:, :, None]
