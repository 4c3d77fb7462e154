"""The second, tiny example: LeNet-5 on digits, trained in a minute or two on drawings and synthetic photographs.

The drawings are part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998, UCI Machine Learning
Repository, CC BY 4.0): 1,797 drawings of 8 x 8 pixels with 17 levels, light on dark. A network trained only on these
fails on anything but light strokes on a dark ground, so most training pictures are photographs synthesised by `pen`.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training import pen
from models.training.archs import build
from models.training.augment import CameraPolicy, CropPolicy
from models.training.batches import BatchSource
from models.training.card import Description
from models.training.data import Pictures, Pixels
from models.training.onnx_graph import InputFormat
from models.training.recipe import Recipe
from models.training.run import Run
from models.training.train import Normalise, Report, TrainConfig, Trainer

Floats = NDArray[np.float64]

SIZE, DRAWN = 32, 28  # pixels a side of LeNet-5's input, and of the digit in it
HELD_OUT = 5  # every fifth digit is for validation
PEN_EACH, PEN_VALIDATION = 1200, 40  # synthetic photographs of each digit
WORDS = Description(
    "digits-lenet5",
    "Handwritten digits",
    "LeNet-5 (LeCun et al. 1998) that reads one digit, written with a pen and held to the camera so that it fills most "
    "of the picture: dark on light or light on dark, thin or thick. A small example that another kind of network drops "
    "in; it has no idea of pictures without a digit.",
    "Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; UCI Machine Learning Repository), CC BY 4.0, "
    "as packaged with scikit-learn: 1,437 digits for training, 360 for validation; and 12,000 photographs of pen on "
    "paper made by models/training/pen.py (400 for validation).",
    "MIT",
    version="2",
    translations={
        "zh-Hant": {
            "title": "手寫數字",
            "description": "LeNet-5（LeCun 等人，1998），讀出一個用筆寫在紙上、拿到鏡頭前並占滿大半畫面的數字："
            "深色寫在淺色上或淺色寫在深色上，筆畫粗細都可以。這個小例子說明另一種神經網路也能直接使用；"
            "沒有數字的畫面，它無從判斷。",
        }
    },
)
CONFIG = TrainConfig(
    stages=((7.0, SIZE),),
    learning_rate=0.03,
    weight_decay=1e-4,
    warmup_steps=100,
    average_decay=0.99,
    label_smoothing=0.02,
    checkpoint_every=10_000,
    evaluate_every=10_000,
    evaluate_size=SIZE,
)
CROPS = CropPolicy(min_area=0.85, aspect=1.1, max_degrees=8.0, turned=0.2, plain=0.4, mirrored=0.0)
DEFECTS = CameraPolicy(light=0.2, colour=0.0, gray=0.0, blur=0.1, noise=0.1, low_resolution=0.05, jpeg=0.0, hidden=0.0)
# As int8, this layer costs seven points of accuracy, since it sums bright paper and thin ink. It is a quarter of the
# work.
KEPT_FLOAT = ("c1",)
FORM = InputFormat(SIZE, 1, (127.5,), (127.5,))


def load_digits() -> tuple[Pictures, Pictures]:
    """Digits for training and for validation as RGB pictures of 32 x 32; deterministic. Needs scikit-learn."""
    from sklearn.datasets import load_digits as packaged  # type: ignore[import-untyped]

    kept = packaged()
    held = np.arange(len(kept.images)) % HELD_OUT == 0
    train, val = (
        _side(kept.images[side], kept.target[side], each, np.random.default_rng(seed))
        for seed, side, each in ((0, ~held, PEN_EACH), (1, held, PEN_VALIDATION))
    )
    return train, val


def _side(drawings: Floats, targets: NDArray[np.int64], pen_each: int, rng: np.random.Generator) -> Pictures:
    """The drawings themselves, and `pen_each` synthetic photographs of each digit."""
    pictures = [_framed(drawing) for drawing in drawings]
    names = ["digit"] * len(pictures)
    digits = np.repeat(np.arange(10), pen_each)
    for digit in digits.tolist():
        own = drawings[targets == digit]
        hand = rng.random()
        if hand < 0.4:
            mask = pen.from_drawing(rng, own[int(rng.integers(len(own)))])
        else:
            mask = pen.from_skeleton(rng, digit) if hand < 0.8 else pen.from_font(rng, digit)
        pictures.append(np.repeat(pen.photograph(rng, mask, SIZE)[:, :, None], 3, axis=2))
    return _pictures(pictures, np.concatenate([targets, digits]), [*names, *["pen"] * len(digits)])


def _framed(drawing: Floats) -> Pixels:
    large = cv2.resize((drawing * (255 / 16)).astype(np.uint8), (DRAWN, DRAWN), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(large, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    return np.repeat(np.asarray(framed, np.uint8)[:, :, None], 3, axis=2)


def _pictures(pictures: list[Pixels], targets: object, origins: list[str]) -> Pictures:
    labels = tuple(str(digit) for digit in range(10))
    values = np.asarray(targets, np.int64)
    each = SIZE * SIZE * 3
    named = zip(values, origins, strict=True)
    names = tuple(f"{labels[target]}/{origin}-{index:05}.png" for index, (target, origin) in enumerate(named))
    flat = np.concatenate([picture.reshape(-1) for picture in pictures])
    offsets = np.arange(len(pictures) + 1, dtype=np.int64) * each
    return Pictures(flat, offsets, np.full((len(pictures), 2), SIZE, np.int32), values, names, labels)


def train_digits(folder: Path, report: Report, seed: int = 0) -> tuple[Trainer, Recipe, Pictures, Pictures]:
    """Train in the run folder. Returns trainer, recipe, training and validation pictures.

    ``trainer.finished()`` returns the network. Raises DataError if the folder holds another run, or one in progress.
    """
    train, val = load_digits()
    source = BatchSource(train, CROPS, DEFECTS, 64, seed, channels=1)
    network = build("lenet5", len(train.labels), 1, SIZE)
    run = Run(folder)
    trainer = Trainer(network, CONFIG, source, run, normalise=Normalise(FORM.mean, FORM.std), validation=val)
    with run.claimed(network="lenet5", labels=train.labels, photographs=train.identity()):
        trainer.train(report)
    return trainer, Recipe("lenet5", train.labels, FORM), train, val
