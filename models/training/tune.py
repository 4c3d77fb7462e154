"""Transfer learning from an ImageNet network, the quickest way from a few hundred photographs to a good model.

Features learnt from ImageNet's thousand classes are better than any learnt from forty thousand pictures; only the head
does not fit our labels. So the early blocks keep their weights, and the later ones are tuned with a new linear head.
BatchNorm keeps ImageNet's statistics, since the tuning is short and the batches are small.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from models.training.archs.efficientnet_lite import pretrained
from models.training.averages import Average, cosine_with_warmup
from models.training.batches import Batch, BatchSource, ahead
from models.training.data import Pictures
from models.training.files import whole_file
from models.training.mixture import Mixed, MixedSource
from models.training.plots import curves
from models.training.run import Run
from models.training.stopping import Interrupted, Stopped, never
from models.training.teacher import Teacher, accuracy, normalise

CHECKPOINT_EVERY = 200  # steps; a power cut loses at most this many
LOG_EVERY = 10
HEAD_RATE = 4.0  # the new layer's learning rate, as a multiple of that of the pretrained layers


@dataclass(frozen=True)
class TuneConfig:
    """How a network is tuned. ``frozen`` is the number of blocks that keep their ImageNet weights.

    The learning rate rises for a tenth of the run, but at most for ``warmup_steps``.
    """

    variant: str = "lite0"
    size: int = 160
    frozen: int = 5
    epochs: float = 2
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup_steps: int = 100
    average_decay: float = 0.998
    label_smoothing: float = 0.0
    bf16: bool = False  # see `models.training.arithmetic`


class Tuner:
    """One tuning run, from the ImageNet weights or from the run's checkpoint if there is one."""

    def __init__(
        self,
        config: TuneConfig,
        source: BatchSource | MixedSource,
        run: Run,
        report: Callable[[int, int, str], None],
        validation: Pictures | None = None,
        stopped: Stopped = never,
    ) -> None:
        torch.manual_seed(source.seed)
        self.config, self.source, self.run = config, source, run
        self.report, self.validation, self.stopped = report, validation, stopped
        network = pretrained(config.variant)
        self.teacher = Teacher(config.variant, len(source.pictures.labels), config.frozen, network)
        self.teacher.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        head = list(self.teacher.network.head.parameters())
        body = [p for p in self.teacher.parameters() if not any(p is h for h in head)]
        groups = [{"params": body, "scale": 1.0}, {"params": head, "scale": HEAD_RATE}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.average = Average(self.teacher, config.average_decay)
        self.step, self.total = 0, max(1, round(config.epochs * source.steps_per_epoch))
        if state := run.restore():
            self._restore(state)

    def train(self) -> Teacher:
        """Tune to the end. Returns the network with averaged weights.

        They are also saved as ``teacher.pt`` in the run folder. Raises Interrupted if the run was stopped, after saving
        its last step.
        """
        self.report(self.step, self.total, "the first step …")
        began, losses, accuracies = time.monotonic(), [], []
        for batch in ahead(self._batch, self.step, self.total):
            loss, right = self._learn(batch)
            self.step += 1
            losses.append(loss)
            accuracies.append(right)
            rate = len(losses) * self.source.batch_size / (time.monotonic() - began)
            self.report(self.step, self.total, f"loss {loss:.3f}, {rate:.0f} pictures/s")
            if self.step % LOG_EVERY == 0 or self.step == self.total:
                mean, share = sum(losses) / len(losses), sum(accuracies) / len(accuracies)
                epoch = self.step / self.source.steps_per_epoch
                self.run.log(
                    step=self.step, epoch=epoch, loss=mean, train_accuracy=share, pictures_per_s=round(rate, 1)
                )
                began, losses, accuracies = time.monotonic(), [], []
            if self._epoch_is_over():
                self._evaluate()
                began = time.monotonic()
            if self.step % CHECKPOINT_EVERY == 0 or self.step == self.total:
                self.run.save(self._state())
            if self.stopped() and self.step < self.total:
                self.run.save(self._state())
                raise Interrupted(self.step, self.total)
        self._keep()
        self.average.copy_to(self.teacher)
        return self.teacher

    def _batch(self, step: int) -> Batch | Mixed:
        return self.source.batch(step, self.config.size)

    def _learn(self, batch: Batch | Mixed) -> tuple[float, float]:
        """Take one step of gradient descent. Returns the loss and the accuracy."""
        config = self.config
        warmup = min(config.warmup_steps, self.total // 10)
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * group["scale"] * cosine_with_warmup(self.step, self.total, warmup)
        targets = torch.from_numpy(batch.targets)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            logits = self.teacher(normalise(batch.pixels))
        loss = functional.cross_entropy(logits.float(), targets, label_smoothing=config.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.teacher.parameters(), 5.0)
        self.optimiser.step()
        self.average.update(self.teacher, self.step)
        return loss.item(), float((logits.argmax(1) == targets).float().mean())

    def _epoch_is_over(self) -> bool:
        return self.step % self.source.steps_per_epoch == 0 or self.step == self.total

    def _evaluate(self) -> None:
        """Measure the averaged weights on the validation pictures, without changing the weights being tuned."""
        if self.validation is None:
            return
        tuned = {name: value.clone() for name, value in self.teacher.state_dict().items()}
        self.average.copy_to(self.teacher)
        right = accuracy(self.teacher, self.config.size, self.validation)
        self.teacher.load_state_dict(tuned)
        self.run.log(step=self.step, epoch=self.step / self.source.steps_per_epoch, validation_accuracy=right)
        curves(self.run.metrics(), self.run.folder / "curves.png")
        self.report(self.step, self.total, f"{right:.1%} of the validation pictures right")

    def _keep(self) -> None:
        kept = {
            "variant": self.config.variant,
            "size": self.config.size,
            "labels": self.source.pictures.labels,
            "model": self.average.state(),
        }
        with whole_file(self.run.folder / "teacher.pt") as file:
            torch.save(kept, file)

    def _state(self) -> dict[str, object]:
        return {
            "model": self.teacher.state_dict(),
            "average": self.average.state(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }

    def _restore(self, state: dict[str, object]) -> None:
        self.teacher.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.average.load(state["average"])  # type: ignore[arg-type]
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        self.step = int(state["step"])  # type: ignore[call-overload]
