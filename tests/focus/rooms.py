"""A drawn room, somebody drawn in it, and a stand-in for a network that knows where somebody is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from lookout.geometry import Rect
from numpy.typing import NDArray

from tests.benchmarks.films import CutOut, Disturbance, Film, Visit

Pixels = NDArray[np.uint8]
# Small, so that films are made quickly.
WIDTH, HEIGHT, FPS = 192, 144, 5.0


def room(seed: int = 1) -> Pixels:
    """Walls, a floor and furniture with edges and textures."""
    dice = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH, 3), (150, 165, 175), np.uint8)
    picture[HEIGHT * 2 // 3 :] = (90, 110, 140)
    for _ in range(14):
        x, y = int(dice.integers(WIDTH - 20)), int(dice.integers(HEIGHT - 20))
        colour = tuple(int(c) for c in dice.integers(40, 220, 3))
        cv2.rectangle(picture, (x, y), (x + int(dice.integers(10, 50)), y + int(dice.integers(10, 40))), colour, -1)
    texture = cv2.resize(dice.normal(0, 14, (HEIGHT // 3, WIDTH // 3)).astype(np.float32), (WIDTH, HEIGHT))
    return np.clip(picture + texture[..., None], 0, 255).astype(np.uint8)


def somebody(shade: int = 30, label: str = "cat") -> CutOut:
    """An oval with two ears."""
    alpha = np.zeros((120, 90), np.float32)
    cv2.ellipse(alpha, (45, 75), (40, 44), 0, 0, 360, 1.0, -1)
    cv2.fillPoly(alpha, [np.array([[12, 50], [20, 2], [42, 36]]), np.array([[78, 50], [70, 2], [48, 36]])], 1.0)
    picture = np.full((120, 90, 3), (shade, shade + 20, shade + 60), np.float32)
    picture[::6] += 25
    return CutOut(label, label, picture, alpha)


def visit(begins: float, ends: float, *, size: float = 0.3, x: float = 0.5, still: bool = False) -> Visit:
    return Visit(somebody(), begins, ends, size, x, 0.9, still)


def place_of(one: Visit, at: float) -> Rect | None:
    """Where the visitor is, a share of the picture; None while away or beyond the edge."""
    offset = one.offset(at)
    if offset is None:
        return None
    height, width = one.size, one.size * 90 / 120 * HEIGHT / WIDTH
    left, right = max(0.0, one.x + offset - width / 2), min(1.0, one.x + offset + width / 2)
    return Rect(left, one.floor - height, right - left, height) if right - left > width / 2 else None


def seen_by_a_network(film: Film, at: float, square: Rect) -> tuple[float, float, float]:
    """(cat, dog, neither): sure where a visitor fills a fair share of the square and is not cut by its edges."""
    best = 0.0
    for one in film.visits:
        place = place_of(one, at)
        if place is None:
            continue
        width = min(place.x + place.width, square.x + square.width) - max(place.x, square.x)
        height = min(place.y + place.height, square.y + square.height) - max(place.y, square.y)
        inside = max(0.0, width) * max(0.0, height)
        if inside > 0.7 * place.width * place.height and inside > 0.12 * square.width * square.height:
            best = 0.98
    return (best, 0.01, 0.99 - best)


def film(seconds: float, *visits: Visit, disturbances: Sequence[Disturbance] = (), noise: float = 3.0) -> Film:
    return Film("film", room(), visits, seconds, disturbances, noise, fps=FPS)
