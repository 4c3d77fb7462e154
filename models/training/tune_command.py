"""``python -m models.training tune``: from a folder of photographs to a finished model in minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.training import evaluate as evaluation
from models.training.archs.efficientnet_lite import MEAN, STD
from models.training.arithmetic import has_bf16
from models.training.augment import CameraPolicy, CropPolicy
from models.training.batches import BatchSource
from models.training.card import Description, amend
from models.training.data import Pictures
from models.training.export import export
from models.training.mixture import MixedSource, Mixture
from models.training.onnx_graph import InputFormat
from models.training.recipe import Recipe, save_weights
from models.training.run import Run
from models.training.stopping import Interrupted, Stopped, never
from models.training.train import Report
from models.training.tune import TuneConfig, Tuner

ARCH, VARIANT = "efficientnet-lite0", "lite0"
CROPS, DEFECTS = CropPolicy(min_area=0.35), CameraPolicy(strength=0.5)
MAX_EPOCHS = 60.0
# For a mixture of collections: at 6e-4, three times as much, it was right on only 58 % after the first hundred steps.
MIXED_RATE, MIXED_SMOOTHING = 2e-4, 0.05


def tune_model(
    training: Pictures,
    validation: Pictures,
    out: Path,
    run_folder: Path,
    report: Report,
    stopped: Stopped = never,
    *,
    epochs: float,
    size: int,
    batch_size: int,
    seed: int,
    mixture: Mixture | None = None,
    others: Mapping[str, Pictures] | None = None,
) -> evaluation.Evaluation:
    """Tune the ImageNet network on photographs, write the model's folder ``out`` and evaluate it.

    With a ``mixture``, batches are drawn from it, and ``others`` are its further validation sets by name. Raises
    DataError if the run folder holds another run or one is in progress there, Interrupted if stopped.
    """
    run = Run(run_folder)
    config = TuneConfig(VARIANT, size, epochs=min(epochs, MAX_EPOCHS), bf16=has_bf16())
    batch_size = min(batch_size, len(training))
    source: BatchSource | MixedSource = BatchSource(training, CROPS, DEFECTS, batch_size, seed)
    if mixture is not None:
        source = MixedSource(mixture, batch_size)
        config = replace(config, learning_rate=MIXED_RATE, label_smoothing=MIXED_SMOOTHING)
    recipe = Recipe(ARCH, training.labels, InputFormat(size, 3, MEAN, STD))
    with run.claimed(network=ARCH, labels=training.labels, photographs=training.identity()):
        run.describe({"tune": config, "seed": seed, "labels": training.labels})
        tuner = Tuner(config, source, run, report, validation, stopped)
        network = tuner.train().network
        save_weights(run_folder / "weights.safetensors", network, recipe)
    if stopped():  # during the last step, say: the export takes as long as many of them
        raise Interrupted(tuner.step, tuner.total)
    card = export(network, recipe, training, out, description(out.name, training))
    found = evaluation.evaluate(card, validation, corruptions=False, others=others)
    amend(out, found.measured)
    return found


def description(name: str, pictures: Pictures) -> Description:
    """The card's texts for a model of the user's own photographs."""
    counts = np.bincount(pictures.targets, minlength=len(pictures.labels)).tolist()
    shown = ", ".join(f"{count:,} of {label}" for label, count in zip(pictures.labels, counts, strict=True))
    title = name.replace("-", " ").replace("_", " ").capitalize()
    text = "An EfficientNet-Lite0 that knew ImageNet, tuned on photographs of our own."
    return Description(name, title, text, f"ImageNet, then {shown}.", "Apache-2.0 (the ImageNet weights)")
