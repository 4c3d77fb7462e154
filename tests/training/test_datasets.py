"""Several datasets in one folder: names that say which, wrong labels left out, boxes and cut-outs read."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.training.data import DataError
from models.training.datasets import (
    NOT_ANIMALS,
    WRONG_LABELS,
    dataset_of,
    has_several,
    held_out,
    load_datasets,
    origin,
    read_boxes,
    read_cutouts,
    read_rooms,
)
from tests.training.pictures import LABELS, encoded, scene, write_tars


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, BytesIO(data))


def test_every_dataset_is_found_and_its_name_begins_the_pictures_names(tmp_path: Path) -> None:
    write_tars(tmp_path, "train", 2)
    assert not has_several(tmp_path)
    write_tars(tmp_path, "train2", 3)
    write_tar(tmp_path / "train3-neither.tar", {"neither/popular-bear-00001.jpg": encoded(scene("neither", 5))})
    assert has_several(tmp_path)
    pictures = load_datasets(tmp_path, "train", tmp_path / "cache")
    assert len(pictures) == 3 * 2 + 3 * 3 + 1
    assert pictures.labels == LABELS
    assert {dataset_of(name) for name in pictures.names} == {"train", "train2", "train3"}
    for index, name in enumerate(pictures.names):
        assert pictures.labels[pictures.targets[index]] == name.split("/")[1]
    assert load_datasets(tmp_path, "train", tmp_path / "cache").names == pictures.names


def test_pictures_known_to_be_filed_wrongly_are_left_out(tmp_path: Path) -> None:
    wrong = sorted(WRONG_LABELS)[0].removeprefix("train/")
    files = {wrong: encoded(scene("cat", 1)), "neither/rooms-99999.webp": encoded(scene("neither", 1))}
    write_tar(tmp_path / "train-neither.tar", files)
    write_tar(tmp_path / "train2-neither.tar", files)  # each dataset counts from 0: this is another picture
    names = load_datasets(tmp_path, "train").names
    assert len(WRONG_LABELS) == 16
    assert f"train/{wrong}" not in names
    assert {f"train2/{wrong}", "train/neither/rooms-99999.webp"} <= set(names)


def test_an_unreadable_picture_stops_measuring_but_not_training(tmp_path: Path) -> None:
    for split in ("train2", "val2"):
        files = {"cat/a-1.jpg": encoded(scene("cat", 1)), "cat/a-2.jpg": b"torn"}
        write_tar(tmp_path / f"{split}-cat.tar", files)
    assert len(load_datasets(tmp_path, "train")) == 1
    with pytest.raises(DataError, match=r"a-2\.jpg"):
        load_datasets(tmp_path, "val")


def test_a_folder_without_tars_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-\*\.tar"):
        load_datasets(tmp_path, "train")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train/cat/kaggle-square-00012.webp", "kaggle-square"),
        ("train2/dog/pasted-00000.webp", "pasted"),
        ("train3/neither/popular-maned-wolf-00003.webp", "popular"),
    ],
)
def test_the_origin_of_a_picture_follows_from_its_name(name: str, expected: str) -> None:
    assert origin(name) == expected


def test_boxes_cutouts_and_rooms_are_read_where_they_are(tmp_path: Path) -> None:
    assert read_boxes(tmp_path / "boxes2.json") == {}
    assert list(read_cutouts(tmp_path / "cutouts2.tar")) == []
    assert read_rooms(tmp_path / "rooms3.tar") == []
    entries = [["cat", 0.1, 0.2, 0.3, 0.4], ["cat-part", 0, 0, 1, 1]]
    (tmp_path / "boxes2.json").write_text(json.dumps({"train2/cat/a-1.webp": entries}))
    whole, part = read_boxes(tmp_path / "boxes2.json")["train2/cat/a-1.webp"]
    assert (whole.whole, part.whole, whole.width) == (True, False, 0.3)

    clear = np.zeros((40, 50, 4), np.uint8)
    clear[10:30, 5:25] = (10, 20, 200, 255)  # BGR: red
    opaque = np.zeros((40, 50, 3), np.uint8)
    files = {"cat/x-cut-1.png": encoded(clear, ".png"), "cat/none-2.png": encoded(opaque, ".png")}
    write_tar(tmp_path / "cutouts2.tar", files)
    [(name, cutout)] = read_cutouts(tmp_path / "cutouts2.tar")
    assert name == "cat/x-cut-1.png"
    assert cutout.shape == (20, 20, 4)
    assert cutout[0, 0].tolist() == [200, 20, 10, 255]

    large = cv2.resize(scene("neither", 1), (1000, 960))
    write_tar(tmp_path / "rooms3.tar", {"neither/a-1.jpg": encoded(np.asarray(large, np.uint8))})
    assert [room.shape for room in read_rooms(tmp_path / "rooms3.tar")] == [(480, 500, 3)]


def test_cutouts_and_rooms_of_the_measuring_films_are_kept_from_training(tmp_path: Path) -> None:
    names = [f"neither/a-{number}" for number in range(40)]
    kept = [name for name in names if held_out(f"{name}.png")]
    assert 2 <= len(kept) <= 20
    picture = encoded(np.full((30, 40, 4), 255, np.uint8), ".png")
    write_tar(tmp_path / "cutouts2.tar", {f"{name}.png": picture for name in names})
    assert [name for name, _ in read_cutouts(tmp_path / "cutouts2.tar")] == [
        f"{name}.png" for name in names if name not in kept
    ]
    write_tar(tmp_path / "rooms3.tar", {f"{name}.png": encoded(scene("neither", 1), ".png") for name in names})
    assert len(read_rooms(tmp_path / "rooms3.tar")) == len(names) - len(kept)


def test_drawings_and_figurines_are_not_learnt_as_pets(tmp_path: Path) -> None:
    picture = encoded(np.full((30, 40, 4), 255, np.uint8), ".png")
    write_tar(tmp_path / "cutouts2.tar", dict.fromkeys((*NOT_ANIMALS, "dog/openpets-00001.webp"), picture))
    assert [name for name, _ in read_cutouts(tmp_path / "cutouts2.tar")] == ["dog/openpets-00001.webp"]
