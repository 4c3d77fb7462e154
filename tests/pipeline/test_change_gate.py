"""The change gate on made sequences: still scenes rest, every change of note is looked at with the next picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from lookout.geometry import WHOLE, Rect
from lookout.pipeline.change_gate import SETTLE_S, SIDE, ChangeGate, reduced
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
HEIGHT, WIDTH = 240, 320
RATE, KEEP_ALIVE = 10.0, 1.0


def _room() -> NDArray[np.float64]:
    """A wall with light falling on it and some furniture, in grey levels."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    room = 90.0 + 50.0 * columns / WIDTH + 20.0 * np.sin(rows / 17.0)
    room[140:, 60:130] = 60.0
    return np.repeat(room[:, :, None], 3, axis=2)


class Scene:
    """Pictures of the room with sensor noise; something may be put into it."""

    def __init__(self, noise: float = 3.0, seed: int = 1) -> None:
        self._noise, self._random = noise, np.random.default_rng(seed)
        self.room = _room()

    def picture(self) -> Pixels:
        noisy = self.room + self._random.normal(0.0, self._noise, self.room.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)

    def put(self, x: int, y: int, width: int, height: int, brighter: float) -> None:
        self.room[y : y + height, x : x + width] += brighter


def _play(gate: ChangeGate, pictures: Iterator[Pixels] | list[Pixels], since: float) -> list[bool]:
    """Ten pictures a second; for each whether it was looked at."""
    return [
        not gate.rests(picture, WHOLE, since + number / RATE, KEEP_ALIVE) for number, picture in enumerate(pictures)
    ]


@pytest.fixture
def gate() -> ChangeGate:
    return ChangeGate()


def _at_rest(gate: ChangeGate, scene: Scene) -> float:
    """Let it come to rest; the moment after."""
    _play(gate, [scene.picture() for _ in range(100)], 0.0)
    assert gate.resting
    return 10.0


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0, 8.0, 15.0])
def test_a_still_scene_is_classified_only_at_the_keep_alive_rate(gate: ChangeGate, noise: float) -> None:
    scene = Scene(noise)
    since = _at_rest(gate, scene)
    looked = _play(gate, [scene.picture() for _ in range(100)], since)
    assert 9 <= sum(looked) <= 12


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
@pytest.mark.parametrize(("side", "brighter"), [(27, 30.0), (27, -30.0), (60, 12.0), (120, 8.0)])
def test_what_enters_is_looked_at_with_the_very_next_picture(
    gate: ChangeGate, noise: float, side: int, brighter: float
) -> None:
    scene = Scene(noise)
    since = _at_rest(gate, scene)
    scene.put(180, 60, side, side, brighter)
    assert _play(gate, [scene.picture()], since) == [True]
    assert not gate.resting


def test_a_mere_change_of_colour_is_a_change(gate: ChangeGate) -> None:
    scene = Scene()
    since = _at_rest(gate, scene)
    scene.room[60:100, 180:220, 0] += 40.0
    scene.room[60:100, 180:220, 2] -= 40.0
    assert _play(gate, [scene.picture()], since) == [True]


def test_after_a_change_every_picture_is_looked_at_until_the_answer_has_followed(gate: ChangeGate) -> None:
    scene = Scene()
    since = _at_rest(gate, scene)
    scene.put(180, 60, 60, 60, 40.0)
    looked = _play(gate, [scene.picture() for _ in range(60)], since)
    assert all(looked[: int(SETTLE_S * RATE)])
    assert sum(looked[-30:]) <= 4


def test_noise_that_a_video_holds_from_key_frame_to_key_frame_is_not_a_change(gate: ChangeGate) -> None:
    scene = Scene()
    held = [picture for picture in (scene.picture() for _ in range(20)) for _ in range(12)]
    looked = _play(gate, held, 0.0)
    assert sum(looked[100:]) <= 16


def test_light_that_comes_and_goes_is_not_a_change_and_what_enters_meanwhile_is_one(gate: ChangeGate) -> None:
    scene, room = Scene(), _room()

    def clouds(since: int) -> Iterator[Pixels]:
        for number in range(since, since + 150):
            scene.room = room * (0.9 + 0.1 * np.cos(number / 40.0))
            yield scene.picture()

    looked = _play(gate, clouds(0), 0.0)
    assert sum(looked[50:]) <= 12
    room[60:87, 180:207] += 30.0
    assert _play(gate, clouds(150), 15.0)[0]


def test_a_lamp_that_is_switched_on_is_a_change(gate: ChangeGate) -> None:
    scene = Scene()
    since = _at_rest(gate, scene)
    scene.room = _room() * 1.6
    assert _play(gate, [scene.picture()], since) == [True]


def test_the_dark_is_still(gate: ChangeGate) -> None:
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert sum(_play(gate, [black] * 100, 0.0)[50:]) <= 6


def test_what_keeps_moving_is_looked_at_all_the_time(gate: ChangeGate) -> None:
    scene = Scene()
    since = _at_rest(gate, scene)

    def moving() -> Iterator[Pixels]:
        for number in range(100):
            scene.room = _room()
            scene.put(10 + 2 * number, 60, 40, 40, 40.0)
            yield scene.picture()

    assert all(_play(gate, moving(), since))


def test_the_whole_picture_moving_is_not_taken_for_noise(gate: ChangeGate) -> None:
    scene = Scene()
    since = _at_rest(gate, scene)
    random = np.random.default_rng(2)

    def shaking() -> Iterator[Pixels]:
        for _ in range(300):
            scene.room = np.roll(_room(), tuple(random.integers(-25, 26, 2)), (0, 1))
            yield scene.picture()

    assert np.mean(_play(gate, shaking(), since)) > 0.95


def test_a_slow_change_adds_up(gate: ChangeGate) -> None:
    """Something that fades in over 30 s is not a change from one picture to the next."""
    scene = Scene()
    since = _at_rest(gate, scene)

    def fading() -> Iterator[Pixels]:
        for _ in range(300):
            scene.put(180, 60, 60, 60, 0.2)
            yield scene.picture()

    looked = _play(gate, fading(), since)
    assert sum(looked) > 100


def test_a_night_full_of_noise_is_never_called_unchanged(gate: ChangeGate) -> None:
    scene = Scene(noise=45.0)
    assert np.mean(_play(gate, [scene.picture() for _ in range(100)], 0.0)) > 0.9


def test_only_the_part_that_the_network_sees_counts(gate: ChangeGate) -> None:
    scene, part = Scene(), Rect(0.0, 0.0, 0.5, 1.0)
    for number in range(60):
        gate.rests(scene.picture(), part, number / RATE, KEEP_ALIVE)
    assert gate.resting
    scene.put(200, 60, 60, 60, 60.0)
    gate.rests(scene.picture(), part, 6.0, KEEP_ALIVE)
    assert gate.resting
    scene.put(20, 60, 40, 40, 60.0)
    assert not gate.rests(scene.picture(), part, 6.1, KEEP_ALIVE)
    assert not gate.resting


def test_after_a_reset_nothing_is_taken_for_known(gate: ChangeGate) -> None:
    scene = Scene()
    since = _at_rest(gate, scene)
    gate.reset()
    assert _play(gate, [scene.picture()], since) == [True]


@pytest.mark.parametrize("shape", [(1, 1), (24, 24), (37, 91), (480, 640), (3040, 4056)])
def test_any_size_is_reduced(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 77, np.uint8)
    assert reduced(picture, WHOLE).shape == (SIDE, SIDE, 3)
    assert np.allclose(reduced(picture, Rect(0.99, 0.99, 0.01, 0.01)), 77.0)
