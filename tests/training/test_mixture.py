"""Batches of several collections: kinds come by their shares, composites show what they are called, steps repeat."""

from __future__ import annotations

import numpy as np
import pytest

from models.training.augment import night
from models.training.data import Pictures, pictures_of
from models.training.datasets import Boxed
from models.training.mixture import Kind, Mixture, square_around
from models.training.pasting import CutOut, paste
from models.training.rooms import Rooms

GREEN, RED, BLUE, GRAY = (0, 200, 0), (220, 0, 0), (0, 0, 220), (128, 128, 128)


def plain(colour: tuple[int, int, int], height: int = 60, width: int = 80) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def pictures() -> Pictures:
    """Many old red cats, few new green ones, a blue dog, gray rooms."""
    found = [(f"train/cat/kaggle-{i:05}.webp", plain(RED)) for i in range(90)]
    found += [(f"train2/cat/roompets-{i:05}.webp", plain(GREEN)) for i in range(3)]
    found += [("train/dog/kaggle-00000.webp", plain(BLUE)), ("train/neither/rooms-00000.webp", plain(GRAY))]
    return pictures_of(found)


def rooms(made: Pictures) -> Rooms:
    return Rooms([plain(GRAY, 480, 640)], made, [len(made) - 1])


KINDS = (
    Kind("cat", 0.5, "train"),
    Kind("cat", 0.5, "train2", frozenset({"roompets"})),
    Kind("dog", 1.0, "train"),
    Kind("neither", 1.0, "train"),
)


def mixture(**changes: object) -> Mixture:
    made = pictures()
    return Mixture(made, {}, **{"cutouts": {}, "rooms": rooms(made), "seed": 1, "kinds": KINDS, **changes})  # type: ignore[arg-type]


def test_a_kind_comes_by_its_share_and_not_by_its_number_of_pictures() -> None:
    batch = mixture().batch(0, 600, 16)
    assert batch.pixels.shape == (600, 16, 16, 3)
    cats = batch.targets == 0
    assert 0.4 < batch.old[cats].mean() < 0.6  # three new cats come as often as ninety old ones
    assert 0.24 < cats.mean() < 0.36


def test_a_step_always_shows_the_same_pictures() -> None:
    one, again, other = mixture().batch(3, 8, 16), mixture().batch(3, 8, 16), mixture().batch(4, 8, 16)
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(one.targets, again.targets)
    assert not np.array_equal(one.pixels, other.pixels)


def test_a_label_without_any_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="cat"):
        mixture(kinds=tuple(kind for kind in KINDS if kind.label != "cat"))
    with pytest.raises(ValueError, match="room"):
        Rooms([], pictures(), [])


def test_a_cutout_is_seen_in_the_room_and_covers_the_share_it_should() -> None:
    animal = CutOut(np.dstack([plain(RED, 40, 40), np.full((40, 40), 255, np.uint8)]))
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(60):
        pasted = paste(rng, animal, plain(GRAY, 96, 96)).astype(int)
        shares.append((pasted[:, :, 0] - pasted[:, :, 1] > 25).mean())
    assert np.mean(np.array(shares) > 0.03) > 0.95
    assert 0.1 < np.median(shares) < 0.7


def test_a_cutout_that_runs_out_of_its_picture_stands_on_the_lower_edge_and_a_clear_one_changes_nothing() -> None:
    animal = CutOut(np.dstack([plain(RED, 40, 40), np.full((40, 40), 255, np.uint8)]), grounded=True)
    rng = np.random.default_rng(1)
    for _ in range(20):
        last = paste(rng, animal, plain(GRAY, 96, 96))[-1].astype(int)
        assert (last[:, 0] - last[:, 1] > 25).any()
    clear = CutOut(np.zeros((40, 40, 4), np.uint8))
    assert np.array_equal(paste(rng, clear, plain(GRAY, 96, 96)), plain(GRAY, 96, 96))


def test_what_was_behind_a_cutout_does_not_show_at_its_edge() -> None:
    pixels = np.dstack([plain(GREEN, 64, 64), np.zeros((64, 64), np.uint8)])
    pixels[16:48, 16:48] = (220, 0, 0, 255)
    for seed in range(20):
        pasted = paste(np.random.default_rng(seed), CutOut(pixels), plain((90, 90, 90), 96, 96)).astype(int)
        assert (pasted[:, :, 1] - pasted[:, :, 0]).max() < 60


def test_the_square_around_a_boxed_animal_holds_most_of_it() -> None:
    box, rng = Boxed("cat", 0.4, 0.4, 0.25, 0.25), np.random.default_rng(0)
    for _ in range(100):
        square = square_around(rng, box, 200, 200)
        assert 0 <= square.x <= 200 - square.width
        assert 0 <= square.y <= 200 - square.height
        across = min(square.x + square.width, 130) - max(square.x, 80)
        down = min(square.y + square.height, 130) - max(square.y, 80)
        assert across * down > 0.5 * 50 * 50
        assert square.width <= 50 / 0.45 + 1


def test_pieces_of_rooms_have_the_asked_size_and_night_is_gray_and_dim() -> None:
    made, rng = pictures(), np.random.default_rng(0)
    for _ in range(10):
        assert rooms(made).piece(rng, 24).shape == (24, 24, 3)
    dark = night(rng, plain((250, 120, 60), 96, 96))
    assert np.array_equal(dark[:, :, 0], dark[:, :, 2])
    assert dark.mean() < 160
