"""Finding pictures whose label is probably wrong, because a good model is sure of another one. Deletes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.training.data import Pictures


@dataclass(frozen=True)
class Suspect:
    """A picture's name, the label that the model predicts instead, and the probability left to the picture's own."""

    name: str
    said: str
    probability_of_label: float


def suspects(p: NDArray[np.float64], pictures: Pictures, at_most: float = 0.02) -> Iterator[Suspect]:
    """Yield the pictures whose own label has at most this probability, the least probable first."""
    own = p[np.arange(len(p)), pictures.targets]
    for index in np.argsort(own).tolist():
        if own[index] > at_most:
            return
        yield Suspect(pictures.names[index], pictures.labels[int(p[index].argmax())], float(own[index]))


def twice(pictures: Pictures, listed: str) -> NDArray[np.int64]:
    """How often each picture occurs in an epoch: twice if a line of ``listed`` begins with its name, otherwise once.

    ``listed`` is the tab-separated output of the command ``suspects``, without the lines whose label really is wrong.
    """
    names = {line.split("\t", 1)[0] for line in listed.splitlines()}
    return np.array([2 if name in names else 1 for name in pictures.names], np.int64)
