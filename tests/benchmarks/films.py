"""Films of a fixed camera in a furnished room: who comes, sits and goes, and what happens to the light meanwhile.

A film is a list of frames made one at a time from a room, cut-out animals with alpha, and disturbances; the same seed
gives the same film. Where the pictures come from is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

FPS = 10.0
# How long somebody takes to walk in or out, seconds.
WALK_S = 1.5
# Different fields of sensor noise, each used in its four reflections.
_FIELDS = 6
_NOISE = 3.0  # grey levels, a small sensor by day


@dataclass(frozen=True, slots=True)
class CutOut:
    """An animal or thing with alpha. picture: float32, height x width x 3; alpha: height x width, 0..1.

    grounded: it runs out of its picture's lower edge, so it stands on the frame's lower edge.
    """

    label: str
    name: str
    picture: Floats
    alpha: Floats
    grounded: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody is there from `begins` to `ends` seconds, walking in and out unless `still`.

    size: the height of the cut-out as a share of the frame's. x: its middle; floor: its feet, shares of the frame.
    """

    who: CutOut
    begins: float
    ends: float
    size: float
    x: float
    floor: float
    still: bool = False

    def offset(self, at: float) -> float | None:
        """How far to the side it is from where it sits, in widths of the frame; None while it is away."""
        if not self.begins <= at < self.ends:
            return None
        if self.still:
            return 0.0
        side = -1.0 if self.x < 0.5 else 1.0
        outside = side * (min(self.x, 1.0 - self.x) + 0.3)
        arriving, leaving = (at - self.begins) / WALK_S, (self.ends - at) / WALK_S
        return outside * max(0.0, 1.0 - min(arriving, leaving))

    def sits(self, at: float) -> bool:
        """Whether it has arrived and not yet left."""
        return self.offset(at) is not None and (self.still or self.begins + WALK_S <= at < self.ends - WALK_S)


Disturbance = Callable[[Floats, float, np.random.Generator], Floats]


@dataclass(frozen=True, slots=True)
class Film:
    """room: uint8, height x width x 3. behind changes the room (0..255), given the time, before anybody is set into it.

    disturbances change the finished picture.
    """

    name: str
    room: Pixels
    visits: Sequence[Visit]
    seconds: float
    disturbances: Sequence[Disturbance] = ()
    noise: float = _NOISE
    seed: int = 1
    fps: float = FPS
    behind: Sequence[Disturbance] = ()

    def frames(self) -> Iterator[tuple[float, Pixels]]:
        """(seconds, frame), the frames uint8 and as large as the room."""
        dice = np.random.default_rng(self.seed)
        fields = [dice.normal(0.0, self.noise, self.room.shape).astype(np.float32) for _ in range(_FIELDS)]
        room = self.room.astype(np.float32)
        for number in range(round(self.seconds * self.fps)):
            at = number / self.fps
            picture = room
            for change in self.behind:
                picture = change(picture, at, dice)
            for visit in self.visits:
                picture = _with(picture, room, visit, at)
            for disturb in self.disturbances:
                picture = disturb(picture, at, dice)
            noise = cv2.flip(fields[int(dice.integers(_FIELDS))], int(dice.integers(-1, 2)))
            yield at, np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), np.uint8)

    def there(self, at: float) -> Visit | None:
        """Who sits there, the largest of several."""
        return max((visit for visit in self.visits if visit.sits(at)), key=lambda visit: visit.size, default=None)

    def empty(self, at: float) -> bool:
        return all(visit.offset(at) is None for visit in self.visits)


