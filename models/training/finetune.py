"""Fine-tuning a served network against the clock: the schedule depends on the share of the time that has passed.

Made for a processor that is shared with other programs. The early stages keep their weights and cost only a forward
pass. Several threads train asynchronously: each takes the newest weights, computes the gradients of its own batch and
applies them (Recht et al. 2011), so none waits for a thread that the scheduler has suspended. To preserve what the old
network knew, its softened answer to a picture of the first dataset counts as much as the label, if it is right (Li and
Hoiem 2016, "Learning without forgetting").
"""

from __future__ import annotations

import copy
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from models.training.archs.resnet import ResNet
from models.training.averages import Average, cosine_with_warmup
from models.training.mixture import Mixed, Mixture
from models.training.run import Run
from models.training.train import Normalise, Report, refresh_statistics
from models.training.unfold import normed

AHEAD = 4  # batches made in advance
POLL_S = 1.0  # seconds between checks for work or the end


@dataclass(frozen=True)
class FineTuning:
    """How a network is fine-tuned. ``stages`` are pairs: share of the time at which the stage ends, pixels a side."""

    stages: tuple[tuple[float, int], ...] = ((0.5, 64), (0.97, 80), (1.0, 96))
    frozen: int = 2  # stages after the stem that keep their weights
    workers: int = 2
    batch_size: int = 64
    learning_rate: float = 2e-4  # three times this lost ten points of accuracy on the first dataset within 300 steps
    weight_decay: float = 0.02
    warmup_steps: int = 100
    label_smoothing: float = 0.05
    temperature: float = 2.0
    average_decay: float = 0.997
    checkpoint_s: float = 180.0
    log_every: int = 10
    refresh_batches: int = 30


