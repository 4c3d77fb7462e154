"""Events: list, view, mark and delete them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookout.api.compression import packed_json
from lookout.api.context import Services, ServicesDep
from lookout.api.event_schemas import CurveResponse, DeletionResponse, EventChange, EventListResponse
from lookout.api.moments import Moment
from lookout.api.problems import RequestTimeout, RequestTooLarge, errors
from lookout.api.routes.frames import JpegResponse
from lookout.errors import DiskBudgetSpent, RequestInvalid, StateFolderUnusable, TooBusy
from lookout.events.curve import unpack
from lookout.events.errors import EventsUnavailable, NoPicture, UnknownEvent
from lookout.events.event import EventView, Kind, event_view
from lookout.events.queries import Filter, Review
from lookout.events.store import UNDO_S

router = APIRouter(tags=["events"])

T = TypeVar("T")

# An SD card may stall for a second or two while it reclaims space.
READ_S = 5.0
MAX_PAGE = 1000
# The largest id that SQLite assigns.
_MAX_ID = 2**63 - 1
# No browser and no proxy may store pictures of somebody's home.
_PRIVATE = {"Cache-Control": "no-store"}
_PICTURE = {"type": "string", "format": "binary"}
WRITES = (StateFolderUnusable, DiskBudgetSpent, TooBusy, RequestInvalid, RequestTooLarge, RequestTimeout)
READS = (EventsUnavailable, TooBusy, RequestInvalid)

Number = Annotated[int, Path(ge=1, le=_MAX_ID, description="The event's id.")]


class WebpResponse(Response):
    """Names the media type in the API's description."""

    media_type = "image/webp"


async def wanted(
    label: Annotated[str | None, Query(max_length=100, description="The label, after any correction.")] = None,
    view: Annotated[str | None, Query(max_length=100)] = None,
    kind: Annotated[Kind | None, Query()] = None,
    begun_from: Annotated[Moment | None, Query(alias="from", description="RFC 3339: started then or later.")] = None,
    begun_to: Annotated[Moment | None, Query(alias="to", description="RFC 3339: started before then.")] = None,
    review: Annotated[
        Review | None,
        Query(
            description="sampled: drawn at random. todo: should be reviewed. done: reviewed. "
            "wrong: reviewed as something else."
        ),
    ] = None,
    kept: Annotated[bool | None, Query()] = None,
) -> Filter:
    """Return the filter that the query describes."""
    return Filter(label, view, kind, seconds(begun_from), seconds(begun_to), review, kept)


FilterDep = Annotated[Filter, Depends(wanted)]


def seconds(moment: datetime | None) -> float | None:
    """Return Unix seconds. Raises RequestInvalid if the time is out of range."""
    if moment is None:
        return None
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        raise RequestInvalid("That time is beyond what a clock can show.", "Name one in this century.") from None


async def reading(app: Services, look: Callable[[], T]) -> T:
    """Return the result of `look`, which reads from disk. Raises TooBusy, and EventsUnavailable if the disk stalls."""
    try:
        async with asyncio.timeout(READ_S):
            return await app.diary.run(look)
    except TimeoutError:
        raise EventsUnavailable(
            "The disk that holds the events does not answer.", "Check its plug, card or network, and try again."
        ) from None


