"""A served network is taken apart again and trained further by the clock, without losing what it knew."""

from __future__ import annotations

import copy
import threading
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import onnx
import torch

from models.training.archs import build
from models.training.archs.resnet import BasicBlock, ResNet
from models.training.data import Pictures
from models.training.finetune import FineTuner, FineTuning, halves
from models.training.finetune_command import fine_tune
from models.training.mixture import Mixed, Mixture
from models.training.onnx_graph import INPUT, LOGITS, InputFormat, to_onnx
from models.training.run import Run
from models.training.train import IMAGENET_MEAN, IMAGENET_STD, Normalise
from models.training.unfold import normed, stored_weights, unfold
from tests.training.pictures import LABELS, scene, write_tars

SIZE = 32
FORM = InputFormat(SIZE, 3, IMAGENET_MEAN, IMAGENET_STD)


def quiet(step: int, total: int, words: str) -> None:
    del step, total, words


def pictures(seed: int, count: int = 16) -> Mixed:
    targets = np.random.default_rng(seed).integers(0, 3, count)
    pixels = [scene(LABELS[t], seed * 1000 + i, SIZE, SIZE)[:, :, ::-1] for i, t in enumerate(targets.tolist())]
    return Mixed(np.stack(pixels), targets, np.arange(count) % 2 == 0)


class Scenes(Mixture):
    """Batches of made pictures."""

    def __init__(self) -> None:
        self.pictures = Pictures(*[np.empty(0)] * 4, (), LABELS)  # type: ignore[arg-type]

    def batch(self, step: int, count: int, size: int) -> Mixed:
        del size
        return pictures(step, count)


def network(blocks: int = 1) -> ResNet:
    """With BatchNorm as after some training: no scale is zero and every statistic its own."""
    torch.manual_seed(0)
    made = ResNet(BasicBlock, (blocks,) * 4, 3, 3)
    for _, _, norm in normed(made):
        torch.nn.init.uniform_(norm.weight, 0.2, 0.6)
        torch.nn.init.normal_(norm.bias, 0, 0.1)
    made.train()
    with torch.no_grad():
        for step in range(3):
            made(Normalise()(pictures(step).pixels))
    return made.eval()


def unfolded(graph: Path) -> ResNet:
    again = build("resnet18", 3)
    assert isinstance(again, ResNet)
    unfold(again, stored_weights(graph), [Normalise()(pictures(step).pixels) for step in range(2)])
    return again


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "fp32.onnx"
    onnx.save(to_onnx(network(2), FORM), path)
    return path


def test_an_unfolded_network_answers_as_the_graph_does(graph: Path) -> None:
    session, shown = ort.InferenceSession(str(graph)), pictures(9).pixels
    expected = np.concatenate([session.run([LOGITS], {INPUT: picture[None]})[0] for picture in shown])
    with torch.inference_mode():
        found = unfolded(graph).eval()(Normalise()(shown)).numpy()
    assert np.abs(found - expected).max() < 1e-3


def test_an_unfolded_networks_batchnorm_works_as_in_training(graph: Path) -> None:
    """With a batch's own statistics it answers much the same, so training goes on from where it was."""
    again, shown = unfolded(graph), Normalise()(pictures(2, 64).pixels)
    with torch.inference_mode():
        served, training = again.eval()(shown), again.train()(shown)
    assert (served - training).abs().mean() < 0.3 * served.std()
    for _, convolution, _ in normed(again):
        assert convolution.weight.detach().flatten(1).norm(dim=1).max().item() == pytest.approx(1, abs=1e-3)


def test_another_networks_graph_is_refused(graph: Path) -> None:
    weights = {name: value for name, value in stored_weights(graph).items() if not name.startswith("layer4")}
    with pytest.raises(ValueError, match=r"no layer4\.0\.conv1\.weight"):
        unfold(network(), weights, [torch.zeros(2, 3, SIZE, SIZE)])


@pytest.mark.parametrize("fused", [False, True])
def test_the_halves_of_a_network_are_the_network(fused: bool) -> None:
    whole = network()
    front, back = halves(whole, 2, fused=fused)
    shown = Normalise()(pictures(1).pixels)
    with torch.inference_mode():
        assert torch.allclose(back.eval()(front.eval()(shown)), whole(shown), atol=1e-4)


class Ticks:
    """A clock that moves by one whenever somebody looks at it."""

    def __init__(self, now: float = 0) -> None:
        self.now, self.lock = now, threading.Lock()

    def __call__(self) -> float:
        with self.lock:
            self.now += 1
            return self.now


CONFIG = FineTuning(
    ((0.5, SIZE), (1.0, SIZE)),
    batch_size=8,
    learning_rate=1e-3,
    warmup_steps=2,
    log_every=2,
    checkpoint_s=1e9,
    refresh_batches=2,
)


def test_it_learns_and_keeps_the_early_stages(tmp_path: Path) -> None:
    old = network()
    before = {name: value.clone() for name, value in old.state_dict().items()}
    tuner = FineTuner(copy.deepcopy(old), old, Scenes(), Run(tmp_path), CONFIG, 130, Ticks())
    tuned = tuner.train(quiet)
    losses = [line["loss"] for line in Run(tmp_path).metrics()]
    assert losses[-1] < losses[0]
    for name, value in tuned.state_dict().items():
        kept = torch.equal(value, before[name])
        assert kept == name.startswith(("conv1", "bn1", "layer1", "layer2")) or name.endswith("num_batches_tracked"), (
            name
        )
    for name, value in old.state_dict().items():
        assert torch.equal(value, before[name]), f"the old network's {name} changed"


def test_a_run_goes_on_from_its_checkpoint_with_another_end(tmp_path: Path) -> None:
    old = network()
    first = FineTuner(copy.deepcopy(old), old, Scenes(), Run(tmp_path), CONFIG, 40, Ticks())
    first.train(quiet)
    steps = first.shared.step
    assert steps > 0
    again = FineTuner(copy.deepcopy(old), old, Scenes(), Run(tmp_path), CONFIG, 100, Ticks(50))
    assert again.shared.step == steps
    assert again.begun == first.begun
    assert 0.45 < again.progress() < 0.55
    assert torch.equal(again.average.state()["3.weight"], first.average.state()["3.weight"])
    again.train(quiet)
    assert again.shared.step > steps


def test_a_thread_that_fails_stops_the_run(tmp_path: Path) -> None:
    class Broken(Scenes):
        def batch(self, step: int, count: int, size: int) -> Mixed:
            del step, count, size
            raise OSError("the disk is gone")

    old = network()
    with pytest.raises(OSError, match="disk is gone"):
        FineTuner(copy.deepcopy(old), old, Broken(), Run(tmp_path), CONFIG, 1e9, Ticks()).train(quiet)


def test_from_datasets_to_weights(graph: Path, tmp_path: Path) -> None:
    for split in ("train", "train2"):
        write_tars(tmp_path / "data", split, 3)
    config = FineTuning(((1.0, SIZE),), workers=1, batch_size=4, refresh_batches=1)
    written = fine_tune(
        tmp_path / "data", graph.parent, tmp_path / "run", 0.02, quiet, cache=None, seed=1, config=config
    )
    assert written.stat().st_size > 2e7
    assert (tmp_path / "run" / "start.safetensors").exists()
