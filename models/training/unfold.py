"""From a served graph back to a trainable network, by restoring the BatchNorm layers that were folded in.

A folded convolution has only a weight w and a bias b. If its outputs without b have mean m and variance v on some
pictures, then a BatchNorm with these statistics, scale sqrt(v) and shift b + m computes the same function, and in
training it behaves as a BatchNorm does. Each filter is also scaled to length 1, which BatchNorm compensates, so that an
optimiser step has the same relative size everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.training.archs.resnet import ResNet

MIN_VARIANCE, MIN_LENGTH = 1e-6, 1e-4


def stored_weights(path: Path) -> dict[str, Tensor]:
    """A graph's constants as float32, by the name of the parameter."""
    stored = onnx.load(path).graph.initializer
    return {t.name.removesuffix(".half"): torch.from_numpy(_float32(t)) for t in stored}


def _float32(tensor: onnx.TensorProto) -> np.ndarray:
    return np.array(numpy_helper.to_array(tensor), np.float32)


def normed(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Yield each convolution that is followed by a BatchNorm: its name, the convolution, the BatchNorm."""
    convolution: tuple[str, nn.Conv2d] | None = None
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            convolution = name, module
        elif isinstance(module, nn.BatchNorm2d) and convolution:
            yield *convolution, module
            convolution = None


@torch.no_grad()
def unfold(network: ResNet, weights: dict[str, Tensor], batches: Sequence[Tensor]) -> None:
    """Load folded weights into ``network`` so that it computes the same function as the graph.

    ``batches`` are normalised pictures [n, c, h, w] like those it will be trained on. Raises ValueError if the weights
    of a layer are missing.
    """
    pairs = list(normed(network))
    for name, convolution, norm in pairs:
        convolution.weight.copy_(_weight(weights, f"{name}.weight"))
        norm.bias.copy_(_weight(weights, f"{name}.bias"))
        norm.weight.fill_(1)
        _statistics(norm, torch.zeros_like(norm.bias), torch.full_like(norm.bias, 1 - norm.eps))
    network.head.weight.copy_(_weight(weights, f"{network.head_name}.weight"))
    network.head.bias.copy_(_weight(weights, f"{network.head_name}.bias"))
    measured = _measured(network, pairs, batches)
    for name, convolution, norm in pairs:
        mean, variance = measured[name]
        length = convolution.weight.flatten(1).norm(dim=1).clamp_min(MIN_LENGTH)
        convolution.weight.div_(length.view(-1, 1, 1, 1))
        spread = variance.clamp_min(MIN_VARIANCE) / length**2
        _statistics(norm, mean / length, spread)
        norm.weight.copy_((spread + norm.eps).sqrt() * length)
        norm.bias.add_(mean)


def _measured(
    network: ResNet, pairs: Sequence[tuple[str, nn.Conv2d, nn.BatchNorm2d]], batches: Sequence[Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance of each convolution's outputs per channel."""
    moments: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name, _, _ in pairs}

    def keep(name: str) -> object:
        def hook(_: nn.Module, __: object, out: Tensor) -> None:
            moments[name].append((out.mean((0, 2, 3)), (out**2).mean((0, 2, 3))))

        return hook

    handles = [convolution.register_forward_hook(keep(name)) for name, convolution, _ in pairs]  # type: ignore[arg-type]
    network.eval()
    for batch in batches:
        network(batch)
    for handle in handles:
        handle.remove()
    found = {}
    for name, parts in moments.items():
        mean = torch.stack([first for first, _ in parts]).mean(0)
        found[name] = mean, torch.stack([second for _, second in parts]).mean(0) - mean**2
    return found


def _statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)


def _weight(weights: dict[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        raise ValueError(f"the graph has no {name}: it is not a ResNet-18 that this package exported")
    return weights[name]
