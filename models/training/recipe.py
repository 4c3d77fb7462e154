"""A network's weights in one file with the metadata needed to build the network again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.training.archs import Classifier, build
from models.training.onnx_graph import InputFormat
from models.training.weights import load_by_name, read_safetensors, write_safetensors


@dataclass(frozen=True)
class Recipe:
    """The metadata of weights that is needed to build their network again."""

    arch: str
    labels: tuple[str, ...]
    form: InputFormat

    def metadata(self) -> dict[str, str]:
        """The recipe as strings, for the weights' file."""
        form = self.form
        values = {
            "size": form.size,
            "channels": form.channels,
            "mean": form.mean,
            "std": form.std,
            "labels": self.labels,
        }
        return {"arch": self.arch, **{name: json.dumps(value) for name, value in values.items()}}

    @staticmethod
    def of(metadata: dict[str, str]) -> Recipe:
        """Read the recipe from a weights file's metadata. Raises ValueError if an entry is missing."""
        try:
            size, channels, mean, std, labels = (
                json.loads(metadata[name]) for name in ("size", "channels", "mean", "std", "labels")
            )
            return Recipe(metadata["arch"], tuple(labels), InputFormat(size, channels, tuple(mean), tuple(std)))
        except KeyError as error:
            raise ValueError(f"the weights' file does not say its {error.args[0]}") from error


def save_weights(path: Path, network: Classifier, recipe: Recipe) -> None:
    """Save weights (see `write_safetensors`) with the recipe as metadata."""
    write_safetensors(path, network.state_dict(), recipe.metadata())


def load_weights(path: Path) -> tuple[Classifier, Recipe]:
    """Load a network that ``save_weights`` has written."""
    tensors, metadata = read_safetensors(path)
    recipe = Recipe.of(metadata)
    network = build(recipe.arch, len(recipe.labels), recipe.form.channels, recipe.form.size)
    load_by_name(network, tensors)
    return network.eval(), recipe
