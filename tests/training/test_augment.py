"""Training pictures: every crop lies in the picture, and the same seed and step give the same batch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

from models.training.augment import (
    Box,
    CameraPolicy,
    CropPolicy,
    camera,
    centre_square,
    cut,
    draw_box,
    far_away,
    jittered,
)
from models.training.batches import BatchSource, ahead, centre_crops
from models.training.corruptions import CORRUPTIONS
from models.training.data import Pictures
from models.training.suspects import twice
from tests.training.pictures import scene

ALWAYS = CameraPolicy(1, 1, 1, 1, 1, 1, 1, 1)


def test_crops_lie_in_the_picture_and_have_the_asked_area_and_aspect() -> None:
    rng = np.random.default_rng(0)
    policy = CropPolicy(min_area=0.3, plain=0.0)
    for _ in range(500):
        box = draw_box(rng, 100, 140, policy)
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= 140
        assert box.y + box.height <= 100
        assert box.width * box.height >= 0.28 * 100 * 140
        assert 0.7 < box.width / box.height < 1.43


def test_a_plain_crop_is_the_centre_square() -> None:
    box = draw_box(np.random.default_rng(0), 100, 140, CropPolicy(plain=1.0, mirrored=0.0))
    assert box == centre_square(100, 140) == Box(20, 0, 100, 100)


def test_a_mirrored_crop_is_mirrored_and_an_unturned_one_is_not_moved() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :8] = 255
    assert cut(picture, Box(0, 0, 64, 64), 64)[:, :8].min() == 255
    assert cut(picture, Box(0, 0, 64, 64, flip=True), 64)[:, -8:].min() == 255


def test_a_turned_crop_is_turned_about_its_middle() -> None:
    picture = np.zeros((65, 65, 3), np.uint8)
    cv2.line(picture, (0, 32), (64, 32), (255, 255, 255), 3)
    turned = cut(picture, Box(0, 0, 65, 65, degrees=90.0), 65)
    assert turned[:, 31:34].mean() > 200
    assert turned[32, :20].mean() < 60


def test_a_moved_crop_stays_in_the_picture_and_near_where_it_was() -> None:
    rng = np.random.default_rng(0)
    for box in (Box(0, 0, 100, 100, flip=True), Box(40, 20, 60, 80, 5.0), Box(0, 0, 140, 100)):
        for _ in range(200):
            moved = jittered(rng, box, 100, 140, 0.08)
            assert moved.x >= 0
            assert moved.y >= 0
            assert moved.x + moved.width <= 140
            assert moved.y + moved.height <= 100
            assert abs(moved.width - box.width) <= 0.08 * box.width + 1
            assert abs((moved.x + moved.width / 2) - (box.x + box.width / 2)) <= 0.12 * box.width + 1
            assert (moved.degrees, moved.flip) == (box.degrees, box.flip)
    assert jittered(rng, box, 100, 140, 0.0) is box


def test_a_far_animal_is_small_and_the_scene_goes_on_around_it() -> None:
    animal, room = np.full((96, 96, 3), 255, np.uint8), np.zeros((96, 96, 3), np.uint8)
    for seed in range(30):
        seen = far_away(np.random.default_rng(seed), animal, room)
        assert 0.1 < (seen > 128).all(axis=2).mean() < 0.64
        assert len(np.unique(seen)) > 4, "a hard edge"


def test_listed_pictures_come_twice_an_epoch(train_pictures: Pictures) -> None:
    listed = f"{train_pictures.names[3]}\tdog\t0.01\n"
    source = BatchSource(train_pictures, CropPolicy(), CameraPolicy(), 1, seed=1, repeats=twice(train_pictures, listed))
    assert source.steps_per_epoch == len(train_pictures) + 1
    seen = np.concatenate([source.indices(step)[1] for step in range(source.steps_per_epoch)])
    assert np.bincount(seen).tolist() == [2 if index == 3 else 1 for index in range(len(train_pictures))]


def test_far_scenes_are_those_without_an_animal(train_pictures: Pictures) -> None:
    scenes = train_pictures.without_animals()
    assert scenes is not None
    assert {train_pictures.labels[target] for target in train_pictures.targets[scenes]} == {"neither"}
    policies = CropPolicy(jitter=0.1), CameraPolicy(strength=0, far=1.0)
    plain = BatchSource(train_pictures, CropPolicy(jitter=0.1), CameraPolicy(strength=0), 8, seed=5, views=2)
    far = BatchSource(train_pictures, *policies, 8, seed=5, views=2, scenes=scenes)
    assert not np.array_equal(far.batch(3, 32).pixels, plain.batch(3, 32).pixels)
    assert np.array_equal(far.batch(3, 32).pixels, far.batch(3, 32).pixels)


@pytest.mark.parametrize("seed", range(20))
def test_every_camera_defect_keeps_shape_and_type(seed: int) -> None:
    picture = scene("cat", seed)[:64, :64]
    out = camera(np.random.default_rng(seed), picture, ALWAYS)
    assert out.shape == picture.shape
    assert out.dtype == np.uint8


def test_no_strength_means_no_change() -> None:
    picture = scene("dog", 1)[:64, :64]
    assert camera(np.random.default_rng(0), picture, CameraPolicy(strength=0)) is picture


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_measured_corruption_changes_the_picture_but_not_its_shape(name: str) -> None:
    picture = scene("cat", 3, 90, 128)
    out = CORRUPTIONS[name](picture)
    assert out.shape == picture.shape
    assert out.dtype == np.uint8
    assert np.abs(out.astype(int) - picture).mean() > 1


def test_a_batch_depends_only_on_seed_and_step(train_pictures: Pictures) -> None:
    source = BatchSource(train_pictures, CropPolicy(), CameraPolicy(), 8, seed=5)
    one, again = source.batch(7, 32, 48), source.batch(7, 32, 48)
    assert np.array_equal(one.pixels, again.pixels)
    assert one.clean is not None
    assert again.clean is not None
    assert np.array_equal(one.clean, again.clean)
    other = BatchSource(train_pictures, CropPolicy(), CameraPolicy(), 8, seed=6).batch(7, 32)
    assert not np.array_equal(one.indices, other.indices)


def test_an_epoch_sees_every_picture_once(train_pictures: Pictures) -> None:
    source = BatchSource(train_pictures, CropPolicy(), CameraPolicy(), 8, seed=1)
    seen = np.concatenate([source.indices(step)[1] for step in range(source.steps_per_epoch)])
    assert sorted(seen.tolist()) == list(range(len(train_pictures)))
    assert not np.array_equal(source.indices(0)[1], source.indices(source.steps_per_epoch)[1])


def test_fixed_views_come_back_after_their_number_of_epochs(train_pictures: Pictures) -> None:
    source = BatchSource(train_pictures, CropPolicy(), CameraPolicy(), 8, seed=1, views=2)
    views = [source.batch(epoch * source.steps_per_epoch, 32).view for epoch in range(4)]
    assert views == [0, 1, 0, 1]
    assert source.box(3, 0) == source.box(3, 0) != source.box(3, 1)


def test_batches_made_ahead_are_the_same_and_errors_arrive(train_pictures: Pictures) -> None:
    source = BatchSource(train_pictures, CropPolicy(), CameraPolicy(), 4, seed=2)
    for expected, batch in enumerate(ahead(lambda step: source.batch(step, 32), 0, 5)):
        assert batch.step == expected
        assert np.array_equal(batch.pixels, source.batch(expected, 32).pixels)

    def fails(step: int) -> None:
        raise ValueError(f"step {step}")

    with pytest.raises(ValueError, match="step 3"):
        next(ahead(fails, 3, 5))  # type: ignore[arg-type]


def test_gray_crops_have_one_channel(train_pictures: Pictures) -> None:
    assert centre_crops(train_pictures, 32, channels=1, chosen=range(3)).shape == (3, 32, 32, 1)
