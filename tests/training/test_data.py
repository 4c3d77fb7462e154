"""Photographs are found in tars and folders, keep their labels, and are upright and small in memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.training.data import SHORT_SIDE, DataError, Split, decode, labels_of, left_out, load, load_both
from tests.training.pictures import LABELS, encoded, scene, write_folders, write_tars


def test_tars_and_folders_with_the_same_pictures_give_the_same_data(tmp_path: Path) -> None:
    write_tars(tmp_path / "tars", "train", 3)
    write_folders(tmp_path / "folders" / "train", 3)
    tars, folders = load(tmp_path / "tars", "train"), load(tmp_path / "folders", "train")
    assert tars.names == folders.names
    assert tars.labels == folders.labels == LABELS
    assert np.array_equal(tars.targets, folders.targets)
    assert np.array_equal(tars.pixels, folders.pixels)


@pytest.mark.parametrize("inside", ["", "photographs"])
def test_a_zip_gives_what_its_folder_gives(tmp_path: Path, inside: str) -> None:
    folder = tmp_path / "folder"
    write_folders(folder / inside, 20)
    (folder / "__MACOSX" / "cat").mkdir(parents=True)
    (folder / "__MACOSX" / "cat" / "._made-000.jpg").write_bytes(b"\0\5\x16\7")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))
    shutil.rmtree(folder / "__MACOSX")
    splits: tuple[Split, ...] = ("train", "val")
    for split in splits:
        one, other = load(packed, split, tmp_path / "cache"), load(folder / inside, split)
        assert one.names == other.names
        assert one.labels == LABELS
        assert np.array_equal(one.pixels, other.pixels)
    assert left_out(packed) == {}
    (tmp_path / "no.zip").write_text("no archive")
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        load(tmp_path / "no.zip", "train")


def test_plain_folders_are_divided_without_overlap_and_always_the_same_way(tmp_path: Path) -> None:
    write_folders(tmp_path, 30)
    train, val = load(tmp_path, "train"), load(tmp_path, "val")
    assert set(train.names).isdisjoint(val.names)
    assert len(train) + len(val) == 90
    assert 0 < len(val) < 30
    write_folders(tmp_path, 40)
    assert set(val.names) <= set(load(tmp_path, "val").names)


def test_the_reject_label_comes_last() -> None:
    assert labels_of(["zebra/1.jpg", "neither/1.jpg", "ant/1.jpg"]) == ("ant", "zebra", "neither")


def test_decoding_gives_rgb_with_a_bounded_short_side() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[:] = (10, 20, 200)  # BGR: mostly red
    decoded = decode(encoded(picture, ".png"))
    assert decoded is not None
    assert decoded.shape == (SHORT_SIDE, round(400 * SHORT_SIDE / 300), 3)
    assert decoded[0, 0].tolist() == [200, 20, 10]


def test_a_small_picture_is_not_enlarged() -> None:
    decoded = decode(encoded(scene("cat", 0, 50, 60), ".png"))
    assert decoded is not None
    assert decoded.shape == (50, 60, 3)


def test_a_file_that_is_not_a_picture_is_left_out_of_training_and_refused_in_validation(tmp_path: Path) -> None:
    write_folders(tmp_path / "train", 2)
    write_folders(tmp_path / "val", 2)
    (tmp_path / "train" / "cat" / "broken.jpg").write_bytes(b"no picture")
    assert len(load(tmp_path, "train")) == 6
    (tmp_path / "val" / "cat" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        load(tmp_path, "val")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\2\0\0\0"])
def test_an_empty_or_boundless_picture_is_none(content: bytes) -> None:
    assert decode(content) is None


def test_names_that_are_no_utf_8_and_folders_named_like_pictures_stop_nothing(tmp_path: Path) -> None:
    write_folders(tmp_path / "data", 2)
    odd = tmp_path / "data" / "cat" / os.fsdecode(b"caf\xe9.jpg")
    odd.write_bytes(encoded(scene("cat", 1, 90, 90)))
    (tmp_path / "data" / "dog" / "folder.jpg").mkdir()
    splits: tuple[Split, ...] = ("train", "val")
    found = [name for split in splits for name in _names(tmp_path / "data", split, tmp_path / "cache")]
    assert len(found) == 7


def _names(folder: Path, split: Split, cache: Path) -> tuple[str, ...]:
    try:
        return load(folder, split, cache).names
    except DataError:  # so few that none is held out
        return ()


def test_a_label_that_validation_lacks_is_named(tmp_path: Path) -> None:
    """Its numbers would be those of other labels, and the accuracy reported a lie."""
    write_folders(tmp_path / "train", 2)
    write_folders(tmp_path / "val", 2)
    train, val = load_both(tmp_path)
    assert train.labels == val.labels == LABELS
    shutil.rmtree(tmp_path / "val" / "cat")
    with pytest.raises(DataError, match="no pictures of cat for validation"):
        load_both(tmp_path)
    for picture in (tmp_path / "val").rglob("*.*"):
        picture.unlink()
    shutil.rmtree(tmp_path / "train")
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "train" / "cat" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="that can be read"):
        load(tmp_path, "train")


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-\*\.tar"):
        load(tmp_path, "train")


def test_the_cache_gives_the_same_pictures_and_notices_a_change(tmp_path: Path) -> None:
    write_folders(tmp_path / "data" / "train", 2)
    fresh = load(tmp_path / "data", "train", tmp_path / "cache")
    cached = load(tmp_path / "data", "train", tmp_path / "cache")
    assert np.array_equal(fresh.pixels, cached.pixels)
    assert fresh.names == cached.names
    write_folders(tmp_path / "data" / "train", 3)
    assert len(load(tmp_path / "data", "train", tmp_path / "cache")) == 9
    first = tmp_path / "data" / "train" / fresh.names[0]
    first.write_bytes(encoded(scene("dog", 77, 90, 90)))
    assert load(tmp_path / "data", "train", tmp_path / "cache")[0].shape == (90, 90, 3)


def test_each_picture_can_be_taken_out_by_its_number(tmp_path: Path) -> None:
    write_folders(tmp_path / "train", 2, ".png")
    pictures = load(tmp_path, "train")
    for index, name in enumerate(pictures.names):
        expected = cv2.imread(str(tmp_path / "train" / name))
        assert expected is not None
        assert np.array_equal(pictures[index], expected[:, :, ::-1])
        assert pictures.labels[pictures.targets[index]] == name.split("/")[0]
        assert pictures.origin(index) == "made"


def test_what_is_left_out_is_listed_by_its_reason(tmp_path: Path) -> None:
    write_folders(tmp_path, 2)
    (tmp_path / "cat" / "phone.heic").write_bytes(b"ftypheic")
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    (tmp_path / "cat" / "notes.txt").write_text("mine")
    (tmp_path / "dog" / "old").mkdir()
    (tmp_path / "dog" / "old" / "deep.jpg").write_bytes(encoded(scene("dog", 0)))
    (tmp_path / "loose.jpg").write_bytes(encoded(scene("dog", 0)))
    (tmp_path / "hamster").mkdir()
    assert left_out(tmp_path) == {
        "cannot be read as a picture": ["cat/broken.jpg"],
        "no picture by its name": ["cat/notes.txt"],
        "HEIC is not read here: convert it to JPEG": ["cat/phone.heic"],
        "too deep: pictures lie directly in their label's folder": ["dog/old/deep.jpg"],
        "in no label's folder": ["loose.jpg"],
        "a label without a picture": ["hamster"],
    }


def test_validation_pictures_that_cannot_be_read_are_named_together(tmp_path: Path) -> None:
    write_folders(tmp_path / "val", 2)
    for number in range(12):
        (tmp_path / "val" / "cat" / f"broken-{number:02}.jpg").write_bytes(b"\xff\xd8 no more")
    with pytest.raises(DataError, match=r"cat/broken-00\.jpg, .*cat/broken-09\.jpg and 2 more") as refused:
        load(tmp_path, "val")
    assert "cannot be read as pictures" in str(refused.value)
