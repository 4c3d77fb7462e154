"""The web application: a factory that wires the resources together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from service import __version__
from service.control import Control
from service.engine import Engine
from service.hub import Hub
from service.resources import static_folder
from service.state import StateView, view
from service.tokens import TokenStore


def create_app(engine: Engine, hub: Hub, control: Control, tokens: TokenStore) -> FastAPI:
    """The application over one engine and its hub."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        hub.attach(asyncio.get_running_loop())
        yield
        hub.detach()

    app = FastAPI(title="Lookout", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.stopping = asyncio.Event()

    @app.get("/")
    async def dashboard() -> FileResponse:
        return FileResponse(static_folder() / "index.html")

    @app.get("/api/state")
    async def state() -> StateView:
        return view(hub.latest(), time.monotonic(), time.time(), hub.system)

    @app.websocket("/api/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        sequence = -1
        with contextlib.suppress(WebSocketDisconnect):
            while not app.state.stopping.is_set():
                newest = await hub.changed(sequence, 1.0)
                sequence = newest.sequence
                await socket.send_json(view(newest, time.monotonic(), time.time(), hub.system))
                await asyncio.sleep(0.1)

    app.mount("/static", StaticFiles(directory=static_folder()), name="static")
    return app
