"""Synthetic photographs of handwritten digits: any stroke, any paper, dark on light or light on dark.

Digits come from three sources: the packaged drawings, OpenCV's single-line fonts, and skeletons of our own, bent at
random. Each becomes a mask (the amount of ink at each pixel), and the mask becomes a photograph.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Mask = NDArray[np.float32]
Gray = NDArray[np.uint8]

SIDE = 96  # pixels of the photograph before it is shrunk
INK = 96  # pixels a side of a mask
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)
_MIN_CONTRAST = 55
_ACROSS = np.linspace(-1, 1, SIDE)
# The points of each digit's lines in hundredths of its box, x to the right and y down, with variants for digits that
# people write differently. "/" separates lines.
_SKELETONS = {
    0: ("50 0, 15 15, 2 50, 15 85, 50 100, 85 85, 98 50, 85 15, 50 0",),
    1: (
        "50 0, 50 100",
        "25 25, 55 0, 55 100",
        "25 25, 55 0, 55 100 / 20 100, 90 100",
    ),
    2: (
        "8 25, 25 4, 60 0, 90 20, 80 50, 40 80, 5 100 / 5 100, 95 100",
        "10 20, 50 0, 90 25, 60 65, 10 95, 25 82, 60 95, 95 90",
    ),
    3: (
        "10 10, 50 0, 90 20, 75 42, 40 50 / 40 50, 85 60, 95 80, 50 100, 5 88",
        "10 0, 90 0, 45 40 / 45 40, 90 55, 90 85, 50 100, 5 88",
    ),
    4: (
        "70 100, 70 0, 5 68, 98 68",
        "15 0, 10 52, 92 52 / 75 5, 72 100",
    ),
    5: ("90 0, 20 0, 13 42 / 13 42, 50 36, 92 55, 85 88, 45 100, 5 88",),
    6: ("75 0, 35 20, 8 60, 20 95, 60 100, 90 80, 75 52, 40 50, 10 70",),
    7: (
        "5 0, 95 0, 35 100",
        "5 0, 95 0, 40 100 / 30 50, 85 50",
        "8 15, 8 0, 95 0, 45 100",
    ),
    8: ("50 48, 15 30, 20 5, 50 0, 80 5, 85 30, 50 48, 10 72, 20 96, 50 100, 80 96, 90 72, 50 48",),
    9: (
        "88 30, 60 50, 20 42, 10 20, 35 0, 75 3, 88 30, 82 70, 55 100",
        "88 25, 50 48, 12 25, 50 0, 88 20, 88 100",
    ),
}


def from_skeleton(rng: Generator, digit: int) -> Mask:
    """Draw a digit along one of its skeletons, bent at random."""
    shapes = _SKELETONS[digit]
    lines = [_points(line) for line in shapes[int(rng.integers(len(shapes)))].split("/")]
    width = rng.uniform(0.45, 0.95) if digit != 1 else rng.uniform(0.25, 0.6)
    bend = rng.uniform(0.0, 0.05)
    mask = np.zeros((INK, INK), np.uint8)
    thickness = int(rng.integers(2, 15))
    room = INK - 20
    for line in lines:
        points = line + rng.normal(0, bend, line.shape)
        rounds = 0 if len(points) <= 3 else int(rng.integers(1, 4))
        points = _softened(points, rounds)
        points = (points - (0.5, 0)) * (width * room, room) + (INK / 2, 10)
        cv2.polylines(mask, [np.rint(points * 8).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 3)
    return (mask / 255).astype(np.float32)


def _points(line: str) -> NDArray[np.float64]:
    return np.array([point.split() for point in line.split(",")], np.float64) / 100


def _softened(points: NDArray[np.float64], rounds: int) -> NDArray[np.float64]:
    """Chaikin's corner cutting, with fixed ends."""
    for _ in range(rounds):
        near, far = points[:-1] * 0.75 + points[1:] * 0.25, points[:-1] * 0.25 + points[1:] * 0.75
        points = np.vstack([points[:1], np.stack([near, far], 1).reshape(-1, 2), points[-1:]])
    return points


