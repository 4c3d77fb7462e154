"""The feature maps of a picture: the activations of each channel of a layer.

A graph only returns its outputs. To keep inspection from slowing down the live picture, a second session of the same
graph is created, which has the inner tensors among its outputs. The layer table lists these tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from lookout.errors import ModelRejected, RequestInvalid, UnknownModel
from lookout.frame import Pixels
from lookout.geometry import Rect
from lookout.inspection.extra_outputs import open_session_with_outputs
from lookout.inspection.layers import read_table
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.preprocess import new_tensor, preprocess

Floats = NDArray[np.float32]

# The operators whose outputs are shown: activations, and pooling, which makes the maps smaller.
_ACTIVATIONS = {"Relu", "LeakyRelu", "PRelu", "Elu", "Clip", "Tanh", "Sigmoid", "HardSigmoid", "HardSwish", "Gelu"}
_SHOWN = {*_ACTIVATIONS, "MaxPool", "AveragePool"}
# The deepest networks have a few hundred such layers, whose outputs are all in memory during inspection.
_MAX_LAYERS = 200
# Maps with longer sides are shrunk, since a tile on the page is not larger.
_MAX_SIDE = 112
# The largest map whose values are listed: 224 x 224, the largest of the usual networks.
_MAX_VALUES = 224 * 224
# The grey level for zero if a layer's values have both signs, as in the picture of the filters.
MIDDLE = 128


@dataclass(frozen=True, slots=True)
class MapLayer:
    """A layer whose maps can be shown. name, operator: as in the layer table; tensor: the graph's name of its maps.

    before: for an activation, the graph's name of its input; empty if that is not known.
    """

    name: str
    operator: str
    tensor: str
    channels: int
    height: int
    width: int
    channels_last: bool = False
    before: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class OneMap:
    """The map of one channel for one picture, height x width, after and, if available, before the activation.

    seen: the part of the picture that the network saw.
    """

    after: Floats
    before: Floats | None
    seen: Rect


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMaps:
    """The maps of all channels of one layer for one picture.

    values: float32, channels x height x width. seen: the part of the picture that the network saw.
    """

    layer: MapLayer
    values: Floats
    seen: Rect


class MapNetwork:
    """A network that returns its layers' outputs. It takes tens of megabytes beside the one that classifies."""

    def __init__(self, card: Card, precision: str, layers: tuple[MapLayer, ...], session: ort.InferenceSession) -> None:
        self.card = card
        self.precision = precision
        self.layers = layers
        self._session = session

    @classmethod
    def load(cls, classifier: Classifier) -> MapNetwork:
        """Create a second session of the network in use. Raises UnknownModel if its layers cannot be shown."""
        card, precision = classifier.card, classifier.precision
        table = read_table(card.folder, {file.sha256 for file in card.files.values()})
        layers = map_layers(table) if table is not None else ()
        if not layers:
            raise _nothing_to_show(card)
        path, digest, known = card.path(precision), card.files[precision].sha256, classifier.output_names
        after, before = ({getattr(layer, end) for layer in layers} - {""} - known for end in ("tensor", "before"))
        try:
            return cls(card, precision, layers, open_session_with_outputs(path, digest, after | before))
        except ModelRejected:
            layers = tuple(replace(layer, before="") for layer in layers)
        try:  # in a quantised graph, activations are part of the rounding, so that their inputs do not exist
            return cls(card, precision, layers, open_session_with_outputs(path, digest, after))
        except ModelRejected as error:
            raise _nothing_to_show(card) from error

    def layer(self, name: str | None) -> MapLayer:
        """Return the layer of this name, or the first for None. Raises RequestInvalid if there is no such layer."""
        if name is None:
            return self.layers[0]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise RequestInvalid(
            f'The model "{self.card.name}" has no feature maps of a layer "{name}".',
            "Leave the layer out to see which it has.",
        )

    def look(self, pixels: Pixels, region: Rect, layer: MapLayer) -> FeatureMaps:
        """Return the maps of this layer for an upright picture (uint8, height x width x 3, BGR)."""
        (maps,), seen = self._run(pixels, region, layer, [layer.tensor])
        return FeatureMaps(layer, _activated(maps, layer), seen)

    def look_at(self, pixels: Pixels, region: Rect, layer: MapLayer, channel: int) -> OneMap:
        """Return the map of one channel of this layer for a picture, after and before the activation.

        Raises RequestInvalid if there is no such channel, or if it has too many values to list.
        """
        if not 0 <= channel < layer.channels:
            raise RequestInvalid(
                f'The layer "{layer.name}" has no channel {channel}.', f"It has 0 to {layer.channels - 1}."
            )
        if layer.height * layer.width > _MAX_VALUES:
            raise RequestInvalid(f'The maps of the layer "{layer.name}" are too large to list their values.')
        tensors = [layer.tensor, *([layer.before] if layer.before else [])]
        maps, seen = self._run(pixels, region, layer, tensors)
        after = _activated(maps[0][channel], layer)
        return OneMap(after, maps[1][channel] if layer.before else None, seen)

    def _run(self, pixels: Pixels, region: Rect, layer: MapLayer, tensors: list[str]) -> tuple[list[Floats], Rect]:
        """Return these tensors of one layer, as channels x height x width, and the part of the picture seen."""
        tensor = new_tensor(self.card.input)
        seen = preprocess(pixels, self.card.input, tensor, region)
        found = self._session.run(tensors, {self.card.input.name: tensor})
        maps = [np.asarray(values[0], np.float32) for values in found]
        return [np.ascontiguousarray(one.transpose(2, 0, 1)) if layer.channels_last else one for one in maps], seen


