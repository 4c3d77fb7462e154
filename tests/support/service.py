"""The whole service in a thread, over real sockets: real engine, real network, and a camera that the test controls."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraSilent
from lookout.frame import Frame
from lookout.integrations.interface import Parts
from lookout.server.binding import listen
from lookout.server.listener import DEFAULT_CAPACITY, Capacity
from lookout.server.web_server import WebServer, configure
from lookout.server.wiring import build
from lookout.settings.sources import load
from lookout.system.threads import start_pool
from numpy.typing import NDArray

from tests.support.waiting import TIMEOUT_S, until

HELPERS = 2

RED, GREEN, GREY = (0, 0, 255), (0, 255, 0), (128, 128, 128)


def plain(color: tuple[int, int, int], width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """Return a picture of one colour (blue, green, red)."""
    return np.full((height, width, 3), color, np.uint8)


class HandCamera:
    """A live source that shows `pixels`. stall: if set, it delivers nothing. absent: if set, it cannot be opened."""

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
    """One running service. url: ends in a slash."""

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
        self._parts = build(loaded, self._load, make_camera=self._camera, learns=False)
        self.tokens, self.hub, self.engine = self._parts.tokens, self._parts.hub, self._parts.engine
        self.history, self.app, self.services = self._parts.history, self._parts.app, self._parts.services
        self._listener = listen(settings.server)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.web_server = WebServer(configure(self.app, settings.server, capacity), self.services.stopping)
        self._parts.start()
        self._thread = threading.Thread(target=self._run, name="server")
        self._thread.start()
        until(lambda: self.web_server.started)

    def _camera(self, address: str, options: CameraOptions) -> HandCamera:
        del address, options
        return self.camera

    def _run(self) -> None:
        async def serve() -> None:
            asyncio.get_running_loop().set_default_executor(start_pool(HELPERS, "helper"))  # as the real one does
            self._loop = asyncio.get_running_loop()
            await self.web_server.serve(sockets=[self._listener])

        asyncio.run(serve())

    def start_integrations(self) -> None:
        """Those that need no event loop of their own: the service here starts none by itself."""
        control = self.services.control
        parts = Parts(self.hub, control, control._storage, self.services.history.feed, self.url)
        asyncio.run(self.services.integrations.start(parts))

    def stop(self) -> float:
        """Stop as a signal would; return the seconds that it took."""
        started = time.monotonic()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.app.state.stopping.set)
        self.web_server.should_exit = True
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "the server does not stop"
        self._listener.close()
        assert self._parts.stop()
        return time.monotonic() - started

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=TIMEOUT_S, **more)

    def state(self) -> dict[str, Any]:
        with self.client(headers=getattr(self, "headers", {})) as client:
            return client.get("api/state").json()