def from_font(rng: Generator, digit: int) -> Mask:
    """Draw a digit in one of OpenCV's line fonts."""
    font, thickness = _FONTS[int(rng.integers(len(_FONTS)))], int(rng.integers(2, 14))
    (width, height), _ = cv2.getTextSize(str(digit), font, 1.0, 1)
    scale = (INK - 18) / max(width, height)
    (width, height), _ = cv2.getTextSize(str(digit), font, scale, 1)
    mask = np.zeros((INK, INK), np.uint8)
    at = ((INK - width) // 2, (INK + height) // 2)
    cv2.putText(mask, str(digit), at, font, scale, 255, thickness, cv2.LINE_AA)
    return (mask / 255).astype(np.float32)


def from_drawing(rng: Generator, drawing: NDArray[np.float64]) -> Mask:
    """Enlarge one of the packaged drawings (8 x 8, levels 0 to 16), with thinner or thicker strokes."""
    large = cv2.resize((drawing / 16).astype(np.float32), (INK - 16, INK - 16), interpolation=cv2.INTER_CUBIC)
    middle, slope = rng.uniform(0.3, 0.7), rng.uniform(3.0, 10.0)
    ink = np.clip((large - middle) * slope + 0.5, 0, 1)
    return np.asarray(cv2.copyMakeBorder(ink, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=0), np.float32)


def photograph(rng: Generator, mask: Mask, size: int) -> Gray:
    """Render a mask as ink on paper in front of a camera, [size, size], at a random angle, position and distance."""
    placed = _placed(rng, mask)
    paper, ink = _tones(rng)
    light = _light(rng)
    picture = (paper + (ink - paper) * placed) * light
    if rng.random() < 0.3:
        picture = _table_beside(rng, picture, placed)
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), rng.uniform(0.3, 1.7))
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    small = small + rng.normal(0, rng.uniform(0, 4), small.shape)
    return np.asarray(np.clip(small + 0.5, 0, 255), np.uint8)


def _placed(rng: Generator, mask: Mask) -> Mask:
    scale = rng.uniform(0.55, 1.25) * SIDE / INK
    degrees, shear = rng.normal(0, 8), rng.normal(0, 0.1)
    turn = np.deg2rad(np.clip(degrees, -20, 20))
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn) + shear], [np.sin(turn), np.cos(turn)]])
    matrix[0] *= rng.uniform(0.8, 1.2)
    ys, xs = np.nonzero(mask > 0.3)
    box = np.array([[xs.min(), ys.min()], [xs.max(), ys.min()], [xs.min(), ys.max()], [xs.max(), ys.max()]])
    spread = box @ matrix.T
    low, high = spread.min(0), spread.max(0)
    matrix *= min(1.0, *((SIDE - 6) / (high - low)))
    spread = box @ matrix.T
    low, high = spread.min(0), spread.max(0)
    room = np.maximum(0.0, SIDE - 6 - (high - low))
    share = 0.5 + np.clip(rng.normal(0, 0.2, 2), -0.5, 0.5)
    shift = 3 + room * share - low
    whole = np.hstack([matrix, shift[:, None]]).astype(np.float32)
    return np.asarray(cv2.warpAffine(mask, whole, (SIDE, SIDE), flags=cv2.INTER_AREA), np.float32)


def _tones(rng: Generator) -> tuple[float, float]:
    """Grey levels of the paper and of the ink; either may be darker."""
    contrast = rng.uniform(_MIN_CONTRAST, 255)
    dark = rng.uniform(0, 255 - contrast)
    return (dark + contrast, dark) if rng.random() < 0.5 else (dark, dark + contrast)


def _light(rng: Generator) -> NDArray[np.float64]:
    """Uneven light, brighter from one side, as a factor [SIDE, SIDE]."""
    strength, angle = rng.uniform(0, 0.25), rng.uniform(0, 2 * np.pi)
    return 1 - strength * 0.5 * (1 + np.cos(angle) * _ACROSS[None, :] + np.sin(angle) * _ACROSS[:, None]) / 1.5


def _table_beside(rng: Generator, picture: NDArray[np.float64], ink: Mask) -> NDArray[np.float64]:
    """Let the paper end on some sides of the digit, without covering any ink."""
    ys, xs = np.nonzero(ink > 0.2)
    around, tone = picture.copy(), rng.uniform(0, 255)
    left, right = int(rng.integers(0, max(1, xs.min() - 3))), int(rng.integers(min(xs.max() + 4, SIDE - 1), SIDE))
    top, bottom = int(rng.integers(0, max(1, ys.min() - 3))), int(rng.integers(min(ys.max() + 4, SIDE - 1), SIDE))
    sides = rng.random(4) < 0.5
    if sides[0]:
        around[:, :left] = tone
    if sides[1]:
        around[:, right:] = tone
    if sides[2]:
        around[:top] = tone
    if sides[3]:
        around[bottom:] = tone
    return around
