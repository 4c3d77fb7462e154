"""Which square is looked at and what decides, on films of a drawn room with a stand-in for the network."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from lookout.focus.focus import IDLE_S, Conclusion, Focus
from lookout.focus.tiles import covered, overlap, scan_tiles, square_around
from lookout.geometry import WHOLE, Rect

from tests.benchmarks import films
from tests.benchmarks.films import Film
from tests.focus.rooms import FPS, film, place_of, room, seen_by_a_network, visit

REJECT = (False, False, True)
NOBODY = (0.0, 0.01, 0.99)


@dataclass(frozen=True)
class Shown:
    at: float
    square: Rect | None  # that was looked at besides the whole
    said: Conclusion


def played(shown_film: Film, focus: Focus | None = None) -> list[Shown]:
    """The film through a focus; the whole picture shows the network nobody, as with small animals."""
    focus = focus or Focus(REJECT)
    shown = []
    for at, picture in shown_film.frames():
        square = focus.look(picture, NOBODY, at)
        close = seen_by_a_network(shown_film, at, square) if square is not None else None
        shown.append(Shown(at, square, focus.conclude(close, at)))
    return shown


def is_cat(one: Shown) -> bool:
    return one.said.probabilities[0] > 0.9


def test_who_comes_in_is_named_within_a_second_and_no_longer_than_they_stay() -> None:
    one = visit(12, 24, size=0.25, x=0.85)
    shown = played(film(30, one))
    there = [each for each in shown if one.sits(each.at)]
    assert sum(map(is_cat, there)) > 0.9 * len(there)
    assert not any(is_cat(each) for each in shown if each.at < 12 or each.at > 24 + 2)
    for each in there:
        place = place_of(one, each.at)
        if is_cat(each) and place is not None:
            assert each.said.square is not None
            assert each.said.why == "changed"
            assert overlap(each.said.square, place) > 0.15


def test_who_sleeps_there_when_it_starts_is_found_by_the_scan_and_does_not_dissolve() -> None:
    one = visit(0, 100, size=0.3, x=0.2, still=True)
    shown = played(film(90, one))
    found = next(each.at for each in shown if is_cat(each) and each.said.why == "found")
    assert found < 15
    assert all(is_cat(each) for each in shown if each.at > found)
    assert shown[-1].said.why == "found"


@pytest.mark.parametrize(
    ("mirror", "largest", "is_found"),
    [
        (False, 0.5, False),
        (True, 0.5, False),
        (False, 0.9, True),
        (True, 0.9, True),
    ],
)
def test_what_passes_for_a_pet_at_one_size_is_not_held(mirror: bool, largest: float, is_found: bool) -> None:
    """A coat on a wardrobe: a dog as a tile shows it and a little wider, a coat with the wardrobe around it."""
    coat, focus, held = Rect(0.7, 0.1, 0.1, 0.2), Focus(REJECT, mirror=mirror), False
    for at, picture in film(40).frames():
        square = focus.look(picture, NOBODY, at)
        passes = square is not None and covered(coat, square) > 0.99 and square.height < largest
        close = ((0.98, 0.01, 0.01) if passes else NOBODY) if square is not None else None
        held = held or focus.conclude(close, at).why == "found"
    assert held == is_found


@pytest.mark.parametrize("pace", [1, 10])
def test_a_find_must_stay_one_in_the_mirror(pace: int) -> None:
    """Otherwise what is lopsided, as a coat is, would pass; also with a picture every other second."""
    coat, focus = Rect(0.7, 0.1, 0.1, 0.2), Focus(REJECT, mirror=True)
    for number, (_, picture) in enumerate(film(40).frames()):
        at = number * pace / FPS
        square = focus.look(picture, NOBODY, at)
        wrongly = focus.mirrored if pace > 1 else not focus.mirrored
        passes = square is not None and covered(coat, square) > 0.99 and (wrongly or square.height < 0.55)
        close = ((0.98, 0.01, 0.01) if passes else NOBODY) if square is not None else None
        assert focus.conclude(close, at).why != "found"


def test_where_a_sleeper_lay_is_a_change_and_the_scan_rests_while_one_is_seen() -> None:
    """The hole that it leaves differs for a minute. `searching` asks for pictures although nothing changes."""
    sleeper, focus, searching = visit(0, 30, size=0.3, x=0.2, still=True), Focus(REJECT), []
    shown = []
    for at, picture in film(40, sleeper).frames():
        square = focus.look(picture, NOBODY, at)
        close = seen_by_a_network(film(40, sleeper), at, square) if square is not None else None
        shown.append(Shown(at, square, focus.conclude(close, at)))
        searching.append(focus.searching)
    found = next(each.at for each in shown if each.said.why == "found")
    assert searching[0]
    assert not any(asked for asked, each in zip(searching, shown, strict=True) if found + 1 < each.at < 29)
    hole = [each for each in shown if each.at > 33]
    assert any(each.said.square is not None for each in hole)
    assert not any(each.said.why == "found" for each in hole)


def test_who_came_in_and_fell_asleep_does_not_dissolve() -> None:
    one = visit(10, 130, size=0.3)
    shown = played(film(120, one))
    asleep = [each for each in shown if 15 < each.at < 118]
    assert sum(map(is_cat, asleep)) > 0.98 * len(asleep)


def test_where_nothing_differs_any_more_nobody_is_whatever_the_network_makes_of_the_place() -> None:
    one, focus = visit(8, 16, size=0.3), Focus(REJECT)
    shown = []
    for at, picture in film(26, one).frames():
        square = focus.look(picture, NOBODY, at)
        close = (0.8, 0.1, 0.1) if square is not None and at > 10 else NOBODY if square is not None else None
        shown.append(Shown(at, square, focus.conclude(close, at)))
    assert any(each.said.probabilities[0] > 0.7 for each in shown if 11 < each.at < 15)
    assert not any(each.said.probabilities[0] > 0.7 for each in shown if each.at > 16 + 2)


def test_with_two_of_them_the_first_is_kept_until_it_leaves() -> None:
    first, second = visit(10, 30, size=0.25, x=0.2), visit(14, 40, size=0.45, x=0.8)
    shown = played(film(44, first, second))
    both = [each for each in shown if 17 < each.at < 28 and each.said.square is not None]
    assert len(both) > 10 * FPS
    assert {each.said.square.x + each.said.square.width / 2 < 0.5 for each in both if each.said.square} == {True}
    later = [each for each in shown if 33 < each.at < 38]
    assert sum(map(is_cat, later)) > 0.9 * len(later)


def test_who_comes_while_another_sleeps_is_named_and_then_the_sleeper_again() -> None:
    """Also where a thing in the room is taken for a pet: nobody was seen beside it as long as the service ran."""
    sleeper, comes = visit(0, 100, size=0.3, x=0.2, still=True), visit(30, 42, size=0.35, x=0.8)
    shown = played(film(60, sleeper, comes))
    beside = [each for each in shown if comes.sits(each.at) and each.at > 32 and each.said.square]
    right = [each for each in beside if each.said.square and each.said.square.x + each.said.square.width / 2 > 0.5]
    assert len(right) > 0.9 * len(beside) > 5 * FPS
    assert all(is_cat(each) for each in shown if 20 < each.at < 41)
    after = [each for each in shown if each.at > 43]
    assert all(is_cat(each) and each.said.why == "found" for each in after)
    assert all(each.said.square.x < 0.5 for each in after if each.said.square)


def test_who_is_looked_for_again_is_the_sleeper_and_not_a_coat_that_was_no_find() -> None:
    """The coat passes as a large tile and a little wider, and no further. What came of it is forgotten.

    The camera is knocked, so that the sleeper, who had come in, belongs to the new background.
    """
    sleeper, comes = visit(10, 100, size=0.3, x=0.2), visit(40, 52, size=0.35, x=0.6)
    coat, focus, looked_like_one = Rect(0.7, 0.1, 0.1, 0.2), Focus(REJECT), 0
    scene, shown = film(64, sleeper, comes, disturbances=[films.jolt(25, 0.05)]), []
    for at, picture in scene.frames():
        square = focus.look(picture, NOBODY, at)
        close = seen_by_a_network(scene, at, square) if square is not None else None
        if square is not None and covered(coat, square) > 0.99 and 0.48 < square.height < 0.75:
            close, looked_like_one = (0.01, 0.98, 0.01), looked_like_one + 1
        shown.append(Shown(at, square, focus.conclude(close, at)))
    assert looked_like_one > 1
    assert all(is_cat(each) for each in shown if 42 < each.at < 50)
    after = [each for each in shown if each.at > 54]
    assert all(is_cat(each) and each.said.why == "found" for each in after)


def test_what_only_the_mirror_image_shows_is_not_named_and_a_steady_scene_gets_a_steady_answer() -> None:
    """A network that takes a fox for a cat is often less certain of its mirror image."""
    one, focus = visit(8, 40, size=0.4), Focus(REJECT, mirror=True)
    shown, mirrored = [], []
    for at, picture in film(30, one, noise=0.0).frames():
        square = focus.look(picture, NOBODY, at)
        close = None
        if square is not None:
            mirrored += [focus.mirrored] if at > 14 else []
            close = (0.96, 0.02, 0.02) if focus.mirrored and at > 9 else (0.04, 0.02, 0.94)
        shown.append(Shown(at, square, focus.conclude(close, at)))
    assert len(mirrored) / 4 < sum(mirrored) <= len(mirrored) / 2
    assert {round(each.said.probabilities[0], 3) for each in shown if each.at > 14} == {0.5}


def test_a_model_of_which_mirror_images_differ_never_sees_one() -> None:
    focus = Focus(REJECT)
    for at, picture in film(16, visit(8, 16, size=0.4)).frames():
        close = NOBODY if focus.look(picture, NOBODY, at) is not None else None
        assert not focus.mirrored
        focus.conclude(close, at)


def test_an_old_look_does_not_count() -> None:
    focus, one = Focus(REJECT, mirror=True), visit(8, 20, size=0.3)
    shown = []
    for at, picture in film(18, one).frames():
        if at < 12 or at % 2 < 0.1:  # from then on one picture every other second
            square = focus.look(picture, NOBODY, at)
            close = (0.9, 0.05, 0.05) if square is not None and 9 < at <= 12 else NOBODY if square is not None else None
            shown.append(Shown(at, square, focus.conclude(close, at)))
    assert any(each.said.probabilities[0] > 0.85 for each in shown if each.at < 12)
    assert all(each.said.probabilities[0] < 0.1 for each in shown if each.at > 13)


def test_a_television_does_not_hide_who_sits_beside_it() -> None:
    one = visit(14, 26, size=0.3, x=0.2)
    screen = films.television(0.6, 0.2, 0.3, [room(seed) for seed in range(5, 9)])
    shown = played(film(28, one, disturbances=[screen]))
    there = [each for each in shown if one.sits(each.at)]
    assert sum(map(is_cat, there)) > 0.8 * len(there)


def test_of_an_unchanging_scene_the_whole_decides_and_the_scan_rests() -> None:
    shown = played(film(40, noise=2.0))
    assert all(each.said.square is None for each in shown)
    late = [each for each in shown if each.at > 30]
    assert sum(each.square is not None for each in late) <= 10 / IDLE_S + 1


def test_a_sure_whole_picture_needs_no_scan() -> None:
    focus = Focus(REJECT)
    sure = (0.98, 0.01, 0.01)
    for at, picture in film(5).frames():
        assert focus.look(picture, sure, at) is None
        assert focus.conclude(None, at).probabilities == sure


def test_never_more_than_one_square_a_frame_and_always_inside() -> None:
    one = visit(8, 18, size=0.5, x=0.95)
    for each in played(film(20, one)):
        if each.square is not None:
            assert each.square.x >= 0
            assert each.square.y >= 0
            assert each.square.x + each.square.width <= 1 + 1e-9
            assert each.square.y + each.square.height <= 1 + 1e-9


def test_the_tiles_cover_the_picture_with_halves_first() -> None:
    for width, height in ((640, 480), (480, 640), (1920, 1080), (97, 31)):
        tiles = scan_tiles(width, height)
        assert len(set(tiles)) == len(tiles)
        for x in range(20):
            for y in range(20):
                px, py = (x + 0.5) / 20, (y + 0.5) / 20
                assert any(t.x <= px <= t.x + t.width and t.y <= py <= t.y + t.height for t in tiles)


def test_a_square_fits_the_picture_and_is_square_in_pixels() -> None:
    square = square_around(Rect(0.9, 0.9, 0.1, 0.1), 640, 480, margin=1.2, smallest=64)
    assert abs(square.width * 640 - square.height * 480) < 1e-6
    assert square.width * 640 >= 64
    assert square.x + square.width <= 1 + 1e-9
    assert square_around(WHOLE, 640, 480, margin=1.2, smallest=64).height == 1.0
