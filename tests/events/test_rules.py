"""When an event begins and ends, and what is reported of it: by a clock of the test's, from states to rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lookout.events.curve import MAX_BYTES, unpack
from lookout.events.store import Store
from lookout.state.state import CameraState
from lookout.system.reading import SystemReading

from tests.events.rows import store_at
from tests.events.scenes import CAT, DOG, NOBODY, OFFSET, Scene, kinds

MakeScene = Callable[..., Scene]


@pytest.fixture
def scene(store: Store) -> MakeScene:
    return lambda settings=None, **more: Scene(store, settings, **more)


def test_a_visit_is_one_event_with_all_that_is_known_of_it(scene: MakeScene) -> None:
    here = scene()
    with here.feed.subscribe() as news:
        here.show(NOBODY, 2)
        here.show(CAT, 10)
        assert here.visits()[0].ended is None, "it is in progress"
        here.show(NOBODY, 7)
        here.flush()
        assert [(one.what, one.event.label, one.event.id) for one in news.take()] == [
            ("begun", "cat", 1),
            ("ended", "cat", 1),
        ]
    (event,) = here.events()
    assert event.started == pytest.approx(1002.1 + OFFSET, abs=0.01)
    assert event.ended == pytest.approx(1012.0 + OFFSET, abs=0.01)
    assert (event.label, event.probability, event.frames) == ("cat", 0.96, 100)
    assert event.why["enter"] == 0.8
    assert event.model is not None
    assert event.model.name == "pets"
    assert (event.picture, event.cut, event.clock_ok) == (True, False, True)
    packed = here.store.curve(event.id)
    assert packed is not None
    curve = unpack(packed)
    assert (curve.labels[0], len(curve.times_s)) == ("cat", 100)


def test_two_of_one_label_close_together_are_one(scene: MakeScene) -> None:
    here = scene()
    for gap in (4.0, 6.0):
        here.show(CAT, 3)
        here.show(NOBODY, gap)
    here.show(CAT, 3)
    here.end()
    assert [round(event.ended - event.started, 1) for event in here.visits() if event.ended] == [9.9, 2.9]


def test_a_dog_between_two_visits_of_a_cat_is_an_event_beside_it(scene: MakeScene) -> None:
    here = scene()
    here.show(CAT, 3)
    here.show(DOG, 2)
    here.show(CAT, 3)
    here.end()
    assert [(event.label, event.frames) for event in here.visits()] == [("cat", 60), ("dog", 20)]


def test_what_is_shorter_than_min_s_is_not_an_event(scene: MakeScene) -> None:
    here = scene({"min_s": 1.0})
    here.show(CAT, 0.8)
    here.show(NOBODY, 8)
    here.show(CAT, 1.5)
    here.show(NOBODY, 8)
    assert len(here.visits()) == 1
    assert here.recorder._shots == {}, "nor does its picture stay in memory"


def test_a_camera_that_is_lost_and_back_marks_the_gap(scene: MakeScene) -> None:
    """frigate#4510: events stayed in progress for ever when the camera died in one."""
    here = scene()
    here.show(CAT, 3)
    here.silence(3.5)
    here.show(CAT, 3)
    here.end()
    (event,) = here.visits()
    assert [round(side, 1) for side in event.why["gaps"][0]] == [2.9, 6.5]
    assert list(kinds(here.events())) == ["seen"], "a short gap is not a loss of the camera"


def test_a_camera_that_stays_away_ends_the_event_and_is_one_itself(scene: MakeScene) -> None:
    here = scene()
    here.show(CAT, 3)
    last = here.now
    here.publish(camera=CameraState("absent", "demo", here.now))
    here.silence(20)
    assert list(kinds(here.events())) == ["seen", "camera_lost"]
    assert here.events()[0].ended == pytest.approx(last + OFFSET)
    assert here.events()[1].started == pytest.approx(last + OFFSET)
    here.publish(camera=CameraState("streaming", "demo", here.now))
    here.show(NOBODY, 2)
    assert list(kinds(here.events())) == ["seen", "camera_lost", "camera_back"]


