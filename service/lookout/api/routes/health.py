"""Health checks for monitoring, and what the service consists of."""

from __future__ import annotations

import functools
import platform
import sys
import time
from importlib import metadata

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookout import __version__
from lookout.api.context import ServicesDep
from lookout.api.middleware.access import cookie_name
from lookout.api.problems import NotReady, errors
from lookout.api.schemas import AboutResponse, CameraHealthResponse, HealthResponse, Licence, ReadyResponse
from lookout.errors import TooBusy

router = APIRouter(tags=["health"])

# On top of the watchdog's limit for the worker: if there is a watchdog, it should act first.
_MARGIN_S = 3.0
_PARTS = (
    "fastapi",
    "starlette",
    "uvicorn",
    "websockets",
    "httptools",
    "onnxruntime",
    "opencv-python-headless",
    "av",
    "numpy",
    "pydantic",
    "python-multipart",
    "typer",
    "rich",
    "psutil",
    "segno",
    "tomli-w",
)


@router.get(
    "/healthz",
    operation_id="get_health",
    summary="Whether the service makes progress",
    response_model=HealthResponse,
    responses=errors(NotReady),
)
async def healthz(app: ServicesDep) -> JSONResponse:
    """200 while the event loop and the camera loop make progress, whatever the camera does. Needs no token."""
    silent_s = time.monotonic() - app.engine.progressed_at
    if silent_s > app.engine.stall_timeout_s + _MARGIN_S:
        raise NotReady(f"The camera loop has made no progress for {silent_s:.0f} s.", "Restart the service.")
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


_UNWELL = {
    "failed": "No model runs.",
    "absent": "There is no camera, or it cannot be opened.",
    "ended": "The file shown instead of a camera has ended.",
    "starting": "No picture has come since the start.",
    "stale": "The newest picture is too old.",
}


@router.get(
    "/healthz/camera",
    operation_id="get_camera_health",
    summary="Whether its answer is current",
    response_model=CameraHealthResponse,
    responses=errors(NotReady),
)
async def camera_health(app: ServicesDep) -> JSONResponse:
    """200 while the camera delivers and the answer is current, or the camera is paused; else 503.

    For uptime checks. Needs no token. Not for a watchdog: restarting the service does not bring a missing camera back.
    """
    state = app.view()
    status = state["status"]
    if status not in ("ok", "paused"):
        raise NotReady(_UNWELL.get(status, "Nothing is seen now."), "GET /api/state says more; it needs a token.")
    if status == "ok" and not state["answer"]["current"]:
        raise NotReady("The answer is older than allowed.", "GET /api/state says more; it needs a token.")
    return JSONResponse({"status": status}, headers={"Cache-Control": "no-store"})


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Whether a model answers",
    response_model=ReadyResponse,
    responses=errors(NotReady),
)
async def readyz(app: ServicesDep) -> JSONResponse:
    """200 once a model answers. A missing camera is reported but does not count. Needs no token."""
    classifier = app.engine.classifier
    if classifier is None:
        raise NotReady("No model runs.", "GET /api/state says why.")
    answer = {"status": "ready", "model": classifier.card.name, "camera": app.hub.latest().camera.status}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


@router.get(
    "/api/about",
    operation_id="get_about",
    summary="What runs here",
    response_model=AboutResponse,
    responses=errors(TooBusy),
)
async def about(request: Request, app: ServicesDep) -> JSONResponse:
    """Versions, the platform, the number of viewers, and the licences of the software that this builds on."""
    licences = await app.files.run(_licences)
    response = AboutResponse(
        name=app.control.loaded.settings.server.name,
        version=__version__,
        python=platform.python_version(),
        onnxruntime=_version("onnxruntime"),
        platform=f"{platform.system()} {platform.machine()}, {sys.implementation.name}",
        dashboard=app.dashboard,
        signed_in="lookout.token" in request.scope and cookie_name(request) in request.cookies,
        lab=any(getattr(route, "path", "") == "/lab" for route in request.app.routes),
        viewers={str(kind): count for kind, count in app.viewers.counts().items()},
        licences=list(licences),
    )
    return JSONResponse(response.model_dump(mode="json"))


@functools.cache
def _licences() -> tuple[Licence, ...]:
    return tuple(Licence(name=name, version=_version(name), licence=_licence(name)) for name in _PARTS)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # installed by other means, such as Debian packages
        return "unknown"


def _licence(name: str) -> str:
    """Return the licence as the package states it: an SPDX expression, a classifier, or the first line of a text."""
    try:
        response = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "unknown"
    for line in response.get_all("License-Expression") or []:
        return str(line)
    for line in response.get_all("Classifier") or []:
        if str(line).startswith("License :: OSI Approved :: "):
            return str(line).rpartition(" :: ")[2]
    texts = [str(text).strip() for text in response.get_all("License") or []]
    return next((text.splitlines()[0][:80] for text in texts if text), "unknown")
