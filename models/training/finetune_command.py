"""``python -m models.training finetune``: fine-tunes a served model on several datasets of photographs."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import cv2
import torch

from models.training import plots
from models.training.archs import build
from models.training.archs.resnet import ResNet
from models.training.datasets import load_datasets
from models.training.finetune import FineTuner, FineTuning
from models.training.mixture import Mixture, mixture_of
from models.training.onnx_graph import InputFormat
from models.training.recipe import Recipe, load_weights, save_weights
from models.training.run import Run
from models.training.train import IMAGENET_MEAN, IMAGENET_STD, Normalise, Report
from models.training.unfold import stored_weights, unfold

ARCH, SIZE = "resnet18", 96
SAMPLE = 4  # batches on which the folded network's outputs are measured
SAMPLE_STEP = 10**6  # a step that training does not reach, so that these batches are not trained on
FIRST, LAST = "start.safetensors", "weights.safetensors"


def fine_tune(
    folder: Path,
    start: Path,
    out: Path,
    minutes: float,
    report: Report,
    *,
    cache: Path | None,
    seed: int,
    config: FineTuning,
) -> Path:
    """Fine-tune the model in folder ``start`` for ``minutes`` from now, or continue the run in ``out`` for that time.

    Returns the path of the weights. Raises DataError if there are no photographs or ``out`` holds another run,
    ValueError if ``start`` is a model of another network.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # each worker is a thread of its own
    torch.manual_seed(seed)
    ends_at = time.time() + minutes * 60
    pictures = load_datasets(folder, "train", cache)
    mixture = mixture_of(folder, pictures, seed)
    run, recipe = Run(out), Recipe(ARCH, pictures.labels, InputFormat(SIZE, 3, IMAGENET_MEAN, IMAGENET_STD))
    with run.claimed(network=ARCH, labels=pictures.labels, photographs=pictures.identity()):
        old = starting_network(start, out / FIRST, mixture, recipe)
        run.describe({"finetune": config, "start": str(start), "seed": seed, **recipe.metadata()})
        network = FineTuner(copy.deepcopy(old), old, mixture, run, config, ends_at).train(report)
        save_weights(out / LAST, network, recipe)
    plots.curves(run.metrics(), out / "curves.png")
    return out / LAST


def starting_network(start: Path, kept: Path, mixture: Mixture, recipe: Recipe) -> ResNet:
    """The served model with its BatchNorm layers restored; stored in the file ``kept`` for the next time."""
    if kept.exists():
        network, _ = load_weights(kept)
    else:
        network = build(ARCH, len(recipe.labels), 3, SIZE)
        assert isinstance(network, ResNet)
        sample = [mixture.batch(SAMPLE_STEP + i, 64, SIZE).pixels for i in range(SAMPLE)]
        unfold(network, stored_weights(start / "fp32.onnx"), [Normalise()(pixels) for pixels in sample])
        save_weights(kept, network, recipe)
    assert isinstance(network, ResNet)
    return network.eval()
