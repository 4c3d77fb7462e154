"""A red, a green and a blue card, to be sent through every kind of source; and how to tell which one has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from lookout.camera.sources.scripted import Repeat, Show, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

# Blue, green, red: full tones survive any video codec recognisably.
COLOURS: dict[str, tuple[int, int, int]] = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}


def card(colour: str, width: int = 160, height: int = 120) -> Pixels:
    """height x width x 3, uint8, BGR, all of one colour."""
    return np.full((height, width, 3), COLOURS[colour], dtype=np.uint8)


def colour_of(pixels: Pixels) -> str:
    """Which card a BGR picture shows; "neither" when it is none of the three."""
    mean = pixels.reshape(-1, 3).mean(axis=0)
    for name, tone in COLOURS.items():
        if np.abs(mean - np.array(tone)).max() < 70:
            return name
    return "neither"


def corner(width: int = 160, height: int = 120) -> Pixels:
    """A black picture whose top left quarter is white: shows how a picture was turned."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[: height // 2, : width // 2] = 255
    return picture


def white_corner(pixels: Pixels) -> str:
    """Which quarter is white, e.g. "top left"."""
    height, width = pixels.shape[:2]
    rows = {"top": pixels[: height // 2], "bottom": pixels[height // 2 :]}
    quarters = {
        f"{row} {side}": part
        for row, half in rows.items()
        for side, part in (("left", half[:, : width // 2]), ("right", half[:, width // 2 :]))
    }
    return max(quarters, key=lambda name: float(quarters[name].mean()))


def _shown(colour: str) -> list[Step]:
    return [Repeat([Show(card(colour))])]


# Scripts, as in scripted:tests.camera.cards:red
red = _shown("red")
green = _shown("green")
blue = _shown("blue")
