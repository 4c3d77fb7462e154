"""Training of a classifier on labels and, if there is a teacher, on its answers to the same crops.

The recipe: most epochs on small pictures and the last ones at full size (Touvron et al. 2019), label smoothing,
averaged weights, and BatchNorm statistics recomputed at the end. With a teacher (Beyer et al. 2022), the loss is

    (1 - share) * cross entropy + share * t^2 * KL(teacher || student, at temperature t) + weight * regression,

where the regression is that of the teacher's pooled features, each scaled to mean 0 and variance 1, by a linear layer
that is discarded after training.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.archs import Classifier
from models.training.averages import Average, cosine_with_warmup
from models.training.batches import Batch, BatchSource, ahead, centre_crops
from models.training.data import Pictures, Pixels
from models.training.plots import curves
from models.training.run import Run
from models.training.stopping import Interrupted, Stopped, never
from models.training.teacher import Answers

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained. ``stages`` are (epochs, pixels a side) in order."""

    stages: tuple[tuple[float, int], ...] = ((20, 64), (5, 96))
    learning_rate: float = 0.04
    momentum: float = 0.9
    weight_decay: float = 2e-4
    warmup_steps: int = 500
    label_smoothing: float = 0.05
    average_decay: float = 0.999
    distil_share: float = 0.8
    distil_temperature: float = 2.0
    feature_weight: float = 2.0
    bf16: bool = False  # see `models.training.arithmetic`; without hardware support it is slower than float32
    log_every: int = 50
    checkpoint_every: int = 300
    evaluate_every: int = 1200  # steps; after each epoch if that is sooner
    evaluate_size: int = 96
    refresh_batches: int = 100


class Normalise(nn.Module):
    """uint8 [n, s, s, c] -> channels-last float [n, c, s, s], (pixel - mean) / std."""

    def __init__(self, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD) -> None:
        super().__init__()
        self.mean, self.std = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)

    def forward(self, pixels: Pixels) -> Tensor:
        return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - self.mean) / self.std


