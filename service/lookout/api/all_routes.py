"""Every route, in the order in which they are tried. Importing them takes as long as the rest of the API."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from lookout.api import description
from lookout.api.assets import Assets
from lookout.api.routes import (
    cameras,
    classify,
    event_changes,
    event_reports,
    events,
    feature_maps,
    frames,
    health,
    hugging_face,
    inspect,
    integrations,
    live,
    login,
    metrics,
    models,
    notice_links,
    notify,
    open_inference,
    pages,
    settings,
    state,
    ustreamer,
)

_RESOURCES = (
    *(state, live, frames, cameras, classify, event_reports, event_changes, events, models),
    *(feature_maps, inspect, settings, login, health, integrations, notify, notice_links),
)


def all_routes(app: FastAPI, assets: Assets, *, inference: bool) -> list[BaseRoute]:
    """Return the routes. inference: whether the protocols of inference servers are served."""
    router = APIRouter(redirect_slashes=False, dependency_overrides_provider=app)
    for resource in _RESOURCES:
        router.include_router(resource.router)
    if inference:
        router.include_router(open_inference.router)
        router.include_router(hugging_face.router)
    router.include_router(metrics.router)
    router.include_router(ustreamer.router)
    router.routes += [*pages.routes(assets), pages.api_list(app, assets)]
    router.add_websocket_route("/{path:path}", live.reject_unknown_path)
    router.routes.append(description.route(app))
    return router.routes
