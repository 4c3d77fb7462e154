"""Repeats: a stuck driver is distinguished from a dark room, and from a scene that merely keeps still."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lookout.camera.repeats import MEMORY, MIN_FRAMES, RepeatDetector
from lookout.frame import Frame

STALE_S = 2.0


def noise(seed: int) -> Frame:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return Frame(pixels, 0.0, 0, "test")


def at(frame: Frame, seconds: float) -> Frame:
    return Frame(frame.pixels, seconds, frame.sequence, frame.source)


def first_stall(frames: list[Frame], fps: float) -> float | None:
    """When the detector first says stalled, in seconds."""
    detector = RepeatDetector(STALE_S)
    for number, frame in enumerate(frames):
        if detector.see(at(frame, number / fps)):
            return number / fps
    return None


def test_one_frozen_picture_is_called_stalled_within_its_time() -> None:
    frames = [noise(number) for number in range(10)] + [noise(9)] * 60
    stalled = first_stall(frames, fps=15)
    assert stalled is not None
    assert stalled - 9 / 15 == pytest.approx(STALE_S, abs=0.1)


@pytest.mark.parametrize("length", [2, 16, MEMORY])
def test_a_looping_buffer_is_called_stalled(length: int) -> None:
    loop = [noise(number) for number in range(length)]
    stalled = first_stall(loop * (8 + 80 // length), fps=15)
    assert stalled is not None
    assert stalled - (length - 1) / 15 == pytest.approx(max(STALE_S, MIN_FRAMES / 15), abs=0.1)


def test_a_slow_camera_needs_ten_frames() -> None:
    assert first_stall([noise(1)] * 30, fps=2) == pytest.approx(MIN_FRAMES / 2)


def test_new_pictures_are_never_stalled() -> None:
    assert first_stall([noise(number) for number in range(200)], fps=15) is None


def test_a_single_new_picture_ends_the_stall() -> None:
    detector = RepeatDetector(STALE_S)
    for number in range(60):
        detector.see(at(noise(1), number / 15))
    assert detector.see(at(noise(1), 4.0))
    assert not detector.see(at(noise(2), 4.1))
    assert not detector.see(at(noise(2), 4.2))


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_covered_lens_is_not_a_fault(level: int) -> None:
    dark = Frame(np.full((48, 64, 3), level, dtype=np.uint8), 0.0, 0, "test")
    assert first_stall([dark] * 100, fps=15) is None


def test_reopening_starts_over() -> None:
    detector = RepeatDetector(STALE_S)
    for number in range(60):
        detector.see(at(noise(1), number / 15))
    detector.reset()
    assert not detector.see(at(noise(1), 4.1))


def test_a_source_reopened_for_repeats_is_believed_at_its_second_new_picture() -> None:
    detector = RepeatDetector(STALE_S)
    detector.doubt()
    detector.see(at(noise(1), 0.0))
    assert detector.doubted
    for number in range(1, 20):
        detector.see(at(noise(1), number / 15))
        assert detector.doubted
    detector.see(at(noise(2), 2.0))
    assert not detector.doubted


def test_the_mark_that_the_cameras_process_took_is_believed() -> None:
    frames = [Frame(noise(number).pixels, 0.0, number, "test", mark=7) for number in range(60)]
    detector = RepeatDetector(STALE_S)
    assert any(detector.see(dataclasses.replace(frame, captured_at=frame.sequence / 15)) for frame in frames)
