"""From picture to tensor: colours, geometry and the region reported as seen."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from lookout.geometry import WHOLE, Rect
from lookout.pipeline.card import InputSpec
from lookout.pipeline.preprocess import new_tensor, preprocess
from PIL import Image

from tests.models import BLUE, GREEN, RED, picture

CARDS = {"red": RED, "green": GREEN, "blue": BLUE}
GRAY_OF = {"red": 0.299 * 255, "green": 0.587 * 255, "blue": 0.114 * 255}  # ITU-R BT.601
IMAGENET = {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def spec_of(**changes: Any) -> InputSpec:
    usual: dict[str, Any] = {"name": "pixels", "layout": "NHWC", "dtype": "uint8", "width": 96, "height": 96}
    return InputSpec.model_validate(usual | changes)


def seen_in(pixels: np.ndarray, spec: InputSpec, region: Rect = WHOLE) -> tuple[np.ndarray, Rect]:
    """The tensor as float, height x width x channels, and the rectangle."""
    tensor = new_tensor(spec)
    rect = preprocess(pixels, spec, tensor, region)
    values = tensor[0] if spec.layout == "NHWC" else tensor[0].transpose(1, 2, 0)
    return values.astype(np.float64), rect


@cache
def photograph(name: str, width: int, height: int) -> np.ndarray:
    """A real photograph, blue-green-red, enlarged or reduced to this size."""
    rgb = getattr(skimage.data, name)()
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    return cv2.resize(bgr, (width, height), interpolation=cv2.INTER_CUBIC)


# --- colours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    ("color", "layout", "dtype"), list(product(["rgb", "bgr"], ["NHWC", "NCHW"], ["uint8", "float32"]))
)
def test_a_coloured_card_arrives_as_its_colour(card: str, color: str, layout: str, dtype: str) -> None:
    values, _ = seen_in(picture(CARDS[card]), spec_of(color=color, layout=layout, dtype=dtype))
    channel = {"rgb": ["red", "green", "blue"], "bgr": ["blue", "green", "red"]}[color].index(card)
    expected = np.zeros((96, 96, 3))
    expected[:, :, channel] = 255
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_a_coloured_card_arrives_as_its_brightness_where_the_network_sees_gray(card: str, layout: str) -> None:
    values, _ = seen_in(picture(CARDS[card]), spec_of(color="gray", layout=layout))
    assert values.shape == (96, 96, 1)
    np.testing.assert_allclose(values, GRAY_OF[card], atol=0.5)


def test_a_float_tensor_is_scaled_and_normalised_channel_by_channel() -> None:
    values, _ = seen_in(picture((10, 20, 30)), spec_of(dtype="float32", layout="NCHW", **IMAGENET))
    for channel, pixel in enumerate((30, 20, 10)):
        expected = (pixel / 255 - IMAGENET["mean"][channel]) / IMAGENET["std"][channel]
        np.testing.assert_allclose(values[:, :, channel], expected, rtol=1e-5)


def test_one_mean_and_deviation_serve_all_channels() -> None:
    values, _ = seen_in(picture((10, 20, 30)), spec_of(dtype="float32", mean=[10.0], std=[2.0]))
    np.testing.assert_allclose(values[0, 0], [10.0, 5.0, 0.0])


def test_the_callers_buffer_is_filled_and_may_be_used_again() -> None:
    spec = spec_of()
    tensor = new_tensor(spec)
    for color in (RED, GREEN):
        preprocess(picture(color), spec, tensor)
    assert tensor[0, 0, 0].tolist() == [0, 255, 0]


def test_the_picture_itself_is_not_touched() -> None:
    pixels = photograph("chelsea", 640, 480)
    before = pixels.copy()
    seen_in(pixels, spec_of())
    np.testing.assert_array_equal(pixels, before)


# --- geometry ---------------------------------------------------------------------------------------------------


def test_crop_sees_the_centred_square() -> None:
    pixels = picture(GREEN)
    pixels[:, :80] = RED
    pixels[:, 560:] = BLUE
    values, seen = seen_in(pixels, spec_of(resize="crop"))
    assert seen == Rect(0.125, 0.0, 0.75, 1.0)
    np.testing.assert_array_equal(values, np.broadcast_to([0, 255, 0], (96, 96, 3)))


def test_crop_of_an_upright_picture_cuts_above_and_below() -> None:
    _, seen = seen_in(picture(GREEN, width=480, height=640), spec_of(resize="crop"))
    assert seen == Rect(0.0, 0.125, 1.0, 0.75)


def test_crop_keeps_the_networks_aspect() -> None:
    _, seen = seen_in(picture(GREEN, 600, 600), spec_of(width=128, height=64))
    assert seen == Rect(0.0, 0.25, 1.0, 0.5)


def test_squash_sees_everything_and_bends_it() -> None:
    pixels = picture(RED)
    pixels[:, 320:] = BLUE
    values, seen = seen_in(pixels, spec_of(resize="squash"))
    assert seen == WHOLE
    np.testing.assert_array_equal(values[:, :47], np.broadcast_to([255, 0, 0], (96, 47, 3)))
    np.testing.assert_array_equal(values[:, 49:], np.broadcast_to([0, 0, 255], (96, 47, 3)))


def test_letterbox_sees_everything_between_grey_bars() -> None:
    values, seen = seen_in(picture(RED), spec_of(resize="letterbox"))
    assert seen == WHOLE
    np.testing.assert_array_equal(values[:12], 128)
    np.testing.assert_array_equal(values[12:84], np.broadcast_to([255, 0, 0], (72, 96, 3)))
    np.testing.assert_array_equal(values[84:], 128)


def test_letterbox_of_an_upright_picture_has_its_bars_at_the_sides() -> None:
    values, _ = seen_in(picture(RED, width=480, height=640), spec_of(resize="letterbox"))
    np.testing.assert_array_equal(values[:, :12], 128)
    np.testing.assert_array_equal(values[:, 12:84], np.broadcast_to([255, 0, 0], (96, 72, 3)))


def test_only_the_region_is_looked_at() -> None:
    pixels = picture(BLUE)
    pixels[240:480, 320:640] = GREEN
    values, seen = seen_in(pixels, spec_of(resize="squash"), Rect(0.5, 0.5, 0.5, 0.5))
    assert seen == Rect(0.5, 0.5, 0.5, 0.5)
    np.testing.assert_array_equal(values, np.broadcast_to([0, 255, 0], (96, 96, 3)))


def test_what_is_seen_of_a_region_is_its_centred_crop() -> None:
    _, seen = seen_in(picture(GREEN), spec_of(), Rect(0.5, 0.0, 0.5, 1.0))
    assert (seen.x, seen.width) == (0.5, 0.5)
    assert (seen.y, seen.height) == pytest.approx((80 / 480, 320 / 480))


def test_a_small_region_is_enlarged_smoothly() -> None:
    pixels = picture((0, 0, 0), 640, 480)
    pixels[:, 320:] = 255
    values, _ = seen_in(pixels, spec_of(), Rect(0.45, 0.45, 0.1, 0.1))
    row = values[48, :, 0]
    assert (np.diff(row) >= 0).all()
    assert len(np.unique(row)) > 2, "interpolated, not in blocks"


def test_a_picture_smaller_than_the_network_is_enlarged() -> None:
    values, seen = seen_in(picture(RED, 8, 6), spec_of())
    assert values.shape == (96, 96, 3)
    assert seen == Rect(0.125, 0.0, 0.75, 1.0)


def test_a_picture_of_the_networks_size_passes_unchanged() -> None:
    pixels = photograph("coffee", 96, 96)
    values, _ = seen_in(pixels, spec_of(color="bgr"))
    np.testing.assert_array_equal(values, pixels)


sides = st.integers(1, 1200)
fractions = st.floats(0.0, 0.95)


@given(
    sides,
    sides,
    fractions,
    fractions,
    st.floats(0.05, 1.0),
    st.floats(0.05, 1.0),
    st.sampled_from(["crop", "squash", "letterbox"]),
)
def test_what_is_seen_lies_in_the_region_and_holds_its_middle(
    width: int, height: int, x: float, y: float, w: float, h: float, resize: str
) -> None:
    region = Rect(x, y, min(w, 1 - x), min(h, 1 - y))
    pixels = np.zeros((height, width, 3), np.uint8)
    values, seen = seen_in(pixels, spec_of(resize=resize, width=24, height=16), region)
    assert values.shape == (16, 24, 3)
    assert seen.width > 0
    assert seen.height > 0
    # Whole pixels: a region that ends within one is seen to that pixel's edge.
    assert region.x - 1 / width <= seen.x
    assert region.y - 1 / height <= seen.y
    assert seen.x + seen.width <= min(1.0, region.x + region.width + 1 / width) + 1e-9
    assert seen.y + seen.height <= min(1.0, region.y + region.height + 1 / height) + 1e-9
    assert abs(seen.x + seen.width / 2 - region.x - region.width / 2) <= 2 / width
    assert abs(seen.y + seen.height / 2 - region.y - region.height / 2) <= 2 / height


def test_of_a_region_hardly_anything_is_lost_to_whole_steps() -> None:
    """Halving wants even numbers: what it drops is said, and is less than one output pixel."""
    _, seen = seen_in(np.zeros((2003, 3001, 3), np.uint8), spec_of(resize="squash"))
    assert 1 - 8 / 3001 <= seen.width <= 1
    assert 1 - 8 / 2003 <= seen.height <= 1


# --- quality ----------------------------------------------------------------------------------------------------

SIZES = [(1080, 1080), (1920, 1080), (3000, 2000), (640, 480)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_shrinking_in_steps_gives_what_one_step_gives(name: str, size: tuple[int, int]) -> None:
    pixels = photograph(name, *size)
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    square = pixels[top : top + side, left : left + side].astype(np.float64)
    one_step = cv2.resize(square, (96, 96), interpolation=cv2.INTER_AREA)
    values, _ = seen_in(pixels, spec_of(color="bgr"))
    difference = np.abs(values - one_step)
    assert difference.mean() <= 1.0, "of 255, on average"
    assert np.quantile(difference, 0.99) <= 8.0


@pytest.mark.parametrize("resize", ["crop", "squash", "letterbox"])
@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6, 10, 20])
def test_whole_factors_give_the_mean_of_each_block(factor: int, resize: str) -> None:
    pixels = np.random.default_rng(factor).integers(0, 256, (factor * 32, factor * 48, 3), np.uint8)
    blocks = pixels.reshape(32, factor, 48, factor, 3).mean(axis=(1, 3))
    values, seen = seen_in(pixels, spec_of(color="bgr", width=48, height=32, resize=resize))
    assert seen == WHOLE
    # Halving rounds halves up, each time.
    np.testing.assert_allclose(values, blocks, atol=0.5 if factor % 2 else 2.0)


def test_an_interpolating_card_is_halved_first_whatever_the_factor() -> None:
    stripes = np.zeros((480, 480, 3), np.uint8)
    stripes[:, ::2] = 255
    values, _ = seen_in(stripes, spec_of(interpolation="linear"))
    np.testing.assert_allclose(values, 127.5, atol=1.0)


def test_two_and_a_half_times_the_networks_size_is_averaged_at_once() -> None:
    pixels = photograph("coffee", 240, 240)
    values, _ = seen_in(pixels, spec_of(color="bgr"))
    np.testing.assert_array_equal(values, cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_a_photograph_arrives_as_an_independent_program_would_prepare_it(name: str) -> None:
    """Pillow's box filter (area averaging) and the normalising written out."""
    bgr = photograph(name, 640, 480)
    image = Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1])).crop((80, 0, 560, 480))
    rgb = np.asarray(image.resize((96, 96), Image.Resampling.BOX), np.float64)
    expected = (rgb / 255 - IMAGENET["mean"]) / IMAGENET["std"]
    values, _ = seen_in(bgr, spec_of(dtype="float32", layout="NCHW", **IMAGENET))
    assert np.abs(values - expected).mean() <= 1 / 255 / 0.224
    assert np.corrcoef(values.ravel(), expected.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("interpolation", ["area", "linear"])
def test_a_grey_picture_stays_exactly_grey(interpolation: str) -> None:
    values, _ = seen_in(np.full((1080, 1920, 3), 77, np.uint8), spec_of(interpolation=interpolation))
    np.testing.assert_array_equal(values, 77)


def test_fine_stripes_are_averaged_and_do_not_flicker() -> None:
    """Without averaging over areas, stripes of one pixel would come out black, white or as false patterns."""
    stripes = np.zeros((960, 960, 3), np.uint8)
    stripes[:, ::2] = 255
    values, _ = seen_in(stripes, spec_of())
    np.testing.assert_allclose(values, 127.5, atol=1.0)
