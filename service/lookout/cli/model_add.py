"""Writes the card for somebody's ONNX file: what the graph tells is read, what it cannot tell is asked."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from lookout.errors import ModelRejected
from lookout.inspection.layers_onnx import write_layers
from lookout.pipeline.card import CARD_FILE, Card, load_card, sha256_of
from lookout.pipeline.classifier import Classifier
from lookout.terminal import say

# ImageNet's, for pixels on 0..255: what most networks one finds were trained with.
IMAGENET_MEAN, IMAGENET_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
MAX_LABEL_BYTES = 2**20
_ELEMENT_TYPES = {1: "float32", 2: "uint8"}
# Whoever works at the question may also stop there, so the default stands first.
_COLORS, _RESIZES, _ENDINGS = ("rgb", "bgr"), ("crop", "squash", "letterbox"), ("logits", "probabilities")
_NORMALISATIONS = ("imagenet", "zero-to-one", "minus-one-to-one", "raw")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"  # as the card's schema has it; it becomes a folder
_REJECTING = {"neither", "none", "other", "background", "nothing", "reject"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was said on the command line; None is asked for, or takes the usual value when nothing may be asked."""

    graph: Path
    labels: Path
    name: str | None = None
    title: str | None = None
    color: str | None = None
    resize: str | None = None
    scale: float | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    reject: str | None = None
    ends_in: str | None = None
    shape: tuple[int, ...] | None = None
    ask: bool = True


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What a graph tells of itself. classes: numbers it answers with, None where that is open."""

    input: str
    dtype: str
    layout: str
    channels: int
    height: int
    width: int
    output: str
    ends_in_softmax: bool
    classes: int | None
    roles: dict[str, str]


def add_model(wishes: Wishes, folder: Path) -> Card:
    """Copy the graph into a folder of its own under `folder`, with card and layer table, and try it once.

    Raises ModelRejected, and leaves nothing behind then.
    """
    facts = read_graph(wishes.graph, wishes.shape)
    labels = read_labels(wishes.labels)
    if facts.classes is not None and facts.classes != len(labels):
        raise ModelRejected(
            f"{wishes.labels} names {len(labels)} labels, but the network answers with {facts.classes} numbers.",
            "Give one label a line, in the order the network was trained with.",
        )
    name = wishes.name or _name_from(wishes.graph)
    if re.fullmatch(_NAME, name) is None:
        raise ModelRejected(
            f'"{name}" cannot be the name of a model.', "Take letters, digits, dots, dashes and underscores for --name."
        )
    target = folder / name
    if os.path.lexists(target):  # before anything is asked
        raise _taken(target)
    card = _card(wishes, facts, labels, name)
    try:
        target.mkdir(parents=True)
    except FileExistsError as error:  # somebody else's, and not ours to remove
        raise _taken(target) from error
    except OSError as error:
        raise _unstorable(target, error) from error
    try:
        shutil.copyfile(wishes.graph, target / f"{name}.onnx")
        (target / CARD_FILE).write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
        loaded = load_card(target)
        Classifier.load(loaded, next(iter(loaded.files)))
        write_layers(target)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise _unstorable(target, error) from error
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return loaded


def _taken(target: Path) -> ModelRejected:
    return ModelRejected(
        f"There is already a model {target.name} in {target.parent}.", "Choose another with --name, or remove it."
    )


def _unstorable(target: Path, error: OSError) -> ModelRejected:
    return ModelRejected(f"The model cannot be stored in {target}: {error.strerror}.", "Choose --folder.")


def read_graph(path: Path, shape: tuple[int, ...] | None = None) -> GraphFacts:
    """Raises ModelRejected when it is no graph, or none that takes one picture."""
    from lookout.inspection.onnx_graph import Graph, graph_inputs, load_graph

    model = load_graph(path)
    if any(tensor.data_location == 1 for tensor in model.graph.initializer):
        raise ModelRejected(f"{path} keeps its weights in other files.", "Export it with the weights inside.")
    inputs = graph_inputs(model)
    if len(inputs) != 1:
        raise ModelRejected(f"{path} has {len(inputs)} inputs, but a classifier of pictures has one.")
    dtype = _ELEMENT_TYPES.get(inputs[0].type.tensor_type.elem_type)
    graph = Graph.of(model, path, shape)
    size = graph.shapes[graph.input] or ()
    if dtype is None or len(size) != 4:
        raise ModelRejected(
            f"{path} takes no pictures of float32 or uint8 numbers in four dimensions.", "Export it with such an input."
        )
    last = size[3] in (1, 3) and size[1] not in (1, 3)
    channels, height, width = (size[3], size[1], size[2]) if last else (size[1], size[2], size[3])
    if channels not in (1, 3):
        raise ModelRejected(f"{path} takes pictures of {channels} channels; cameras have 1 or 3.")
    output = next((name for name in ("logits", "probabilities") if name in graph.outputs), graph.outputs[0])
    found = graph.shapes.get(output)
    return GraphFacts(
        input=graph.input,
        dtype=dtype,
        layout="NHWC" if last else "NCHW",
        channels=channels,
        height=height,
        width=width,
        output=output,
        ends_in_softmax=output in graph.makers and graph.makers[output].op_type == "Softmax",
        classes=found[-1] if found and len(found) == 2 else None,
        roles={name: name for name in ("embedding", "feature_map", "activation_map") if name in graph.outputs},
    )


def read_labels(path: Path) -> list[str]:
    """One label a line; empty lines and those that begin with # are left out. Raises ModelRejected."""
    try:
        if path.stat().st_size > MAX_LABEL_BYTES:
            raise ModelRejected(f"{path} is too large for a list of labels.", "Give one label a line.")
        lines = path.read_text("utf-8-sig").splitlines()  # Windows' editors put a mark in front
    except OSError as error:
        raise ModelRejected(f"The labels in {path} cannot be read: {error.strerror}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise ModelRejected(f"{path} is not text in UTF-8.", "Give one label a line.") from error
    labels = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if len(labels) < 2:
        raise ModelRejected(f"{path} names {len(labels)} labels; a classifier has two at least.", "Give one a line.")
    return labels


def _card(wishes: Wishes, facts: GraphFacts, labels: list[str], name: str) -> dict[str, Any]:
    usual = "probabilities" if facts.ends_in_softmax else "logits"
    ending = _chosen(
        wishes.ends_in, usual, wishes.ask and not facts.ends_in_softmax,
        "What comes out: logits (any numbers) or probabilities (0 to 1)?", _ENDINGS,
    )  # fmt: skip
    data = wishes.graph.read_bytes()
    return {
        "schema": 1,
        "name": name,
        "version": "1",
        "title": _chosen(wishes.title, name, wishes.ask, "Its title, for people?"),
        "labels": _labels(wishes, labels),
        "input": {
            "name": facts.input,
            "layout": facts.layout,
            "dtype": facts.dtype,
            "width": facts.width,
            "height": facts.height,
            "color": "gray" if facts.channels == 1 else _chosen(
                wishes.color, "rgb", wishes.ask, "Order of the colours it was trained with?", _COLORS
            ),
            "resize": _chosen(
                wishes.resize, "crop", wishes.ask, "How is a picture made to fit: crop, squash or letterbox?",
                _RESIZES,
            ),
            **_normalisation(wishes, facts),
        },
        "outputs": {ending: facts.output, **facts.roles},
        "files": {"fp32": {"file": f"{name}.onnx", "sha256": sha256_of(wishes.graph), "bytes": len(data)}},
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }  # fmt: skip


def _labels(wishes: Wishes, labels: list[str]) -> list[dict[str, Any]]:
    usual = next((label for label in labels if label.lower() in _REJECTING), "")
    reject = wishes.reject if wishes.reject is not None else usual
    if reject and reject not in labels:
        raise ModelRejected(f'"{reject}" is none of the labels.', f"They are: {', '.join(labels[:8])}.")
    return [
        {"name": label, "title": label[:1].upper() + label[1:]} | ({"reject": True} if label == reject else {})
        for label in labels
    ]


def _normalisation(wishes: Wishes, facts: GraphFacts) -> dict[str, Any]:
    """(pixel · scale − mean) / std. A graph that takes bytes does this itself."""
    if facts.dtype == "uint8":
        return {}
    given = {"scale": wishes.scale, "mean": wishes.mean, "std": wishes.std}
    if any(value is not None for value in given.values()):
        return {name: value for name, value in given.items() if value is not None}
    usual = "zero-to-one" if facts.channels == 1 else "imagenet"
    how = _chosen(
        None, usual, wishes.ask, f"How were pixels normalised: {', '.join(_NORMALISATIONS)}?", _NORMALISATIONS
    )  # fmt: skip
    if how == "imagenet":
        return {"scale": 1.0, "mean": IMAGENET_MEAN, "std": IMAGENET_STD} if facts.channels == 3 else {
            "scale": 1.0, "mean": [sum(IMAGENET_MEAN) / 3], "std": [sum(IMAGENET_STD) / 3]
        }  # fmt: skip
    if how == "minus-one-to-one":
        return {"scale": 1 / 127.5, "mean": [1.0], "std": [1.0]}
    return {"scale": 1 / 255 if how == "zero-to-one" else 1.0, "mean": [0.0], "std": [1.0]}


def _chosen(given: str | None, usual: str, ask: bool, question: str, choices: tuple[str, ...] = ()) -> str:
    if given is None:
        given = _answered(question, usual) if ask else usual
    if choices and given not in choices:
        raise ModelRejected(f'"{given}" is none of {", ".join(choices)}.', question)
    return given


def _answered(question: str, usual: str) -> str:
    try:
        return str(typer.prompt(question, default=usual, err=True))
    except typer.Abort as abort:
        # Typer makes one thing of Ctrl+C and of an input that has ended; only the first has a status of its own.
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from abort
        say("\nNobody answered. --yes takes the usual values; each question has an option of its own, too.")
        raise


def _name_from(path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return name or "model"
