"""The web application: a factory that wires its parts together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from lookout import __version__
from lookout.api import problems
from lookout.api.assets import Assets
from lookout.api.context import Services
from lookout.api.late_routes import LateRoutes
from lookout.api.middleware.access import Access
from lookout.api.middleware.body_limit import BodyLimit
from lookout.api.middleware.head import HeadMiddleware
from lookout.api.middleware.plain_errors import PlainErrors
from lookout.api.routes import frames, health, live, pages, state
from lookout.api.streaming.encoder import Encoder
from lookout.api.uploads import Uploads
from lookout.auth.admission import Admission
from lookout.auth.tokens import TokenStore
from lookout.engine.control import Control
from lookout.engine.worker import Engine
from lookout.events.history import History
from lookout.resources import static_folder
from lookout.settings.installation import command
from lookout.settings.schema import ServerSettings
from lookout.state.hub import Hub

# The web framework reads files on threads of its own; a household needs few.
_FILE_THREADS = 4
_TAGS = [
    {"name": "live", "description": "What the camera sees, now and as it changes."},
    {"name": "pictures", "description": "The newest frame, and a stream of frames."},
    {"name": "classify", "description": "Classify your own pictures."},
    {"name": "events", "description": "What was seen: stored, reviewed, exported, deleted."},
    {"name": "models", "description": "Which models are installed, and which one is in use."},
    {"name": "settings", "description": "What can be changed while the service runs."},
    {"name": "notices", "description": "Notification rules and targets."},
    {"name": "access", "description": "Logging in and out."},
    {"name": "health", "description": "For monitoring."},
]

# The resources of a first answer: what the camera sees, in all forms, and that the service runs.
_FIRST = (state, live, frames, health)


def create_app(engine: Engine, hub: Hub, control: Control, tokens: TokenStore, history: History) -> FastAPI:
    """The application for one engine and its hub. Setting `app.state.stopping` ends every streaming response."""
    chosen = control.loaded.settings
    assets, uploads = Assets(static_folder()), Uploads(chosen.upload)
    services = Services(engine, hub, control, tokens, Admission(tokens), Encoder(), uploads, history, assets.version)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        hub.attach(asyncio.get_running_loop())
        # Decoding a picture may take longer than the service is given to stop.
        stopping = asyncio.create_task(services.stopping.wait())
        stopping.add_done_callback(lambda _: services.uploads.stop())
        anyio.to_thread.current_default_thread_limiter().total_tokens = _FILE_THREADS
        try:
            yield
        finally:
            services.stopping.set()
            hub.detach()
            services.close()

    app = FastAPI(
        title="Lookout",
        version=__version__,
        summary="Says, truthfully and at once, what a camera sees.",
        description="Errors are problem details (RFC 9457) with a stable `code`. HEAD works wherever GET does.",
        openapi_tags=_TAGS,
        lifespan=lifespan,
        openapi_url=None,  # `description` serves it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.stopping = services.stopping
    app.state.token_command = command(control.loaded, "token")
    _add_routes(app, assets, inference=chosen.server.inference)
    problems.install(app)
    _add_middleware(app, services, chosen.server, assets.paths_for("login.html"))
    return app


def _add_routes(app: FastAPI, assets: Assets, *, inference: bool) -> None:
    """Add the first routes; the others, most of the API, are imported when `app.state.late_routes` is loaded."""

    def make() -> list[BaseRoute]:
        from lookout.api.all_routes import all_routes

        return all_routes(app, assets, inference=inference)

    first = APIRouter()
    for resource in _FIRST:
        first.include_router(resource.router)
    app.state.late_routes = LateRoutes(app, make)
    app.state.late_routes.follow([*first.routes, *pages.routes(assets)])


def _add_middleware(app: FastAPI, services: Services, server: ServerSettings, open_files: Collection[str]) -> None:
    """Add the middleware, innermost first. open_files: the paths that are served without a login."""
    app.add_middleware(HeadMiddleware)
    app.add_middleware(BodyLimit)
    app.add_middleware(
        Access,
        settings=server,
        tokens=services.tokens,
        admission=services.admission,
        command=app.state.token_command,
        open_files=open_files,
        local_paths=["/metrics"] if services.control.loaded.settings.metrics.public_on_loopback else [],
    )
    if server.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            # Normalised to the form that browsers send; Lookout's own check accepts any spelling.
            allow_origins=[origin.lower().rstrip("/") for origin in server.allowed_origins],
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    if server.inference:
        app.add_middleware(PlainErrors)
