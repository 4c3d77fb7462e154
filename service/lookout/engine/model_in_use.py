"""The network in use: requests to it, and its part of the state."""

from __future__ import annotations

import logging
import time

from lookout.engine.thresholds import thresholds_of, unknown_labels
from lookout.errors import Fault, LookoutError, ModelRejected, UnknownModel
from lookout.frame import Pixels
from lookout.inspection.feature_maps import MapNetwork
from lookout.inspection.map_network_cache import MapNetworkCache
from lookout.pipeline.classifier import Classifier, Prediction
from lookout.registry import loader
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import AnswerSettings, Settings
from lookout.state.state import ModelState

log = logging.getLogger(__name__)


class ModelInUse:
    """Holds the network in use. Only the worker replaces it, between two frames; any thread may use it.

    classifier: None if no model could be loaded, or the last one failed; `fault` then says why. times_given_up: how
    often a model was given up because it failed on a frame.
    """

    def __init__(self, catalogue: Catalogue, profile: loader.MachineProfile | None = None) -> None:
        self.catalogue = catalogue
        self.classifier: Classifier | None = None
        self.fault: Fault | None = None
        self.times_given_up = 0
        self.map_networks = MapNetworkCache()
        self._profile = profile
        self._warned_of = ""

    # --- any thread -------------------------------------------------------------------------------------------

    def read(self, settings: Settings, in_force: Settings) -> tuple[Catalogue, Classifier]:
        """Load the network that `settings` select, for a later `use`. Raises UnknownModel or ModelRejected.

        A precision that the model lacks is refused only if it, or the model, is being changed.
        """
        catalogue, before = self.catalogue, in_force.model
        asked_now = (settings.model.name, settings.model.precision) != (before.name, before.precision)
        if settings.model.folder != in_force.model.folder:
            catalogue = catalogue.with_folder_of(settings)
        return catalogue, loader.load(catalogue, settings.model, self._profile, exactly=asked_now)

    def loaded(self, name: str | None = None) -> Classifier:
        """Return the network in use. Raises ModelRejected if there is none, UnknownModel if it has another name."""
        classifier, fault = self.classifier, self.fault
        if classifier is None:
            raise ModelRejected(fault.detail if fault else "No model is loaded.", fault.remedy if fault else "")
        if name is not None and name != classifier.card.name:
            self.catalogue.folder(name)
            raise UnknownModel(
                f'The model "{name}" is not loaded.',
                f'The loaded one is "{classifier.card.name}"; the setting model.name selects another.',
            )
        return classifier

    def classify(
        self, pixels: Pixels, *, model: str | None = None, embedding: bool = False, activation_map: bool = False
    ) -> tuple[Classifier, Prediction]:
        """Classify an uploaded picture (uint8, height x width x 3, BGR) on the calling thread.

        Raises UnknownModel if a model other than the loaded one is requested, ModelRejected if none is loaded.
        """
        classifier = self.loaded(model)
        return classifier, classifier.classify(pixels, embedding=embedding, activation_map=activation_map)

    def map_network(self) -> MapNetwork:
        """Return a second copy of the network, which outputs its layers' activations; loaded on the calling thread.

        Raises ModelRejected if no model is loaded, UnknownModel if its layers cannot be shown.
        """
        return self.map_networks.network(self.loaded(), time.monotonic())

    # --- the worker -------------------------------------------------------------------------------------------

    def use(self, classifier: Classifier, catalogue: Catalogue) -> None:
        """Use this network from now on."""
        self.classifier, self.catalogue, self.fault = classifier, catalogue, None
        log.info(
            "Model %s answers (%s, %d thread%s).",
            classifier.card.name,
            classifier.precision,
            classifier.threads,
            "" if classifier.threads == 1 else "s",
        )

    def give_up(self, error: Exception) -> Fault:
        """Drop the network, which failed on a frame; none runs until another is loaded."""
        log.error("The model failed on a frame: %s", error)
        self.times_given_up += 1
        self.fault = Fault(
            ModelRejected.code,
            error.detail if isinstance(error, LookoutError) else "The model failed on a picture.",
            "Choose another model, or restore its files and choose it again.",
        )
        self.classifier = None
        return self.fault

    def describe(self, answer: AnswerSettings) -> ModelState | None:
        """Return the network's part of the state, with the thresholds in force. Logs thresholds without effect once."""
        classifier = self.classifier
        if classifier is None:
            return None
        card = classifier.card
        warning = unknown_labels(card, answer)
        if warning and warning != self._warned_of:  # once, not again at each change of another setting
            log.warning("%s", warning)
        self._warned_of = warning
        return ModelState(
            name=card.name,
            version=card.version,
            precision=classifier.precision,
            threads=classifier.threads,
            labels=card.label_names,
            titles={label.name: label.title for label in card.labels},
            thresholds=thresholds_of(card, answer),
        )
