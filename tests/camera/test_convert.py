"""Conversion: every format a camera may deliver becomes an upright BGR picture of its own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from lookout.camera.convert import FORMATS, finished, to_bgr, turned_size, upright
from lookout.errors import CameraUnsupported
from numpy.typing import NDArray

from tests.camera.cards import COLOURS, card, colour_of, corner, white_corner

Pixels = NDArray[np.uint8]
WIDTH, HEIGHT = 160, 120


def planes(picture: Pixels, padding: int) -> Pixels:
    """I420 with padded rows, as picamera2 hands YUV420 over."""
    padded = cv2.copyMakeBorder(picture, 0, 0, 0, padding, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(padded, cv2.COLOR_BGR2YUV_I420), dtype=np.uint8)


def nv12(picture: Pixels, *, swapped: bool = False) -> Pixels:
    flat = planes(picture, 0)
    luma, chroma = flat[:HEIGHT], flat[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    first, second = chroma[::-1] if swapped else chroma
    return np.vstack([luma, np.dstack([first, second]).reshape(HEIGHT // 2, WIDTH)])


def yuyv(picture: Pixels, order: str) -> Pixels:
    yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV)
    packed = np.empty((HEIGHT, WIDTH, 2), dtype=np.uint8)
    luma, chroma = (0, 1) if order == "YUYV" else (1, 0)
    packed[..., luma] = yuv[..., 0]
    packed[:, 0::2, chroma], packed[:, 1::2, chroma] = yuv[:, 0::2, 1], yuv[:, 1::2, 2]
    return packed


def delivered(picture: Pixels, name: str) -> Pixels:
    """The picture as a camera set to that format hands it over."""
    four = np.full((HEIGHT, WIDTH, 1), 255, dtype=np.uint8)
    rgb = picture[..., ::-1]
    match name:
        case "BGR" | "RGB888":
            return picture
        case "RGB" | "BGR888":
            return rgb
        case "XRGB8888" | "ARGB8888":
            return np.dstack([picture, four])
        case "XBGR8888" | "ABGR8888":
            return np.dstack([rgb, four])
        case "NV12" | "NV21":
            return nv12(picture, swapped=name == "NV21")
        case "YUV420":
            return planes(picture, 32)
        case "YVU420":
            flat = planes(picture, 0)
            quarter = HEIGHT // 4
            return np.vstack([flat[:HEIGHT], flat[HEIGHT + quarter :], flat[HEIGHT : HEIGHT + quarter]])
        case "YUYV" | "UYVY":
            return yuyv(picture, name)
        case "MJPEG":
            return np.asarray(cv2.imencode(".jpg", picture)[1], dtype=np.uint8).reshape(-1)
        case _:
            return picture[..., 0]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", sorted(FORMATS - {"GRAY", "R8"}))
def test_a_card_keeps_its_colour_in_every_format(name: str, colour: str) -> None:
    source = np.ascontiguousarray(delivered(card(colour, WIDTH, HEIGHT), name))
    picture = finished(source, name, WIDTH, HEIGHT, 0, "none")
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert colour_of(picture) == colour


@pytest.mark.parametrize("name", ["GRAY", "R8"])
def test_gray_is_replicated(name: str) -> None:
    picture = finished(np.full((HEIGHT, WIDTH), 90, dtype=np.uint8), name, WIDTH, HEIGHT, 0, "none")
    assert np.array_equal(np.unique(picture), [90])
    assert picture.shape == (HEIGHT, WIDTH, 3)


def test_mjpeg_that_the_library_decoded_is_red_green_blue() -> None:
    assert colour_of(to_bgr(np.ascontiguousarray(card("red")[..., ::-1]), "MJPEG", WIDTH, HEIGHT)) == "red"


def test_padding_right_of_the_picture_is_cut() -> None:
    picture = card("red", WIDTH, HEIGHT)
    source = planes(picture, 32)
    source[:HEIGHT, WIDTH:] = 0
    result = finished(source, "YUV420", WIDTH, HEIGHT, 0, "none")
    assert result.shape == (HEIGHT, WIDTH, 3)
    assert result[:, -1].mean(axis=0) == pytest.approx(result[:, 0].mean(axis=0), abs=3)


@pytest.mark.parametrize(
    ("rotate", "flip", "where"),
    [
        (0, "none", "top left"),
        (90, "none", "top right"),
        (180, "none", "bottom right"),
        (270, "none", "bottom left"),
        (0, "horizontal", "top right"),
        (0, "vertical", "bottom left"),
        (0, "both", "bottom right"),
        (90, "horizontal", "top left"),
        (90, "vertical", "bottom right"),
    ],
)
def test_pictures_are_turned_clockwise_then_flipped(rotate: int, flip: str, where: str) -> None:
    picture = upright(corner(), rotate, flip)
    assert white_corner(picture) == where
    assert picture.shape[1::-1] == turned_size(160, 120, rotate)


@pytest.mark.parametrize("name", ["BGR", "NV12"])
def test_the_result_owns_its_pixels(name: str) -> None:
    source = np.ascontiguousarray(delivered(card("red", WIDTH, HEIGHT), name))
    result = finished(source, name, WIDTH, HEIGHT, 0, "none")
    source[:] = 0
    assert colour_of(result) == "red"


def test_a_format_nobody_converts_is_refused_by_name() -> None:
    with pytest.raises(CameraUnsupported, match="SRGGB10"):
        to_bgr(card("red"), "SRGGB10", WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("BGR", (60, 160, 3)), ("NV12", (100, 160)), ("MJPEG", (500,)), ("BGR", (120, 160))],
)
def test_an_array_that_does_not_fit_its_format_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(CameraUnsupported, match="shape"):
        to_bgr(np.zeros(shape, dtype=np.uint8), name, WIDTH, HEIGHT)