@dataclass
class _Progress:
    """The state that the threads share, under its lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    step: int = 0
    losses: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    since: float = 0.0
    failure: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def fail(self, error: BaseException) -> None:
        """Stop every thread; `FineTuner.train` raises the error."""
        self.failure = error
        self.stop.set()


class FineTuner:
    """A fine-tuning run. It resumes from its checkpoint if there is one; ``ends_at`` may then be a new time."""

    def __init__(
        self,
        network: ResNet,
        old: ResNet,
        mixture: Mixture,
        run: Run,
        config: FineTuning,
        ends_at: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``ends_at`` is a time of ``clock``, which must not restart with the program."""
        self.network: ResNet = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mixture, self.run, self.config = mixture, run, config
        self.ends_at, self.clock, self.begun = ends_at, clock, clock()
        self.normalise = Normalise()
        self.front, _ = halves(old, config.frozen, fused=True)
        _, self.old = halves(old, config.frozen, fused=True)
        front, back = halves(network, config.frozen)
        front.requires_grad_(False)
        self.trained = list(back.parameters())
        groups = [
            {"params": [p for p in self.trained if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in self.trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, config.learning_rate, betas=(0.9, 0.98))
        self.average = Average(back, config.average_decay)
        self.back, self.shared = back, _Progress()
        if state := run.restore():
            self._restore(state)

    def progress(self) -> float:
        """The share of the time that has passed, from 0 to 1."""
        return min(1.0, max(0.0, (self.clock() - self.begun) / max(1e-9, self.ends_at - self.begun)))

    def size(self, progress: float) -> int:
        """The side of the pictures in pixels."""
        return next((size for until, size in self.config.stages if progress < until), self.config.stages[-1][1])

    def train(self, report: Report) -> ResNet:
        """Train until the time is over. Returns the network with averaged weights and new BatchNorm statistics."""
        batches: queue.Queue[Mixed] = queue.Queue(AHEAD)
        self.shared.since = saved = self.clock()
        maker = threading.Thread(target=self._make, args=(batches,), daemon=True)
        workers = [
            threading.Thread(target=self._work, args=(batches, report), daemon=True) for _ in range(self.config.workers)
        ]
        try:
            for thread in (maker, *workers):
                thread.start()
            while any(worker.is_alive() for worker in workers):
                workers[0].join(POLL_S)
                if self.clock() - saved > self.config.checkpoint_s:
                    self._save()
                    saved = self.clock()
        finally:
            self.shared.stop.set()
            for thread in (maker, *workers):
                thread.join()
        if self.shared.failure:
            raise self.shared.failure
        self._save()
        return self.finished()

    def finished(self) -> ResNet:
        """The network with averaged weights, the trained part's BatchNorm statistics recomputed at the last size."""
        self.average.copy_to(self.back)
        size, first = self.config.stages[-1][1], self.shared.step + AHEAD
        pixels = (
            self.mixture.batch(first + i, self.config.batch_size, size).pixels
            for i in range(self.config.refresh_batches)
        )
        refresh_statistics(self.back, (self._seen(batch) for batch in pixels))
        self.network.eval()
        return self.network

    def _seen(self, pixels: Any) -> Tensor:
        """The output of the frozen stages for a batch of pictures."""
        with torch.no_grad():
            seen: Tensor = self.front(self.normalise(pixels).contiguous(memory_format=torch.channels_last))
        return seen

    def _going(self) -> bool:
        return self.progress() < 1 and not self.shared.stop.is_set()

    def _make(self, batches: queue.Queue[Mixed]) -> None:
        step = self.shared.step
        try:
            while self._going():
                batch = self.mixture.batch(step, self.config.batch_size, self.size(self.progress()))
                step += 1
                while self._going():
                    try:
                        batches.put(batch, timeout=POLL_S)
                        break
                    except queue.Full:
                        continue
        except BaseException as error:
            self.shared.fail(error)

    def _work(self, batches: queue.Queue[Mixed], report: Report) -> None:
        mine = copy.deepcopy(self.back)
        try:
            while self._going():
                try:
                    batch = batches.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                with self.shared.lock:
                    mine.load_state_dict(self.back.state_dict())
                mine.train()
                loss, right = self._gradients(mine, batch)
                with self.shared.lock:
                    self._take(mine)
                    self._count(loss, right, batch.pixels.shape[1], report)
        except BaseException as error:
            self.shared.fail(error)

    def _gradients(self, back: nn.Module, batch: Mixed) -> tuple[float, float]:
        """Compute the batch's gradients in ``back``. Returns the loss and the accuracy."""
        targets, old = torch.from_numpy(batch.targets), torch.from_numpy(batch.old)
        seen = self._seen(batch.pixels)
        logits = back(seen)
        hard = functional.cross_entropy(logits, targets, label_smoothing=self.config.label_smoothing, reduction="none")
        loss = hard.sum()
        if batch.old.any():
            with torch.no_grad():
                known = self.old(seen[old])
            agrees = (known.argmax(1) == targets[old]).float()
            soft = soft_losses(logits[old], known, self.config.temperature)
            loss = loss + (agrees * (soft - 0.5 * hard[old])).sum()
        loss = loss / len(targets)
        back.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item(), float((logits.argmax(1) == targets).float().mean())

    def _take(self, other: nn.Module) -> None:
        """Take one optimiser step with another copy's gradients, and copy its BatchNorm statistics."""
        for own, theirs in zip(self.trained, other.parameters(), strict=True):
            own.grad = theirs.grad
        for mean, new in zip(self.back.buffers(), other.buffers(), strict=True):
            mean.copy_(new)
        nn.utils.clip_grad_norm_(self.trained, 5.0)
        warm = min(1.0, (self.shared.step + 1) / self.config.warmup_steps)
        falling = cosine_with_warmup(round(self.progress() * 10_000), 10_000, 0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * warm * falling
        self.optimiser.step()
        self.average.update(self.back, self.shared.step)
        self.shared.step += 1

    def _count(self, loss: float, right: float, size: int, report: Report) -> None:
        shared = self.shared
        shared.losses.append(loss)
        shared.right.append(right)
        if shared.step % self.config.log_every:
            return
        count, seconds = len(shared.losses), max(1e-9, self.clock() - shared.since)
        mean, share = sum(shared.losses) / count, sum(shared.right) / count
        rate, rate_of_learning = count * self.config.batch_size / seconds, self.optimiser.param_groups[0]["lr"]
        self.run.log(
            step=shared.step,
            loss=mean,
            train_accuracy=share,
            size=size,
            learning_rate=rate_of_learning,
            pictures_per_s=rate,
        )
        report(
            round(self.progress() * 1000), 1000, f"{size} px, loss {mean:.3f}, right {share:.3f}, {rate:.0f} pictures/s"
        )
        shared.losses.clear()
        shared.right.clear()
        shared.since = self.clock()

    def _save(self) -> None:
        with self.shared.lock:
            self.run.save(
                {
                    "step": self.shared.step,
                    "begun": self.begun,
                    "model": self.back.state_dict(),
                    "average": self.average.state(),
                    "optimiser": self.optimiser.state_dict(),
                }
            )

    def _restore(self, state: dict[str, Any]) -> None:
        self.shared.step, self.begun = state["step"], state["begun"]
        self.back.load_state_dict(state["model"])
        self.average.load(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])


def halves(network: ResNet, frozen: int, *, fused: bool = False) -> tuple[nn.Module, nn.Module]:
    """Split the network after the first ``frozen`` stages; the second half ends in the logits.

    Both halves share the network's layers; with ``fused`` they are copies for inference, with BatchNorm folded in.
    """
    stages = [network.get_submodule(f"layer{i + 1}") for i in range(network.stages)]
    front = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool, *stages[:frozen])
    back = nn.Sequential(*stages[frozen:], network.avgpool, network.head)
    if not fused:
        return front, back
    return _answering(front), _answering(back)


def _answering(part: nn.Module) -> nn.Module:
    """A copy for inference, with each BatchNorm folded into the convolution before it."""
    part = copy.deepcopy(part).eval().requires_grad_(False)
    for _, convolution, norm in normed(part):
        mean, variance = norm.running_mean, norm.running_var
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias
        )
    for name, module in list(part.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent, _, own = name.rpartition(".")
            setattr(part.get_submodule(parent), own, nn.Identity())
    return part.requires_grad_(False)


def soft_losses(logits: Tensor, log_probs: Tensor, temperature: float) -> Tensor:
    """t^2 KL(teacher || student) at temperature t for each picture [n]; see `models.training.train.soft_loss`."""
    student = functional.log_softmax(logits / temperature, 1)
    teacher = functional.log_softmax(log_probs / temperature, 1)
    return functional.kl_div(student, teacher, reduction="none", log_target=True).sum(1) * temperature**2


def between(old: dict[str, Tensor], new: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Interpolate the weights linearly from ``old`` (0) to ``new`` (1).

    The result is often better on other data than either end (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
    models").
    """
    return {name: torch.lerp(old[name].float(), value.float(), share).to(value.dtype) for name, value in new.items()}
