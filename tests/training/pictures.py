"""Pictures made for tests: two kinds of shape and empty scenes, learnt by a network within a few dozen steps."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

LABELS = ("cat", "dog", "neither")


def scene(label: str, seed: int, height: int = 100, width: int = 120) -> NDArray[np.uint8]:
    """A noisy picture [height, width, 3] BGR: a red disc for cat, a blue square for dog, nothing for neither."""
    rng = np.random.default_rng((LABELS.index(label), seed))
    picture = rng.normal(120, 25, (height, width, 3)).clip(0, 255).astype(np.uint8)
    x, y = int(rng.integers(width // 3, 2 * width // 3)), int(rng.integers(height // 3, 2 * height // 3))
    reach = min(height, width) // 4
    if label == "cat":
        cv2.circle(picture, (x, y), reach, (30, 30, 220), -1)
    elif label == "dog":
        cv2.rectangle(picture, (x - reach, y - reach), (x + reach, y + reach), (220, 60, 20), -1)
    return picture


def encoded(picture: NDArray[np.uint8], suffix: str = ".jpg") -> bytes:
    """The file's bytes."""
    return bytes(cv2.imencode(suffix, picture)[1])


def write_folders(folder: Path, each: int, suffix: str = ".jpg") -> None:
    """``LABEL/NAME`` with ``each`` pictures a label."""
    for label in LABELS:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for seed in range(each):
            (folder / label / f"made-{seed:03}{suffix}").write_bytes(encoded(scene(label, seed), suffix))


def write_tars(folder: Path, split: str, each: int) -> None:
    """``SPLIT-LABEL.tar`` with members ``LABEL/NAME``, as large collections come."""
    folder.mkdir(parents=True, exist_ok=True)
    for label in LABELS:
        with tarfile.open(folder / f"{split}-{label}.tar", "w") as tar:
            for seed in range(each):
                data = encoded(scene(label, seed))
                member = tarfile.TarInfo(f"{label}/made-{seed:03}.jpg")
                member.size = len(data)
                tar.addfile(member, BytesIO(data))
