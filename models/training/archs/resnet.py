"""ResNet-18 and ResNet-50 (He et al. 2015, "Deep residual learning", table 1), with PyTorch's usual names.

In ResNet-50, the 3x3 convolution of a bottleneck has the stride, as in almost every implementation since 2016.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.training.archs.base import Classifier


def convolution(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, because BatchNorm follows; padded so that stride 1 keeps the size."""
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)


def shortcut(c_in: int, c_out: int, stride: int) -> nn.Sequential | None:
    """The projection shortcut (option B): a 1x1 convolution if the shape changes, otherwise None."""
    if stride == 1 and c_in == c_out:
        return None
    return nn.Sequential(convolution(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, c_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(c_in, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(c_in, width, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return out


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up to four times the width, and a shortcut."""

    expansion = 4

    def __init__(self, c_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = convolution(c_in, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = convolution(width, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = shortcut(c_in, width * self.expansion, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return out


class GlobalMean(nn.Module):
    """[n, c, h, w] -> [n, c], the mean over positions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class ResNet(Classifier):
    """7x7 stem, max-pool, four stages of residual blocks, global average pool, one linear layer."""

    pooled = True

    def __init__(
        self, block: type[BasicBlock | Bottleneck], repeats: tuple[int, ...], classes: int, channels: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        c_in = 64
        for stage, count in enumerate(repeats):
            width, blocks = 64 << stage, []
            for index in range(count):
                blocks.append(block(c_in, width, 2 if stage > 0 and index == 0 else 1))
                c_in = width * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.stages = len(repeats)
        self.avgpool = GlobalMean()
        self.fc = nn.Linear(c_in, classes)
        self._initialise()

    def _initialise(self) -> None:
        """Convolutions as in He et al. 2015 ("Delving deep"); each block starts as its shortcut (Goyal et al. 2017)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, (BasicBlock, Bottleneck)):
                last = module.bn2 if isinstance(module, BasicBlock) else module.bn3
                nn.init.zeros_(last.weight)

    def features(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x

    def embed(self, feature_map: Tensor) -> Tensor:
        vector: Tensor = self.avgpool(feature_map)
        return vector


def resnet18(classes: int, channels: int = 3, size: int = 96) -> ResNet:
    """11,689,512 parameters with 1000 classes, whatever the ``size``."""
    del size
    return ResNet(BasicBlock, (2, 2, 2, 2), classes, channels)


def resnet50(classes: int, channels: int = 3, size: int = 96) -> ResNet:
    """25,557,032 parameters with 1000 classes, whatever the ``size``."""
    del size
    return ResNet(Bottleneck, (3, 4, 6, 3), classes, channels)