def test_a_pause_ends_what_is_under_way_and_records_nothing(scene: MakeScene) -> None:
    here = scene()
    here.show(CAT, 3)
    here.pause(True)
    here.silence(60)
    here.pause(False)
    here.show(NOBODY, 1)
    assert list(kinds(here.events())) == ["seen", "paused", "resumed"]
    assert here.events()[0].ended is not None


def test_another_model_is_an_event_and_ends_those_of_the_one_before(scene: MakeScene, tmp_path: Path) -> None:
    here = scene()
    here.show(CAT, 3)
    assert list(kinds(here.events())) == ["seen"], "the first model ever is not a change"
    here.use_model("birds")
    here.show(CAT, 3)
    here.end()
    assert list(kinds(here.events())) == ["seen", "model_changed", "seen"]
    assert here.events(kind="model_changed")[0].why["name"] == "birds"
    again = Scene(store_at(tmp_path))
    again.show(NOBODY, 1)
    assert len(again.events(kind="model_changed")) == 2, "it was changed while the service did not run"
    again.store.close()


def test_an_event_is_stamped_and_closed_there_after_a_power_cut(scene: MakeScene, tmp_path: Path) -> None:
    here = scene()
    here.show(CAT, 70)
    here.flush()
    here.store.close()  # and nothing else is recorded: the power is gone
    after = Scene(store_at(tmp_path), boot="boot-2")
    after.show(NOBODY, 1)
    (event,) = after.visits()
    assert event.cut
    assert event.ended is not None
    assert 30 <= event.ended - event.started <= 70
    after.store.close()


def test_the_first_synchronisation_moves_what_this_boot_wrote_once(scene: MakeScene, tmp_path: Path) -> None:
    here = scene()
    here.hub.set_system(SystemReading(clock_synchronised=False))
    here.show(CAT, 2)
    here.show(NOBODY, 8)
    here.flush()
    here.store.close()
    # The machine starts again, a year behind, until a time server answers.
    late = Scene(store_at(tmp_path), boot="boot-2")
    late.offset = OFFSET - 365 * 86_400
    late.hub.set_system(SystemReading(clock_synchronised=False))
    late.recorder.turn()
    late.show(CAT, 2)
    late.show(NOBODY, 8)
    late.show(DOG, 3)
    wrong = late.visits()
    assert [event.clock_ok for event in wrong] == [False, False, False]
    assert wrong[1].started < wrong[0].started
    late.offset = OFFSET + 3600
    late.hub.set_system(SystemReading(clock_synchronised=True))
    late.show(DOG, 2)
    late.show(NOBODY, 8)
    right = late.visits()
    assert [event.id for event in right] == [1, 2, 3]
    assert right[0] == wrong[0], "how wrong the clock was before the restart is not known"
    assert [event.clock_ok for event in right] == [False, True, True]
    assert right[1].started == pytest.approx(1000.1 + OFFSET + 3600)
    assert right[0].started < right[1].started < right[2].started
    assert right[2].ended == pytest.approx(right[2].started + 4.9, abs=0.05)
    late.offset += 60
    for synchronised in (False, True):
        late.hub.set_system(SystemReading(clock_synchronised=synchronised))
        late.show(NOBODY, 1)
    assert late.recorder.journal.flush()
    assert late.visits() == right, "once"
    late.store.close()


def test_a_clock_set_back_by_a_year_changes_neither_lengths_nor_order(scene: MakeScene) -> None:
    here = scene()
    here.show(CAT, 2)
    here.offset -= 365 * 86_400
    here.show(CAT, 2)
    here.show(NOBODY, 8)
    here.show(DOG, 2)
    here.end()
    cat, dog = here.visits()
    assert cat.ended is not None
    assert cat.ended - cat.started == pytest.approx(3.9)
    assert dog.started < cat.started, "what the clock said then"
    assert dog.id > cat.id, "and the order in which it was"


