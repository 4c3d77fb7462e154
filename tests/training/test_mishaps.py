"""What goes wrong when a class trains its own network ends in a sentence, and nothing half-made is left."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import onnx
from lookout.pipeline.card import load_card

from models.training import cli, data, digits, tune, tune_command
from models.training.__main__ import main
from models.training.files import whole_folder
from models.training.run import Run
from models.training.train import Trainer
from models.training.tune import Tuner
from tests.training.networks import small_lite
from tests.training.pictures import encoded, scene, write_folders

Typed = Callable[..., tuple[int, str]]

LENET = ("--arch", "lenet5", "--size", "32", "--stages", "32:1", "--batch-size", "16", "--refresh", "1")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Gives exit status and all that was printed of one command as a user types it."""

    def run(*words: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["training", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        printed = capsys.readouterr()
        said = printed.out + printed.err + (code if isinstance(code, str) else "")
        assert "Traceback" not in said
        return (1 if isinstance(code, str) else code or 0), " ".join(said.split())

    return run


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A class's folder, one for all, of which every tenth picture is for validation."""
    write_folders(tmp_path / "ours", 40)
    return tmp_path / "ours"


def train(typed: Typed, folder: Path, run: Path, *more: str) -> tuple[int, str]:
    return typed("train", "--data", folder, "--run", run, *LENET, *more)


@pytest.mark.filterwarnings("ignore")
def test_broken_empty_and_foreign_files_are_named_and_left_out(typed: Typed, ours: Path, tmp_path: Path) -> None:
    """Whichever part the broken ones fall to: nobody chose them for validation."""
    for number in range(30):
        (ours / "cat" / f"broken-{number}.jpg").write_bytes(b"" if number % 2 else b"\xff\xd8 no more")
    (ours / "dog" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    status, said = train(typed, ours, tmp_path / "run")
    assert status == 0, said
    assert "30 left out, cannot be read as a picture: cat/broken-0.jpg" in said
    assert "1 left out, HEIC is not read here: convert it to JPEG: dog/phone.HEIC" in said


def test_transparent_parts_are_white_as_in_the_service() -> None:
    picture = np.zeros((20, 20, 4), np.uint8)
    picture[:, :10] = (0, 0, 255, 255)
    decoded = data.decode(cv2.imencode(".png", picture)[1].tobytes())
    assert decoded is not None
    assert decoded[5, 3].tolist() == [255, 0, 0]
    assert decoded[5, 15].tolist() == [255, 255, 255]


def test_a_photo_that_lies_on_its_side_is_turned_upright() -> None:
    """A phone's: the pixels as the sensor had them, and a note of how it was held."""
    jpeg = encoded(scene("cat", 0, 60, 90))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turned = data.decode(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    assert turned is not None
    assert turned.shape == (90, 60, 3)


@pytest.mark.filterwarnings("ignore")
def test_a_full_disk_is_reported_and_the_run_goes_on_afterwards(
    typed: Typed, ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = tmp_path / "run", tmp_path / "model"
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _no_room)
        status, said = train(typed, ours, run)
    assert status == 1
    assert "The disk is full" in said
    assert "checkpoint.pt" in said
    assert not list(run.glob("*checkpoint*"))
    assert train(typed, ours, run)[0] == 0

    export = ("export", run / "weights.safetensors", "--data", ours, "--out", out)
    written, int8 = onnx.save, tmp_path / ".model.new" / "int8.onnx"
    with monkeypatch.context() as full:
        full.setattr(
            onnx, "save", lambda graph, path, **more: _no_room() if path == int8 else written(graph, path, **more)
        )
        status, said = typed(*export)
    assert status == 1
    assert f"The disk is full: {out}" in said
    assert not list(tmp_path.glob("*model*")), "a model's folder without its card"
    assert typed(*export)[0] == 0
    assert load_card(out).label_names == ("cat", "dog", "neither")


def _fill_a_part(folder: Path) -> None:
    with whole_folder(folder, last="names.json") as fresh:
        (fresh / "pixels.npy").write_bytes(b"a part")
        _no_room()


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_cache_that_found_no_room_is_made_again(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="kept"):
        _fill_a_part(tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore")
def test_ctrl_c_while_pictures_are_read_while_training_and_at_the_end(
    typed: Typed, ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as pressed:
        _press(pressed, data, "_decoded")
        status, _ = train(typed, ours, run)
        assert status in (1, 130)
        assert not run.exists()
    with monkeypatch.context() as pressed:
        _press(pressed, Trainer, "_learn")
        status, said = train(typed, ours, run)
        assert status == 130
        assert "topped after step 1 of" in said
        assert "the same command goes on from there: python -m models.training train --data" in said
    assert torch_step(run) == 1
    with monkeypatch.context() as pressed:
        _press(pressed, cli, "save_weights")
        status, _ = train(typed, ours, run)
        assert status in (1, 130)
        assert not (run / "weights.safetensors").exists()
    status, said = train(typed, ours, run)
    assert status == 0, said
    assert "python -m models.training export" in said


@pytest.mark.filterwarnings("ignore")
def test_ctrl_c_stops_tune_too(typed: Typed, ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "pretrained", lambda _: small_lite())
    run, out = tmp_path / "run", tmp_path / "out"
    words = (
        "tune",
        "--data",
        ours,
        "--out",
        out,
        "--run",
        run,
        "--epochs",
        "0.3",
        "--size",
        "64",
        "--batch-size",
        "16",
    )
    with monkeypatch.context() as pressed:
        _press(pressed, data, "_decoded")
        status, _ = typed(*words)
        assert status in (1, 130)
        assert not run.exists(), "while pictures are read it ends at once"
    for place, name in ((Tuner, "_learn"), (tune_command, "save_weights")):
        with monkeypatch.context() as pressed:
            _press(pressed, place, name)
            status, said = typed(*words)
        assert status == 130
        assert "the same command goes on from there: python -m models.training tune --data" in said
        assert not out.exists()
    status, said = typed(*words)
    assert status == 0, said
    assert load_card(out).label_names == ("cat", "dog", "neither")


def torch_step(run: Path) -> int:
    state = Run(run).restore()
    assert state is not None
    return int(state["step"])


def _press(pressed: pytest.MonkeyPatch, place: Any, name: str) -> None:
    """Ctrl-C at the first call of a function."""
    original = getattr(place, name)

    def call(*words: Any, **more: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return original(*words, **more)

    pressed.setattr(place, name, call)


@pytest.mark.filterwarnings("ignore")
def test_one_class_other_networks_other_photographs_and_other_labels_are_refused(
    typed: Typed, ours: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert train(typed, ours, run)[0] == 0
    status, said = train(typed, ours, run, "--arch", "resnet18")
    assert (status, "holds a run with the network lenet5" in said) == (1, True), said
    more = shutil.copytree(ours, tmp_path / "more")
    (more / "cat" / "one-more.jpg").write_bytes(encoded(scene("cat", 99)))
    status, said = train(typed, more, run)
    assert (status, "the photographs" in said) == (1, True), said
    (more / "cat").rename(more / "kitten")
    status, said = train(typed, more, run)
    assert (status, "the labels kitten, dog, neither" in said or "kitten" in said) == (1, True), said
    shutil.rmtree(more / "dog")
    shutil.rmtree(more / "neither")
    for command in ("train", "tune"):
        status, said = typed(command, "--data", more, *(("--out", tmp_path / "out") if command == "tune" else ()))
        assert (status, "one label" in said) == (1, True), said


@pytest.mark.filterwarnings("ignore")
def test_a_second_command_in_the_same_run_folder_is_refused(typed: Typed, ours: Path, tmp_path: Path) -> None:
    """Two would replace each other's checkpoint. The folder is free again when the first one has ended."""
    run = tmp_path / "run"
    assert train(typed, ours, run)[0] == 0
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with (run / "lock").open() as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        status, said = train(typed, ours, run)
    assert (status, f"Another command is training in {run}." in said) == (1, True), said
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    assert train(typed, ours, run)[0] == 0


def test_nor_does_the_example_of_digits_share_a_run_folder(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digits, "PEN_EACH", 1)  # drawing them all takes seconds
    monkeypatch.setattr(digits, "PEN_VALIDATION", 1)
    run = tmp_path / "run"
    run.mkdir()
    with (run / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        status, said = typed("digits", "--run", run, "--out", tmp_path / "out")
    assert (status, f"Another command is training in {run}." in said) == (1, True), said
    assert [path.name for path in run.iterdir()] == ["lock"]
