"""A second file of the network that is being added, in another precision: the card names both, either can be served."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookout.errors import ModelRejected
from lookout.frame import Pixels
from lookout.inspection.onnx_graph import graph_inputs, precision_of
from lookout.pipeline.card import Card, sha256_of
from lookout.pipeline.classifier import Classifier
from lookout.registry.graph_facts import GraphAnswer
from lookout.registry.graph_file import GraphFile, prepare

_ONE_NETWORK = "Make one file from the other, as onnxruntime's quantize_static does: it keeps all names."


@dataclass(frozen=True, slots=True)
class Twin:
    """The second file, which has the same input and answer as the first."""

    file: GraphFile
    precision: str

    def lacks(self, roles: Mapping[str, str]) -> list[str]:
        """Return the roles of the first file's additional outputs that this one lacks."""
        names = {output.name for output in self.file.model.graph.output}
        return [role for role, name in roles.items() if name not in names]

    def copied(self, to: Path) -> dict[str, Any]:
        """Copy the file and return its entry in the card."""
        return copied(self.file, to)


def twin_of(path: Path, first: GraphFile, answer: GraphAnswer, input_name: str) -> Twin:
    """Read the second file. Raises ModelRejected if it cannot be the same network, or has the same precision."""
    file = prepare(path)
    precision = precision_of(file.model)
    if precision == precision_of(first.model):
        raise ModelRejected(f"{first.path} and {path} are both {precision}.", "--also takes another precision.")
    if [one.name for one in graph_inputs(file.model)] != [input_name]:
        raise ModelRejected(f'{path} has no input "{input_name}", which {first.path} has.', _ONE_NETWORK)
    if answer.output not in {output.name for output in file.model.graph.output}:
        raise ModelRejected(f'{path} has no output "{answer.output}", which {first.path} has.', _ONE_NETWORK)
    return Twin(file, precision)


def copied(file: GraphFile, to: Path) -> dict[str, Any]:
    """Copy a graph with its changes and return its entry in the card, by precision."""
    if (data := file.data) is None:
        shutil.copyfile(file.path, to)
    else:
        to.write_bytes(data)
    return {precision_of(file.model): {"file": to.name, "sha256": sha256_of(to), "bytes": to.stat().st_size}}


def agreement(card: Card, pictures: Sequence[Pixels]) -> str:
    """Return a sentence on how closely the answers of the card's two files agree."""
    first, second = (
        np.array([classifier.classify(picture).probabilities for picture in pictures])
        for classifier in (Classifier.load(card, precision) for precision in card.precisions)
    )
    same = int(np.sum(first.argmax(axis=1) == second.argmax(axis=1)))
    most = float(np.abs(first - second).max()) * 100
    names = " and ".join(card.precisions)
    return f"{names} agree on {same} of {len(pictures)} pictures, with at most {most:.0f} points between them"
