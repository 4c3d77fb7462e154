"""The settings in force, changes to them, and the pause."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import StrictBool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookout.api.compression import packed_json
from lookout.api.context import Services, ServicesDep
from lookout.api.problems import RequestTimeout, RequestTooLarge, errors
from lookout.api.schemas import PauseResponse, Setting, SettingsResponse
from lookout.errors import (
    DiskBudgetSpent,
    ModelBusy,
    ModelRejected,
    RequestInvalid,
    SettingFixed,
    SettingInvalid,
    StateFolderUnusable,
    TooBusy,
    UnknownModel,
)
from lookout.settings.keys import all_keys
from lookout.settings.layers import LoadedSettings
from lookout.settings.overrides import masked_source

router = APIRouter(tags=["settings"])

Patch = Annotated[
    dict[str, Any],
    Body(
        description="Sections and keys as in the TOML file; null resets a setting.",
        examples=[{"answer": {"max_rate": 5}}],
    ),
]


@router.get(
    "/api/settings",
    operation_id="get_settings",
    summary="The settings in force",
    response_model=SettingsResponse,
    responses=errors(),
)
async def get_settings(request: Request, app: ServicesDep) -> Response:
    """Every setting with its value, its source, and whether it can be changed here; and which ones need a restart."""
    return packed_json(_answer(app, app.control.loaded), request.headers)


@router.patch(
    "/api/settings",
    operation_id="change_settings",
    summary="Change settings",
    response_model=SettingsResponse,
    responses=errors(
        SettingInvalid,
        SettingFixed,
        UnknownModel,
        ModelRejected,
        ModelBusy,
        StateFolderUnusable,
        DiskBudgetSpent,
        TooBusy,
        RequestInvalid,
        RequestTooLarge,
        RequestTimeout,
    ),
)
async def change_settings(patch: Patch, request: Request, app: ServicesDep) -> Response:
    """The changes are checked and applied as a whole, and kept across restarts. After an error, nothing has changed."""
    loaded = await app.changes.run(lambda: app.control.patch(patch))
    return packed_json(_answer(app, loaded), request.headers)


@router.put(
    "/api/paused",
    operation_id="pause",
    summary="Close the camera, or open it again",
    response_model=PauseResponse,
    responses=errors(StateFolderUnusable, DiskBudgetSpent, TooBusy, RequestInvalid, RequestTooLarge, RequestTimeout),
)
async def pause(paused: Annotated[StrictBool, Body(examples=[True])], app: ServicesDep) -> JSONResponse:
    """The body is `true` or `false`. Pausing closes the camera and turns its light off; it survives restarts."""
    await app.pauses.run(lambda: app.control.pause(paused))
    return JSONResponse({"paused": paused})


def _answer(app: Services, loaded: LoadedSettings) -> dict[str, Any]:
    settings = loaded.settings.model_dump(mode="json")
    settings["camera"]["source"] = masked_source(loaded.settings)
    keys = {}
    for name, key in all_keys().items():
        changeable, reason = loaded.changeable(name)
        section, _, leaf = name.partition(".")
        keys[name] = Setting(
            value=settings[section][leaf],
            default=key.value,
            changeable=changeable,
            reason=reason,
            source=loaded.origins[name].kind,
            allowed=key.allowed,
            form=key.form,
            choices=list(key.choices),
            minimum=key.minimum,
            maximum=key.maximum,
            help=key.help,
        )
    waiting = list(app.control.restart_required)
    response = SettingsResponse(settings=settings, keys=keys, restart_required=waiting)
    return response.model_dump(mode="json")
