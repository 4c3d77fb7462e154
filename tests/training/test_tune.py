"""One command from a folder of photographs to a served model; runs that are stopped, and folders of other runs."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import torch
from lookout.cli import app as lookout_app
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier
from typer.testing import CliRunner

from models.training import tune
from models.training.archs import build
from models.training.augment import CameraPolicy, CropPolicy
from models.training.batches import BatchSource
from models.training.cli import app
from models.training.data import DataError, Pictures
from models.training.mixture import Mixture
from models.training.run import Run
from models.training.start import start_from
from models.training.stopping import Interrupted
from models.training.train import TrainConfig, Trainer
from models.training.tune import TuneConfig, Tuner
from tests.training.networks import small_lite
from tests.training.pictures import scene, write_tars

SHIPPED = Path(__file__).parents[2] / "models" / "cat-dog-resnet18"


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.output


def silent(*_: object) -> None:
    pass


@pytest.mark.filterwarnings("ignore")
def test_one_command_makes_a_model_that_is_served_and_looked_into(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "ours"
    words = ("--epochs", "0.5", "--size", "64", "--batch-size", "12")
    printed = run("tune", "--data", photographs, "--out", out, "--run", tmp_path / "run", *words)
    command = shlex.split(next(line for line in printed.splitlines() if "lookout serve" in line))
    assert command[-4:] == ["--model.folder", str(out.parent), "--model.name", "ours"]
    assert CliRunner().invoke(lookout_app, [*command[1:], "--help"]).exit_code == 0, "flags that the service knows"
    assert (tmp_path / "run" / "curves.png").exists()
    card = load_card(out)
    assert set(card.precisions) == {"fp32", "int8"}
    assert card.outputs.activation_map == "activation_map"
    table = json.loads((out / "layers.json").read_text())
    assert not table.get("incomplete")
    picture = np.asarray(cv2.resize(scene("cat", 99), (640, 480)), np.uint8)
    fp32, int8 = (Classifier.load(card, p).classify(picture).probabilities for p in ("fp32", "int8"))
    assert np.allclose(fp32, int8, atol=0.15)


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_several_collections_is_mixed_and_measured_set_by_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "train2", "val", "val2"):
        write_tars(tmp_path / "data", split, 3)
    drawn: list[int] = []
    draw = Mixture.batch
    monkeypatch.setattr(Mixture, "batch", lambda *words: drawn.append(words[1]) or draw(*words))
    out = tmp_path / "models" / "ours"
    words = ("--epochs", "1", "--size", "64", "--batch-size", "6", "--run", tmp_path / "run")
    run("tune", "--data", tmp_path / "data", "--out", out, *words)
    assert sorted(drawn) == [0, 1, 2]
    metrics = load_card(out).metrics
    assert metrics["fp32"]["sets"]["val2"]["pictures"] == 9


def test_pictures_of_one_label_are_refused(photographs: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        shutil.copytree(photographs / split / "cat", tmp_path / split / "cat")
    result = CliRunner().invoke(app, ["tune", "--data", str(tmp_path), "--out", str(tmp_path / "ours")])
    assert isinstance(result.exception, DataError)
    assert "one label" in str(result.exception)
    assert not (tmp_path / "ours").exists()


def test_a_stopped_tuning_keeps_its_last_step_and_goes_on(
    train_pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "pretrained", lambda _: small_lite())
    source = BatchSource(train_pictures, CropPolicy(), CameraPolicy(), 8)
    config, kept = TuneConfig(size=32, epochs=1), Run(tmp_path / "run")
    asked = iter([False, True])
    with pytest.raises(Interrupted) as stopped:
        Tuner(config, source, kept, silent, stopped=lambda: next(asked)).train()
    assert stopped.value.step == 2
    going_on = Tuner(config, source, kept, silent)
    assert going_on.step == 2
    going_on.train()
    assert going_on.step == going_on.total


def test_a_stopped_training_keeps_its_last_step(train_pictures: Pictures, tmp_path: Path) -> None:
    source = BatchSource(train_pictures, CropPolicy(), CameraPolicy(), 8)
    config, kept = TrainConfig(stages=((1, 32),), refresh_batches=1), Run(tmp_path / "run")
    with pytest.raises(Interrupted):
        Trainer(build("lenet5", 3, 3, 32), config, source, kept, stopped=lambda: True).train(silent)
    assert Trainer(build("lenet5", 3, 3, 32), config, source, kept).step == 1


@pytest.mark.filterwarnings("ignore")
def test_a_run_folder_belongs_to_one_network_and_its_photographs(photographs: Path, tmp_path: Path) -> None:
    words = ("train", "--data", photographs, "--run", tmp_path / "run", "--size", "32", "--stages", "32:0.2")
    run(*words, "--arch", "lenet5", "--refresh", "1")
    refused = CliRunner().invoke(app, [str(word) for word in (*words, "--arch", "resnet18")])
    assert isinstance(refused.exception, DataError)
    assert "the network lenet5" in str(refused.exception)
    other = shutil.copytree(photographs, tmp_path / "other")
    (other / "train" / "cat").rename(other / "train" / "kitten")
    (other / "val" / "cat").rename(other / "val" / "kitten")
    refused = CliRunner().invoke(app, [str(w) for w in (*words[:2], other, *words[3:], "--arch", "lenet5")])
    assert isinstance(refused.exception, DataError)
    assert "kitten" in str(refused.exception)


def test_training_starts_from_a_shipped_model_by_its_name(train_pictures: Pictures) -> None:
    source = BatchSource(train_pictures, CropPolicy(), CameraPolicy(strength=0), 8)
    network = build("resnet18", 3).eval()
    start_from(network, SHIPPED.name, source, 96)
    pixels = source.batch(0, 96).pixels
    card = load_card(SHIPPED)
    session = Classifier.load(card, "fp32")
    from models.training.train import Normalise

    with torch.inference_mode():
        own = network(Normalise()(pixels)).argmax(1).tolist()
    said = [int(np.argmax(session.classify(np.ascontiguousarray(one[:, :, ::-1])).probabilities)) for one in pixels]
    assert own == said
    with pytest.raises(DataError, match="another network"):
        start_from(build("lenet5", 3, 3, 32), SHIPPED.name, source, 32)
    with pytest.raises(DataError, match="neither a shipped model"):
        start_from(network, "no-such-model", source, 96)
    two = build("resnet18", 2)
    start_from(two, SHIPPED.name, source, 96)
    assert two.head.out_features == 2
