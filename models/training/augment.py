"""Augmentation: random changes of the training pictures, like those that a camera makes.

Geometry comes first (part, rotation and size), then optics and electronics in the order in which they act in a camera:
blur, light and colour, noise, resolution, compression. Everything is drawn from a generator that the caller seeds by
step, so that a resumed run sees the same pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from models.training.data import Pixels


@dataclass(frozen=True)
class Box:
    """A part of a picture in pixels, rotated by ``degrees`` about its centre, and mirrored if ``flip``."""

    x: int
    y: int
    width: int
    height: int
    degrees: float = 0.0
    flip: bool = False


@dataclass(frozen=True)
class CropPolicy:
    """How random crops are drawn.

    ``min_area`` is a share of the picture's area. Aspect ratios (width / height) are from 1 / ``aspect`` to ``aspect``.
    """

    min_area: float = 0.25
    aspect: float = 4 / 3
    max_degrees: float = 20.0
    turned: float = 0.25  # share of crops that are rotated
    plain: float = 0.2  # share of crops that are the centre square, as the service crops
    mirrored: float = 0.5  # share of crops that are mirrored; 0 if left and right matter, as in digits
    jitter: float = 0.0  # fixed crops are moved and scaled anew each time, by up to this share of their sides


@dataclass(frozen=True)
class CameraPolicy:
    """The probability of each camera defect. ``strength`` scales all of them; 0 disables them."""

    light: float = 0.5
    colour: float = 0.4
    gray: float = 0.08
    blur: float = 0.15
    noise: float = 0.15
    low_resolution: float = 0.1
    jpeg: float = 0.15
    hidden: float = 0.15
    far: float = 0.0  # the crop becomes a small part of another scene, like an animal at the far end of a room
    strength: float = 1.0


def centre_square(height: int, width: int) -> Box:
    """The crop that the service makes of a whole frame."""
    side = min(height, width)
    return Box((width - side) // 2, (height - side) // 2, side, side)


def draw_box(rng: Generator, height: int, width: int, policy: CropPolicy) -> Box:
    """A random crop: area and aspect ratio are drawn until the box fits into the picture (Szegedy et al. 2014)."""
    flip = bool(rng.random() < policy.mirrored)
    if rng.random() < policy.plain:
        box = centre_square(height, width)
        return Box(box.x, box.y, box.width, box.height, 0.0, flip)
    degrees = float(rng.uniform(-1, 1) * policy.max_degrees) if rng.random() < policy.turned else 0.0
    for _ in range(10):
        area = height * width * rng.uniform(policy.min_area, 1.0)
        aspect = math.exp(rng.uniform(-1, 1) * math.log(policy.aspect))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            return Box(x, y, w, h, degrees, flip)
    box = centre_square(height, width)
    return Box(box.x, box.y, box.width, box.height, degrees, flip)


def jittered(rng: Generator, box: Box, height: int, width: int, share: float) -> Box:
    """``box`` moved and scaled by up to ``share`` of its sides, still within the picture.

    The teacher's answer to the fixed crop remains approximately valid, while the student never sees exactly the same
    crop twice.
    """
    if share == 0:
        return box
    w, h = (max(1, round(side * (1 + rng.uniform(-share, share)))) for side in (box.width, box.height))
    w, h = min(w, width), min(h, height)
    middle_x, middle_y = box.x + box.width / 2, box.y + box.height / 2
    x = round(middle_x + rng.uniform(-share, share) * box.width - w / 2)
    y = round(middle_y + rng.uniform(-share, share) * box.height - h / 2)
    x, y = min(max(x, 0), width - w), min(max(y, 0), height - h)
    return Box(x, y, w, h, box.degrees, box.flip)


def far_away(rng: Generator, picture: Pixels, scene: Pixels) -> Pixels:
    """``picture`` [s, s, 3] shrunk to 0.4 .. 0.8 of its side, somewhere in ``scene`` [s, s, 3].

    Its border is feathered, so that the network cannot learn to look for a hard edge.
    """
    size = picture.shape[0]
    side = round(size * rng.uniform(0.4, 0.8))
    x, y = (int(rng.integers(0, size - side + 1)) for _ in range(2))
    mask = np.zeros((size, size), np.float32)
    edge = max(1, side // 10)
    mask[y + edge : y + side - edge, x + edge : x + side - edge] = 1
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), edge / 2 + 0.1), np.float32)[:, :, None]
    placed = scene.copy()
    placed[y : y + side, x : x + side] = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return (placed * mask + scene * (1 - mask) + 0.5).astype(np.uint8)


def cut(picture: Pixels, box: Box, size: int) -> Pixels:
    """Cut ``box`` out of a picture [h, w, 3] as [size, size, 3]; areas outside the picture are filled by reflection."""
    if box.degrees:
        scale = np.diag([size / box.width, size / box.height, 1.0])
        angle = math.radians(box.degrees)
        turn = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]])
        to_middle = np.array([[1, 0, -(box.x + box.width / 2)], [0, 1, -(box.y + box.height / 2)], [0, 0, 1.0]])
        from_middle = np.array([[1, 0, size / 2], [0, 1, size / 2], [0, 0, 1.0]])
        matrix = from_middle @ scale @ turn @ to_middle
        shrink = max(box.width, box.height) / size
        # warpAffine samples single points. Without smoothing before shrinking, fine texture would alias.
        source = cv2.blur(picture, (round(shrink), round(shrink))) if shrink >= 1.5 else picture
        out = cv2.warpAffine(
            source, matrix[:2], (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
    else:
        part = picture[box.y : box.y + box.height, box.x : box.x + box.width]
        shrinks = box.width > size and box.height > size
        out = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.ascontiguousarray(out[:, ::-1] if box.flip else out, dtype=np.uint8)


def camera(rng: Generator, picture: Pixels, policy: CameraPolicy) -> Pixels:
    """Apply random camera defects to a picture [s, s, 3]; returns the same shape, uint8."""
    if policy.strength == 0:
        return picture
    size = picture.shape[0]
    chance = rng.random(8)
    if chance[0] < policy.hidden:
        picture = _hide_part(rng, picture)
    if chance[1] < policy.blur:
        picture = _blur(rng, picture, size / 96 * policy.strength)
    if chance[2] < policy.light or chance[3] < policy.colour:
        light = policy.strength if chance[2] < policy.light else 0.0
        colour = policy.strength if chance[3] < policy.colour else 0.0
        picture = np.asarray(cv2.LUT(picture, _tone_table(rng, light, colour)), np.uint8)
    if chance[4] < policy.gray:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    if chance[5] < policy.noise:
        picture = _noise(rng, picture, policy.strength)
    if chance[6] < policy.low_resolution:
        small = max(16, round(size * rng.uniform(0.4, 0.8)))
        shrunk = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    if chance[7] < policy.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))]
        encoded = cv2.imencode(".jpg", picture, quality)[1]
        picture = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return picture


def night(rng: Generator, picture: Pixels) -> Pixels:
    """A picture [s, s, 3] as a camera with an infrared lamp shows it: gray, lit from the middle, soft and noisy."""
    size = picture.shape[0]
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    if rng.random() < 0.3:  # without an infrared filter, a sensor picks up infrared mostly in the red channel
        gray = gray * 0.5 + picture[:, :, 0].astype(np.float32) / 510
    down, along = np.mgrid[0:size, 0:size].astype(np.float32) / size
    x, y = rng.uniform(0.3, 0.7, 2)
    lit = gray ** rng.uniform(0.6, 1.0) * np.exp(
        -((along - x) ** 2 + (down - y) ** 2) / (2 * rng.uniform(0.3, 0.8) ** 2)
    )
    lit = lit * rng.uniform(0.15, 0.5) / max(float(lit.mean()), 0.02) + rng.uniform(0, 0.06)
    lit = np.asarray(cv2.GaussianBlur(lit.astype(np.float32), (0, 0), rng.uniform(0.3, 1.0) * size / 96), np.float32)
    noisy = lit + rng.standard_normal(lit.shape, np.float32) * rng.uniform(0, 0.05)
    out: Pixels = np.repeat((np.clip(noisy, 0, 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    return out


def _tone_table(rng: Generator, light: float, colour: float) -> Pixels:
    """Random exposure, contrast, gamma and white balance as one lookup table [1, 256, 3]."""
    values = np.arange(256, dtype=np.float32)[:, None] / 255
    exposure = 2.0 ** (rng.uniform(-1.6, 0.9) * light)
    gamma = 2.0 ** (rng.uniform(-0.5, 0.5) * light)
    contrast = 1 + rng.uniform(-0.4, 0.3) * light
    gains = np.exp(rng.normal(0, 0.12 * colour, 3)).astype(np.float32)
    toned = (values**gamma * exposure - 0.45) * contrast + 0.45
    table: Pixels = np.clip(toned * gains * 255 + 0.5, 0, 255).astype(np.uint8)[None]
    return table


def _blur(rng: Generator, picture: Pixels, scale: float) -> Pixels:
    """Defocus (a Gaussian) or motion blur (a line in a random direction); ``scale`` 1 suits 96 pixels a side."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(picture, (0, 0), max(0.3, rng.uniform(0.5, 2.2) * scale)).astype(np.uint8)
    length = max(3, round(rng.uniform(3, 9) * scale))
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, math.pi), (length - 1) / 2
    reach = np.array([math.cos(angle), math.sin(angle)]) * middle
    start, end = (middle - reach).round().astype(int), (middle + reach).round().astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0)
    return cv2.filter2D(picture, -1, kernel / kernel.sum()).astype(np.uint8)


def _noise(rng: Generator, picture: Pixels, strength: float) -> Pixels:
    """Sensor noise: constant read noise, and shot noise that grows with the square root of the light."""
    read, shot = rng.uniform(0, 14) * strength, rng.uniform(0, 1.2) * strength
    values = picture.astype(np.float32)
    spread = read + shot * np.sqrt(values)
    noisy = values + rng.standard_normal(values.shape, np.float32) * spread
    return np.clip(noisy + 0.5, 0, 255).astype(np.uint8)


def _hide_part(rng: Generator, picture: Pixels) -> Pixels:
    """Cover a rectangle of up to a quarter of the area with a colour of the picture, like furniture in front."""
    size = picture.shape[0]
    h, w = (int(rng.integers(size // 8, size // 2 + 1)) for _ in range(2))
    y, x = int(rng.integers(0, size - h + 1)), int(rng.integers(0, size - w + 1))
    out = picture.copy()
    out[y : y + h, x : x + w] = picture[int(rng.integers(0, size)), int(rng.integers(0, size))]
    return out
