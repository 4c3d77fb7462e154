"""From a folder of pictures to a model the service loads: every network, both precisions, through the real commands."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

from lookout.inspection.layers_onnx import layer_table
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier
from typer.testing import CliRunner

from models.training import cli, digits
from models.training.archs import ARCHS, alexnet
from models.training.archs.resnet import BasicBlock, Bottleneck, ResNet
from models.training.cli import app
from models.training.data import Pictures
from models.training.suspects import suspects
from tests.training.pictures import scene

SIZES = {"resnet18": 32, "resnet50": 32, "alexnet-lrn": 63, "lenet5": 32, "lenet5-sigmoid": 32}  # without: test_archs


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.stdout


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arch", SIZES)
def test_every_network_goes_from_pictures_to_answers(
    arch: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two stages and narrow dense layers: the same kinds of layers in a tenth of the time. test_archs and test_parity
    # have all of them.
    for name, block in (("resnet18", BasicBlock), ("resnet50", Bottleneck)):
        monkeypatch.setitem(ARCHS, name, lambda n, channels, _, block=block: ResNet(block, (2, 1), n, channels))
    monkeypatch.setattr(alexnet, "WIDE", 256)
    size, folder, out = SIZES[arch], tmp_path / "run", tmp_path / "models" / f"tiny-{arch}"
    steps = ("--stages", f"{size}:1", "--batch-size", "24", "--learning-rate", "0.01", "--no-bf16", "--refresh", "1")
    run("train", "--data", photographs, "--run", folder, "--arch", arch, "--size", str(size), *steps)
    assert (folder / "curves.png").stat().st_size > 1000
    printed = run("export", folder / "weights.safetensors", "--data", photographs, "--out", out)
    assert "accuracy" in printed

    card = load_card(out)
    assert card.label_names == ("cat", "dog", "neither")
    assert [label.reject for label in card.labels] == [False, False, True]
    assert set(card.precisions) == set(card.calibration) == {"fp32", "int8"}
    assert card.files["int8"].bytes < card.files["fp32"].bytes
    assert set(card.thresholds) == {"cat", "dog"}
    assert set(card.metrics["fp32"]["corruptions"]) == set(card.metrics["int8"]["corruptions"])
    layers = json.loads((out / "layers.json").read_text())
    assert layers == layer_table(out / "fp32.onnx").to_json()

    picture = cv2.resize(scene("cat", 99), (640, 480))
    answers = []
    for precision in card.precisions:
        prediction = Classifier.load(card, precision).classify(np.asarray(picture, np.uint8), embedding=True)
        assert sum(prediction.probabilities) == pytest.approx(1)
        assert prediction.embedding is not None
        answers.append(prediction.probabilities)
    assert np.allclose(*answers, atol=0.15)


@pytest.mark.filterwarnings("ignore")
def test_words_without_a_title_are_kept_and_the_folder_lends_its_name(photographs: Path, tmp_path: Path) -> None:
    folder, out, words = tmp_path / "run", tmp_path / "my-animals", tmp_path / "words.json"
    run("train", "--data", photographs, "--run", folder, "--arch", "lenet5", "--size", "32", "--stages", "32:0.2")
    words.write_text(json.dumps({"description": "My own cats.", "version": "7"}))
    run("export", folder / "weights.safetensors", "--data", photographs, "--out", out, "--words", words)
    card = load_card(out)
    assert (card.title, card.description, card.version) == ("my-animals", "My own cats.", "7")


@pytest.mark.filterwarnings("ignore")
def test_evaluating_draws_and_suspects_are_listed(photographs: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "run", tmp_path / "model"
    run("train", "--data", photographs, "--run", folder, "--arch", "lenet5", "--size", "32", "--stages", "32:1")
    run("export", folder / "weights.safetensors", "--data", photographs, "--out", out)
    before = (out / "card.json").read_text()
    run("evaluate", out, "--data", photographs, "--no-corruptions", "--pictures", tmp_path / "drawn")
    drawn = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert drawn == {"confusion.png", "reliability.png", "worst-mistakes.png", "logits.npz"}
    assert (out / "card.json").read_text() == before
    listed = run("suspects", out, "--data", photographs, "--at-most", "1").splitlines()
    assert len(listed) == 48
    shares = [float(line.split("\t")[2]) for line in listed]
    assert shares == sorted(shares)
    assert "made" in run("data", "--data", photographs)


def test_a_wrong_label_is_the_first_suspect(val_pictures: Pictures) -> None:
    p = np.full((len(val_pictures), 3), 0.005)
    p[np.arange(len(p)), val_pictures.targets] = 0.99
    p[5] = np.roll(p[5], 1)
    (found,) = suspects(p, val_pictures)
    assert found.name == val_pictures.names[5]
    assert found.said != found.name.split("/")[0]


def test_digits_are_drawn_upright_in_a_frame_and_never_mirrored() -> None:
    pictures = digits._pictures([np.zeros((32, 32, 3), np.uint8)] * 3, [0, 7, 9], ["digit"] * 3)
    assert pictures.labels == tuple("0123456789")
    assert pictures.targets.tolist() == [0, 7, 9]
    assert digits.CROPS.mirrored == 0


def test_the_shipped_digits_model_is_sound() -> None:
    folder = Path(__file__).parents[2] / "models" / "digits-lenet5"
    card = load_card(folder)
    seven = np.zeros((28, 28, 3), np.uint8)
    cv2.line(seven, (8, 6), (19, 6), (255, 255, 255), 3)
    cv2.line(seven, (19, 6), (11, 23), (255, 255, 255), 3)
    for precision in card.precisions:
        p = Classifier.load(card, precision).classify(seven).probabilities
        assert card.label_names[int(np.argmax(p))] == "7"


@pytest.mark.filterwarnings("ignore")
def test_a_network_for_one_size_of_picture_trains_with_the_usual_stages(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", "--data", photographs, "--arch", "lenet5", "--size", "32")
    refused = CliRunner().invoke(app, [str(word) for word in (*words, "--run", tmp_path / "no", "--stages", "64:1")])
    assert refused.exit_code == 2
    assert "one size" in refused.output
    monkeypatch.setattr(cli, "EPOCHS", 2)
    run(*words, "--run", tmp_path / "run", "--batch-size", "16", "--refresh", "2", "--no-bf16")
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_stages_that_make_no_sense_are_refused() -> None:
    result = CliRunner().invoke(app, ["train", "--data", ".", "--stages", "64x20"])
    assert result.exit_code == 2


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_shipped_lite0_is_the_graph_of_its_card_and_is_sure_of_an_empty_wall(precision: str) -> None:
    """Whether card, graph and preprocessing belong together: its weights took an hour and are not made here."""
    card = load_card(Path(__file__).parents[2] / "models" / "cat-dog-lite0")
    assert card.precisions == ("fp32", "int8")
    assert card.outputs.activation_map == "activation_map"
    wall = np.full((240, 320, 3), (180, 190, 200), np.uint8)
    p = Classifier.load(card, precision).classify(wall, activation_map=True)
    assert card.label_names[int(np.argmax(p.probabilities))] == "neither"
    assert p.activation_map is not None
