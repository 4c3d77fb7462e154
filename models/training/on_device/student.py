"""The student's training within a given time: the schedule depends on the share of it that has passed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.archs import Classifier
from models.training.augment import CameraPolicy, CropPolicy
from models.training.averages import Average, cosine_with_warmup
from models.training.on_device.defects import Camera, far_away
from models.training.on_device.store import Store
from models.training.on_device.teachers import AVERAGED_EVERY, WAIT_EVERY, Council, Say, Views, ask, half_width, ready
from models.training.train import IMAGENET_MEAN, IMAGENET_STD, refresh_statistics


@dataclass(frozen=True)
class Stage:
    """A part of the training, which ends at ``until``, a share of the time. Pictures have ``size`` pixels a side."""

    until: float
    size: int
    crops: CropPolicy
    camera: CameraPolicy
    mixed: float  # share of batches whose pictures are blended in pairs (mixup, Zhang et al. 2018)
    hints: float  # weight of the loss of predicting the teachers' features


EARLY = CropPolicy(min_area=0.2, plain=0.15)
LATE = CropPolicy(min_area=0.35, plain=0.35)
STAGES = (
    Stage(0.25, 64, EARLY, CameraPolicy(strength=0.8, far=0.15), 0.4, 2.0),
    Stage(0.55, 80, EARLY, CameraPolicy(strength=0.8, far=0.15), 0.4, 2.0),
    Stage(0.80, 96, EARLY, CameraPolicy(strength=0.8, far=0.15), 0.4, 2.0),
    Stage(1.00, 96, LATE, CameraPolicy(strength=0.7, far=0.10), 0.0, 0.2),
)


@dataclass(frozen=True)
class Schooling:
    """The student's recipe; the loss is that of `models.training.train`."""

    seconds: float = 480.0
    seed: int = 5
    stages: tuple[Stage, ...] = STAGES
    batch_size: int = 512
    learning_rate: float = 0.5
    momentum: float = 0.9
    weight_decay: float = 2e-4
    average_decay: float = 0.997
    label_smoothing: float = 0.05
    distil_share: float = 0.85
    distil_temperature: float = 2.0
    jitter: float = 0.08
    asking: float = 0.3  # share of the time for making new views
    room: int = 24
    refresh_batches: int = 60
    looks: tuple[float, ...] = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.96)


