"""The daily sample: events drawn at random once a day is over, whose review estimates how often the answers are right.

Drawing from the whole day gives each of its events the same chance. Drawing as events come would need to know how many
are still to come, and a sample of odd-looking events would say nothing about the rest.
"""

from __future__ import annotations

import math
import random
import sqlite3
import time
from dataclasses import dataclass
from datetime import date, timedelta

from lookout.events.tables import MAY_BE_DRAWN

# After a longer absence, only this many days are drawn from.
_MAX_DAYS = 40
_NOTE = "drawn_to"
_Z = 1.959964  # the normal distribution's quantile for a 95 % interval


def day_of(wall: float) -> date:
    """Return the date in the machine's time zone."""
    local = time.localtime(wall)
    return date(local.tm_year, local.tm_mon, local.tm_mday)


def bounds(day: date) -> tuple[float, float]:
    """Return the start and end, in Unix seconds, of a day in the machine's time zone: 23 to 25 hours."""
    return _midnight(day), _midnight(day + timedelta(days=1))


def _midnight(day: date) -> float:
    return time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))


def due(connection: sqlite3.Connection, now: float) -> bool:
    """Whether a day has ended that no sample was drawn from. now: Unix seconds."""
    return _drawn_to(connection) != day_of(now).isoformat()


def draw(connection: sqlite3.Connection, now: float, sample: int, rng: random.Random) -> list[tuple[int, str]]:
    """Draw from each day that is over. Return id and folder of the pictures of quiet moments that were not drawn.

    Quiet moments and visits are drawn with the same chance; quiet moments that are not drawn are deleted.
    """
    today = day_of(now)
    noted = _drawn_to(connection)
    first = today - timedelta(days=_MAX_DAYS)
    if noted is not None:
        first = max(first, min(today, date.fromisoformat(noted)))
    dropped: list[tuple[int, str]] = []
    for offset in range((today - first).days):
        begin, end = bounds(first + timedelta(days=offset))
        rows = connection.execute(
            "SELECT id FROM events WHERE started >= ? AND started < ? AND kind IN ('seen', 'quiet') AND open = 0",
            (begin, end),
        ).fetchall()
        for (number,) in rng.sample(rows, min(sample, len(rows))):
            connection.execute("UPDATE events SET sampled = 1, doubt = 'sampled' WHERE id = ?", (number,))
    quiet = connection.execute(
        f"SELECT id, folder FROM events WHERE {MAY_BE_DRAWN} AND kind = 'quiet' AND sampled = 0 AND started < ?",
        (_midnight(today),),
    ).fetchall()
    connection.executemany("DELETE FROM events WHERE id = ?", [(row[0],) for row in quiet])
    dropped += [(int(number), str(folder)) for number, folder in quiet if folder is not None]
    connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_NOTE, today.isoformat()))
    return dropped


def _drawn_to(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM notes WHERE key = ?", (_NOTE,)).fetchone()
    return None if row is None else str(row[0])


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Over the randomly drawn events that were reviewed. interval: the 95 % confidence interval of the share."""

    reviewed: int
    right: int
    interval: tuple[float, float] | None
    waiting: int
    by_label: dict[str, tuple[int, int]]


def accuracy(connection: sqlite3.Connection) -> Accuracy:
    """Return the accuracy over the random sample only: events reviewed because they looked odd are wrong more often."""
    by_label: dict[str, tuple[int, int]] = {}
    waiting = 0
    rows = connection.execute(
        'SELECT label, "right" IS NULL, "right" = label, count(*) FROM events WHERE (sampled = 1 OR kind = \'quiet\') '
        "AND sampled = 1 GROUP BY 1, 2, 3"
    )
    for label, unseen, good, n in rows:
        if unseen:
            waiting += n
            continue
        reviewed, right = by_label.get(label or "", (0, 0))
        by_label[label or ""] = (reviewed + n, right + (n if good else 0))
    reviewed = sum(one for one, _ in by_label.values())
    right = sum(one for _, one in by_label.values())
    return Accuracy(reviewed, right, wilson(right, reviewed), waiting, by_label)


def wilson(right: int, of: int) -> tuple[float, float] | None:
    """Return Wilson's 95 % score interval (1927), valid for small counts and shares near 0 or 1. None if `of` is 0."""
    if of == 0:
        return None
    share, spread = right / of, _Z * _Z / of
    centre = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, centre - half), min(1.0, centre + half)
