"""An event on its way to disk: its row, and the picture, curve and embedding that are added when it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from lookout.events.event import Doubt, Event, ModelUsed
from lookout.events.rows import COLUMNS, event_of, model_text, region_text
from lookout.events.rules import Happened, Visit
from lookout.events.shots import Shot
from lookout.events.wall_clock import Reading
from lookout.settings.schema import AnswerSettings
from lookout.state.state import ModelState


@dataclass(slots=True, eq=False)
class Record:
    """row: by column of `events`. id: None until it is on disk. Touched only under the journal's lock, or before `put`.

    gone: it was deleted while it was in progress. sent: which news about it were published.
    """

    row: dict[str, Any]
    id: int | None = None
    shot: Shot | None = None
    curve: bytes | None = None
    embedding: bytes | None = None
    pictures: tuple[bytes, bytes] | None = None
    gone: bool = False
    sent: set[str] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        return bool(self.row["open"])

    def event(self) -> Event:
        """The event as it is now; its id is 0 until it is on disk."""
        row = {"sampled": 0, "kept": 0, "cut": 0, "note": "", "bytes": 0, "frames": 0, "why": "{}", **self.row}
        row["id"] = self.id or 0
        return event_of(tuple(row.get(name.strip('"')) for name in COLUMNS))


def model_used(model: ModelState) -> ModelUsed:
    return ModelUsed(model.name, model.version, model.precision)


def begun(visit: Visit, boot: str, reading: Reading) -> Record:
    """Return the record of an event that begins."""
    return Record(
        {
            "view": "main",
            "kind": "seen",
            "boot": boot,
            "mono_start": visit.started,
            "started": reading.wall(visit.started),
            "ended": reading.wall(visit.last),
            "open": 1,
            "clock_ok": int(reading.good),
            "label": visit.label,
            "model": model_text(model_used(visit.model)),
        }
    )


def standing(visit: Visit, record: Record) -> dict[str, Any]:
    """Return the columns that change while an event is in progress, as a stamp writes them."""
    return {
        "ended": record.row["started"] + max(0.0, visit.last - visit.started),
        "probability": round(visit.probability, 4),
        "mean": round(visit.mean, 4),
        "frames": visit.frames,
    }


def why_text(visit: Visit, answer: AnswerSettings, shot: Shot | None) -> str:
    """Return the settings in force and the gaps, as JSON."""
    threshold = visit.model.thresholds.get(visit.label)
    why: dict[str, Any] = {"window_s": answer.window_s, "hold_s": answer.hold_s}
    if threshold is not None:
        why |= {"enter": threshold.enter, "leave": threshold.leave}
    if visit.gaps:
        why["gaps"] = [list(gap) for gap in visit.gaps[:20]]
    if shot is not None and shot.focus is not None:
        why["focus"] = shot.focus
    return json.dumps(why)


def doubt_about(visit: Visit) -> Doubt | None:
    """Return "unsure" if the mean probability over the event is below the threshold for beginning one."""
    threshold = visit.model.thresholds.get(visit.label)
    return "unsure" if threshold is not None and visit.mean < threshold.enter else None


def happened(what: Happened, boot: str, reading: Reading) -> Record:
    """Return the record of something that happened to the camera or the model; it has no duration."""
    at = reading.wall(what.at)
    row = {"view": "main", "kind": what.kind, "boot": boot, "mono_start": what.at, "started": at, "ended": at}
    return Record({**row, "open": 0, "clock_ok": int(reading.good), "why": json.dumps(what.why)})


def moment(
    kind: str, at: float, model: ModelState, label: str | None, probability: float | None, boot: str, reading: Reading
) -> Record:
    """Return the record of a single frame: a quiet moment, or one that a person marks as missed."""
    wall = reading.wall(at)
    return Record(
        {
            "view": "main",
            "kind": kind,
            "boot": boot,
            "mono_start": at,
            "started": wall,
            "ended": wall,
            "open": 0,
            "clock_ok": int(reading.good),
            "label": label,
            "frames": 1,
            "model": model_text(model_used(model)),
            "probability": None if probability is None else round(probability, 4),
        }
    )


def region_of(shot: Shot) -> str | None:
    return region_text(shot.seen)
