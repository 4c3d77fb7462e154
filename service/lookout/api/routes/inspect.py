"""Inspecting an uploaded picture: its feature maps, one of them in numbers, and how the answer comes about.

Everything runs in the uploads' pool, within its limits, on one picture at a time, and apart from the capture loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lookout.api.compression import packed_json
from lookout.api.context import Services, ServicesDep
from lookout.api.problems import errors
from lookout.api.routes.feature_maps import DEFAULT_CHANNELS, MAX_CHANNELS, layer_json, picture_uri
from lookout.api.schemas import (
    LayerTimesResponse,
    PictureAnswerResponse,
    PictureChannelResponse,
    PictureMapsResponse,
)
from lookout.api.uploads import UPLOAD_ERRORS, read_uploads
from lookout.errors import (
    RequestInvalid,
)
from lookout.frame import Pixels
from lookout.geometry import WHOLE, Rect
from lookout.inspection.answers import Heat, heat, scores
from lookout.inspection.feature_maps import shades, strongest
from lookout.inspection.layer_times import layer_times
from lookout.inspection.mosaic import columns_of, mosaic
from lookout.pipeline.preprocess import picture_seen

router = APIRouter(tags=["models"])

_BODY = {
    "requestBody": {
        "required": True,
        "description": "One JPEG, PNG, WebP, BMP, TIFF or GIF picture.",
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_ERRORS = errors(*UPLOAD_ERRORS)
_MAX_NUMBER = 100_000

Layer = Annotated[str | None, Query(max_length=200, description="A name from `layers`; by default the first.")]


@router.post(
    "/api/inspect/maps",
    operation_id="inspect_maps",
    summary="How a layer responds to a picture",
    response_model=PictureMapsResponse,
    responses=_ERRORS,
    openapi_extra=_BODY,
)
async def maps(
    request: Request,
    app: ServicesDep,
    layer: Layer = None,
    channels: Annotated[
        int, Query(ge=1, le=MAX_CHANNELS, description="How many of the strongest to return, in their own order.")
    ] = DEFAULT_CHANNELS,
) -> Response:
    """As GET /api/feature-maps, but for the picture in the body instead of the current frame."""

    def look(pixels: Pixels) -> dict[str, Any]:
        network = app.engine.model.map_network()
        chosen_layer = network.layer(layer)
        found = network.look(pixels, WHOLE, chosen_layer)
        chosen = strongest(found.values, channels)
        values = found.values[chosen]
        tiles, zero = shades(values)
        given, _ = picture_seen(pixels, network.card.input, WHOLE)
        return {
            "layers": [layer_json(one) for one in network.layers],
            "layer": layer_json(chosen_layer),
            "model": _model(network.card.name, network.card.version, network.precision),
            "seen": _rect(found.seen),
            "input": picture_uri("png", _png(given)),
            "channels": [
                {"channel": number, "mean": round(float(one.mean()), 4), "highest": round(float(one.max()), 4)}
                for number, one in zip(chosen, values, strict=True)
            ],
            "columns": columns_of(len(chosen)),
            "width": tiles.shape[2],
            "height": tiles.shape[1],
            "zero": zero,
            "png": picture_uri("png", _png(mosaic(tiles))),
        }

    return await _looked(request, app, look)


@router.post(
    "/api/inspect/channel",
    operation_id="inspect_channel",
    summary="One feature map of a picture, in numbers",
    response_model=PictureChannelResponse,
    responses=_ERRORS,
    openapi_extra=_BODY,
)
async def channel(
    request: Request,
    app: ServicesDep,
    layer: Layer = None,
    channel: Annotated[int, Query(ge=0, le=_MAX_NUMBER, description="Its number in the layer, from 0.")] = 0,
) -> Response:
    """All its values, row by row, and those before the activation if the graph still has them (int8 does not)."""

    def look(pixels: Pixels) -> dict[str, Any]:
        network = app.engine.model.map_network()
        chosen = network.layer(layer)
        one = network.look_at(pixels, WHOLE, chosen, channel)
        return {
            "layer": layer_json(chosen),
            "model": _model(network.card.name, network.card.version, network.precision),
            "seen": _rect(one.seen),
            "channel": channel,
            "after": _rows(one.after),
            "before": None if one.before is None else _rows(one.before),
        }

    return await _looked(request, app, look)


@router.post(
    "/api/inspect/answer",
    operation_id="inspect_answer",
    summary="How the answer to a picture comes about",
    response_model=PictureAnswerResponse,
    responses=_ERRORS,
    openapi_extra=_BODY,
)
async def answer(
    request: Request,
    app: ServicesDep,
    label: Annotated[
        int | None,
        Query(ge=0, le=_MAX_NUMBER, description="With the heat map of the label with this index in `labels`."),
    ] = None,
) -> Response:
    """The numbers before the softmax, its temperature and the probabilities; on request, what supports a label.

    A network without a class activation map is run on the picture with a grey square in one place after another, which
    takes up to several seconds.
    """

    def look(pixels: Pixels) -> dict[str, Any]:
        classifier = app.engine.model.loaded()
        card = classifier.card
        if label is not None and label >= len(card.labels):
            raise RequestInvalid(f"There is no label {label}.", f"There are 0 to {len(card.labels) - 1}.")
        found = scores(classifier, pixels)
        return {
            "model": _model(card.name, card.version, classifier.precision),
            "seen": _rect(found.seen),
            "labels": [{"label": one.name, "title": one.title} for one in card.labels],
            "values": [round(value, 5) for value in found.values],
            "are_logits": found.are_logits,
            "temperature": found.temperature,
            "probabilities": [round(p, 6) for p in found.probabilities],
            "heat": None if label is None else _heat(card.label_names[label], heat(classifier, pixels, label)),
        }

    return await _looked(request, app, look)


@router.post(
    "/api/inspect/times",
    operation_id="inspect_times",
    summary="How long each layer takes on this machine",
    response_model=LayerTimesResponse,
    responses=_ERRORS,
    openapi_extra=_BODY,
)
async def times(request: Request, app: ServicesDep) -> Response:
    """Runs the network on the picture for a second or two, as onnxruntime itself measures it; nothing of it is kept.

    onnxruntime joins layers before it runs them, so that not every row of the layer table has a time of its own.
    """

    def look(pixels: Pixels) -> dict[str, Any]:
        classifier = app.engine.model.loaded()
        found = layer_times(classifier, pixels)
        return {
            "model": _model(classifier.card.name, classifier.card.version, classifier.precision),
            "runs": found.runs,
            "layers": {name: round(ms, 4) for name, ms in found.layers.items()},
            "between": round(found.between, 4),
        }

    return await _looked(request, app, look)


def _heat(label: str, found: Heat) -> dict[str, Any]:
    return {"label": label, "method": found.method, "cells": _rows(found.cells)}


async def _looked(request: Request, app: Services, look: Callable[[Pixels], dict[str, Any]]) -> Response:
    """Respond with what `look` finds in the request's picture, on a thread of the uploads' pool."""
    try:
        async with app.uploads.room():
            with contextlib.ExitStack() as files:
                uploads, _ = await read_uploads(request, app.uploads.limits.max_bytes, files)
                if len(uploads) != 1:
                    raise RequestInvalid("Only one picture is inspected at a time.", "Send one as the body.")
                found = await app.uploads.run(lambda: look(app.uploads.decode(uploads[0], _least_side(app)).pixels))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    return packed_json(found, request.headers)


def _least_side(app: Services) -> int:
    """Return the side in pixels to which decoding may shrink a large photo: twice that of the network's input."""
    spec = app.engine.model.loaded().card.input
    return 2 * min(spec.width, spec.height)


def _model(name: str, version: str, precision: str) -> dict[str, str]:
    return {"name": name, "version": version, "precision": precision}


def _rect(rect: Rect) -> dict[str, float]:
    return {"x": rect.x, "y": rect.y, "width": rect.width, "height": rect.height}


def _rows(values: NDArray[np.float32]) -> list[list[float]]:
    rows: list[list[float]] = values.astype(np.float64).round(5).tolist()
    return rows


def _png(pixels: NDArray[np.uint8]) -> bytes:
    _, png = cv2.imencode(".png", pixels)
    return png.tobytes()
