"""From a run's weights to a model folder: both graphs (fp32 checked against PyTorch), card and layer table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from lookout.pipeline.card import Card

from models.training.archs import Classifier
from models.training.batches import centre_crops
from models.training.card import Description, write_model
from models.training.data import Pictures, Pixels
from models.training.onnx_graph import INPUT, LOGITS, InputFormat, folded, to_onnx
from models.training.quantize import Method, quantize
from models.training.recipe import Recipe
from models.training.train import Normalise

PARITY = 1e-4  # maximum difference of a logit between the exported graph and PyTorch with the same rounded weights
CALIBRATION_PICTURES = 300


def parity(network: Classifier, graph: onnx.ModelProto, form: InputFormat, pixels: Pixels) -> float:
    """The largest difference of a logit between the graph and PyTorch with the same folded, rounded weights.

    Infinite if a logit of either is not finite.
    """
    module, normalise = folded(network), Normalise(form.mean, form.std)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    worst = 0.0
    for picture in pixels:
        with torch.inference_mode():
            expected = module(normalise(picture[None]))[0].numpy()
        difference = float(np.abs(session.run([LOGITS], {INPUT: picture[None]})[0] - expected).max())
        worst = max(worst, difference if math.isfinite(difference) else math.inf)
    return worst


def export(
    network: Classifier,
    recipe: Recipe,
    training: Pictures,
    folder: Path,
    words: Description,
    *,
    method: Method = "minmax",
    keep_float: Sequence[str] = (),
    seed: int = 0,
) -> Card:
    """Write both graphs, card and layer table. Raises ValueError if the fp32 graph differs from PyTorch."""
    form = recipe.form
    chosen = np.sort(np.random.default_rng(seed).permutation(len(training))[:CALIBRATION_PICTURES])
    calibration = centre_crops(training, form.size, form.channels, chosen.tolist())
    fp32 = to_onnx(network, form)
    difference = parity(network, fp32, form, calibration[:16])
    if difference > PARITY:
        raise ValueError(f"the exported graph differs from PyTorch by {difference:.1e}, more than {PARITY:.0e}")
    int8 = quantize(to_onnx(network, form, half=False), calibration, method, keep_float=tuple(keep_float))
    return write_model(folder, {"fp32": fp32, "int8": int8}, recipe.labels, form, words)
