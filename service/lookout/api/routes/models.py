"""The installed models, their layers, and which of them is in use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookout.api.compression import packed_json
from lookout.api.context import ServicesDep
from lookout.api.problems import RequestTimeout, RequestTooLarge, errors, writable
from lookout.api.schemas import BrokenModel, FilterResponse, ModelChoice, ModelsResponse
from lookout.errors import (
    DiskBudgetSpent,
    LookoutError,
    ModelBusy,
    ModelRejected,
    RequestInvalid,
    SettingFixed,
    SettingInvalid,
    StateFolderUnusable,
    TooBusy,
    UnknownModel,
)
from lookout.inspection.filters import FILTERS_FILE, read_filters
from lookout.inspection.layers import read_table
from lookout.pipeline.card import Card
from lookout.registry.catalogue import Catalogue
from lookout.state.view import ModelView
from lookout.system.regular_files import read_regular

router = APIRouter(tags=["models"])


class _Png(Response):
    media_type = "image/png"


_MAX_FILTERS_BYTES = 2**20
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@router.get(
    "/api/models",
    operation_id="list_models",
    summary="The installed models",
    response_model=ModelsResponse,
    responses=errors(TooBusy),
)
async def list_models(request: Request, app: ServicesDep) -> Response:
    """The cards of all usable models, and the names of the others with the reason why they cannot be used."""
    found = await app.files.run(lambda: _all(app.engine.model.catalogue))
    return packed_json(found.model_dump(mode="json"), request.headers)


@router.get(
    "/api/models/{name}",
    operation_id="get_model",
    summary="A model's card",
    response_model=dict[str, Any],
    responses=errors(UnknownModel, ModelRejected, RequestInvalid, TooBusy),
)
async def get_model(name: str, app: ServicesDep) -> JSONResponse:
    """A model's card: labels, input, thresholds, files, metrics, licence."""
    return JSONResponse(_to_json(await app.files.run(lambda: app.engine.model.catalogue.card(name))))


@router.get(
    "/api/models/{name}/layers",
    operation_id="get_layers",
    summary="A model's layer table",
    response_model=dict[str, Any],
    responses=errors(UnknownModel, ModelRejected, RequestInvalid, TooBusy),
)
async def get_layers(name: str, request: Request, app: ServicesDep) -> Response:
    """Each layer's sizes, receptive field, parameters and multiply-adds, with the values of the size formula."""
    return packed_json(await app.files.run(lambda: _layers(app.engine.model.catalogue.card(name))), request.headers)


@router.get(
    "/api/models/{name}/filters.png",
    operation_id="get_filters",
    summary="A model's first filters",
    response_class=_Png,
    responses=errors(UnknownModel, ModelRejected, RequestInvalid, TooBusy),
)
async def get_filters(name: str, app: ServicesDep) -> Response:
    """The first layer's filters as one picture. Middle grey is zero; red, green and blue are the input's channels."""
    return _Png(await app.files.run(lambda: _filters(app.engine.model.catalogue.card(name))))


@router.get(
    "/api/models/{name}/filters/{number}",
    operation_id="get_filter",
    summary="One of a model's first filters, in numbers",
    response_model=FilterResponse,
    responses=errors(UnknownModel, ModelRejected, RequestInvalid, TooBusy),
)
async def get_filter(name: str, number: Annotated[int, PathParameter(ge=0, le=4095)], app: ServicesDep) -> JSONResponse:
    """The filter's weights by channel, as the network applies them to its input."""
    return JSONResponse(await app.files.run(lambda: _filter(app.engine.model.catalogue.card(name), number)))


@router.put(
    "/api/model",
    operation_id="use_model",
    summary="Use another model",
    response_model=ModelView,
    responses=errors(
        UnknownModel,
        ModelRejected,
        ModelBusy,
        SettingFixed,
        SettingInvalid,
        StateFolderUnusable,
        DiskBudgetSpent,
        TooBusy,
        RequestInvalid,
        RequestTooLarge,
        RequestTimeout,
    ),
)
async def use_model(choice: ModelChoice, app: ServicesDep) -> JSONResponse:
    """The model is loaded beside the one in use, checked, put in place between two frames, and kept across restarts.

    A bad model changes nothing.
    """
    patch = choice.model_dump(exclude_none=True)
    if not patch:
        raise RequestInvalid("The body names neither a model nor a precision.", 'Send {"name": "…"}.')
    if "name" in patch:
        patch.setdefault("precision", "auto")
    await app.changes.run(lambda: app.control.patch({"model": patch}))
    return JSONResponse(app.view()["model"])


def _all(catalogue: Catalogue) -> ModelsResponse:
    models, broken = [], []
    for name in catalogue.names():
        try:
            models.append(_to_json(catalogue.card(name)))
        except LookoutError as error:
            broken.append(BrokenModel(name=writable(name), reason=writable(str(error))))
    return ModelsResponse(models=models, broken=broken)


def _to_json(card: Card) -> dict[str, Any]:
    return card.model_dump(mode="json", by_alias=True, exclude_none=True)


def _layers(card: Card) -> dict[str, Any]:
    """Return the layer table, if it belongs to the card's graph. Raises UnknownModel."""
    table = read_table(card.folder, {file.sha256 for file in card.files.values()})
    if table is not None:
        return table
    raise UnknownModel(
        f'The model "{card.name}" has no layer table that belongs to its graph.',
        "`lookout models add` writes one with the card.",
    )


def _filter(card: Card, number: int) -> dict[str, Any]:
    """Return one filter. Raises UnknownModel if the weights were not written, RequestInvalid if it does not exist."""
    kept = read_filters(card.folder)
    if kept is None:
        raise UnknownModel(
            f'The model "{card.name}" has no file with the weights of its filters.',
            "`lookout models add` writes them with the card.",
        )
    if number >= len(kept):
        raise RequestInvalid(f"There is no filter {number}.", f"There are 0 to {len(kept) - 1}.")
    return {"filter": number, "count": len(kept), "weights": kept[number]}


def _filters(card: Card) -> bytes:
    """Return the picture of the filters. Raises UnknownModel if there is none."""
    path = card.folder / FILTERS_FILE
    try:
        content = read_regular(path, _MAX_FILTERS_BYTES)
        if content.startswith(_PNG_SIGNATURE):  # any other content is not for a browser
            return content
    except OSError:
        pass
    raise UnknownModel(
        f'The model "{card.name}" has no picture of its filters.', "`lookout models add` draws one with the card."
    )
