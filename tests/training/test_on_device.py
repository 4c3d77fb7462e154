"""Training with everything on one accelerator, here on the processor: the same crops, defects and lessons."""

from __future__ import annotations

import fcntl
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import torch

from models.training.archs import build
from models.training.augment import CameraPolicy, CropPolicy
from models.training.batches import centre_crops
from models.training.data import DataError, Pictures, labels_of
from models.training.on_device import __main__ as command
from models.training.on_device.defects import Camera, far_away
from models.training.on_device.store import Boxes, Store
from models.training.on_device.student import Schooling, Stage, Student
from models.training.on_device.teachers import Council, Views, ask
from models.training.recipe import load_weights
from models.training.teacher import Teacher
from tests.training.networks import small_lite
from tests.training.pictures import scene

CPU = torch.device("cpu")
NONE = CameraPolicy(0, 0, 0, 0, 0, 0, 0, 0)
STAGES = (
    Stage(0.5, 32, CropPolicy(), replace(NONE, far=0.2), 0.5, 0.5),
    Stage(1.0, 32, CropPolicy(plain=1.0), NONE, 0.0, 0.0),
)


def pictures_of(*sizes: tuple[int, int]) -> Pictures:
    """A picture of a red disc for each (height, width)."""
    made = [scene("cat", seed, *size)[:, :, ::-1] for seed, size in enumerate(sizes)]
    offsets = np.cumsum([0, *(p.size for p in made)])
    names = tuple(f"cat/made-{i:03}.jpg" for i in range(len(made)))
    flat = np.concatenate([p.reshape(-1) for p in made])
    return Pictures(flat, offsets, np.array(sizes, np.int32), np.zeros(len(made), np.int64), names, labels_of(names))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def smooth(n: int = 8, size: int = 96) -> torch.Tensor:
    """Pictures [n, 3, s, s] that change slowly from place to place."""
    ramp = torch.linspace(40, 200, size)
    return torch.stack([ramp.expand(size, size), ramp.view(-1, 1).expand(size, size), ramp.flip(0).expand(size, size)])[
        None
    ].repeat(n, 1, 1, 1)


def test_a_whole_frames_crop_is_that_of_the_service_whatever_the_pictures_shape() -> None:
    pictures = pictures_of((100, 120), (128, 96), (128, 128), (128, 300), (300, 128), (60, 50))
    store = Store(pictures, CPU)
    everything = torch.arange(len(pictures))
    seen = store.render(everything, store.centre_squares(everything), 64).permute(0, 2, 3, 1).numpy()
    expected = centre_crops(pictures, 64).astype(np.float32)
    for index in range(len(pictures)):
        # Averaging differs a little, as noise does; a disc that is moved by a pixel makes more than that.
        assert np.abs(seen[index] - expected[index]).mean() < 8, f"picture {index}"
    moved = np.roll(expected, 2, axis=2)
    assert np.abs(moved - expected)[0].mean() > 8


def test_crops_lie_in_the_picture_and_jitter_leaves_them_there() -> None:
    store = Store(pictures_of(*[(100, 120), (128, 90)] * 200), CPU)
    random, everything = generator(), torch.arange(400)
    boxes = store.draw(everything, CropPolicy(min_area=0.3, plain=0.0), random)
    for drawn in (boxes, store.jittered(everything, boxes, 0.1, random)):
        x, y, w, h, _ = drawn.rows.unbind(1)
        height, width = store.sizes.unbind(1)
        assert bool((x - w / 2 >= -1e-3).all())
        assert bool((x + w / 2 <= width + 1e-3).all())
        assert bool((y - h / 2 >= -1e-3).all())
        assert bool((y + h / 2 <= height + 1e-3).all())
    moved = store.jittered(everything, boxes, 0.1, random).rows[:, :2] - boxes.rows[:, :2]
    assert bool((moved.abs() <= 0.15 * boxes.rows[:, 2:4] + 1e-3).all())
    assert float(moved.abs().mean()) > 1
    assert 0.3 < float((boxes.flip < 0).float().mean()) < 0.7
    area = boxes.rows[:, 2] * boxes.rows[:, 3] / (store.sizes[:, 0] * store.sizes[:, 1])
    assert float(area.min()) > 0.2
    assert float(area.max()) > 0.9


