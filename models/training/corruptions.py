"""Camera defects of a fixed, medium strength, for evaluation: each maps a picture [h, w, 3] to one of the same shape.

Strengths are for pictures with a short side of 128 pixels, which the network then sees at 96.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from models.training.data import Pixels


def blur(picture: Pixels) -> Pixels:
    """Defocus: a Gaussian with a standard deviation of 1.5 pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), np.uint8)


def noise(picture: Pixels) -> Pixels:
    """Noise as in a dim room at high gain: normal, with a standard deviation of 20 levels and a fixed seed."""
    drawn = np.random.default_rng(0).normal(0, 20, picture.shape)
    noisy = np.clip(picture.astype(np.float64) + drawn, 0, 255)
    rounded: Pixels = noisy.astype(np.uint8)
    return rounded


def dark(picture: Pixels) -> Pixels:
    """Underexposed by one and a half stops."""
    return (picture * 0.35).astype(np.uint8)


def bright(picture: Pixels) -> Pixels:
    """Overexposed by 0.85 stops, so that highlights are clipped."""
    return np.asarray(cv2.convertScaleAbs(picture, alpha=1.8), np.uint8)


def jpeg_30(picture: Pixels) -> Pixels:
    """JPEG at quality 30."""
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def half_resolution(picture: Pixels) -> Pixels:
    """Half the resolution, enlarged again."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def turned_15(picture: Pixels) -> Pixels:
    """A tilted camera: rotated by 15 degrees about the centre, the corners filled by reflection."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 15, 1.0)
    turned = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(turned, np.uint8)


CORRUPTIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "blur": blur,
    "noise": noise,
    "dark": dark,
    "bright": bright,
    "jpeg_30": jpeg_30,
    "half_resolution": half_resolution,
    "turned_15": turned_15,
}
