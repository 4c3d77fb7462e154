"""Changes to events: batches, undo, events that were overlooked, and deleting everything."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from lookout.api.context import ServicesDep
from lookout.api.event_schemas import (
    BatchResponse,
    DeleteEverything,
    DeletionResponse,
    EventBatch,
    EventFilter,
    MissedEvent,
    UndoResponse,
)
from lookout.api.problems import errors
from lookout.api.routes.events import WRITES, reading, seconds
from lookout.errors import NoFrame
from lookout.events.errors import EventsOff, EventsUnavailable, NotConfirmed, NothingToUndo
from lookout.events.event import EventView, event_view
from lookout.events.queries import Filter
from lookout.events.store import MAX_BATCH, UNDO_S

router = APIRouter(tags=["events"])

_WORDS = "delete everything"


@router.post(
    "/api/events/batch",
    operation_id="change_events",
    summary="Mark or delete many events at once",
    response_model=BatchResponse,
    responses=errors(EventsUnavailable, *WRITES),
)
async def change_events(batch: EventBatch, app: ServicesDep) -> Response:
    """At most 1,000 events, all or none. Ids that do not exist are skipped."""
    ids, more = list(dict.fromkeys(batch.ids or ())), False
    if batch.filter is not None:
        chosen = _filter(batch.filter)
        found = await reading(app, lambda: app.history.store.numbers(chosen, MAX_BATCH + 1))
        ids, more = found[:MAX_BATCH], len(found) > MAX_BATCH
    values = None if batch.set is None else batch.set.changes()
    changed = await app.edits.run(lambda: app.history.delete(ids) if values is None else app.history.mark(ids, values))
    return JSONResponse({"changed": len(changed), "more": more, "undo_for_s": UNDO_S})


def _filter(asked: EventFilter) -> Filter:
    begun_from, begun_to = seconds(asked.begun_from), seconds(asked.begun_to)
    return Filter(asked.label, asked.view, asked.kind, begun_from, begun_to, asked.review, asked.kept)


@router.post(
    "/api/events/undo",
    operation_id="undo_events",
    summary="Undo the latest change",
    response_model=UndoResponse,
    responses=errors(NothingToUndo, EventsUnavailable, *WRITES),
)
async def undo_events(app: ServicesDep) -> Response:
    """Marks and deletions of the last ten minutes, the latest first. After a restart nothing can be undone."""
    undone = await app.edits.run(app.history.undo)
    change = "delete" if undone.deleted else "set"
    left = app.history.store.undo_left_s()
    return JSONResponse({"undone": change, "events": len(undone.events), "more_for_s": left})


@router.post(
    "/api/events",
    operation_id="add_missed_event",
    summary="Say what the camera overlooks now",
    response_model=EventView,
    status_code=201,
    responses=errors(EventsOff, NoFrame, *WRITES),
)
async def add_missed_event(missed: MissedEvent, app: ServicesDep) -> Response:
    """Stores the current frame with the correct label: a model learns most from what it missed."""
    event = await app.edits.run(lambda: app.history.miss(missed.label))
    return JSONResponse(event_view(event), 201)


@router.delete(
    "/api/events",
    operation_id="delete_all_events",
    summary="Delete everything that was kept of what was seen",
    response_model=DeletionResponse,
    responses=errors(NotConfirmed, EventsUnavailable, *WRITES),
)
async def delete_all_events(
    asked: DeleteEverything,
    app: ServicesDep,
    everything: Annotated[bool, Query(alias="all", description="Must be true.")] = False,
) -> Response:
    """At once and for good, including marked and kept events. The file is rewritten, but a card may hold remains."""
    if not everything or asked.confirm != _WORDS:
        raise NotConfirmed(
            "Nothing was deleted: the request does not confirm that everything is to be deleted.",
            f'Send DELETE /api/events?all=true with the body {{"confirm": "{_WORDS}"}}.',
        )
    deleted = await app.edits.run(app.history.store.delete_all)
    return JSONResponse({"deleted": deleted, "undo_for_s": 0.0})