def test_a_mirrored_crop_is_the_mirror_image_and_a_turned_one_reflects_what_it_lacks() -> None:
    store, one = Store(pictures_of((100, 120)), CPU), torch.zeros(1, dtype=torch.long)
    box = store.centre_squares(one)
    plain = store.render(one, box, 48)
    mirrored = store.render(one, Boxes(box.rows, -box.flip), 48)
    assert torch.allclose(plain.flip(3), mirrored, atol=1e-2)
    rows = box.rows.clone()
    rows[:, 4] = 0.5
    turned = store.render(one, Boxes(rows, box.flip), 48)
    assert float(turned.min()) > 10, "no black corner, and nothing from beside the picture"
    assert float((turned - plain).abs().mean()) > 5
    even = replace(pictures_of((60, 50)), pixels=np.full(60 * 50 * 3, 200, np.uint8))
    assert float(Store(even, CPU).render(one, Boxes(rows, box.flip), 48).min()) > 199.9


@pytest.mark.parametrize(
    "policy",
    [
        replace(NONE, light=1.0),
        replace(NONE, colour=1.0),
        replace(NONE, gray=1.0),
        replace(NONE, blur=1.0),
        replace(NONE, noise=1.0),
        replace(NONE, low_resolution=1.0),
        replace(NONE, jpeg=1.0),
        replace(NONE, hidden=1.0),
    ],
)
def test_each_defect_changes_pictures_within_their_range_and_the_same_seed_in_the_same_way(
    policy: CameraPolicy,
) -> None:
    torch.manual_seed(0)
    clean = (smooth() + torch.rand(8, 3, 96, 96) * 50).clamp(0, 255)
    changed = Camera(policy, generator(), 2)(clean)
    assert changed.shape == clean.shape
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 255
    assert float((changed - clean).abs().mean()) > 0.5
    assert torch.equal(changed, Camera(policy, generator(), 2)(clean))


def test_defects_of_some_leave_the_others_as_they_were_and_where_they_were() -> None:
    clean = smooth(20) + torch.arange(20).view(-1, 1, 1, 1)
    changed = Camera(replace(NONE, noise=0.3), generator(), 2)(clean)
    same = [bool(torch.allclose(a, b, atol=0.01)) for a, b in zip(changed, clean, strict=True)]
    assert sum(same) == 14
    assert Camera(replace(NONE, strength=0.0), generator(), 2)(clean) is clean


def test_strong_compression_keeps_a_blocks_mean_and_the_finest_keeps_the_picture() -> None:
    camera = Camera(NONE, generator(), 2)
    picture = smooth(2, 90)  # no multiple of eight
    assert float((camera._jpeg(picture, 100.0) - picture).abs().max()) < 4
    strong = camera._jpeg(picture, 5.0)
    assert strong.shape == picture.shape
    assert float((strong - picture).mean().abs()) < 2
    assert float((strong - picture).abs().max()) > 8


def test_a_far_picture_is_small_in_its_scene() -> None:
    scenes = torch.full((30, 3, 64, 64), 10.0)
    placed = far_away(torch.full((30, 3, 64, 64), 200.0), scenes, generator())
    share = (placed > 150).float().mean((1, 2, 3))
    assert float(share.min()) > 0.05
    assert float(share.max()) < 0.6
    assert float(placed[:, :, :, 0].min()) == 10.0


def random_council(size: int = 32) -> Council:
    torch.manual_seed(0)
    return Council([Teacher("lite0", 3, 0, small_lite()).eval() for _ in range(2)], size)


