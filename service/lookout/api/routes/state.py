"""The state now."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from lookout.api.context import ServicesDep
from lookout.api.problems import errors
from lookout.state.view import StateView

router = APIRouter(tags=["live"])


@router.get(
    "/api/state",
    operation_id="get_state",
    summary="The state now",
    response_model=StateView,
    responses=errors(),
)
async def state(app: ServicesDep) -> Response:
    """What the camera sees, since when, how sure the network is, and the condition of every part."""
    headers = {"Cache-Control": "no-store"}
    return Response(app.text(app.hub.latest()), media_type="application/json", headers=headers)
