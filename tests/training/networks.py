"""Networks of the real kinds at a fraction of their size: what a test is about is seldom how many weights there are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.training.archs import build
from models.training.archs.efficientnet_lite import VARIANTS, EfficientNetLite, Variant


def small_lite(classes: int = 3) -> EfficientNetLite:
    """An EfficientNet-Lite with every kind of block at a quarter of the width, random weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "small", Variant(0.25, 0.3, 32))
        return EfficientNetLite("small", classes).eval()


def lively(arch: str, channels: int = 3, size: int = 96) -> nn.Module:
    """A network whose BatchNorms have something to fold."""
    torch.manual_seed(1)
    network = build(arch, 3, channels, size)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.8)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()
