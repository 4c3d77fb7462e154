"""What is drawn into pictures for other programs: the answer on a snapshot, and the placeholder of a stale stream."""

from __future__ import annotations

import cv2
import numpy as np

from lookout.api.streaming.encoder import shrunk
from lookout.frame import Pixels
from lookout.geometry import Rect
from lookout.state.view import StateView

# A size for programs that start reading a stream before there is a camera.
_EMPTY_SHAPE = (480, 640, 3)
# How much of the last picture shows through: enough to recognise the view, too little to pass for live.
_DIMMED = 0.25
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def annotated(pixels: Pixels, seen: Rect, view: StateView) -> Pixels:
    """Return a copy with the outline of the part that the network saw, the answer, and the time."""
    canvas = pixels.copy()
    height, width = canvas.shape[:2]
    corner = (round(seen.x * width), round(seen.y * height))
    opposite = (round((seen.x + seen.width) * width) - 1, round((seen.y + seen.height) * height) - 1)
    cv2.rectangle(canvas, corner, opposite, _BLACK, 3)
    cv2.rectangle(canvas, corner, opposite, _WHITE, 1)
    answer = view["answer"]
    word = answer["title"] if answer["current"] else f"last seen: {answer['title']}"
    if answer["probability"] is not None:
        word += f" {answer['probability']:.0%}"
    _write(canvas, [word, view["time"]["now"].replace("T", " ")], from_top=False)
    return canvas


def placeholder(last: Pixels | None, width: int | None, lines: list[str]) -> Pixels:
    """Return a picture that cannot be mistaken for a live one: the last one (if any) in dim grey, with text on it."""
    if last is None:
        canvas = np.zeros(_EMPTY_SHAPE, np.uint8)
    else:
        grey = cv2.cvtColor(shrunk(last, width), cv2.COLOR_BGR2GRAY)
        canvas = np.asarray(cv2.cvtColor((grey * _DIMMED).astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)
    if last is None:
        canvas = np.ascontiguousarray(shrunk(canvas, width))
    _write(canvas, lines, from_top=True)
    return canvas


def _write(canvas: Pixels, lines: list[str], *, from_top: bool) -> None:
    """Draw lines of text as large as they fit, in white with a black outline."""
    height, width = canvas.shape[:2]
    scale = max(0.3, width / 900)
    thickness = max(1, round(scale * 1.6))
    step = round(34 * scale)
    top = height // 2 - step * (len(lines) - 1) // 2 if from_top else height - step * (len(lines) - 1) - step // 2
    for index, line in enumerate(lines):
        text = line.encode("ascii", "replace").decode()  # OpenCV's font has no other letters
        size = cv2.getTextSize(text, _FONT, scale, thickness)[0][0]
        fitted = scale * min(1.0, 0.94 * width / max(1, size))
        at = (round(width * 0.03), top + index * step)
        cv2.putText(canvas, text, at, _FONT, fitted, _BLACK, thickness + 2, cv2.LINE_AA)
        cv2.putText(canvas, text, at, _FONT, fitted, _WHITE, thickness, cv2.LINE_AA)
