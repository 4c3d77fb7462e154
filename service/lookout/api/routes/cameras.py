"""Which cameras the machine has, so that a page can offer them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.responses import JSONResponse

from lookout.api.context import ServicesDep
from lookout.api.problems import errors
from lookout.api.schemas import CamerasResponse, ConnectedCamera

router = APIRouter(tags=["settings"])


@router.get(
    "/api/cameras",
    operation_id="list_cameras",
    summary="The cameras of this machine",
    response_model=CamerasResponse,
    responses=errors(),
)
async def list_cameras(app: ServicesDep) -> JSONResponse:
    """Pi and USB cameras with the address to put into `camera.source`. Opens none; may take a few seconds."""
    python = app.control.loaded.settings.camera.python
    # Shielded: a page that leaves must not cancel what others wait for.
    found = await asyncio.shield(asyncio.wrap_future(app.cameras.look(python)))
    cameras = [
        ConnectedCamera(kind=one.kind, address=one.address, name=one.name, note=one.note) for one in found.cameras
    ]
    return JSONResponse(CamerasResponse(cameras=cameras, reasons=list(found.reasons)).model_dump(mode="json"))
