"""The whole service in a thread, over real sockets: real engine, real network, and a camera in the hand of the test."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from lookout.api.app import create_app
from lookout.auth.tokens import TokenStore
from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.deadline import Deadline
from lookout.engine.control import Control
from lookout.engine.worker import Engine, first_state
from lookout.errors import CameraAbsent, CameraSilent
from lookout.events.history import History
from lookout.frame import Frame
from lookout.registry.catalogue import Catalogue
from lookout.server import serve as server_module
from lookout.server.listener import DEFAULT_CAPACITY, Capacity
from lookout.settings.sources import load
from lookout.state.hub import Hub
from lookout.storage import Storage
from numpy.typing import NDArray

from tests.models import write_sound_and_broken_models

RED, GREEN, GREY = (0, 0, 255), (0, 255, 0), (128, 128, 128)
TIMEOUT_S = 15.0


def plain(color: tuple[int, int, int], width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """A picture of one colour (blue, green, red)."""
    return np.full((height, width, 3), color, np.uint8)


class HandCamera:
    """A live source that shows what the test says. `stall`: it falls silent. `absent`: it cannot be opened."""

    def __init__(self) -> None:
        self.pixels = plain(RED)
        self.every_s = 0.05
        self.stall = threading.Event()
        self.absent = threading.Event()
        self._sequence = 0
        self._closed = threading.Event()

    info = CameraInfo("demo", "hand", 320, 240, 20.0, True)

    def open(self, deadline: Deadline) -> None:
        del deadline
        self._closed.clear()
        if self.absent.is_set():
            raise CameraAbsent("There is no camera here.", "Plug one in.")

    def read(self, deadline: Deadline) -> Frame:
        if self.stall.is_set() or self._closed.wait(self.every_s):
            self._closed.wait(deadline.remaining())
            raise CameraSilent("The camera sends nothing.", "Look at the cable.")
        self._sequence += 1
        pixels = self.pixels.copy()
        pixels[0, 0] = self._sequence % 251  # no two frames are the same
        return Frame(pixels, time.monotonic(), self._sequence, "demo")

    def close(self) -> None:
        self._closed.set()


class Service:
    """One running service. `url` ends in a slash."""

    def __init__(self, flags: dict[str, str], folder: Path, models: Path, camera: HandCamera) -> None:
        base = {
            "state.folder": str(folder),
            "server.port": "0",
            "model.folder": str(models),
            "camera.repeats": "ignore",
            "camera.fps": "20",
            "events.enabled": "false",
        }
        (folder / "lookout.toml").parent.mkdir(parents=True, exist_ok=True)
        (folder / "lookout.toml").write_text('[camera]\nsource = "demo"\n[model]\nname = "colours"\n')
        self.camera = camera
        self.folder = folder
        self._flags = base | flags
        self._load = lambda: load(self._flags, folder / "lookout.toml", {})
        self.start()

    def start(self, capacity: Capacity = DEFAULT_CAPACITY) -> None:
        loaded = self._load()
        settings = loaded.settings
        storage = Storage(loaded.state_folder, limits=server_module.limits_of(settings.state))
        self.tokens = TokenStore(loaded.state_folder, settings.server.token_file, storage)
        self._listener = server_module.listen(settings.server)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.hub = Hub(first_state(settings, time.monotonic()))
        self.engine = Engine(
            settings,
            Catalogue.of(settings),
            self.hub,
            make_camera=self._camera,
            paused=server_module.was_paused(self.folder),
        )
        control = Control(loaded, self.engine, self._load, storage)
        self.history = History(loaded.state_folder, storage, self.hub, lambda: self.engine.settings)
        self.app = create_app(self.engine, self.hub, control, self.tokens, self.history)
        self.services = self.app.state.services
        self._server = server_module._Server(server_module._config(self.app, settings.server, capacity))
        self.history.start()
        self.engine.start()
        self._thread = threading.Thread(target=self._run, name="server")
        self._thread.start()
        wait_until(lambda: self._server.started)

    def _camera(self, address: str, options: CameraOptions) -> HandCamera:
        del address, options
        return self.camera

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._listener])

        asyncio.run(serve())

    def stop(self) -> float:
        """Stop as a signal would; returns the seconds it took."""
        started = time.monotonic()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.app.state.stopping.set)
        self._server.should_exit = True
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "the server does not stop"
        assert self.engine.stop()
        self._listener.close()
        self.history.stop()
        self.history.store.close()
        return time.monotonic() - started

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=TIMEOUT_S, **more)

    def state(self) -> dict[str, Any]:
        with self.client(headers=getattr(self, "headers", {})) as client:
            return client.get("api/state").json()


def wait_until(holds: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
    """Look again and again until it holds."""
    deadline, event = time.monotonic() + timeout_s, threading.Event()
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        event.wait(0.01)


StartService = Callable[..., Service]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound_and_broken_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def start(tmp_path: Path, models: Path) -> Iterator[StartService]:
    """Starts a service with settings given as flags: start({"upload.max_concurrent": "1"})."""
    running: list[Service] = []

    def begin(flags: dict[str, str] | None = None, *, camera: HandCamera | None = None) -> Service:
        running.append(Service(flags or {}, tmp_path / "state", models, camera or HandCamera()))
        return running[-1]

    yield begin
    for service in running:
        if service._thread.is_alive():
            service.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Service]:
    """One service for all tests of a module that change nothing; it sees red, so the answer is a cat."""
    service = Service({}, tmp_path_factory.mktemp("shared"), models, HandCamera())
    wait_until(lambda: service.state()["answer"]["label"] == "cat")
    yield service
    service.stop()


@pytest.fixture
def client(shared: Service) -> Iterator[httpx.Client]:
    with shared.client() as client:
        yield client
