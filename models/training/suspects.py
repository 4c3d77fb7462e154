"""Pictures whose label is probably wrong: a good model is sure of something else. Listed, never deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.training.data import Pictures


@dataclass(frozen=True)
class Suspect:
    """A picture's name, what the model says instead of its label, and the probability it leaves to the label."""

    name: str
    said: str
    probability_of_label: float


def suspects(p: NDArray[np.float64], pictures: Pictures, at_most: float = 0.02) -> Iterator[Suspect]:
    """Pictures whose own label gets at most this probability, the least probable first."""
    own = p[np.arange(len(p)), pictures.targets]
    for index in np.argsort(own).tolist():
        if own[index] > at_most:
            return
        yield Suspect(pictures.names[index], pictures.labels[int(p[index].argmax())], float(own[index]))


def twice(pictures: Pictures, listed: str) -> NDArray[np.int64]:
    """How often each picture comes in an epoch: twice if a line of ``listed`` begins with its name, else once.

    ``listed`` is what the command ``suspects`` prints, tab-separated; delete the lines whose label really is wrong.
    """
    names = {line.split("\t", 1)[0] for line in listed.splitlines()}
    return np.array([2 if name in names else 1 for name in pictures.names], np.int64)
