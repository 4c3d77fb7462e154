"""Pictures of a run: curves, confusion matrix, reliability diagram, and the worst mistakes on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from models.training.augment import centre_square, cut
from models.training.calibrate import reliability
from models.training.data import Pictures

mpl.use("Agg")
from matplotlib import pyplot as plt

TILE, CAPTION = 128, 30  # pixels of a contact sheet's picture and the words below it


def curves(metrics: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss, accuracies and learning rate over steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axes, keys in ((left, ("loss", "learning_rate")), (right, ("train_accuracy", "validation_accuracy"))):
        for key in keys:
            points = [(line["step"], line[key]) for line in metrics if key in line]
            if points:
                drawn = axes.twinx() if key == "learning_rate" else axes
                style = {"color": "0.7", "linestyle": "--"} if key == "learning_rate" else {}
                drawn.plot(*zip(*points, strict=True), label=key.replace("_", " "), **style)
                drawn.legend(
                    loc="lower left" if key == "learning_rate" else "upper right" if axes is left else "lower right"
                )
        axes.set_xlabel("step")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def confusion(p: NDArray[np.float64], targets: NDArray[np.int64], labels: Sequence[str], path: Path) -> None:
    """Rows are what is shown, columns what is said; shares of the row and numbers of pictures."""
    count = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(count, (targets, p.argmax(1)), 1)
    share = count / np.maximum(count.sum(1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(1.3 * len(labels) + 2, 1.2 * len(labels) + 1.5), layout="constrained")
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        words = f"{value:.1%}\n{count[row, column]}"
        axes.text(column, row, words, ha="center", va="center", color="white" if value > 0.5 else "black")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="said", ylabel="shown")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def reliability_diagram(answers: dict[str, NDArray[np.float64]], targets: NDArray[np.int64], path: Path) -> None:
    """Accuracy against confidence for each precision; on the diagonal, probabilities mean what they say."""
    figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
    axes.plot((0, 1), (0, 1), color="0.6", linestyle="--")
    for name, p in answers.items():
        mean, accuracy, count = reliability(p, targets)
        axes.plot(mean, accuracy, marker="o", label=name)
        if name == next(iter(answers)):
            for x, y, n in zip(mean, accuracy, count, strict=True):
                if n:
                    axes.annotate(str(n), (x, y), fontsize=7, xytext=(4, -8), textcoords="offset points")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def worst_mistakes(p: NDArray[np.float64], pictures: Pictures, path: Path, count: int = 60, columns: int = 10) -> None:
    """The pictures whose own label was given the least probability, with label, answer and probability below."""
    right = p[np.arange(len(p)), pictures.targets]
    tiles = []
    for index in np.argsort(right)[:count].tolist():
        said = int(p[index].argmax())
        first, second = Path(pictures.names[index]).stem, f"{pictures.labels[said]} {p[index, said]:.2f}"
        tiles.append(_tile(pictures, index, first, f"{pictures.labels[pictures.targets[index]]}? {second}"))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    sheet = np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])
    cv2.imwrite(str(path), sheet[:, :, ::-1])


def _tile(pictures: Pictures, index: int, *words: str) -> NDArray[np.uint8]:
    picture = pictures[index]
    tile = np.full((TILE + CAPTION, TILE, 3), 255, np.uint8)
    tile[:TILE] = cut(picture, centre_square(*picture.shape[:2]), TILE)
    for line, text in enumerate(words):
        place = (2, TILE + 12 + 14 * line)
        cv2.putText(tile, text[:22], place, cv2.FONT_HERSHEY_SIMPLEX, 0.34, (0, 0, 0), 1, cv2.LINE_AA)
    return tile