def _activated(maps: Floats, layer: MapLayer) -> Floats:
    """Apply the layer's ReLU, which in a quantised graph is part of the rounding after the tensor of this name."""
    return np.maximum(maps, 0.0) if layer.operator == "Relu" else maps


def map_layers(table: Mapping[str, Any]) -> tuple[MapLayer, ...]:
    """Return the layers of a table (`layers.json`) that have maps: activations and pools, or else convolutions."""
    rows = [row for row in table.get("layers", []) if row.get("main")]
    tensors = {str(row.get("name")): str(row.get("tensor") or "") for row in rows}
    maps = [layer for row in rows if (layer := _map_layer(row, tensors))]
    shown = [layer for layer in maps if layer.operator in _SHOWN]
    return tuple((shown or [layer for layer in maps if layer.operator == "Conv"])[:_MAX_LAYERS])


def _map_layer(row: Mapping[str, Any], tensors: Mapping[str, str]) -> MapLayer | None:
    """The layer of a row; None if its output is not channels of one picture, or has only one position left.

    tensors: the output tensor of each row, by the row's name.
    """
    shape, tensor = row.get("output"), row.get("tensor")
    if not tensor or not shape or len(shape) != 4 or shape[0] != 1:
        return None
    last = bool(row.get("channels_last"))
    _, *sides = shape
    channels, height, width = (sides[2], sides[0], sides[1]) if last else sides
    if height * width <= 1:
        return None
    operator = str(row["operator"])
    inputs: Sequence[object] = row.get("inputs") or ()
    before = tensors.get(str(inputs[0]), "") if operator in _ACTIVATIONS and len(inputs) == 1 else ""
    return MapLayer(str(row["name"]), operator, str(tensor), channels, height, width, last, before)


def strongest(values: Floats, count: int) -> list[int]:
    """Return the indices of the `count` channels with the largest mean magnitude, in ascending order.

    That order keeps a channel in its place from one picture to the next.
    """
    strength = np.abs(values).mean(axis=(1, 2))
    return sorted(int(channel) for channel in np.argsort(-strength, kind="stable")[:count])


def shades(values: Floats) -> tuple[NDArray[np.uint8], int]:
    """Return maps (channels x height x width) as grey tiles, at most _MAX_SIDE a side, and the grey level for zero.

    Each map is scaled to its own extremes: from black at zero or, if a layer has both signs, around middle grey.
    """
    small = _at_most(values, _MAX_SIDE)
    reach = np.maximum(np.abs(small).max(axis=(1, 2), keepdims=True), 1e-12)
    zero = MIDDLE if small.min() < 0 else 0
    return np.rint(small / reach * (255 - zero) + zero).clip(0, 255).astype(np.uint8), zero


def _at_most(values: Floats, side: int) -> Floats:
    """Shrink maps so that no side is longer than this."""
    height, width = values.shape[1:]
    if max(height, width) <= side:
        return values
    ratio = side / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in values])


def _nothing_to_show(card: Card) -> UnknownModel:
    return UnknownModel(
        f'The model "{card.name}" has no layers whose feature maps can be shown.',
        "`lookout models add` records with the card which there are.",
    )
