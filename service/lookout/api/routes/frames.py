"""The newest frame as a picture, and the stream of frames for other programs."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from lookout.api.context import Services, ServicesDep
from lookout.api.middleware.access import still_admitted
from lookout.api.problems import errors
from lookout.api.routes.live import HEARTBEAT_S, MAX_WIDTH, MIN_WIDTH, SEND_S
from lookout.api.streaming.encoder import Jpeg, cropped, shrunk
from lookout.api.streaming.freshness import fresh_frame, newest_frame, stale_lines
from lookout.api.streaming.overlay import annotated, placeholder
from lookout.api.streaming.response import StreamResponse, Writer
from lookout.errors import NoFrame, RequestInvalid, TooBusy
from lookout.frame import Frame
from lookout.geometry import Rect
from lookout.state.state import State

router = APIRouter(tags=["pictures"])

_BOUNDARY = "lookoutframe"
# A stream without pictures repeats its message this often; each message is encoded once, however many viewers.
_PLACEHOLDER_S = 1.0

Width = Annotated[
    int | None,
    Query(ge=MIN_WIDTH, le=MAX_WIDTH, description="Maximum width in pixels; pictures are never enlarged."),
]


class JpegResponse(Response):
    """Names the media type in the API's description."""

    media_type = "image/jpeg"


class MjpegResponse(Response):
    """Names the media type in the API's description."""

    media_type = f"multipart/x-mixed-replace;boundary={_BOUNDARY}"


_PICTURE = {"type": "string", "format": "binary"}


@router.get(
    "/api/snapshot.jpg",
    operation_id="get_snapshot",
    summary="The newest frame",
    response_class=JpegResponse,
    responses=errors(
        NoFrame,
        RequestInvalid,
        also={
            200: {"description": "The picture.", "content": {"image/jpeg": {"schema": _PICTURE}}},
            304: {"description": "Still the picture of the ETag in If-None-Match."},
        },
    ),
)
async def snapshot(
    request: Request,
    app: ServicesDep,
    width: Width = None,
    region: Annotated[bool, Query(description="Only the part that the network sees.")] = False,
    annotate: Annotated[bool, Query(description="With the answer and an outline of the part that was seen.")] = False,
) -> Response:
    """The camera's newest frame. One that is not current has the header `X-Lookout-Stale: 1`."""
    state = app.hub.latest()
    view = app.view(state)
    frame = newest_frame(state, view)
    part = state.region_seen if region else None
    # Time alone turns "Cat" into "last seen: Cat", while the state stays the same.
    words = (state.sequence, view["answer"]["current"])
    etag = _etag(state, frame, width, part, words if annotate else ())
    # No browser and no proxy may store pictures of somebody's home; programs can still use the ETag.
    headers = {"ETag": etag, "Cache-Control": "no-store", "X-Timestamp": _timestamp(frame)}
    if fresh_frame(state, time.monotonic()) is None:
        headers["X-Lookout-Stale"] = "1"
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    if annotate:
        seen, pixels = state.region_seen, frame.pixels
        key = ("annotated", width, part, words)
        jpeg = await app.encoder.drawn(key, frame, lambda: shrunk(cropped(annotated(pixels, seen, view), part), width))
    else:
        jpeg = await app.encoder.frame(frame, width, part)
    return JpegResponse(jpeg.data, headers=headers)


@router.get(
    "/api/stream.mjpg",
    operation_id="get_stream",
    summary="A stream of frames, for other programs",
    response_class=MjpegResponse,
    responses=errors(
        RequestInvalid,
        TooBusy,
        also={
            200: {
                "description": "Parts of image/jpeg, each with Content-Length and X-Timestamp (Unix seconds).",
                "content": {"multipart/x-mixed-replace": {"schema": _PICTURE}},
            }
        },
    ),
)
async def stream(
    request: Request,
    app: ServicesDep,
    fps: Annotated[float, Query(gt=0, le=60, description="Maximum frames per second.")] = 15.0,
    width: Width = None,
    on_stale: Annotated[
        Literal["placeholder", "end"],
        Query(description="Without a current picture: a dimmed one with a message once a second, or the end."),
    ] = "placeholder",
) -> Response:
    """MJPEG. A part that is not a live picture has the header `X-Lookout-Stale: 1`."""

    async def produce(write: Writer) -> None:
        shown, turn_at, interval = None, float("-inf"), 1.0 / fps
        await write(f"--{_BOUNDARY}\r\n".encode())
        while not app.stopping.is_set() and still_admitted(request):
            state, now = app.hub.latest(), time.monotonic()
            frame = fresh_frame(state, now)
            if frame is None:
                if on_stale == "end":
                    return
                shown = None
                await write(_part(await _placeholder(app, state, width), _now(), stale=True))
                await app.sleep(_PLACEHOLDER_S)
                continue
            # Never past the time at which the frame becomes stale: the message must not wait for the viewer's turn.
            rest_s = min(HEARTBEAT_S, frame.captured_at + state.stale_after_s - now)
            if now < turn_at:
                await app.sleep(min(rest_s, turn_at - now))
            elif frame is shown:
                await app.hub.changed(state.sequence, HEARTBEAT_S, seen_at=now)
            else:
                shown, turn_at = frame, now + interval
                await write(_part(await app.encoder.frame(frame, width), _timestamp(frame), stale=False))

    headers = {"Cache-Control": "no-store", "Age": "0", "X-Accel-Buffering": "no"}
    return StreamResponse(
        produce, app.viewers.admit("stream"), SEND_S, f"multipart/x-mixed-replace;boundary={_BOUNDARY}", headers
    )


async def _placeholder(app: Services, state: State, width: int | None) -> Jpeg:
    """Return the placeholder. While the camera is paused, it shows nothing of the last picture."""
    lines = stale_lines(app.view(state))
    frame = None if state.paused else state.frame
    pixels = None if frame is None else frame.pixels
    return await app.encoder.drawn(("words", width, *lines), frame, lambda: placeholder(pixels, width, lines))


def _part(jpeg: Jpeg, timestamp: str, *, stale: bool) -> bytes:
    """Return a part with the boundary that ends it: browsers show a part only once they have seen its end."""
    lines = ["Content-Type: image/jpeg", f"Content-Length: {len(jpeg.data)}", f"X-Timestamp: {timestamp}"]
    if stale:
        lines.append("X-Lookout-Stale: 1")
    return "\r\n".join([*lines, "", ""]).encode() + jpeg.data + f"\r\n--{_BOUNDARY}\r\n".encode()


def _timestamp(frame: Frame) -> str:
    """Return when the frame was captured, in Unix seconds by the wall clock's current setting."""
    return f"{time.time() - (time.monotonic() - frame.captured_at):.3f}"


def _now() -> str:
    return f"{time.time():.3f}"


def _etag(state: State, frame: Frame, width: int | None, part: Rect | None, words: tuple[int, ...]) -> str:
    """Return a tag that identifies the picture: the frame and everything that is done to it."""
    made_of = [state.instance, frame.sequence, round(frame.captured_at * 1000), width or ""]
    shares = () if part is None else (part.x, part.y, part.width, part.height)
    made_of += [":".join(f"{share:.4f}" for share in shares), ":".join(f"{word:d}" for word in words)]
    return '"{}"'.format("-".join(map(str, made_of)))


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return etag in tags or "*" in tags
