"""Weight averaging and the learning rate schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of a module's parameters and buffers (Polyak averaging).

    The decay grows with the step, min(decay, (1 + step) / (10 + step)), so that the initial weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self._mean: dict[str, Tensor] = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            mean = self._mean[name]
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), 1 - decay)
            else:
                mean.copy_(value)

    def state(self) -> dict[str, Tensor]:
        return self._mean

    def load(self, state: dict[str, Tensor]) -> None:
        for name, value in state.items():
            self._mean[name].copy_(value)

    def copy_to(self, module: nn.Module) -> None:
        module.load_state_dict(self._mean)


def cosine_with_warmup(step: int, total: int, warmup: int) -> float:
    """Factor of the learning rate: a linear rise over ``warmup`` steps, then half a cosine down to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
