"""A 12-megapixel JPEG: decoding at reduced scale against decoding in full, and whether the answer stays the same."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from lookout.pictures.decode import read_picture
from lookout.pictures.limits import DecodeLimits
from lookout.pipeline.classifier import Classifier
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import Settings
from skimage import data

from tests.benchmarks.common import median, spread, table

GOAL = 3.0


def run(*, quick: bool) -> None:
    """Run the comparison and print its table."""
    rounds = 5 if quick else 15
    cv2.setNumThreads(1)
    card = Catalogue.of(Settings.model_validate({})).card("cat-dog-resnet18")
    classifier = Classifier.load(card, "fp32", 1)
    photographs = {name: getattr(data, name)() for name in ("chelsea", "astronaut", "coffee", "rocket")}
    ours: list[float] = []
    full: list[float] = []
    same = 0
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, rgb in photographs.items():
            path = Path(folder) / f"{name}.jpg"
            large = cv2.resize(np.ascontiguousarray(rgb[:, :, ::-1]), (4000, 3000), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(path), large, [cv2.IMWRITE_JPEG_QUALITY, 92])
            files.append(path.read_bytes())
        for _ in range(rounds):
            for content in files:
                began = time.perf_counter()
                reduced = read_picture(content, DecodeLimits(10**8, 10**8)).pixels
                cv2.resize(reduced, (96, 96), interpolation=cv2.INTER_AREA)
                middle = time.perf_counter()
                whole = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
                assert whole is not None
                cv2.resize(whole, (96, 96), interpolation=cv2.INTER_AREA)
                full.append((time.perf_counter() - middle) * 1e3)
                ours.append((middle - began) * 1e3)
        for content in files:
            reduced = read_picture(content, DecodeLimits(10**8, 10**8)).pixels
            whole = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            assert whole is not None
            tops = [int(np.argmax(classifier.classify(picture).probabilities)) for picture in (reduced, whole)]
            same += tops[0] == tops[1]
    ratio = median([b / a for a, b in zip(ours, full, strict=True)])
    table(
        f"A 12-megapixel JPEG, decode and resize, {rounds} rounds of {len(files)} photographs in turn",
        [
            ("how", "milliseconds (median, range)", "times as fast", "goal"),
            ("Lookout, reduced scale", spread(ours), f"{ratio:.1f}", f"{GOAL:g}"),
            ("full decode", spread(full), "1", ""),
            ("same label", f"{same} of {len(files)} photographs", "", "all"),
        ],
    )
