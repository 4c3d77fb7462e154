"""Which model, in which precision, with how many threads; and what is told of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from service.catalogue import Catalogue
from service.errors import UnknownModel
from service.pipeline.card import Card
from service.pipeline.classifier import Classifier
from service.pipeline.smoothing import Threshold
from service.settings import AnswerSettings, ModelSettings
from service.state import ModelState

log = logging.getLogger(__name__)

# Served first under "auto": a quarter of the download and of the memory, and on most processors twice the speed.
PREFERRED = "int8"


def load(catalogue: Catalogue, settings: ModelSettings) -> Classifier:
    """Raises UnknownModel or ModelRejected."""
    card = catalogue.card(settings.name)
    return Classifier.load(card, choose_precision(card, settings.precision), choose_threads(settings.threads))


def choose_precision(card: Card, asked: str) -> str:
    """The precision asked for, or for "auto" the one to begin with. Raises UnknownModel."""
    if asked == "auto":
        return PREFERRED if PREFERRED in card.files else card.precisions[0]
    if asked not in card.files:
        raise UnknownModel(
            f'The model "{card.name}" has no precision "{asked}".',
            f"Set model.precision to auto or one of: {', '.join(card.precisions)}.",
        )
    return asked


def choose_threads(asked: int) -> int:
    """Half the cores, at most two: under a rate cap more would only take the API's share."""
    return asked or max(1, min(2, (os.cpu_count() or 1) // 2))


def thresholds_of(card: Card, settings: AnswerSettings) -> Mapping[str, Threshold]:
    """Of every label that can become an answer: the card's, unless a setting overrides them."""
    limits = {}
    for label in card.labels:
        if label.reject:
            continue
        own = card.thresholds_of(label.name)
        enter = settings.enter.get(label.name, own.enter)
        leave = settings.leave.get(label.name, min(own.leave, enter))
        limits[label.name] = Threshold(enter, min(leave, enter))
    return limits


def warn_of_unknown_labels(card: Card, settings: AnswerSettings) -> None:
    """A threshold for a label that the model lacks does nothing: say so once."""
    for label in sorted((set(settings.enter) | set(settings.leave)) - set(card.label_names)):
        log.warning('answer.enter and answer.leave: the model "%s" has no label "%s".', card.name, label)


def model_state(classifier: Classifier, settings: AnswerSettings) -> ModelState:
    """What is told of the network in use."""
    card = classifier.card
    return ModelState(
        name=card.name,
        version=card.version,
        precision=classifier.precision,
        threads=classifier.threads,
        labels=card.label_names,
        titles={label.name: label.title for label in card.labels},
        thresholds=thresholds_of(card, settings),
    )
