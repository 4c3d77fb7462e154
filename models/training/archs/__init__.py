"""The networks that can be trained, by name."""

from __future__ import annotations

from collections.abc import Callable

from models.training.archs.alexnet import AlexNet, alexnet_with_local_response
from models.training.archs.base import Classifier
from models.training.archs.efficientnet_lite import efficientnet_lite0
from models.training.archs.lenet import LeNet5, lenet5_with_sigmoid
from models.training.archs.resnet import resnet18, resnet50

ARCHS: dict[str, Callable[[int, int, int], Classifier]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "alexnet": AlexNet,
    "alexnet-lrn": alexnet_with_local_response,
    "lenet5": LeNet5,
    "lenet5-sigmoid": lenet5_with_sigmoid,
    "efficientnet-lite0": efficientnet_lite0,
}


def build(arch: str, classes: int, channels: int = 3, size: int = 96) -> Classifier:
    """A network with random weights for pictures [channels, size, size]. Raises KeyError for an unknown name."""
    return ARCHS[arch](classes, channels, size)


__all__ = ["ARCHS", "Classifier", "build"]
