"""Figures for Prometheus."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lookout.api.context import ServicesDep
from lookout.api.problems import NotFound, NotReady

router = APIRouter(include_in_schema=False)


@runtime_checkable
class _Exposes(Protocol):
    """The part of `integrations/metrics` that is used here; the module is imported only if metrics are on."""

    def exposition(
        self, accept: str, viewers: dict[str, int], uploads: dict[str, int], deliveries: dict[tuple[str, str], int]
    ) -> tuple[bytes, str]: ...


@runtime_checkable
class _Delivers(Protocol):
    """The part of `integrations/notify` that is used here."""

    def outcomes(self) -> dict[tuple[str, str], int]: ...


@router.get("/metrics")
async def metrics(request: Request, app: ServicesDep) -> Response:
    """Prometheus' format, or OpenMetrics on request. Needs a token of scope metrics, or of view and above."""
    found = app.integrations.find("metrics")
    if not isinstance(found, _Exposes):
        status = app.integrations.statuses().get("metrics")
        if status is not None and status.detail:
            raise NotReady(status.detail, status.remedy)
        raise NotFound("There are no metrics here.", "Set metrics.enabled = true and restart Lookout.")
    viewers = {str(kind): count for kind, count in app.viewers.counts().items()}
    notify = app.integrations.find("notify")
    deliveries = notify.outcomes() if isinstance(notify, _Delivers) else {}
    accept, uploads = request.headers.get("accept", ""), dict(app.uploads.outcomes)
    text, media_type = found.exposition(accept, viewers, uploads, deliveries)
    return Response(text, headers={"Content-Type": media_type, "Cache-Control": "no-store"})
