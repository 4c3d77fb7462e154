"""A network's weights with what has to be known to build it again, in one file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.training.archs import Classifier, build
from models.training.onnx_graph import InputFormat
from models.training.weights import load_by_name, read_safetensors, write_safetensors


@dataclass(frozen=True)
class Recipe:
    """What has to be known of weights to build their network again."""

    arch: str
    labels: tuple[str, ...]
    form: InputFormat

    def metadata(self) -> dict[str, str]:
        """As strings, for the weights' file."""
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
        """Raises ValueError when the weights do not say what they are for."""
        try:
            size, channels, mean, std, labels = (
                json.loads(metadata[name]) for name in ("size", "channels", "mean", "std", "labels")
            )
            return Recipe(metadata["arch"], tuple(labels), InputFormat(size, channels, tuple(mean), tuple(std)))
        except KeyError as error:
            raise ValueError(f"the weights' file does not say its {error.args[0]}") from error


def save_weights(path: Path, network: Classifier, recipe: Recipe) -> None:
    """Weights, see `write_safetensors`, with the recipe beside them."""
    write_safetensors(path, network.state_dict(), recipe.metadata())


def load_weights(path: Path) -> tuple[Classifier, Recipe]:
    """The network that ``save_weights`` wrote."""
    tensors, metadata = read_safetensors(path)
    recipe = Recipe.of(metadata)
    network = build(recipe.arch, len(recipe.labels), recipe.form.channels, recipe.form.size)
    load_by_name(network, tensors)
    return network.eval(), recipe
