"""The digit network reads a digit that somebody writes on paper and holds to the camera: 240 ways of doing so."""

from __future__ import annotations

import itertools
from functools import cache

import cv2
import numpy as np
import pytest
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier
from lookout.resources import models_folder
from numpy.typing import NDArray

Line = list[tuple[float, float]]

THICKNESS = {"thin": 9, "middle": 22, "thick": 42}  # pixels of a frame of 640 x 480
INKS = [(235, 25), (170, 60), (30, 220), (90, 200)]  # paper and ink: dark on light, and light on dark
MIN_RIGHT = 0.9


def arc(x: float, y: float, a: float, b: float, start: float, end: float) -> Line:
    """A part of an ellipse about (x, y), angles in degrees, clockwise from the right."""
    angles = np.deg2rad(np.linspace(start, end, 25))
    return [(x + a * np.cos(one), y + b * np.sin(one)) for one in angles]


# As a person writes them, in a box of 1 x 1: by a pen of their own, not by the strokes that the training draws.
STROKES: dict[int, list[Line]] = {
    0: [arc(0.5, 0.5, 0.34, 0.5, 0, 360)],
    1: [[(0.3, 0.22), (0.56, 0.0), (0.56, 1.0)]],
    2: [[*arc(0.5, 0.28, 0.34, 0.28, 190, 395), (0.16, 1.0), (0.88, 1.0)]],
    3: [arc(0.46, 0.25, 0.32, 0.25, 200, 450), arc(0.46, 0.74, 0.36, 0.26, 270, 520)],
    4: [[(0.62, 1.0), (0.62, 0.0), (0.1, 0.66), (0.92, 0.66)]],
    5: [[(0.82, 0.0), (0.26, 0.0), (0.22, 0.44), *arc(0.46, 0.68, 0.36, 0.31, 230, 510)]],
    6: [[(0.7, 0.0), (0.36, 0.3), *arc(0.5, 0.72, 0.33, 0.28, 190, 550)]],
    7: [[(0.12, 0.0), (0.88, 0.0), (0.42, 1.0)]],
    8: [arc(0.5, 0.25, 0.26, 0.25, 0, 360), arc(0.5, 0.75, 0.33, 0.26, 0, 360)],
    9: [arc(0.5, 0.28, 0.31, 0.28, 0, 360), [(0.81, 0.28), (0.78, 0.62), (0.66, 1.0)]],
}


@cache
def written(digit: int, paper: int, ink: int, thickness: int, tilt: float, framed: bool) -> NDArray[np.uint8]:
    """A frame of 640 x 480, gray, with the digit in the middle; framed: the paper's edges are seen, on a table."""
    frame = np.full((480, 640), paper, np.uint8)
    for line in STROKES[digit]:
        points = np.array(line) * (220, 330) + (210, 75)
        cv2.polylines(frame, [np.rint(points).astype(np.int32)], False, ink, thickness, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((320, 240), tilt, 1.0)
    frame = cv2.warpAffine(frame, turn, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    if framed:
        frame[:, :110] = frame[:, 530:] = 110
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), 2), np.uint8)


WAYS = list(itertools.product(range(10), INKS, THICKNESS.values(), [(-8.0, False), (6.0, True)]))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_nine_of_ten_ways_to_write_a_digit_are_read(precision: str) -> None:
    assert len(WAYS) >= 200
    classifier = Classifier.load(load_card(models_folder() / "digits-lenet5"), precision)
    wrong = []
    for digit, (paper, ink), thickness, (tilt, framed) in WAYS:
        frame = cv2.cvtColor(written(digit, paper, ink, thickness, tilt, framed), cv2.COLOR_GRAY2BGR)
        p = classifier.classify(np.asarray(frame, np.uint8)).probabilities
        if int(np.argmax(p)) != digit:
            wrong.append((digit, int(np.argmax(p)), paper, thickness, tilt, framed))
    assert len(wrong) <= (1 - MIN_RIGHT) * len(WAYS), wrong
    for kind in (
        lambda way: way[2] < 128,
        lambda way: way[2] > 128,
        *(lambda way, t=t: way[3] == t for t in THICKNESS.values()),
    ):
        assert sum(map(kind, wrong)) <= 0.2 * len(WAYS) / 2, "one kind of pen or paper is not read"
