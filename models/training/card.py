"""Writes a model's folder: the ONNX files, ``card.json``, which describes them, and the layer table ``layers.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
from lookout.inspection.layers_onnx import write_layers
from lookout.pipeline.card import CARD_FILE, Card, load_card, sha256_of

from models.training.data import REJECT
from models.training.files import whole_file, whole_folder
from models.training.onnx_graph import ACTIVATION_MAP, EMBEDDING, FEATURE_MAP, INPUT, LOGITS, InputFormat

REJECT_TITLE = "Nobody here"


@dataclass(frozen=True)
class Description:
    """A card's texts, and whether mirror images show the same; the rest is measured or follows from the graph."""

    name: str
    title: str
    description: str
    data: str
    licence: str
    version: str = "1"
    translations: Mapping[str, Any] = field(default_factory=dict)
    mirror: bool = False


@dataclass(frozen=True)
class Measured:
    """The results on the validation pictures, by precision where they differ."""

    temperatures: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


def label_entry(name: str) -> dict[str, object]:
    """A label's entry in the card; the folder name ``neither`` makes it the reject label."""
    if name == REJECT:
        return {"name": name, "title": REJECT_TITLE, "reject": True}
    return {"name": name, "title": name.replace("_", " ").capitalize()}


def write_model(
    folder: Path,
    graphs: Mapping[str, onnx.ModelProto],
    labels: tuple[str, ...],
    form: InputFormat,
    words: Description,
    measured: Measured | None = None,
) -> Card:
    """Write graphs (by precision), card and layer table, all or nothing. Returns the card as the service reads it."""
    first = next(iter(graphs.values()))
    outputs = {output.name for output in first.graph.output}
    card: dict[str, Any] = {
        "schema": 1,
        "name": words.name,
        "version": words.version,
        "title": words.title,
        "description": words.description,
        **({"translations": dict(words.translations)} if words.translations else {}),
        "labels": [label_entry(name) for name in labels],
        **({"mirror": True} if words.mirror else {}),
        "input": {
            "name": INPUT,
            "layout": "NHWC",
            "dtype": "uint8",
            "width": form.size,
            "height": form.size,
            "color": "rgb" if form.channels == 3 else "gray",
            "resize": "crop",
            "interpolation": "area",
            "scale": 1.0,
            "mean": list(form.mean),
            "std": list(form.std),
        },
        "outputs": {name: name for name in (LOGITS, EMBEDDING, FEATURE_MAP, ACTIVATION_MAP) if name in outputs},
        "files": {},
        "data": words.data,
        "licence": words.licence,
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    with whole_folder(folder, last=CARD_FILE) as fresh:
        for precision, graph in graphs.items():
            onnx.save(graph, fresh / f"{precision}.onnx")
            card["files"][precision] = _file_entry(fresh / f"{precision}.onnx")
        _write_card(fresh, card)
        if measured:
            amend(fresh, measured)
        write_layers(fresh)
    return load_card(folder)


def _write_card(folder: Path, card: Mapping[str, Any]) -> None:
    with whole_file(folder / CARD_FILE) as file:
        file.write((json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())


def amend(folder: Path, measured: Measured) -> Card:
    """Put measured values into an existing card; metrics are merged, temperatures and thresholds replaced."""
    card: dict[str, Any] = json.loads((folder / CARD_FILE).read_text("utf-8"))
    if measured.temperatures:
        card["calibration"] = {name: {"temperature": round(t, 4)} for name, t in measured.temperatures.items()}
    if measured.thresholds:
        card["thresholds"] = {label: dict(values) for label, values in measured.thresholds.items()}
    card["metrics"] = {**card.get("metrics", {}), **measured.metrics}
    _write_card(folder, card)
    return load_card(folder)


def _file_entry(path: Path) -> dict[str, object]:
    return {"file": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size}
