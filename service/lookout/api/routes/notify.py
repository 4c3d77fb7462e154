"""Notices: rules and targets, the log, test notices, and snoozing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from lookout.api.context import Services, ServicesDep
from lookout.api.integration_schemas import NoticesResponse, NotifyResponse, NotifyTrialResponse
from lookout.api.problems import RequestTimeout, RequestTooLarge, errors
from lookout.errors import DiskBudgetSpent, RequestInvalid, StateFolderUnusable, TooBusy

if TYPE_CHECKING:
    from lookout.integrations.notify.integration import Notify

router = APIRouter(prefix="/api/notify", tags=["notices"])

MAX_SNOOZE_S = 30 * 86_400.0


class Snooze(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: str = Field("all", description="The rule's name, or all.")
    for_s: float = Field(strict=True, ge=0, le=MAX_SNOOZE_S, description="Seconds; 0 ends the snooze.")


class Trial(BaseModel):
    model_config = ConfigDict(extra="forbid")

    target: str


@router.get(
    "", operation_id="get_notify", summary="Rules and targets", response_model=NotifyResponse, responses=errors()
)
async def get_notify(app: ServicesDep) -> JSONResponse:
    """How many notices each rule sent and held back, and whether they arrive. Without a rule, both lists are empty."""
    notify = _running(app)
    return JSONResponse(notify.describe() if notify else {"rules": [], "targets": []})


@router.get(
    "/log",
    operation_id="list_notices",
    summary="The notices sent since the start",
    response_model=NoticesResponse,
    responses=errors(),
)
async def list_notices(app: ServicesDep) -> JSONResponse:
    """The newest hundred notices, oldest first."""
    notify = _running(app)
    return JSONResponse({"notices": [notice.data() for notice in notify.log] if notify else []})


@router.post(
    "/test",
    operation_id="test_notify",
    summary="Send a test to a target",
    status_code=202,
    response_model=NotifyTrialResponse,
    responses=errors(RequestInvalid, TooBusy, RequestTooLarge, RequestTimeout),
)
async def test_target(trial: Annotated[Trial, Body()], app: ServicesDep) -> JSONResponse:
    """The response does not wait for the delivery; `GET /api/notify` says whether the test arrived."""
    notify = _asked(app)
    return JSONResponse({"id": await app.changes.run(lambda: notify.send_trial(trial.target))}, 202)


@router.put(
    "/snooze",
    operation_id="snooze",
    summary="No notices for a while",
    response_model=NotifyResponse,
    responses=errors(RequestInvalid, StateFolderUnusable, DiskBudgetSpent, TooBusy, RequestTooLarge, RequestTimeout),
)
async def snooze(wanted: Annotated[Snooze, Body()], app: ServicesDep) -> JSONResponse:
    """Snoozes one rule or all, across restarts. Notices held back meanwhile are counted in the next one."""
    notify = _asked(app)
    await app.changes.run(lambda: notify.snooze(wanted.rule, wanted.for_s))
    return JSONResponse(notify.describe())


def _running(app: Services) -> Notify | None:
    return cast("Notify | None", app.integrations.find("notify"))


def _asked(app: Services) -> Notify:
    """Return the integration. Raises RequestInvalid if notices are off."""
    notify = _running(app)
    if notify is None:
        raise RequestInvalid("Notices are off.", "Add a [[notify.rules]] to the settings file and restart Lookout.")
    return notify
