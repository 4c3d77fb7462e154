"""Teachers on the accelerator: an ensemble of ImageNet networks tuned to our labels.

A *view* is one crop of every picture with the ensemble's answers to it. New views are added during training, so that
the student neither waits for its teachers at every step nor memorises a fixed set of crops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.archs.efficientnet_lite import FEATURES, MEAN, STD, pretrained
from models.training.augment import CameraPolicy, CropPolicy
from models.training.averages import Average, cosine_with_warmup
from models.training.on_device.defects import Camera
from models.training.on_device.store import Boxes, Store
from models.training.teacher import Teacher

CHUNK = 1024  # crops in one forward pass
AVERAGED_EVERY = 4  # steps; averaging hundreds of small tensors at every step would take a tenth of the time
WAIT_EVERY = 10  # steps; the device works asynchronously, so without waiting the clock would run ahead of it
Say = Callable[[str], None]


@dataclass(frozen=True)
class Tuning:
    """How each teacher is tuned. ``size``: pixels a side; ``frozen``: blocks that keep their weights."""

    seconds: float = 40.0
    size: int = 192
    batch_size: int = 256
    frozen: int = 2
    learning_rate: float = 4e-4
    weight_decay: float = 0.02


def normalised(x: Tensor) -> Tensor:
    """Normalise pixels (0 to 255) for the ImageNet weights; channels last."""
    return ((x - MEAN[0]) / STD[0]).contiguous(memory_format=torch.channels_last)


def tune(variant: str, labels: int, store: Store, tuning: Tuning, seed: int, say: Say) -> Teacher:
    """Tune one teacher until its time is up. Returns it with averaged weights."""
    device = store.device
    random = torch.Generator(device).manual_seed(seed)
    camera = Camera(replace(CameraPolicy(), strength=0.7), random, seed)
    teacher = Teacher(variant, labels, tuning.frozen, pretrained(variant))
    teacher.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    head = list(teacher.network._fc.parameters())
    body = [p for p in teacher.parameters() if not any(p is h for h in head)]
    groups = [{"params": body, "scale": 1.0}, {"params": head, "scale": 4.0}]
    optimiser = torch.optim.AdamW(groups, lr=tuning.learning_rate, weight_decay=tuning.weight_decay)
    average = Average(teacher, 0.99)
    began, step, done = time.monotonic(), 0, 0.0
    loss = torch.zeros((), device=device)
    while done < 1:
        indices = torch.randint(len(store), (tuning.batch_size,), generator=random, device=device)
        crops = camera(store.render(indices, store.draw(indices, CropPolicy(), random), tuning.size))
        for group in optimiser.param_groups:
            group["lr"] = tuning.learning_rate * group["scale"] * cosine_with_warmup(round(done * 1000), 1000, 50)
        with half_width(device):
            logits = teacher(normalised(crops))
        loss = functional.cross_entropy(logits.float(), store.targets[indices])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(teacher.parameters(), 5.0)
        optimiser.step()
        if step % AVERAGED_EVERY == 0:
            average.update(teacher, step // AVERAGED_EVERY)
        step += 1
        if step % WAIT_EVERY == 0:
            ready(device)
        done = (time.monotonic() - began) / tuning.seconds
    epochs = step * tuning.batch_size / len(store)
    say(f"{variant}: {epochs:.1f} epochs at {tuning.size} px, last loss {float(loss.detach()):.3f}")
    average.copy_to(teacher)
    return teacher.requires_grad_(False)


class Council:
    """An ensemble of teachers: the mean of their log-probabilities, and their concatenated features."""

    def __init__(self, teachers: Sequence[Teacher], size: int) -> None:
        self.teachers, self.size = teachers, size
        self.features = FEATURES * len(teachers)

    @torch.no_grad()
    def answer(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Crops [n, 3, size, size], 0 to 255 -> log-probabilities [n, labels] and features [n, 1280 * teachers]."""
        x = normalised(crops)
        with half_width(x.device):
            features = [teacher.features(x).float() for teacher in self.teachers]
        log_probs = [
            functional.log_softmax(teacher.network._fc(f), 1)
            for teacher, f in zip(self.teachers, features, strict=True)
        ]
        return torch.stack(log_probs).mean(0), torch.cat(features, 1)


@dataclass(frozen=True)
class View:
    """One crop of every picture, and the teachers' answers to it: ``log_probs`` [n, labels], ``features`` [n, f]."""

    boxes: Boxes
    log_probs: Tensor
    features: Tensor


def ask(council: Council, store: Store, crops: CropPolicy, random: torch.Generator) -> View:
    """Make a new view of all pictures."""
    everything = torch.arange(len(store), device=store.device)
    boxes = store.draw(everything, crops, random)
    log_probs, features = [], []
    for chosen in everything.split(CHUNK):
        answer = council.answer(store.render(chosen, boxes[chosen], council.size))
        log_probs.append(answer[0])
        features.append(answer[1].half())
    return View(boxes, torch.cat(log_probs), torch.cat(features))


class Views:
    """The newest views, at most ``room`` of them."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._views: list[View] = []

    def __len__(self) -> int:
        return len(self._views)

    def add(self, view: View) -> None:
        self._views = [*self._views, view][-self.room :]

    def clear(self) -> None:
        self._views = []

    def take(self, indices: Tensor, which: int) -> tuple[Boxes, Tensor, Tensor]:
        """Boxes, log-probabilities and features of the pictures ``indices`` in the view ``which``."""
        view = self._views[which % len(self._views)]
        return view.boxes[indices], view.log_probs[indices].float(), view.features[indices].float()


def half_width(device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic on an accelerator; float32 on a CPU, which would emulate bfloat16."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu")


def ready(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
