"""The second, tiny example: LeNet-5 on scikit-learn's packaged digits, trained in seconds.

The digits are part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998, UCI Machine Learning
Repository, CC BY 4.0): 1,797 drawings of 8 x 8 pixels with 17 levels, light on dark.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from models.training.archs import build
from models.training.augment import CameraPolicy, CropPolicy
from models.training.batches import BatchSource
from models.training.card import Description
from models.training.data import Pictures
from models.training.onnx_graph import InputFormat
from models.training.recipe import Recipe
from models.training.run import Run
from models.training.train import Normalise, Report, TrainConfig, Trainer

SIZE, DRAWN = 32, 28  # LeNet-5's input, and how much of it a digit fills
HELD_OUT = 5  # every fifth digit is for validation
WORDS = Description(
    "digits-lenet5",
    "Handwritten digits",
    "LeNet-5 (LeCun et al. 1998) that recognises single light digits on a dark ground. An example that another kind of "
    "network drops in; it has no idea of pictures without a digit.",
    "Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; UCI Machine Learning Repository), CC BY 4.0, "
    "as packaged with scikit-learn: 1,437 digits for training, 360 for validation.",
    "MIT",
)
CONFIG = TrainConfig(
    stages=((30.0, SIZE),),
    learning_rate=0.05,
    weight_decay=1e-4,
    warmup_steps=50,
    average_decay=0.99,
    label_smoothing=0.02,
    checkpoint_every=10_000,
    evaluate_every=10_000,
    evaluate_size=SIZE,
)
CROPS = CropPolicy(min_area=0.75, aspect=1.15, max_degrees=12.0, turned=0.6, plain=0.1, mirrored=0.0)
DEFECTS = CameraPolicy(light=0.4, colour=0.0, gray=0.0, blur=0.2, noise=0.2, low_resolution=0.1, jpeg=0.0, hidden=0.0)
FORM = InputFormat(SIZE, 1, (127.5,), (127.5,))


def load_digits() -> tuple[Pictures, Pictures]:
    """Digits for training and validation as RGB pictures of 32 x 32. Needs scikit-learn."""
    from sklearn.datasets import load_digits as packaged  # type: ignore[import-untyped]

    kept = packaged()
    pictures = []
    for drawing in kept.images:
        large = cv2.resize((drawing * (255 / 16)).astype(np.uint8), (DRAWN, DRAWN), interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
        pictures.append(np.repeat(np.asarray(framed, np.uint8)[:, :, None], 3, axis=2))
    held = np.arange(len(pictures)) % HELD_OUT == 0
    sides = [np.flatnonzero(~held), np.flatnonzero(held)]
    train, val = (_pictures([pictures[i] for i in side], kept.target[side]) for side in sides)
    return train, val


def _pictures(pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]], targets: object) -> Pictures:
    labels = tuple(str(digit) for digit in range(10))
    values = np.asarray(targets, np.int64)
    each = SIZE * SIZE * 3
    names = tuple(f"{labels[target]}/digit-{index:05}.png" for index, target in enumerate(values))
    flat = np.concatenate([picture.reshape(-1) for picture in pictures])
    offsets = np.arange(len(pictures) + 1, dtype=np.int64) * each
    return Pictures(flat, offsets, np.full((len(pictures), 2), SIZE, np.int32), values, names, labels)


def train_digits(folder: Path, report: Report, seed: int = 0) -> tuple[Trainer, Recipe, Pictures, Pictures]:
    """Train in the run folder; the network is ``trainer.finished()``'s."""
    train, val = load_digits()
    source = BatchSource(train, CROPS, DEFECTS, 32, seed, channels=1)
    network = build("lenet5", len(train.labels), 1, SIZE)
    trainer = Trainer(network, CONFIG, source, Run(folder), normalise=Normalise(FORM.mean, FORM.std), validation=val)
    trainer.train(report)
    return trainer, Recipe("lenet5", train.labels, FORM), train, val