def _with(picture: Floats, room: Floats, visit: Visit, at: float) -> Floats:
    offset = visit.offset(at)
    if offset is None:
        return picture
    rows, columns = picture.shape[:2]
    source, alpha = _sized(visit.who, visit.size * rows)
    height, width = alpha.shape
    # Steps; breathing and a turning head.
    bob = rows / 160 * np.sin(9.0 * at) if offset else rows / 600 * np.sin(1.7 * at)
    left = (visit.x + offset) * columns - width / 2
    top = (1.0 if visit.who.grounded else visit.floor) * rows - height + bob
    matrix = cv2.getRotationMatrix2D((width / 2, height), 1.5 * np.sin(0.9 * at), 1.0)
    matrix[:, 2] += left, top
    seen = cv2.warpAffine(source, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    shape = cv2.warpAffine(alpha, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    mask = cv2.GaussianBlur(shape, (3, 3), 0)[..., None]
    return np.asarray(picture * (1.0 - mask) + seen * (mask * _light(source, alpha, room)), np.float32)


def _sized(who: CutOut, height: float) -> tuple[Floats, Floats]:
    """The cut-out at that height in pixels, and its alpha."""
    size = max(4, round(height * who.picture.shape[1] / who.picture.shape[0])), max(4, round(height))
    way = cv2.INTER_AREA if size[1] < who.picture.shape[0] else cv2.INTER_LINEAR
    picture, alpha = (cv2.resize(each, size, interpolation=way) for each in (who.picture, who.alpha))
    return np.asarray(picture, np.float32), np.asarray(alpha, np.float32)


def _light(source: Floats, alpha: Floats, room: Floats) -> np.float32:
    """By what to multiply the cut-out to bring it half-way to the light of the room."""
    mine = float((source.mean(axis=2) * alpha).sum()) / (float(alpha.sum()) + 1.0)
    return np.float32(0.5 + 0.5 * min(2.0, max(0.4, float(room[::8, ::8].mean()) / (mine + 1.0))))


# --- disturbances ---------------------------------------------------------------------------------------------------


def _grid(picture: Floats) -> tuple[Floats, Floats]:
    """x and y of each pixel, from 0 to 1: one row, one column."""
    rows, columns = picture.shape[:2]
    x = np.linspace(0, 1, columns, dtype=np.float32)[None, :, None]
    return x, np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]


def lamp(begins: float, ends: float) -> Disturbance:
    """A lamp in one corner, switched on and off; the camera's exposure follows within a second."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        if not begins <= at < ends:
            return picture
        x, y = _grid(picture)
        cone = np.exp(-(((x - 0.8) / 0.45) ** 2) - ((y - 0.2) / 0.5) ** 2)
        exposure = 1.0 - 0.25 * min(1.0, at - begins)
        light = (1.0 + 0.9 * cone) * np.array([0.9, 1.0, 1.1], np.float32) * np.float32(exposure)
        return np.asarray(np.minimum(np.float32(255.0), picture * light), np.float32)

    return disturb


def dusk(begins: float, ends: float, darkest: float) -> Disturbance:
    """The light falls evenly to a share of itself."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        share = min(1.0, max(0.0, (at - begins) / (ends - begins)))
        return picture * np.float32(1.0 + (darkest - 1.0) * share)

    return disturb


def shadow(begins: float, ends: float) -> Disturbance:
    """A soft shadow that passes from left to right."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        if not begins <= at < ends:
            return picture
        middle = (at - begins) / (ends - begins) * 1.6 - 0.3
        x, _y = _grid(picture)
        return picture * (1.0 - np.float32(0.45) * np.exp(-(((x - middle) / 0.12) ** 2)))

    return disturb


def night_vision(begins: float) -> Disturbance:
    """The camera switches to infrared: grey, brighter in the middle, other contrasts."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        if at < begins:
            return picture
        x, y = _grid(picture)
        spot = np.exp(-(((x - 0.5) / 0.6) ** 2) - ((y - 0.5) / 0.6) ** 2)
        grey = picture @ np.array([[0.1], [0.3], [0.6]], np.float32)
        return np.repeat(grey * (np.float32(0.4) + np.float32(0.8) * spot), 3, axis=2)

    return disturb


def exposure(every: float, depth: float) -> Disturbance:
    """The camera's automatic exposure hunts."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        return np.minimum(np.float32(255.0), picture * np.float32(1.0 + depth * np.sin(2 * np.pi * at / every)))

    return disturb


def jolt(at_s: float, share: float) -> Disturbance:
    """Somebody knocks against the shelf: the view is moved by a share of its width from then on."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        if at < at_s:
            return picture
        rows, columns = picture.shape[:2]
        shake = 0.01 * np.exp(-(at - at_s) * 3.0) * np.sin(20.0 * (at - at_s))
        matrix = np.array([[1, 0, (share + shake) * columns], [0, 1, share / 3 * columns]], np.float32)
        return np.asarray(cv2.warpAffine(picture, matrix, (columns, rows), borderMode=cv2.BORDER_REFLECT), np.float32)

    return disturb


def leaves(x: float, y: float, side: float) -> Disturbance:
    """A square of a share of the height is stirred without pause, as a plant at an open window."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        changed = picture.copy()
        part = _square(picture, x, y, side)
        unit = part.shape[0] / 170
        rows, columns = np.mgrid[0 : part.shape[0], 0 : part.shape[1]].astype(np.float32)
        _square(changed, x, y, side)[:] = cv2.remap(
            part,
            columns + np.float32(4.0 * unit) * np.sin(rows / (9.0 * unit) + 5.0 * at).astype(np.float32),
            rows + np.float32(3.0 * unit) * np.sin(columns / (7.0 * unit) + 4.0 * at).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        return changed

    return disturb


def television(x: float, y: float, side: float, shown: Sequence[Pixels]) -> Disturbance:
    """A screen whose picture changes every other second."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        changed = picture.copy()
        screen = _square(changed, x, y, side)
        now = shown[int(at / 2.0) % len(shown)]
        screen[:] = cv2.resize(now, (screen.shape[1], screen.shape[0]), interpolation=cv2.INTER_AREA)
        return changed

    return disturb


def moved_chair(at_s: float, x: float, y: float, side: float) -> Disturbance:
    """A piece of the room, from its lower left corner, stands elsewhere as well from then on."""

    def disturb(picture: Floats, at: float, _: np.random.Generator) -> Floats:
        if at < at_s:
            return picture
        changed = picture.copy()
        target = _square(changed, x, y, side)
        target[:] = cv2.flip(picture[-target.shape[0] :, : target.shape[1]], 1)
        return changed

    return disturb


def _square(picture: Floats, x: float, y: float, side: float) -> Floats:
    rows, columns = picture.shape[:2]
    top, left, size = round(y * rows), round(x * columns), round(side * rows)
    return picture[top : top + size, left : left + size]
