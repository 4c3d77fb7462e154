"""Sequences as a fixed camera records them: a place with sensor noise and changing light, then an animal, as a video.

Places and animals are photographs. Each sequence is at rest for REST_S seconds, has something happen for EVENT_S, and
is at rest again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Picture = NDArray[np.float32]
Place = tuple[float, float, float]  # x and y of the centre, and the width: shares of the picture

WIDTH, HEIGHT, FPS = 640, 480, 15.0
REST_S, EVENT_S = 12.0, 8.0
SECONDS = REST_S + EVENT_S + 6.0
PICTURES = Path(__file__).resolve().parents[2] / "service" / "lookout" / "camera" / "sources" / "pictures"
# Grey levels of noise at middle grey, of a small sensor by day and at night.
DAY, NIGHT = 3.0, 9.0
# Different fields of noise; each is used in its four reflections.
_FIELDS = 16


@dataclass(frozen=True, slots=True)
class Scene:
    """One sequence. light: the share of the light at that second. where: the animal's place then, if any."""

    name: str
    room: Picture
    where: Callable[[float], Place | None] = lambda _: None
    animal: str = "cat"
    light: Callable[[float], float] = lambda _: 1.0
    noise: float = DAY
    codec: str = "mp4v"

    def record(self, folder: Path) -> Path:
        """Write the video; its file."""
        suffix = {"mp4v": "mp4", "MJPG": "avi"}[self.codec]
        path = folder / f"{self.name.replace(' ', '-')}.{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*self.codec), FPS, (WIDTH, HEIGHT))
        for picture in self._pictures():
            writer.write(picture)
        writer.release()
        return path

    def _pictures(self) -> Iterator[Pixels]:
        dice = np.random.default_rng(1)
        # Photons come by chance: what is brighter is noisier, but for what the amplifier adds.
        amount = self.noise * np.sqrt(0.3 + 0.7 * self.light(0.0) * self.room / 128.0)
        fields = [amount * dice.standard_normal(self.room.shape, np.float32) for _ in range(_FIELDS)]
        animal = photograph(f"{self.animal}.jpg")
        for number in range(int(SECONDS * FPS)):
            at = number / FPS
            place = self.where(at)
            scene = self.room if place is None else _with(self.room, animal, place)
            noise = cv2.flip(fields[dice.integers(_FIELDS)], int(dice.integers(-1, 2)))
            noisy = cv2.addWeighted(scene, self.light(at), noise, 1.0, 0.0, dtype=cv2.CV_8U)
            yield np.asarray(noisy, np.uint8)


def photograph(name: str) -> Picture:
    """One of the demo's photographs, blue-green-red, 0..255."""
    return np.asarray(cv2.imread(str(PICTURES / name)), np.float32)


def _filling(picture: Picture | Pixels) -> Picture:
    """At the size of the sequences, in colour."""
    sized = np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)
    return sized if sized.ndim == 3 else np.repeat(sized[:, :, None], 3, axis=2)


def _with(room: Picture, animal: Picture, place: Place) -> Picture:
    """The room with the animal's photograph in it; parts of that may lie outside."""
    x, y, side = place
    width = int(side * WIDTH)
    height = int(width * animal.shape[0] / animal.shape[1])
    small = cv2.resize(animal, (width, height), interpolation=cv2.INTER_AREA)
    left, top = int(x * WIDTH - width / 2), int(y * HEIGHT - height / 2)
    right, bottom = min(WIDTH, left + width), min(HEIGHT, top + height)
    scene = room.copy()
    if right > max(0, left) and bottom > max(0, top):
        part = small[max(0, -top) : bottom - top, max(0, -left) : right - left]
        scene[max(0, top) : bottom, max(0, left) : right] = part
    return scene


def _meanwhile(place: Callable[[float], Place]) -> Callable[[float], Place | None]:
    """place: by the share of the event that is over, 0..1."""
    return lambda at: place((at - REST_S) / EVENT_S) if 0 <= at - REST_S < EVENT_S else None


def scenes() -> list[Scene]:
    """All sequences."""
    lawn, gravel = _filling(skimage.data.grass()), _filling(skimage.data.gravel())
    yard = _filling(np.ascontiguousarray(skimage.data.rocket()[:, :, ::-1]))
    table = _filling(photograph("coffee.jpg"))
    middle = _meanwhile(lambda _: (0.5, 0.5, 0.6))
    return [
        Scene("cat appears", lawn, middle),
        Scene("dog appears, motion JPEG", lawn, middle, "dog", codec="MJPG"),
        Scene("cat walks through", gravel, _meanwhile(lambda done: (-0.35 + 1.7 * done, 0.55, 0.55))),
        Scene("dog creeps in", lawn, _meanwhile(lambda done: (-0.3 + min(0.8, done), 0.55, 0.6)), "dog"),
        Scene("small cat", yard, _meanwhile(lambda _: (0.55, 0.55, 0.4))),
        Scene("cat in the dark", yard, middle, light=lambda _: 0.3, noise=NIGHT),
        Scene("dog as the light fades", lawn, middle, "dog", light=lambda at: 1.0 - 0.01 * at),
        Scene("a cup, nobody comes", table),
        Scene("clouds pass, nobody comes", gravel, light=lambda at: 0.9 + 0.1 * float(np.sin(at / 5.0))),
    ]
