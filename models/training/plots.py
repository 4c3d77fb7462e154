"""Diagrams of a run: learning curves, confusion matrix, reliability diagram, and a sheet of the worst mistakes.

They are drawn with OpenCV, which is a dependency anyway; four diagrams do not justify a plotting library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.augment import centre_square, cut
from models.training.calibrate import reliability
from models.training.data import Pictures

Color = tuple[int, int, int]  # RGB

INK, PALE, PAPER = (40, 40, 40), (215, 215, 215), (255, 255, 255)
LINES: tuple[Color, ...] = ((31, 98, 168), (214, 96, 20), (60, 140, 60), (150, 70, 160))
TILE, CAPTION = 128, 30  # pixels: side of a picture on the contact sheet, height of the caption below it
TICKS = 5


class Sheet:
    """A white picture to draw on. Coordinates are pixels from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels = np.full((height, width, 3), 255, np.uint8)

    def text(
        self, x: float, y: float, words: str, color: Color = INK, size: float = 0.42, centred: bool = False
    ) -> None:
        if centred:
            x -= cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0] / 2
        place = (round(x), round(y))
        cv2.putText(self.pixels, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)

    def line(self, points: Sequence[tuple[float, float]], color: Color, width: int = 2) -> None:
        path = np.round(np.asarray(points, np.float64)).astype(np.int32)
        cv2.polylines(self.pixels, [path], False, color, width, cv2.LINE_AA)

    def dot(self, place: tuple[float, float], color: Color) -> None:
        cv2.circle(self.pixels, (round(place[0]), round(place[1])), 4, color, -1, cv2.LINE_AA)

    def box(self, x: int, y: int, width: int, height: int, color: Color) -> None:
        self.pixels[y : y + height, x : x + width] = color

    def save(self, path: Path) -> None:
        cv2.imwrite(str(path), self.pixels[:, :, ::-1])


def ticks(highest: float) -> list[float]:
    """Round numbers from 0 to the first that reaches ``highest``, at most seven: steps of 1, 2 or 5."""
    if not 0 < highest < math.inf:
        highest = 1.0
    rough = highest / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))
    return [tick * step for tick in range(math.ceil(highest / step - 1e-9) + 1)]


class Axes:
    """A frame with ticks on a sheet, both axes from 0 to a round number. ``at`` maps values to pixels."""

    def __init__(
        self, sheet: Sheet, place: tuple[int, int, int, int], highest: tuple[float, float], title: str
    ) -> None:
        across, up = (ticks(value) for value in highest)
        self.sheet, self.place, self.reach = sheet, place, (across[-1], up[-1])
        left, top, width, height = place
        sheet.text(left, top - 10, title)
        for value in across:
            column, _ = self.at(value, 0)
            sheet.line([(column, top), (column, top + height)], PALE, 1)
            sheet.text(column, top + height + 18, f"{value:.4g}", size=0.36, centred=True)
        for value in up:
            _, row = self.at(0, value)
            sheet.line([(left, row), (left + width, row)], PALE, 1)
            sheet.text(left - 46, row + 4, f"{value:.3g}", size=0.36)

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top, width, height = self.place
        return left + x / self.reach[0] * width, top + (1 - y / self.reach[1]) * height

    def plot(self, points: Sequence[tuple[float, float]], color: Color, name: str, entry: int) -> None:
        """Draw a line, or a dot if there is only one point, with its name in the frame's lower right corner."""
        if len(points) == 1:
            self.sheet.dot(self.at(*points[0]), color)
        self.sheet.line([self.at(x, y) for x, y in points], color)
        left, top, width, height = self.place
        self.sheet.text(left + width - 150, top + height - 12 - 16 * entry, name, color)