class Student:
    """Network, optimiser and averaged weights, with the training loop."""

    def __init__(
        self,
        network: Classifier,
        store: Store,
        repeats: Tensor,
        scenes: Tensor,
        council: Council,
        schooling: Schooling,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        device = store.device
        self.network: Classifier = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.store, self.scenes, self.council = store, scenes, council
        self.schooling, self.clock = schooling, clock
        self.shown = torch.repeat_interleave(torch.arange(len(store), device=device), repeats)
        self.random = torch.Generator(device).manual_seed(schooling.seed)
        self.step = 0
        self.average = Average(network, schooling.average_decay)
        self.predict = nn.Linear(network.head.in_features, council.features).to(device)
        trained = [*network.parameters(), *self.predict.parameters()]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": schooling.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.SGD(groups, schooling.learning_rate, schooling.momentum, nesterov=True)
        self.mean = torch.tensor(IMAGENET_MEAN, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(IMAGENET_STD, device=device).view(1, 3, 1, 1)
        self.views = Views(schooling.room)
        self.feature_mean, self.feature_std = torch.zeros((), device=device), torch.ones((), device=device)
        self._order = torch.empty(0, dtype=torch.long, device=device)

    def train(self, look: Callable[[float], None], say: Say) -> None:
        """Train until the time is up. ``look`` is called with the share of time passed, at each ``schooling.looks``."""
        schooling, began, asked, done = self.schooling, self.clock(), 0.0, 0.0
        looks = list(schooling.looks)
        stage: Stage | None = None
        self.network.train()
        while done < 1:
            now = next((s for s in schooling.stages if done < s.until), schooling.stages[-1])
            if now is not stage:
                if stage is None or now.crops != stage.crops:
                    self.views.clear()
                stage, camera = now, Camera(now.camera, self.random, schooling.seed + self.step)
                say(f"{done:.2f}: {stage.size} px, step {self.step}")
            if not len(self.views) or asked < schooling.asking * (self.clock() - began):
                asked += self._ask(stage.crops)
            self.learn(stage, camera, done)
            if self.step % WAIT_EVERY == 0:
                ready(self.store.device)
            done = (self.clock() - began) / schooling.seconds
            if looks and done >= looks[0]:
                look(looks.pop(0))
        self.finish(schooling.stages[-1])

    def _ask(self, crops: CropPolicy) -> float:
        """Add a view. Returns the seconds that it took."""
        began = self.clock()
        view = ask(self.council, self.store, crops, self.random)
        if self.step == 0:
            part = view.features[: 1 << 13].float()
            self.feature_mean, self.feature_std = part.mean(0), part.std(0).clamp_min(1e-3)
        self.views.add(view)
        ready(self.store.device)
        return self.clock() - began

    def learn(self, stage: Stage, camera: Camera, done: float) -> None:
        """Take one step of gradient descent."""
        schooling = self.schooling
        for group in self.optimiser.param_groups:
            group["lr"] = schooling.learning_rate * cosine_with_warmup(round(done * 10_000), 10_000, 300)
        pixels, targets, log_probs, features = self.batch(stage, camera)
        soft = functional.softmax(log_probs / schooling.distil_temperature, 1)
        if float(torch.rand(())) < stage.mixed:
            share = float(torch.distributions.Beta(0.4, 0.4).sample())
            pixels, targets, soft, features = (
                share * v + (1 - share) * v.roll(1, 0) for v in (pixels, targets, soft, features)
            )
        with half_width(self.store.device):
            embedding = self.network.embed(self.network.features(self.normalised(pixels))).float()
        logits = self.network.head(embedding)
        hard = functional.cross_entropy(logits, targets, label_smoothing=schooling.label_smoothing)
        kl = soft_targets_loss(logits, soft, schooling.distil_temperature)
        regression = functional.mse_loss(self.predict(embedding), (features - self.feature_mean) / self.feature_std)
        share = schooling.distil_share
        loss = (1 - share) * hard + share * kl + stage.hints * regression
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        if self.step % AVERAGED_EVERY == 0:
            self.average.update(self.network, self.step // AVERAGED_EVERY)
        self.step += 1

    def _last_pictures(self, stage: Stage) -> Iterator[Tensor]:
        """Yield normalised batches, computed in float32 as in training, although the caller runs under autocast."""
        camera = Camera(stage.camera, self.random, self.schooling.seed)
        for _ in range(self.schooling.refresh_batches):
            with torch.autocast(self.store.device.type, enabled=False):
                pixels = self.normalised(self.batch(stage, camera)[0])
            yield pixels

    def batch(self, stage: Stage, camera: Camera) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures [n, 3, s, s], one-hot labels [n, labels], and the teachers' log-probabilities and features."""
        store, random = self.store, self.random
        indices = self._next()
        which = int(torch.randint(len(self.views), ()))
        boxes, log_probs, features = self.views.take(indices, which)
        boxes = store.jittered(indices, boxes, self.schooling.jitter, random)
        pixels = store.render(indices, boxes, stage.size)
        count = round(len(indices) * stage.camera.far) if len(self.scenes) else 0
        if count:
            drawn = torch.randint(len(self.scenes), (count,), generator=random, device=store.device)
            behind = self.scenes[drawn]
            scenes = store.render(behind, store.draw(behind, EARLY, random), stage.size)
            pixels = torch.cat([far_away(pixels[:count], scenes, random), pixels[count:]])
        targets = functional.one_hot(store.targets[indices], log_probs.shape[1]).float()
        return camera(pixels), targets, log_probs, features

    def _next(self) -> Tensor:
        """The indices of the next batch from the epoch's permutation."""
        size = self.schooling.batch_size
        if len(self._order) < size:
            order = torch.randperm(len(self.shown), generator=self.random, device=self.store.device)
            self._order = self.shown[order]
        indices, self._order = self._order[:size], self._order[size:]
        return indices

    def normalised(self, pixels: Tensor) -> Tensor:
        return ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def averaged_logits(self, crops: Tensor, network: Classifier) -> Tensor:
        """Logits of uint8 pictures [n, 3, s, s] with the averaged weights, which are copied to ``network``."""
        self.average.copy_to(network)
        network.eval()
        return torch.cat([network(self.normalised(part.float())) for part in crops.split(256)])

    def finish(self, stage: Stage) -> None:
        """Copy the averaged weights to the network, and recompute BatchNorm's statistics."""
        self.average.copy_to(self.network)
        with half_width(self.store.device):
            refresh_statistics(self.network, self._last_pictures(stage))
        self.network.eval()


def soft_targets_loss(logits: Tensor, soft: Tensor, temperature: float) -> Tensor:
    """t^2 KL(soft || student at temperature t) (Hinton et al. 2015), for targets that are already probabilities."""
    student = functional.log_softmax(logits / temperature, 1)
    return functional.kl_div(student, soft, reduction="batchmean") * temperature**2
