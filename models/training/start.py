"""Starting weights for training: those of a shipped model, or of another run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.training.archs import Classifier, build
from models.training.archs.resnet import ResNet
from models.training.batches import BatchSource
from models.training.data import DataError
from models.training.train import Normalise
from models.training.unfold import stored_weights, unfold
from models.training.weights import load_by_name, read_safetensors

SHIPPED = Path(__file__).parents[1]
SAMPLE = 4  # batches on which the folded network's outputs are measured
SAMPLE_STEP = 10**6  # a step that training does not reach, so that these batches are not trained on


def start_from(network: Classifier, start: str, source: BatchSource, size: int) -> None:
    """Give ``network`` the weights of a shipped model (its name or folder) or of a safetensors file.

    A ResNet's last layer keeps its own weights if a shipped model has another number of labels. Raises DataError if the
    weights do not fit.
    """
    folder = next((path for path in (Path(start), SHIPPED / start) if (path / "fp32.onnx").exists()), None)
    if folder is None and not Path(start).is_file():
        raise DataError(f"There is neither a shipped model nor a file called {start}.", "Try cat-dog-resnet18.")
    try:
        if folder is None:
            load_by_name(network, read_safetensors(Path(start))[0])
        else:
            _unfolded(network, folder, source, size)
    except ValueError as error:
        raise DataError(f"{start} does not fit: {error}.", "Train the same kind of network (--arch).") from error


def _unfolded(network: Classifier, folder: Path, source: BatchSource, size: int) -> None:
    weights = stored_weights(folder / "fp32.onnx")
    if not isinstance(network, ResNet) or f"{network.head_name}.weight" not in weights:
        raise ValueError("it is the graph of another network")
    shipped = build("resnet18", len(weights[f"{network.head_name}.bias"]), 3, size)
    assert isinstance(shipped, ResNet)
    sample = [Normalise()(source.batch(SAMPLE_STEP + i, size).pixels) for i in range(SAMPLE)]
    unfold(shipped, weights, sample)
    own = network.head
    if own.out_features != shipped.head.out_features:
        shipped.fc = nn.Linear(own.in_features, own.out_features)
        with torch.no_grad():
            shipped.fc.weight.copy_(own.weight)
            shipped.fc.bias.copy_(own.bias)
    load_by_name(network, shipped.state_dict())
