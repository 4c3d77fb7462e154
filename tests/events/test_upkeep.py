"""What goes when, what is drawn, and what is put right when rows and pictures have lost each other."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pytest
from lookout.events import retention, sampling
from lookout.events.caretaker import Caretaker
from lookout.events.queries import Filter
from lookout.events.retention import ROW_BYTES, Limits
from lookout.events.sampling import wilson
from lookout.events.store import Store
from lookout.events.sweep import sweep

from tests.events.rows import DAY_S, MORNING, add, pictures_in, row, store_at
from tests.events.scenes import CAT, Scene

_PLENTY = Limits(days=90, max_count=10**6, max_bytes=10**9, keep_per_label=0)


def _retain(store: Store, now: float = MORNING, **limits: int) -> list[int]:
    """Delete until nothing is overdue; returns what is left, the oldest first."""
    chosen = Limits(**{**{name: getattr(_PLENTY, name) for name in _PLENTY.__slots__}, **limits})
    for _ in range(100):
        ids = store.database.read(lambda connection: retention.overdue(connection, chosen, now))
        if not ids:
            break
        store.delete_now(ids)
    return [event.id for event in store.page(Filter(), None, 1000)[0]][::-1]


def test_the_oldest_go_by_number_and_kept_ones_never(store: Store) -> None:
    add(store, row(kept=1), *(row(MORNING + number) for number in range(9)), pictures=True)
    assert _retain(store, max_count=4) == [1, 8, 9, 10]
    assert len(pictures_in(store)) == 8, "their pictures go with them"


def test_the_last_of_a_label_are_the_last_to_go(store: Store) -> None:
    add(store, row(label="fox"), *(row(MORNING + number) for number in range(9)))
    assert _retain(store, max_count=4, keep_per_label=2) == [1, 8, 9, 10]
    assert _retain(store, max_count=1, keep_per_label=2) == [10], "but they do go"


def test_space_counts_pictures_and_rows(store: Store) -> None:
    add(store, *(row(MORNING + number, bytes=40_000) for number in range(10)))
    assert _retain(store, max_bytes=3 * (40_000 + ROW_BYTES)) == [8, 9, 10]


def test_age_is_a_promise_that_holds_for_the_last_of_a_label_too(store: Store) -> None:
    add(store, row(MORNING - 91 * DAY_S), row(MORNING - 91 * DAY_S, kept=1), row(MORNING - 89 * DAY_S))
    assert _retain(store, days=90, keep_per_label=20) == [2, 3]


def test_without_a_clock_nothing_goes_by_its_age(store: Store) -> None:
    add(store, row(MORNING - 91 * DAY_S))
    limits = Limits(days=None, max_count=10, max_bytes=10**9, keep_per_label=0)
    assert store.database.read(lambda connection: retention.overdue(connection, limits, MORNING)) == []


@pytest.mark.parametrize("restarted", [False, True])
def test_after_a_clock_jumps_a_year_ahead_nothing_goes_by_its_age_for_a_day(store: Store, restarted: bool) -> None:
    """A wrong date would empty the diary for good."""
    scene = Scene(store)
    caretaker = Caretaker(store, scene.recorder, lambda: scene.settings, clock=lambda: scene.now)
    scene.show(CAT, 2)
    scene.end()
    assert caretaker.retain() == 0
    if restarted:
        scene = Scene(store)
        scene.publish(instance="run-2")
        caretaker = Caretaker(store, scene.recorder, lambda: scene.settings, clock=lambda: scene.now)
    scene.offset += 365 * DAY_S
    scene.recorder.turn()
    assert caretaker.retain() == 0
    scene.now += DAY_S + 1
    scene.recorder.turn()
    assert caretaker.retain() == 1


def test_a_day_is_drawn_from_once_it_is_over_and_each_has_the_same_chance(tmp_path: Path) -> None:
    begin, _ = sampling.bounds(date(2026, 5, 1))
    drawn = [0] * 20
    store = store_at(tmp_path)
    add(store, *(row(begin + 600 * number) for number in range(19)), row(begin + 100, kind="quiet", label="neither"))
    for seed in range(60):

        def work(connection: object, seed: int = seed) -> list[int]:
            connection.execute("UPDATE events SET sampled = 0, doubt = NULL")  # type: ignore[attr-defined]
            connection.execute("DELETE FROM notes")  # type: ignore[attr-defined]
            connection.execute("SAVEPOINT once")  # type: ignore[attr-defined]
            sampling.draw(connection, begin + DAY_S + 60, 5, random.Random(seed))  # type: ignore[arg-type]
            rows = connection.execute("SELECT id FROM events WHERE sampled = 1").fetchall()  # type: ignore[attr-defined]
            connection.execute("ROLLBACK TO once")  # type: ignore[attr-defined]
            return [number for (number,) in rows]

        ids = store.database.write(work)
        assert len(ids) == 5
        for number in ids:
            drawn[number - 1] += 1
    assert all(3 <= count <= 30 for count in drawn), drawn
    store.close()


def test_quiet_moments_that_were_not_drawn_go_and_a_day_is_drawn_once(store: Store) -> None:
    begin, _ = sampling.bounds(date(2026, 5, 1))
    add(store, *(row(begin + 3600 * hour, kind="quiet", label="neither") for hour in range(20)), pictures=True)
    assert store.page(Filter())[0] == [], "until then nothing shows them"
    now = begin + DAY_S + 60
    dropped = store.database.write(lambda connection: sampling.draw(connection, now, 3, random.Random(1)))
    store.remove_pictures(dropped)
    assert len(store.page(Filter(review="sampled"))[0]) == 3
    assert len(pictures_in(store)) == 6
    assert not store.database.read(lambda connection: sampling.due(connection, now + 3600))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, covered = random.Random(7), 0
    for _ in range(2000):
        right = sum(rng.random() < 0.94 for _ in range(50))
        interval = wilson(right, 50)
        assert interval is not None
        covered += interval[0] <= 0.94 <= interval[1]
    assert covered >= 0.93 * 2000
    assert wilson(47, 50) == pytest.approx((0.838, 0.979), abs=0.001)
    assert wilson(0, 0) is None


def test_rows_and_pictures_that_lost_each_other_are_put_right(store: Store) -> None:
    whole, bare, trashed = add(store, row(), row(), row(), pictures=True)
    (store.folder / "2026-05" / f"{bare}.jpg").unlink()
    for name in ("99.jpg", "99.webp", f".{whole}.jpg.999999999.new"):
        (store.folder / "2026-05" / name).write_bytes(b"x")
    (store.folder / "2026-04").mkdir()
    (store.folder / "2026-04" / f"{whole}.jpg").write_bytes(b"of another month")
    store.delete([trashed])
    swept = sweep(store, 90)
    assert (swept.files, swept.rows) == (4, 1)
    assert pictures_in(store) == {f"{n}.{end}" for n in (whole, trashed) for end in ("jpg", "webp")}
    assert not store.get(bare).picture
    assert not (store.folder / "2026-04").exists()
    store.undo()
    assert store.picture(trashed, "jpg")
    assert sweep(store, 90) == type(swept)(0, 0)