@router.get(
    "/api/events",
    operation_id="list_events",
    summary="Events, the newest first",
    response_model=EventListResponse,
    responses=errors(*READS),
)
async def list_events(
    request: Request,
    app: ServicesDep,
    chosen: FilterDep,
    before: Annotated[int | None, Query(ge=1, le=_MAX_ID, description="Only events with smaller ids.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> Response:
    """Pages are cut by id: a clock that jumps reorders nothing, and no page skips or repeats an event."""

    def look() -> Response:
        events, following = app.history.store.page(chosen, before, limit)
        # Encoded here, not on the event loop: a thousand events take a small machine a tenth of a second.
        return packed_json({"events": [event_view(event) for event in events], "next": following}, request.headers)

    return await reading(app, look)


@router.get(
    "/api/events/{number:int}",
    operation_id="get_event",
    summary="One event",
    response_model=EventView,
    responses=errors(UnknownEvent, *READS),
)
async def get_event(number: Number, app: ServicesDep) -> Response:
    """The event as it is in the list."""
    return JSONResponse(event_view(await reading(app, lambda: app.history.store.get(number))))


@router.patch(
    "/api/events/{number:int}",
    operation_id="mark_event",
    summary="Say what it was, keep it, note something",
    response_model=EventView,
    responses=errors(UnknownEvent, *WRITES),
)
async def mark_event(number: Number, mark: EventChange, app: ServicesDep) -> Response:
    """A mark is counted, listed and exported; on its own it changes no answer. POST /api/events/undo reverts it."""
    marked = await app.edits.run(lambda: app.history.mark([number], mark.changes(), one=True))
    return JSONResponse(event_view(marked[0]) if marked else None)


@router.delete(
    "/api/events/{number:int}",
    operation_id="delete_event",
    summary="Delete an event",
    response_model=DeletionResponse,
    responses=errors(UnknownEvent, *WRITES),
)
async def delete_event(number: Number, app: ServicesDep) -> Response:
    """With its picture and embedding: hidden at once, and erased once the deletion can no longer be undone."""
    gone = await app.edits.run(lambda: app.history.delete([number], one=True))
    return JSONResponse({"deleted": len(gone), "undo_for_s": UNDO_S})


@router.get(
    "/api/events/{number:int}/snapshot.jpg",
    operation_id="get_event_snapshot",
    summary="The best frame of an event",
    response_class=JpegResponse,
    responses=errors(
        UnknownEvent,
        NoPicture,
        *READS,
        also={200: {"description": "At most 640 pixels wide.", "content": {"image/jpeg": {"schema": _PICTURE}}}},
    ),
)
async def get_event_snapshot(number: Number, app: ServicesDep) -> Response:
    """The frame in which the network was surest."""
    data = await reading(app, lambda: app.history.store.picture(number, "jpg"))
    return JpegResponse(data, headers=_PRIVATE)


@router.get(
    "/api/events/{number:int}/thumbnail.webp",
    operation_id="get_event_thumbnail",
    summary="A thumbnail of an event",
    response_class=WebpResponse,
    responses=errors(
        UnknownEvent,
        NoPicture,
        *READS,
        also={200: {"description": "160 pixels wide.", "content": {"image/webp": {"schema": _PICTURE}}}},
    ),
)
async def get_event_thumbnail(number: Number, app: ServicesDep) -> Response:
    """The snapshot, small enough for lists."""
    data = await reading(app, lambda: app.history.store.picture(number, "webp"))
    return WebpResponse(data, headers=_PRIVATE)


@router.get(
    "/api/events/{number:int}/curve",
    operation_id="get_event_curve",
    summary="The probabilities over an event",
    response_model=CurveResponse,
    responses=errors(UnknownEvent, *READS),
)
async def get_event_curve(number: Number, app: ServicesDep) -> Response:
    """Smoothed like the answer. Empty while the event is in progress, and for events that are not visits."""
    packed = await reading(app, lambda: app.history.store.curve(number))
    if packed is None:
        return JSONResponse({"labels": [], "times_s": [], "probabilities": {}})
    try:
        curve = unpack(packed)
    except ValueError as error:
        raise EventsUnavailable(f"The curve of event {number} cannot be read.", "Others can.") from error
    columns = zip(*curve.values, strict=True) if curve.values else [() for _ in curve.labels]
    rounded = {
        label: [round(value, 3) for value in column] for label, column in zip(curve.labels, columns, strict=True)
    }
    times = [round(at, 2) for at in curve.times_s]
    return JSONResponse({"labels": list(curve.labels), "times_s": times, "probabilities": rounded})
