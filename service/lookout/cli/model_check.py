"""Everything that can be checked about a model without a picture: files, hashes, fit, one run, layer table."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from lookout.errors import ModelRejected
from lookout.frame import Pixels
from lookout.inspection.layers import LAYERS_FILE, MAX_TABLE_BYTES
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Classifier
from lookout.system.regular_files import read_regular
from lookout.terminal import size


def check_model(card: Card) -> Iterator[str]:
    """One line for each thing found right. Raises ModelRejected at the first that is not."""
    for precision, file in card.files.items():
        classifier = Classifier.load(card, precision)  # hash, names, shapes, and a run on a grey picture
        runs = [classifier.classify(_grey(card)).timing.inference_ms for _ in range(5)]
        speed = f"{min(runs):.2f} ms per picture on one thread"
        yield f"{precision}: {file.file}, {size(file.bytes)}, matches its card, {speed}"
    yield _layers(card)


def _grey(card: Card) -> Pixels:

    return np.full((card.input.height, card.input.width, 3), 128, np.uint8)


def _layers(card: Card) -> str:
    path = card.folder / LAYERS_FILE
    try:
        graph = json.loads(read_regular(path, MAX_TABLE_BYTES))["graph"]["sha256"]
    except FileNotFoundError:
        return f"no {LAYERS_FILE}: the dashboard shows no layers"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelRejected(f"{path} is damaged.", "Delete it, or add the model again.") from error
    if graph not in {file.sha256 for file in card.files.values()}:
        raise ModelRejected(f"{path} belongs to another graph.", "Delete it, or add the model again.")
    return f"{LAYERS_FILE} belongs to its graph"
