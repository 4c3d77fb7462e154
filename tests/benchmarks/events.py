"""Events at 1,000 and 500,000 rows: our queries beside plain sqlite3 on the same file, and the prototype's figures."""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lookout.events import queries, retention, summary
from lookout.events.queries import Filter
from lookout.events.retention import Limits
from lookout.events.store import Store

from tests.benchmarks.common import machine
from tests.events.rows import MORNING, store_at

_LABELS = ("cat", "dog", "fox", "bird")
_SPACING_S = 15.55  # half a million in ninety days
_SQL = "SELECT * FROM events WHERE {} ORDER BY id DESC LIMIT 51"


def run(*, quick: bool) -> None:
    """Prints a table: medians in milliseconds."""
    rounds = 60 if quick else 200
    print(f"events: {machine()}; medians of {rounds}, ms\n")
    print(f"{'':34}{'rows':>9}{'query':>9}{'sqlite3':>9}{'ratio':>7}{'as events':>11}")
    for count in (1_000, 50_000 if quick else 500_000):
        with tempfile.TemporaryDirectory() as folder:
            store = store_at(Path(folder))
            _fill(store, count)
            _compare(store, count, rounds)
            store.close()


def _fill(store: Store, count: int) -> None:
    rng = random.Random(1)
    columns = (
        "kind",
        "boot",
        "mono_start",
        "started",
        "ended",
        "label",
        "right",
        "probability",
        "mean",
        "frames",
        "doubt",
    )
    names = ", ".join(f'"{name}"' for name in columns)
    sql = f"INSERT INTO events ({names}) VALUES ({', '.join('?' * len(columns))})"

    def rows(first: int) -> list[tuple[object, ...]]:
        made = []
        for number in range(first, min(first + 25_000, count)):
            at = MORNING + number * _SPACING_S
            label, right = rng.choice(_LABELS), rng.choice(_LABELS) if rng.random() < 0.01 else None
            doubt = "unsure" if rng.random() < 0.02 else None
            made.append(("seen", "b", at, at, at + 9.0, label, right, 0.9, 0.8, 90, doubt))
        return made

    for first in range(0, count, 25_000):
        store.database.write(lambda connection, first=first: connection.executemany(sql, rows(first)))
        store.database.checkpoint()


def _compare(store: Store, count: int, rounds: int) -> None:
    plain = sqlite3.connect(store.database.path)
    rng = random.Random(2)
    end = MORNING + count * _SPACING_S
    cases: list[tuple[str, Filter, bool, str]] = [
        ("newest 50", Filter(), False, "1"),
        ("a page anywhere", Filter(), True, "id < {before}"),
        ("one label", Filter(label="fox"), False, "called = 'fox'"),
        ("to review", Filter(review="todo"), False, '"right" IS NULL AND doubt IS NOT NULL'),
    ]
    for name, wanted, anywhere, where in cases:

        def before(anywhere: bool = anywhere) -> int | None:
            return rng.randint(count // 10, count) if anywhere else None

        def ours(wanted: Filter = wanted, before: Callable[[], int | None] = before) -> object:
            return store.database.read(lambda connection: _rows(connection, wanted, before()))

        def theirs(where: str = where, before: Callable[[], int | None] = before) -> object:
            return plain.execute(_SQL.format(where.format(before=before()))).fetchall()

        def whole(wanted: Filter = wanted, before: Callable[[], int | None] = before) -> object:
            return store.page(wanted, before())

        _print(name, count, _median(ours, rounds), _median(theirs, rounds), _median(whole, rounds))
    day = (end - 86_400.0, end)
    by_hour, values = summary.BY_HOUR, (day[0], *day)
    present = summary.Present("now", end)
    _print(
        "a day by hour",
        count,
        _median(lambda: store.database.read(lambda c: c.execute(by_hour, values).fetchall()), rounds),
        _median(lambda: plain.execute(by_hour, values).fetchall(), rounds),
        _median(lambda: store.database.read(lambda c: summary.summarise(c, *day, present)), rounds // 10),
    )
    all_by_label = "SELECT label, sum(n) FROM daily GROUP BY label"
    slow = "SELECT called, count(*) FROM events GROUP BY called"
    _print(
        "count of all by label",
        count,
        _median(lambda: store.database.read(lambda c: c.execute(all_by_label).fetchall()), rounds),
        _median(lambda: plain.execute(slow).fetchall(), max(3, rounds // 20)),
        None,
    )
    plain.close()
    few = Limits(days=None, max_count=count - 100, max_bytes=10**12, keep_per_label=20)
    began = time.perf_counter()
    ids = store.database.read(lambda c: retention.overdue(c, few, end))
    chosen = time.perf_counter()
    store.delete_now(ids)
    print(
        f"{f'delete the {len(ids)} oldest':34}{count:>9,}{(time.perf_counter() - chosen) * 1e3:>9.2f}"
        f"   (chosen in {(chosen - began) * 1e3:.2f} ms)"
    )
    print(f"{'size of the file':34}{count:>9,}{store.database.path.stat().st_size / 1e6:>9.1f} MB\n")


def _rows(connection: sqlite3.Connection, wanted: Filter, before: int | None) -> object:
    """The query of `queries.page` without its events."""
    where, values = wanted.where()
    if before is not None:
        where, values = f"id < ? AND {where}", [before, *values]
    sql = f"SELECT {queries.SELECTED} FROM events WHERE {where} ORDER BY id DESC LIMIT ?"
    return connection.execute(sql, [*values, 51]).fetchall()


def _median(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(max(3, rounds)):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def _print(name: str, count: int, ours: float, theirs: float, whole: float | None) -> None:
    more = "" if whole is None else f"{whole:>11.2f}"
    print(f"{name:34}{count:>9,}{ours:>9.3f}{theirs:>9.3f}{ours / theirs:>7.2f}{more}")