def test_a_council_is_the_mean_of_its_teachers_and_its_views_belong_to_the_pictures(train_pictures: Pictures) -> None:
    store, council, random = Store(train_pictures, CPU), random_council(), generator()
    view = ask(council, store, CropPolicy(), random)
    some = torch.tensor([5, 0, 17])
    reported, features = council.answer(store.render(some, view.boxes[some], council.size))
    alone = [Council([teacher], council.size) for teacher in council.teachers]
    apart = [one.answer(store.render(some, view.boxes[some], council.size))[0] for one in alone]
    assert torch.allclose(reported, (apart[0] + apart[1]) / 2, atol=1e-4)
    views = Views(2)
    for _ in range(3):
        views.add(view)
    assert len(views) == 2
    only = Views(1)
    only.add(view)
    only.add(view)
    assert len(only) == 1
    boxes, kept, known = views.take(some, 7)
    assert torch.equal(boxes.rows, view.boxes.rows[some])
    # bfloat16, and another batch is summed in another order
    assert torch.allclose(kept, reported, atol=0.05)
    assert torch.allclose(known, features, atol=0.1)


def make_student(pictures: Pictures, **changes: object) -> Student:
    stages = (
        Stage(0.5, 32, CropPolicy(), replace(NONE, far=0.2), 0.5, 0.5),
        Stage(1.0, 32, CropPolicy(plain=1.0), NONE, 0.0, 0.0),
    )
    values = {
        "stages": stages,
        "batch_size": 24,
        "learning_rate": 0.1,
        "average_decay": 0.5,
        "refresh_batches": 4,
        "asking": 0.02,
        **changes,
    }
    torch.manual_seed(0)
    scenes = command._scenes(pictures)
    repeats = torch.ones(len(pictures), dtype=torch.long)
    return Student(
        build("lenet5", 3, 3, 32),
        Store(pictures, CPU),
        repeats,
        scenes,
        random_council(),
        Schooling(**values),
        clock=itertools.count().__next__,
    )


def test_a_student_learns_from_labels_and_ends_when_its_time_is_up(train_pictures: Pictures) -> None:
    student = make_student(train_pictures, seconds=300.0, distil_share=0.0)
    looks, words = [], []
    student.train(looks.append, words.append)
    assert student.step > 100
    assert looks == sorted(looks)
    assert len(looks) == len(student.schooling.looks)
    assert sum("32 px" in said for said in words) == 2
    crops = torch.from_numpy(centre_crops(train_pictures, 32)).permute(0, 3, 1, 2)
    found = student.averaged_logits(crops, build("lenet5", 3, 3, 32)).argmax(1).numpy()
    assert (found == train_pictures.targets).mean() > 0.7


def test_each_picture_comes_as_often_as_it_should(train_pictures: Pictures) -> None:
    student = make_student(train_pictures)
    student.shown = torch.repeat_interleave(torch.arange(48), torch.tensor([3] * 12 + [1] * 36))
    seen = torch.cat([student._next() for _ in range(3)])
    assert torch.bincount(seen, minlength=48).tolist() == [3] * 12 + [1] * 36


def test_the_command_leaves_weights_that_can_be_exported(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.training.on_device import teachers

    monkeypatch.setattr(teachers, "pretrained", lambda _: small_lite())
    tuning = teachers.Tuning(seconds=0.1, size=32, batch_size=8)
    schooling = Schooling(seconds=0.1, stages=STAGES, batch_size=8, refresh_batches=2)
    command.run(photographs, tmp_path / "run", ["lite0"], CPU, tuning, schooling)
    network, recipe = load_weights(tmp_path / "run" / "weights.safetensors")
    assert recipe.labels == ("cat", "dog", "neither")
    assert all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())
    assert "together: " in (tmp_path / "run" / "metrics.jsonl").read_text()
    with (tmp_path / "run" / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="Another command is training"):
            command.run(photographs, tmp_path / "run", ["lite0"], CPU, tuning, schooling)
