"""LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition", figure 2)."""

from __future__ import annotations

from torch import Tensor, nn

from models.training.archs.base import Classifier

SIGMOID_GAIN = 4.0  # compensates for the sigmoid's slope at 0, which is a quarter of tanh's


class LeNet5(Classifier):
    """Two 5x5 convolutions with tanh and average pooling, then 120, 84 and the classes.

    61,706 parameters for one channel at 32 pixels and ten classes. As usual today, S2 and S4 have no coefficients, C3
    is connected to all six maps, and the output is linear instead of radial basis functions.
    """

    head_name = "output"

    def __init__(self, classes: int, channels: int = 1, size: int = 32, *, sigmoid: bool = False) -> None:
        super().__init__()
        side = ((size - 4) // 2 - 4) // 2
        if side < 1:
            raise ValueError(f"LeNet-5 needs pictures of at least 16 pixels a side, not {size}")
        self.c1 = nn.Conv2d(channels, 6, 5)
        self.s2 = nn.AvgPool2d(2)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.c5 = nn.Linear(16 * side * side, 120)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)
        self.squash1, self.squash3, self.squash5, self.squash6 = (
            nn.Sigmoid() if sigmoid else nn.Tanh() for _ in range(4)
        )
        if sigmoid:
            for layer in (self.c1, self.c3, self.c5, self.f6):
                nn.init.xavier_uniform_(layer.weight, gain=SIGMOID_GAIN)

    def features(self, x: Tensor) -> Tensor:
        x = self.s2(self.squash1(self.c1(x)))
        feature_map: Tensor = self.s4(self.squash3(self.c3(x)))
        return feature_map

    def embed(self, feature_map: Tensor) -> Tensor:
        x = self.squash5(self.c5(self.flatten(feature_map)))
        vector: Tensor = self.squash6(self.f6(x))
        return vector


def lenet5_with_sigmoid(classes: int, channels: int = 1, size: int = 32) -> LeNet5:
    """LeNet-5 with sigmoid instead of the paper's tanh; the same number of parameters."""
    return LeNet5(classes, channels, size, sigmoid=True)
