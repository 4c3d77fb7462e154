"""The scripted camera plays its steps in order and keeps deadlines."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from lookout.camera import create
from lookout.camera.interface import CameraOptions, EndOfSource
from lookout.camera.sources.scripted import Call, End, Fail, Hang, Repeat, ScriptedCamera, Show, Step, Wait
from lookout.deadline import Deadline
from lookout.errors import CameraBusy, CameraError, CameraSilent, CameraUnsupported

from tests.camera.cards import card, colour_of

FAST = CameraOptions(fps=0)


def opened(*steps: Step, options: CameraOptions = FAST) -> ScriptedCamera:
    camera = ScriptedCamera("test", options, steps)
    camera.open(Deadline.after(1))
    return camera


def test_frames_come_in_order_with_their_number_and_size() -> None:
    camera = opened(Show(card("red")), Show(card("green")), End())
    frames = [camera.read(Deadline.after(1)) for _ in range(2)]
    assert [colour_of(frame.pixels) for frame in frames] == ["red", "green"]
    assert [frame.sequence for frame in frames] == [0, 1]
    assert (camera.info.width, camera.info.height, camera.info.live) == (160, 120, True)
    with pytest.raises(EndOfSource):
        camera.read(Deadline.after(1))


def test_frames_keep_the_rate() -> None:
    camera = opened(Repeat([Show(card("red"))]), options=CameraOptions(fps=50))
    times = [camera.read(Deadline.after(1)).captured_at for _ in range(6)]
    assert times[-1] - times[0] == pytest.approx(0.1, abs=0.05)


def test_a_wait_outlasts_several_deadlines() -> None:
    camera = opened(Show(card("red")), Wait(0.25), Show(card("green")))
    camera.read(Deadline.after(1))
    begun = time.monotonic()
    for _ in range(2):
        with pytest.raises(CameraSilent):
            camera.read(Deadline.after(0.05))
    assert colour_of(camera.read(Deadline.after(1)).pixels) == "green"
    assert 0.2 < time.monotonic() - begun < 1.5


def test_errors_are_raised_where_they_stand() -> None:
    with pytest.raises(CameraBusy):
        opened(Fail(CameraBusy("Held.", "Free it.")))
    camera = opened(Show(card("red")), Fail(CameraBusy("Held.", "Free it.")), Show(card("green")))
    camera.read(Deadline.after(1))
    with pytest.raises(CameraBusy):
        camera.read(Deadline.after(1))
    assert colour_of(camera.read(Deadline.after(1)).pixels) == "green"


def test_repeats_nest_and_end() -> None:
    camera = opened(Repeat([Show(card("red")), Repeat([Show(card("blue"))], times=2)], times=2), End())
    colours = [colour_of(camera.read(Deadline.after(1)).pixels) for _ in range(6)]
    assert colours == ["red", "blue", "blue"] * 2
    with pytest.raises(EndOfSource):
        camera.read(Deadline.after(1))


def test_it_is_silent_after_the_last_step() -> None:
    camera = opened(Show(card("red")))
    camera.read(Deadline.after(1))
    with pytest.raises(CameraSilent):
        camera.read(Deadline.after(0.05))


def test_a_hang_ignores_the_deadline() -> None:
    camera = opened(Show(card("red")), Hang(0.3), Show(card("green")))
    camera.read(Deadline.after(1))
    begun = time.monotonic()
    camera.read(Deadline.after(0.01))
    assert time.monotonic() - begun >= 0.29


def test_frames_may_claim_an_age() -> None:
    camera = opened(Show(card("red"), age_s=5.0))
    assert time.monotonic() - camera.read(Deadline.after(1)).captured_at == pytest.approx(5.0, abs=0.2)


def test_calls_run() -> None:
    seen: list[int] = []
    camera = opened(Call(lambda: seen.append(1)), Show(card("red")))
    assert camera.read(Deadline.after(1)).width == 160
    assert seen == [1]


def test_closing_ends_a_wait() -> None:
    camera = opened(Show(card("red")), Wait(60))
    camera.read(Deadline.after(1))
    threading.Timer(0.05, camera.close).start()
    with pytest.raises(CameraError, match="closed"):
        camera.read(Deadline.after(5))


def test_reopening_starts_the_script_again() -> None:
    camera = create("scripted:tests.camera.scripts:three_then_end", FAST, isolated=False)
    for _ in range(2):
        camera.open(Deadline.after(1))
        assert colour_of(camera.read(Deadline.after(1)).pixels) == "red"
        camera.close()


def test_functions_and_lists_are_both_scripts() -> None:
    camera = create("scripted:tests.camera.scripts:counting", FAST, isolated=False)
    camera.open(Deadline.after(1))
    assert [int(camera.read(Deadline.after(1)).pixels[0, 0, 0]) for _ in range(3)] == [0, 1, 2]
    assert np.all(camera.read(Deadline.after(1)).pixels == 3)


@pytest.mark.parametrize(
    "name", ["no.such.module:x", "tests.camera.scripts:nothing", "tests.camera.scripts:__doc__x", "os:sep2"]
)
def test_a_script_that_is_not_there_is_a_sentence(name: str) -> None:
    with pytest.raises(CameraUnsupported, match="cannot be loaded"):
        create(f"scripted:{name}", FAST, isolated=False).open(Deadline.after(1))


def test_what_is_not_a_list_of_steps_is_a_sentence() -> None:
    with pytest.raises(CameraUnsupported, match="not a list of steps"):
        create("scripted:math:pi", FAST, isolated=False).open(Deadline.after(1))
