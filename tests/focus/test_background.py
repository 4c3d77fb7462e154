"""What differs from the background, and what does not: light, noise, moved things, a camera that is knocked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from lookout.focus.background import Background, Part
from lookout.geometry import Rect

from tests.benchmarks import films
from tests.benchmarks.films import Disturbance, Film
from tests.focus.rooms import film, place_of, room, visit


def watched(
    watched_film: Film, protected: Sequence[Rect] = (), every: int = 1
) -> tuple[Background, list[tuple[float, tuple[Part, ...]]]]:
    """The parts that differ, frame by frame; every few frames are looked at."""
    background = Background()
    seen = [
        (at, background.changed(picture, at, protected))
        for n, (at, picture) in enumerate(watched_film.frames())
        if n % every == 0
    ]
    return background, seen


def empty(*disturbances: Disturbance, seconds: float = 20.0, noise: float = 3.0) -> Film:
    return film(seconds, disturbances=disturbances, noise=noise)


def busy_share(seen: Sequence[tuple[float, tuple[Part, ...]]], since: float, until: float = 1e9) -> float:
    """The share of frames in which something differs."""
    within = [bool(parts) for at, parts in seen if since <= at < until]
    return sum(within) / len(within)


def test_somebody_who_comes_in_is_framed_and_gone_when_they_leave() -> None:
    one = visit(5, 15)
    _, seen = watched(film(20, one))
    for at, parts in seen:
        if one.sits(at):
            box, place = parts[0].box, place_of(one, at)
            assert place is not None
            assert abs(box.x + box.width / 2 - place.x - place.width / 2) < 0.05
            assert 0.7 < box.height / place.height < 1.4
        elif not 5 <= at < 15.5:
            assert not parts, at


@pytest.mark.parametrize(
    ("name", "disturbance", "calm_from"),
    [
        ("only noise", (), 2),
        ("dusk", (films.dusk(3, 18, 0.3),), 2),
        ("automatic exposure that hunts", (films.exposure(5, 0.2),), 2),
        ("night vision, once it is learnt", (films.night_vision(6),), 10),
        ("a lamp, once it is learnt or made up for", (films.lamp(5, 100),), 12),
        ("a knock against the camera, once it is over", (films.jolt(6, 0.022),), 11),
    ],
)
def test_light_and_noise_are_nobody(name: str, disturbance: tuple[Disturbance, ...], calm_from: float) -> None:
    _, seen = watched(empty(*disturbance))
    assert busy_share(seen, calm_from) < 0.1, name


def test_a_noisy_night_is_nobody() -> None:
    _, seen = watched(empty(films.dusk(0, 0.1, 0.25), noise=9.0))
    assert busy_share(seen, 2) < 0.1


def test_what_moves_without_pause_is_ignored_after_a_while_and_somebody_elsewhere_is_not() -> None:
    one = visit(60, 70, x=0.75)
    _, seen = watched(film(72, one, disturbances=[films.leaves(0.05, 0.1, 0.35)]), every=3)
    assert busy_share(seen, 45, 59) < 0.3
    there = [parts[0].box for at, parts in seen if one.sits(at) and parts]
    assert len(there) > 10
    assert all(0.55 < box.x + box.width / 2 < 0.95 for box in there)


def test_a_moved_chair_becomes_part_of_the_room_and_a_protected_sleeper_does_not() -> None:
    chair = empty(films.moved_chair(4, 0.6, 0.45, 0.3), seconds=150)
    _, seen = watched(chair, every=3)
    assert busy_share(seen, 8, 20) > 0.9
    assert busy_share(seen, 140) == 0.0
    _, kept = watched(chair, protected=[Rect(0.5, 0.3, 0.5, 0.6)], every=3)
    assert busy_share(kept, 140) > 0.9


def test_a_camera_in_the_hand_has_no_background() -> None:
    background = Background()
    scene = room(3)
    for n in range(80):
        view = films.jolt(0, 0.02 * n % 0.3)(scene.astype("float32"), 5.0, None)  # type: ignore[arg-type]
        parts = background.changed(view.astype("uint8"), n * 0.2)
    assert background.moving or not parts


def test_another_size_starts_over() -> None:
    background = Background()
    picture = room()
    for n in range(10):
        background.changed(picture, n * 0.3)
    assert background.changed(picture[:, :100], 3.0) == ()
