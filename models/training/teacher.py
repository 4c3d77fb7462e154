"""The teacher: an ImageNet EfficientNet-Lite that `models.training.tune` has tuned to our labels.

Its answers to the student's crops are part of the student's loss.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.training.archs.efficientnet_lite import FEATURES, MEAN, STD, EfficientNetLite
from models.training.arithmetic import has_bf16
from models.training.batches import Batch, BatchSource, centre_crops
from models.training.data import Pictures, Pixels

CHUNK = 16  # pictures in one forward pass; the wide layers of a larger batch exceed the cache and take twice as long


def normalise(pixels: Pixels) -> Tensor:
    """uint8 [n, s, s, 3] -> channels-last float [n, 3, s, s] on the scale of the ImageNet weights."""
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    return (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


class Teacher(nn.Module):
    """The tuned network: ``forward`` returns logits [n, labels], ``answer`` logits and the 1280 pooled features."""

    def __init__(self, variant: str, classes: int, frozen: int = 0, network: EfficientNetLite | None = None) -> None:
        super().__init__()
        self.network = network or EfficientNetLite(variant, classes)
        self.network._fc = nn.Linear(FEATURES, classes)
        self.frozen = frozen

    def features(self, x: Tensor) -> Tensor:
        net = self.network
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen == 0):
            x = net._relu0(net._bn0(net._conv_stem(x)))
            for block in net._blocks[: self.frozen]:
                x = block(x)
        for block in net._blocks[self.frozen :]:
            x = block(x)
        return net.embed(net._relu1(net._bn1(net._conv_head(x))))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network._fc(self.features(x))
        return logits

    def answer(self, pixels: Pixels) -> tuple[Tensor, Tensor]:
        """uint8 [n, s, s, 3] -> logits [n, labels] and features [n, 1280], float32."""
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            parts = [self.features(normalise(pixels[i : i + CHUNK])) for i in range(0, len(pixels), CHUNK)]
            features = torch.cat(parts).float()
        with torch.inference_mode():
            return self.network._fc(features), features


def load_teacher(path: Path) -> tuple[Teacher, int]:
    """Load a tuned teacher. Returns it with its input size in pixels a side."""
    kept = torch.load(path, map_location="cpu", weights_only=True)
    teacher = Teacher(kept["variant"], len(kept["labels"]))
    teacher.load_state_dict(kept["model"])
    teacher.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return teacher, kept["size"]


def accuracy(teacher: Teacher, size: int, pictures: Pictures) -> float:
    """The teacher's accuracy on the pictures' centre squares."""
    crops = centre_crops(pictures, size)
    found = [teacher.answer(crops[i : i + 64])[0].argmax(1).numpy() for i in range(0, len(crops), 64)]
    return float((np.concatenate(found) == pictures.targets).mean())


class Answers:
    """The teacher's answers to the fixed crops, computed once each and stored as float16 in memory-mapped files.

    ``logits`` [views, n, labels], ``features`` [views, n, 1280]; a row of logits is NaN until it is computed.
    """

    def __init__(self, folder: Path, teacher: Teacher, size: int, source: BatchSource) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.teacher, self.size, self.source = teacher, size, source
        views, count, labels = source.views, len(source.pictures), len(source.pictures.labels)
        self.features = self._map(folder / "features.npy", (views, count, FEATURES), 0.0)
        self.logits = self._map(folder / "logits.npy", (views, count, labels), np.nan)

    @staticmethod
    def _map(path: Path, shape: tuple[int, ...], empty: float) -> NDArray[np.float16]:
        if path.exists():
            kept: NDArray[np.float16] = np.lib.format.open_memmap(path, mode="r+")
            if kept.shape != shape:
                raise ValueError(
                    f"{path} holds answers of shape {kept.shape}, not {shape}: remove it or choose another run"
                )
            return kept
        new = path.with_suffix(".new")  # after an interruption, zeros in the final file would pass for answers
        made: NDArray[np.float16] = np.lib.format.open_memmap(new, mode="w+", dtype=np.float16, shape=shape)
        if empty != 0:  # a new file reads as zeros and takes no disk space until it is written
            made[:] = empty
        new.replace(path)
        return made

    def feature_scale(self, pictures: int = 512) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [1280] of the teacher's features over about this many training pictures."""
        batches = range(max(1, pictures // self.source.batch_size))
        clean = [self.source.batch(step, self.size, self.size).clean for step in batches]
        features = torch.cat([self.teacher.answer(pixels)[1] for pixels in clean if pixels is not None])
        return features.mean(0), features.std(0).clamp_min(1e-3)

    def known(self, view: int, indices: NDArray[np.int64]) -> bool:
        """Whether the answers to all of these crops are stored."""
        return not bool(np.isnan(self.logits[view, indices, 0]).any())

    def of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits [n, labels] and features [n, 1280] for a batch: computed and stored if it has clean crops, or read."""
        if batch.clean is not None:
            logits, features = self.teacher.answer(batch.clean)
            self.features[batch.view, batch.indices] = features.numpy().astype(np.float16)
            self.logits[batch.view, batch.indices] = logits.numpy().astype(np.float16)
            return logits, features
        kept = self.logits[batch.view, batch.indices], self.features[batch.view, batch.indices]
        return torch.from_numpy(kept[0].astype(np.float32)), torch.from_numpy(kept[1].astype(np.float32))