class Trainer:
    """One training run: all state that changes from step to step, with saving and restoring."""

    def __init__(
        self,
        network: Classifier,
        config: TrainConfig,
        source: BatchSource,
        run: Run,
        *,
        normalise: Normalise | None = None,
        answers: Answers | None = None,
        validation: Pictures | None = None,
        stopped: Stopped = never,
    ) -> None:
        torch.manual_seed(source.seed)
        self.network: Classifier = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config, self.source, self.run = config, source, run
        self.normalise, self.answers, self.validation = normalise or Normalise(), answers, validation
        self.stopped = stopped
        self.step = 0
        self.ends = np.cumsum([round(epochs * source.steps_per_epoch) for epochs, _ in config.stages])
        self.total = int(self.ends[-1])
        self.warmup = min(config.warmup_steps, self.total // 10)
        self.student = FeatureRegression(network, answers) if answers else None
        trained = [*network.named_parameters(), *(self.student.named_parameters() if self.student else ())]
        # No weight decay for biases and BatchNorm parameters, which do not benefit from being small.
        groups = [
            {"params": [p for _, p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for _, p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.SGD(groups, config.learning_rate, config.momentum, nesterov=True)
        self.average = Average(network, config.average_decay)
        if state := run.restore():
            self._restore(state)

    def size(self, step: int) -> int:
        """The side of the pictures at a step, in pixels."""
        stage = int(np.searchsorted(self.ends, step, side="right"))
        return self.config.stages[min(stage, len(self.ends) - 1)][1]

    def train(self, report: Report, until: int | None = None) -> Classifier:
        """Train to the end, or to step ``until``. Returns the network as ``finished`` does, after a last evaluation.

        Raises Interrupted if the run was stopped, after saving its last step.
        """
        end = min(self.total, until or self.total)
        every = min(self.config.evaluate_every, self.source.steps_per_epoch)
        self.network.train()
        report(self.step, self.total, "the first step …")
        began, losses = time.monotonic(), []
        for batch in ahead(self._batch, self.step, end):
            losses.append(self._learn(batch))
            self.step += 1
            rate = len(losses) * self.source.batch_size / (time.monotonic() - began)
            report(self.step, self.total, self._words(*losses[-1], rate))
            if self.step % self.config.log_every == 0 or self.step == end:
                self._log(np.mean(losses, axis=0), rate)
                began, losses = time.monotonic(), []
            if self.step % self.config.checkpoint_every == 0 or self.step == end:
                self.run.save(self._state())
            if self.validation and self.step % every == 0 and self.step < end:
                self._evaluate_average(report)
                began = time.monotonic()
            if self.stopped() and self.step < end:
                self.run.save(self._state())
                raise Interrupted(self.step, self.total)
        network = self.finished()
        if self.validation:
            self._evaluate(report)
        return network

    def finished(self) -> Classifier:
        """The network with averaged weights, and BatchNorm statistics recomputed at the last stage's size."""
        self.average.copy_to(self.network)
        count = min(self.config.refresh_batches, self.source.steps_per_epoch)  # each picture once at most
        size, steps = self.config.stages[-1][1], range(self.total, self.total + count)
        refresh_statistics(self.network, (self.normalise(self.source.batch(step, size).pixels) for step in steps))
        self.network.eval()
        return self.network

    def _batch(self, step: int) -> Batch:
        clean = 0
        if self.answers:
            epoch, indices = self.source.indices(step)
            clean = 0 if self.answers.known(epoch % self.source.views, indices) else self.answers.size
        return self.source.batch(step, self.size(step), clean)

    def _learn(self, batch: Batch) -> tuple[float, float]:
        """Take one step of gradient descent. Returns the loss and the accuracy."""
        config = self.config
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * cosine_with_warmup(self.step, self.total, self.warmup)
        targets = torch.from_numpy(batch.targets)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            embedding = self.network.embed(self.network.features(self.normalise(batch.pixels)))
        logits = self.network.head(embedding.float())
        loss = functional.cross_entropy(logits, targets, label_smoothing=config.label_smoothing)
        if self.answers and self.student:
            log_probs, features = self.answers.of(batch)
            kl = soft_loss(logits, log_probs, config.distil_temperature)
            regression = self.student(embedding.float(), features)
            share = config.distil_share
            loss = (1 - share) * loss + share * kl + config.feature_weight * regression
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.average.update(self.network, self.step)
        return loss.item(), float((logits.argmax(1) == targets).float().mean())

    def _words(self, loss: float, right: float, rate: float) -> str:
        return f"{self.size(self.step - 1)} px, loss {loss:.3f}, right {right:.3f}, {rate:.0f} pictures/s"

    def _log(self, means: Any, rate: float) -> None:
        self.run.log(
            step=self.step,
            epoch=self.step / self.source.steps_per_epoch,
            loss=float(means[0]),
            train_accuracy=float(means[1]),
            size=self.size(self.step - 1),
            learning_rate=self.optimiser.param_groups[0]["lr"],
            pictures_per_s=rate,
        )

    def _evaluate_average(self, report: Report) -> None:
        """Measure the averaged weights, without changing the weights being trained."""
        training = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.average.copy_to(self.network)
        self._evaluate(report)
        self.network.load_state_dict(training)
        self.network.train()

    def _evaluate(self, report: Report) -> None:
        """Accuracy of the network as it is on the validation pictures, logged; the run's curves are redrawn."""
        assert self.validation is not None
        logits = predict(self.network, self._validation_crops(), self.normalise)
        right = float((logits.argmax(1).numpy() == self.validation.targets).mean())
        self.run.log(step=self.step, epoch=self.step / self.source.steps_per_epoch, validation_accuracy=right)
        curves(self.run.metrics(), self.run.folder / "curves.png")
        report(self.step, self.total, f"{right:.1%} of the validation pictures right")

    def _validation_crops(self) -> Pixels:
        assert self.validation is not None
        return centre_crops(self.validation, self.config.evaluate_size, self.source.channels)

    def _state(self) -> dict[str, object]:
        return {
            "step": self.step,
            "model": self.network.state_dict(),
            "student": self.student.state_dict() if self.student else {},
            "average": self.average.state(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.step = state["step"]
        self.network.load_state_dict(state["model"])
        if self.student:
            self.student.load_state_dict(state["student"])
        self.average.load(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])  # dropout draws from it


class FeatureRegression(nn.Module):
    """Mean squared error of predicting the teacher's standardised features linearly from the student's embedding."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: Classifier, answers: Answers) -> None:
        super().__init__()
        mean, std = answers.feature_scale()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.predict = nn.Linear(network.head.in_features, len(mean))

    def forward(self, embedding: Tensor, features: Tensor) -> Tensor:
        return functional.mse_loss(self.predict(embedding), (features - self.mean) / self.std)


def soft_loss(logits: Tensor, log_probs: Tensor, temperature: float) -> Tensor:
    """t^2 KL(teacher || student) at temperature t (Hinton et al. 2015); t^2 keeps the gradients' magnitude."""
    student = functional.log_softmax(logits / temperature, 1)
    teacher = functional.log_softmax(log_probs / temperature, 1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def predict(network: nn.Module, pixels: Pixels, normalise: Normalise, batch_size: int = 64) -> Tensor:
    """Logits [n, labels] of pictures [n, s, s, c], computed in float32."""
    network.eval()
    with torch.inference_mode():
        parts = [network(normalise(pixels[i : i + batch_size])) for i in range(0, len(pixels), batch_size)]
    return torch.cat(parts)


def refresh_statistics(network: nn.Module, batches: Any) -> None:
    """Set BatchNorm's running statistics to the plain mean over these normalised batches (Izmailov et al. 2018)."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch then computes a cumulative mean
    network.train()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
