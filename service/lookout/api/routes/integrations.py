"""The status of the integrations."""

from __future__ import annotations

import time

from fastapi import APIRouter
from starlette.responses import JSONResponse

from lookout.api.context import ServicesDep
from lookout.api.integration_schemas import IntegrationResponse, IntegrationsResponse
from lookout.api.problems import errors
from lookout.timestamps import rfc3339

router = APIRouter(tags=["health"])


@router.get(
    "/api/integrations",
    operation_id="list_integrations",
    summary="MQTT, notices and whatever else Lookout works with",
    response_model=IntegrationsResponse,
    responses=errors(),
)
async def list_integrations(app: ServicesDep) -> JSONResponse:
    """Each integration with its status and, if something is wrong, the reason and what helps."""
    now, wall = time.monotonic(), time.time()
    found = [
        IntegrationResponse(
            name=name,
            status=one.status,
            since=None if one.since is None else rfc3339(wall - (now - one.since)),
            code=one.code or None,
            reason=one.detail or None,
            remedy=one.remedy or None,
        )
        for name, one in app.integrations.statuses().items()
    ]
    headers = {"Cache-Control": "no-store"}
    return JSONResponse(IntegrationsResponse(integrations=found).model_dump(mode="json"), headers=headers)
