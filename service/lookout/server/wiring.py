"""Makes every part of a service from the settings and connects them, both for the service and for its tests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from lookout.auth.tokens import TokenStore
from lookout.engine.control import Control, was_paused
from lookout.engine.housekeeping import Housekeeping
from lookout.engine.model_in_use import ModelInUse
from lookout.engine.source import MakeCamera, isolated_camera
from lookout.engine.worker import Engine, first_state
from lookout.errors import LookoutError
from lookout.events.event import ModelUsed
from lookout.events.history import History
from lookout.frame import Pixels
from lookout.registry.catalogue import Catalogue
from lookout.registry.loader import MachineProfile
from lookout.settings.layers import LoadedSettings
from lookout.state.hub import Hub
from lookout.storage import Storage

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lookout.api.context import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServiceParts:
    """The parts of a service, connected but not started.

    paused: whether the camera was paused when the service last ran; None: unknown.
    """

    loaded: LoadedSettings
    storage: Storage
    tokens: TokenStore
    hub: Hub
    engine: Engine
    control: Control
    history: History
    housekeeping: Housekeeping
    paused: bool | None

    @cached_property
    def app(self) -> FastAPI:
        """The web application, imported and made at its first use, which takes a second or more on a Pi."""
        from lookout.api.app import create_app

        return create_app(self.engine, self.hub, self.control, self.tokens, self.history)

    @property
    def services(self) -> Services:
        """What the endpoints share."""
        services: Services = self.app.state.services
        return services

    def start(self, *, folder_answers: bool = True) -> None:
        """Load the model and start everything that has a thread of its own. Blocks for seconds."""
        self.storage.start()
        self.control.forget_overruled()
        self.tokens.watch(folder_answers=folder_answers)
        self.history.start()
        self.engine.start()
        if self.paused is None:
            log.warning("The camera stays closed until the disk shows whether it was paused, or somebody opens it.")
        if self.paused is None or self.loaded.unread:
            threading.Thread(target=self.control.catch_up, name="catch up", daemon=True).start()

    def stop(self) -> bool:
        """Stop everything, the camera first. Return whether the camera loop ended in time. Safe if the start failed."""
        in_time = self.engine.stop()
        if not in_time:
            log.warning("The camera loop did not end in time and is abandoned.")
        self.tokens.close()
        self.history.stop()
        if self.storage.close():
            self.history.store.close()
        return in_time


def build(
    loaded: LoadedSettings,
    reload: Callable[[], LoadedSettings],
    *,
    make_camera: MakeCamera = isolated_camera,
    folder_answers: bool = True,
    learns: bool = True,
) -> ServiceParts:
    """Make and connect the parts. Starts nothing, and reads from disk only whether the camera was paused.

    reload: reads every source of settings again. folder_answers: whether the disk of the state folder can be read.
    learns: whether what is measured on this machine is remembered.
    """
    settings = loaded.settings
    storage = Storage(loaded.state_folder, loaded.cache_folder, settings.state.limits)
    tokens = TokenStore(loaded.state_folder, settings.server.token_file, storage)
    profile = MachineProfile.at(loaded.cache_folder, storage) if learns else None
    paused = was_paused(loaded.state_folder) if folder_answers else None
    hub = Hub(first_state(settings, time.monotonic()))
    engine = Engine(
        settings,
        Catalogue.of(settings, loaded.state_folder),
        hub,
        make_camera=make_camera,
        profile=profile,
        paused=paused is not False,  # closed if unknown: a pause must survive a restart whatever the disk does
    )
    control = Control(loaded, engine, reload, storage)
    history = History(
        loaded.state_folder,
        storage,
        hub,
        lambda: control.loaded.settings,
        embed=partial(describe_picture, engine.model),
    )
    housekeeping = Housekeeping(engine, hub, profile=profile, trouble=lambda: storage.trouble() or history.trouble())
    return ServiceParts(loaded, storage, tokens, hub, engine, control, history, housekeeping, paused)


def describe_picture(model: ModelInUse, pixels: Pixels) -> tuple[ModelUsed, bytes] | None:
    """Return the model in use and its embedding of a picture as float16; None if there is no model or no embedding.

    pixels: uint8, height x width x 3, blue-green-red.
    """
    try:
        classifier, prediction = model.classify(pixels, embedding=True)
    except LookoutError:
        return None
    if prediction.embedding is None:
        return None
    card = classifier.card
    return ModelUsed(card.name, card.version, classifier.precision), prediction.embedding.astype("float16").tobytes()