def curves(metrics: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the loss (left) and the accuracies (right) over epochs, or over steps if the run does not count epochs."""
    sheet = Sheet(1100, 420)
    below = "epoch" if any("epoch" in line for line in metrics) else "step"
    steps = [line[below] for line in metrics if below in line] or [0]
    frames = ((("loss",), "loss", 70), (("train_accuracy", "validation_accuracy"), "accuracy", 620))
    for keys, title, left in frames:
        lines = {key: [(m[below], m[key]) for m in metrics if key in m and below in m] for key in keys}
        values = [value for points in lines.values() for _, value in points] or [1.0]
        axes = Axes(sheet, (left, 40, 440, 320), (max(steps), 1.0 if "accuracy" in title else max(values)), title)
        sheet.text(left + 220, 400, f"{below}s", centred=True)
        for entry, (key, points) in enumerate(lines.items()):
            if points:
                axes.plot(points, LINES[entry], key.replace("_", " "), entry)
    sheet.save(path)


def confusion(p: NDArray[np.float64], targets: NDArray[np.int64], labels: Sequence[str], path: Path) -> None:
    """Draw the confusion matrix: true labels in rows, predictions in columns; shares of the row and picture counts."""
    count = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(count, (targets, p.argmax(1)), 1)
    share = count / np.maximum(count.sum(1, keepdims=True), 1)
    cell, left, top = 92, 110, 60
    sheet = Sheet(left + cell * len(labels) + 20, top + cell * len(labels) + 20)
    sheet.text(left, 20, "said (across) / shown (down)")
    dark = np.array(LINES[0], np.float64)
    for row, label in enumerate(labels):
        sheet.text(8, top + cell * row + cell / 2, label[:14])
        sheet.text(left + cell * (row + 0.5), top - 10, label[:12], centred=True)
        for column in range(len(labels)):
            part = float(share[row, column])
            red, green, blue = (255 - part * (255 - dark)).astype(int).tolist()
            sheet.box(left + cell * column, top + cell * row, cell - 1, cell - 1, (red, green, blue))
            x, y = left + cell * (column + 0.5), top + cell * (row + 0.5)
            ink = PAPER if part > 0.5 else INK
            sheet.text(x, y, f"{part:.1%}", ink, centred=True)
            sheet.text(x, y + 18, str(count[row, column]), ink, 0.36, centred=True)
    sheet.save(path)


def reliability_diagram(answers: dict[str, NDArray[np.float64]], targets: NDArray[np.int64], path: Path) -> None:
    """Draw accuracy against confidence for each precision; perfectly calibrated probabilities lie on the diagonal."""
    sheet = Sheet(520, 520)
    axes = Axes(sheet, (70, 40, 420, 420), (1, 1), "accuracy (up) against confidence (across), pictures a bin")
    sheet.line([axes.at(0, 0), axes.at(1, 1)], (150, 150, 150), 1)
    for entry, (name, p) in enumerate(answers.items()):
        mean, accuracy, count = reliability(p, targets)
        filled = np.flatnonzero(count)
        points = [(float(mean[i]), float(accuracy[i])) for i in filled]
        axes.plot(points, LINES[entry % len(LINES)], name, entry)
        if entry == 0:
            for (x, y), number in zip(points, count[filled].tolist(), strict=True):
                column, row = axes.at(x, y)
                sheet.text(column + 6, row + 14, str(number), size=0.34)
    sheet.save(path)


def worst_mistakes(p: NDArray[np.float64], pictures: Pictures, path: Path, count: int = 60, columns: int = 10) -> None:
    """Draw the pictures whose true label got the least probability, with name, label, answer and probability below."""
    right = p[np.arange(len(p)), pictures.targets]
    chosen = np.argsort(right)[:count].tolist()
    rows = -(-len(chosen) // columns)
    sheet = Sheet(columns * TILE, rows * (TILE + CAPTION))
    for place, index in enumerate(chosen):
        row, column = divmod(place, columns)
        x, y = column * TILE, row * (TILE + CAPTION)
        picture = pictures[index]
        sheet.pixels[y : y + TILE, x : x + TILE] = cut(picture, centre_square(*picture.shape[:2]), TILE)
        shown, said = pictures.labels[pictures.targets[index]], int(p[index].argmax())
        sheet.text(x + 2, y + TILE + 12, Path(pictures.names[index]).stem[:20], size=0.34)
        sheet.text(x + 2, y + TILE + 25, f"{shown}? {pictures.labels[said]} {p[index, said]:.2f}"[:22], size=0.34)
    sheet.save(path)
