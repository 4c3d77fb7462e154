"""Loads the configured model, in the right precision and with the right number of threads."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from lookout.errors import UnknownModel
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Classifier
from lookout.pipeline.session import GraphCache
from lookout.registry.catalogue import Catalogue
from lookout.registry.trial import Trials
from lookout.registry.tuning import Candidate, TuningCache
from lookout.resources import models_folder
from lookout.settings.schema import ModelSettings
from lookout.storage import Storage
from lookout.system.fingerprint import machine

log = logging.getLogger(__name__)

# The precision for "auto" without a measurement: a quarter of the download and the memory, and usually twice as fast.
PREFERRED = "int8"
# Precisions that may replace each other if a model has only one of them. Any other precision it lacks is a mistake.
INTERCHANGEABLE = frozenset({"fp32", "int8"})


@dataclass(frozen=True, slots=True)
class MachineProfile:
    """The best parameters measured on this machine, and the graphs optimised for it, all in the cache folder."""

    graphs: GraphCache
    tuning: TuningCache
    trials: Trials

    @classmethod
    def at(cls, cache_folder: Path, storage: Storage) -> MachineProfile:
        kind = machine().key
        graphs = GraphCache(cache_folder / "graphs", kind, storage)
        return cls(graphs, TuningCache(cache_folder, kind, storage), Trials(cache_folder, storage))


def load(
    catalogue: Catalogue, settings: ModelSettings, profile: MachineProfile | None = None, *, exactly: bool = False
) -> Classifier:
    """Load the configured model. Raises UnknownModel or ModelRejected.

    exactly: refuse a precision that the model lacks, because it was requested just now. Otherwise another one is used,
    so that an old setting does not stop the service when an update brings another default model.
    """
    card = catalogue.card(settings.name)
    if not exactly:
        settings = _with_a_precision_of(card, settings)
    choice = decide(card, settings, profile.tuning.get(card, settings.threads) if profile else None)
    if profile is not None and card.folder.parent != models_folder():  # the shipped models are known to load
        profile.trials.check(card, choice.precision)
    return Classifier.load(card, choice.precision, choice.threads, profile.graphs if profile else None)


def _with_a_precision_of(card: Card, settings: ModelSettings) -> ModelSettings:
    """Replace a precision that the card lacks by "auto", if another one may be used instead."""
    if settings.precision not in INTERCHANGEABLE - set(card.files) or INTERCHANGEABLE.isdisjoint(card.files):
        return settings
    log.warning(
        'The model "%s" has no precision "%s", which model.precision asks for: it runs in %s.',
        card.name,
        settings.precision,
        " or ".join(card.precisions),
    )
    return settings.model_copy(update={"precision": "auto"})


def decide(card: Card, settings: ModelSettings, measured: Candidate | None) -> Candidate:
    """Choose precision and threads: as set, or else as measured, or else a default. Raises UnknownModel."""
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