def test_the_same_film_twice_gives_the_same_events(tmp_path: Path) -> None:
    sure, less_sure, unsure = (0.9, 0.05, 0.05), (0.86, 0.1, 0.04), (0.7, 0.2, 0.1)
    film = [(NOBODY, 3), (sure, 1), (CAT, 2), (less_sure, 2), (unsure, 1), (DOG, 2), (NOBODY, 6), (CAT, 3)]
    shown: list[list[object]] = []
    for turn_every in (1, 17):  # frames: the recorder's thread may be late
        store = store_at(tmp_path / str(turn_every))
        scene = Scene(store)
        for probabilities, seconds in film:
            scene.show(probabilities, seconds, turn_every=turn_every)
        scene.end()
        events = scene.events()
        shown.append([(event, store.curve(event.id), store.picture(event.id, "jpg")) for event in events])
        store.close()
    assert shown[0] == shown[1]
    assert len(shown[0]) == 3


@pytest.mark.parametrize(
    ("settings", "pictures"),
    [
        ({}, [True, True]),
        ({"pictures": "none"}, [False, False]),
        ({"labels": ["dog"]}, [False, True]),
        ({"quiet": "00:00-23:59"}, [False, False]),
    ],
)
def test_pictures_are_kept_only_as_the_settings_say(
    scene: MakeScene, settings: dict[str, Any], pictures: list[bool]
) -> None:
    """frigate#5314, #9757: no pictures while we are home."""
    here = scene(settings)
    here.show(CAT, 2)
    here.show(DOG, 2)
    here.end()
    assert [event.picture for event in here.visits()] == pictures
    assert len(list(here.store.folder.glob("*/*.jpg"))) == sum(pictures)


def test_switched_off_nothing_is_recorded_and_no_file_is_made(scene: MakeScene) -> None:
    here = scene({"enabled": False})
    here.show(CAT, 5)
    here.pause(True)
    here.end()
    assert not here.store.folder.exists()


def test_a_long_curve_fits_into_its_bytes(scene: MakeScene) -> None:
    here = scene({"merge_s": 20.0})
    for _ in range(10):
        here.show(CAT, 14, turn_every=40)
        here.show((0.3, 0.3, 0.4), 1)
    here.end()
    (event,) = here.visits()
    packed = here.store.curve(event.id)
    assert packed is not None
    assert len(packed) <= MAX_BYTES
    curve = unpack(packed)
    assert len(curve.times_s) > 100
    assert list(curve.times_s) == sorted(curve.times_s)


def test_what_was_less_sure_than_a_beginning_asks_a_person(scene: MakeScene) -> None:
    here = scene()
    for _ in range(4):
        here.show(CAT, 5)
        here.show(NOBODY, 8)
    here.show(CAT, 0.5)
    here.show((0.65, 0.3, 0.05), 10)
    here.end()
    assert [event.doubt for event in here.visits()] == ["new", "new", "new", None, "unsure"]


def test_an_event_deleted_in_progress_stays_deleted(scene: MakeScene) -> None:
    here = scene()
    here.show(CAT, 2)
    here.flush()
    here.store.delete_now([1])
    here.show(CAT, 2)
    here.show(NOBODY, 8)
    assert here.visits() == []
    assert list(here.store.folder.glob("*/*.jpg")) == []


def test_switched_off_the_recorder_turns_once_a_second(scene: MakeScene) -> None:
    recorder = scene({"enabled": False}).recorder
    turns: list[float] = []
    recorder.turn = lambda: turns.append(time.monotonic())  # type: ignore[method-assign]
    recorder.watcher.arrived.clear()
    recorder.start()
    time.sleep(0.8)
    before_the_stop = len(turns)
    recorder.stop()
    assert before_the_stop == 0
