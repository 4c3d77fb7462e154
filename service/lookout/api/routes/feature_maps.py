"""The feature maps of the current frame: how the channels of a layer respond to what the camera sees now."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import cv2
from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse, Response

from lookout.api.context import Services, ServicesDep
from lookout.api.feature_map_requests import Channel, FeatureMapResult
from lookout.api.problems import Responses, errors
from lookout.api.schemas import FeatureMapsResponse
from lookout.api.streaming.freshness import current_frame
from lookout.errors import ModelRejected, NoFrame, RequestInvalid, TooBusy, UnknownModel
from lookout.inspection.feature_maps import MapLayer, shades, strongest
from lookout.inspection.mosaic import columns_of, mosaic
from lookout.pipeline.preprocess import picture_seen
from lookout.timestamps import rfc3339

router = APIRouter(tags=["models"])

DEFAULT_CHANNELS, MAX_CHANNELS = 64, 256
# In the enlarged picture a tile is about this many pixels wide and high, with a gap around it.
_TILE, _GAP = 96, 2


class PngResponse(Response):
    """Names the media type in the API's description."""

    media_type = "image/png"


@dataclass(frozen=True, slots=True)
class FeatureMapsQuery:
    """Which maps, and how many."""

    layer: str | None
    channels: int


async def feature_maps_query(
    layer: Annotated[
        str | None, Query(max_length=200, description="A name from `layers`; by default the first.")
    ] = None,
    channels: Annotated[
        int, Query(ge=1, le=MAX_CHANNELS, description="How many of the strongest to return, in their own order.")
    ] = DEFAULT_CHANNELS,
) -> FeatureMapsQuery:
    """Return the query. (As a dependency, a class would be called on another thread.)"""
    return FeatureMapsQuery(layer, channels)


_ERRORS = (NoFrame, UnknownModel, ModelRejected, RequestInvalid, TooBusy)
_PNG: Responses = {
    200: {"description": "The maps.", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get(
    "/api/feature-maps",
    operation_id="get_feature_maps",
    summary="How a layer responds to the current frame",
    response_model=FeatureMapsResponse,
    responses=errors(*_ERRORS),
)
async def feature_maps(app: ServicesDep, query: Annotated[FeatureMapsQuery, Depends(feature_maps_query)]) -> Response:
    """The strongest channels of a layer as grey tiles, one pixel per value, and the list of layers to choose from.

    Always of the current frame: there is none while the camera is stale, paused or absent. The first request may take
    seconds, while the network is loaded a second time; that memory is released a minute after the last request.
    """
    look = await _look(app, query, enlarged=False)
    now = time.monotonic()
    return JSONResponse(_to_json(look, now, time.time()), headers={"Cache-Control": "no-store"})


@router.get(
    "/api/feature-maps.png",
    operation_id="get_feature_maps_picture",
    summary="The same as a picture for people",
    response_class=PngResponse,
    responses=errors(*_ERRORS, also=_PNG),
)
async def feature_maps_picture(
    app: ServicesDep, query: Annotated[FeatureMapsQuery, Depends(feature_maps_query)]
) -> Response:
    """One contact sheet, its tiles enlarged: bright is strong, black is zero (middle grey where a layer has signs)."""
    look = await _look(app, query, enlarged=True)
    taken = time.time() - (time.monotonic() - look.captured_at)
    return PngResponse(look.png, headers={"Cache-Control": "no-store", "X-Timestamp": f"{taken:.3f}"})


async def _look(app: Services, query: FeatureMapsQuery, *, enlarged: bool) -> FeatureMapResult:
    now = time.monotonic()
    state = app.hub.latest()
    frame = current_frame(state, app.view(state), now)  # before the network is loaded for nothing
    model = state.model and (state.model.name, state.model.version, state.model.precision)
    key = (query.layer, query.channels, enlarged, model, state.region_asked, frame.source)
    return await app.feature_map_requests.shared(key, _drawing(app, query, enlarged), now)


def _drawing(app: Services, query: FeatureMapsQuery, enlarged: bool) -> Callable[[], FeatureMapResult]:
    def look() -> FeatureMapResult:
        """Load the network if needed, and only then take the frame, so that it is current. Runs on the maps' thread."""
        network = app.engine.model.map_network()
        layer = network.layer(query.layer)
        state = app.hub.latest()
        frame = current_frame(state, app.view(state), time.monotonic())
        maps = network.look(frame.pixels, state.region_asked, layer)
        chosen = strongest(maps.values, query.channels)
        values = maps.values[chosen]
        tiles, zero = shades(values)
        height, width = tiles.shape[1:]
        scale = max(1, _TILE // max(height, width)) if enlarged else 1
        given, _ = picture_seen(frame.pixels, network.card.input, state.region_asked)
        _, jpeg = cv2.imencode(".jpg", given, (cv2.IMWRITE_JPEG_QUALITY, 90))
        _, png = cv2.imencode(".png", mosaic(tiles, scale=scale, gap=_GAP if enlarged else 0))
        return FeatureMapResult(
            layers=network.layers,
            layer=layer,
            model=network.card.name,
            version=network.card.version,
            precision=network.precision,
            frame_id=frame.sequence,
            captured_at=frame.captured_at,
            seen=maps.seen,
            input=jpeg.tobytes(),
            channels=tuple(
                Channel(number, float(one.mean()), float(one.max())) for number, one in zip(chosen, values, strict=True)
            ),
            columns=columns_of(len(chosen)),
            width=width,
            height=height,
            zero=zero,
            png=png.tobytes(),
        )

    return look


def _to_json(look: FeatureMapResult, now: float, wall: float) -> dict[str, object]:
    """Return the JSON. now, wall: the current time in monotonic and in Unix seconds."""
    age_s, seen = now - look.captured_at, look.seen
    response = FeatureMapsResponse.model_validate(
        {
            "layers": [layer_json(layer) for layer in look.layers],
            "layer": layer_json(look.layer),
            "model": {"name": look.model, "version": look.version, "precision": look.precision},
            "frame_id": look.frame_id,
            "captured_at": rfc3339(wall - age_s),
            "age_ms": round(age_s * 1e3),
            "seen": {"x": seen.x, "y": seen.y, "width": seen.width, "height": seen.height},
            "input": picture_uri("jpeg", look.input),
            "channels": [
                {"channel": one.number, "mean": round(one.mean, 4), "highest": round(one.highest, 4)}
                for one in look.channels
            ],
            "columns": look.columns,
            "width": look.width,
            "height": look.height,
            "zero": look.zero,
            "png": picture_uri("png", look.png),
        }
    )
    return response.model_dump(mode="json")


def picture_uri(kind: str, data: bytes) -> str:
    """Return a picture as a data URI, for pages."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def layer_json(layer: MapLayer) -> dict[str, object]:
    """Return the JSON of a layer whose maps can be shown."""
    return {
        "name": layer.name,
        "operator": layer.operator,
        "channels": layer.channels,
        "height": layer.height,
        "width": layer.width,
    }
