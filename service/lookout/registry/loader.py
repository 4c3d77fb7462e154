"""Which model, in which precision, with how many threads; and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lookout.errors import UnknownModel
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.session import GraphCache
from lookout.pipeline.smoothing import Threshold
from lookout.registry.catalogue import Catalogue
from lookout.registry.trial import Trials
from lookout.registry.tuning import Candidate, TuningCache
from lookout.resources import models_folder
from lookout.settings.schema import AnswerSettings, ModelSettings
from lookout.state.state import ModelState
from lookout.storage import Storage
from lookout.system.fingerprint import machine

log = logging.getLogger(__name__)

# Served first under "auto": a quarter of the download and of the memory, and on most processors twice the speed.
PREFERRED = "int8"
# In answer.enter and answer.leave: the threshold of every label that has none of its own there.
EVERY_LABEL = "*"
# A sentence names no more labels than somebody reads.
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class MachineProfile:
    """What this machine was found to do best, and the graphs optimised for it: all in the cache folder."""

    graphs: GraphCache
    tuning: TuningCache
    trials: Trials

    @classmethod
    def at(cls, cache_folder: Path, storage: Storage) -> MachineProfile:
        kind = machine().key
        graphs = GraphCache(cache_folder / "graphs", kind, storage)
        return cls(graphs, TuningCache(cache_folder, kind, storage), Trials(cache_folder, storage))


def load(catalogue: Catalogue, settings: ModelSettings, profile: MachineProfile | None = None) -> Classifier:
    """Raises UnknownModel or ModelRejected."""
    card = catalogue.card(settings.name)
    choice = decide(card, settings, profile.tuning.get(card, settings.threads) if profile else None)
    if profile is not None and card.folder.parent != models_folder():  # the shipped ones are known to load
        profile.trials.check(card, choice.precision)
    return Classifier.load(card, choice.precision, choice.threads, profile.graphs if profile else None)


def decide(card: Card, settings: ModelSettings, measured: Candidate | None) -> Candidate:
    """What the settings say, else what was measured, else a good beginning. Raises UnknownModel."""
    precision, threads = settings.precision, settings.threads
    if precision != "auto" and precision not in card.files:
        raise UnknownModel(
            f'The model "{card.name}" has no precision "{precision}".',
            f"Set model.precision to auto or one of: {', '.join(card.precisions)}.",
        )
    beginning = PREFERRED if PREFERRED in card.files else card.precisions[0]
    return Candidate(
        precision if precision != "auto" else measured.precision if measured else beginning,
        threads or (measured.threads if measured else 1),
    )


def thresholds_of(card: Card, settings: AnswerSettings) -> Mapping[str, Threshold]:
    """Of every label that can become an answer: the card's, unless a setting overrides them."""
    limits = {}
    for label in card.labels:
        if label.reject:
            continue
        own = card.thresholds_of(label.name)
        enter = settings.enter.get(label.name, settings.enter.get(EVERY_LABEL, own.enter))
        leave = settings.leave.get(label.name, settings.leave.get(EVERY_LABEL, min(own.leave, enter)))
        limits[label.name] = Threshold(enter, min(leave, enter))
    return limits


def unknown_labels(card: Card, settings: AnswerSettings) -> str:
    """A sentence on thresholds for labels that the model lacks, which do nothing; empty where there are none."""
    strange = sorted((set(settings.enter) | set(settings.leave)) - {EVERY_LABEL, *card.label_names})
    if not strange:
        return ""
    named = ", ".join(f'"{label}"' for label in strange[:_MAX_NAMED])
    more = f" and {len(strange) - _MAX_NAMED} more" if len(strange) > _MAX_NAMED else ""
    return f'answer.enter and answer.leave: the model "{card.name}" has no label {named}{more}.'


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
