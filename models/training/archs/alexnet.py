"""AlexNet in the one-column form of Krizhevsky 2014, "One weird trick for parallelizing convolutional networks"."""

from __future__ import annotations

from torch import Tensor, nn

from models.training.archs.base import Classifier

WIDE = 4096  # units of the first two dense layers


def pooled_side(side: int) -> int:
    """The side of the last feature map for a picture of ``side`` pixels: 6 for 224 or 227, 2 for 96."""
    side = (side + 2 * 2 - 11) // 4 + 1
    for _ in range(3):  # the three max-pools, 3x3 with stride 2; the convolutions between them keep the size
        side = (side - 3) // 2 + 1
    return side


def local_response_norm() -> nn.LocalResponseNorm:
    """As in the 2012 paper: a / (2 + 0.0001 * the sum of the squares of five neighbouring channels) ** 0.75.

    PyTorch, like ONNX, divides alpha by the number of channels, so alpha is five times as large here.
    """
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


class AlexNet(Classifier):
    """Five convolutions, three max-pools, three linear layers; the first one's width depends on the picture's size.

    61,100,840 parameters at 224 pixels with 1000 classes, as in the paper. ``local_response`` adds the normalisation of
    the 2012 paper, which has no parameters and which the 2014 form dropped, after the first two ReLUs, before pooling.
    """

    head_name = "fc8"

    def __init__(self, classes: int, channels: int = 3, size: int = 224, *, local_response: bool = False) -> None:
        super().__init__()
        side = pooled_side(size)
        if side < 1:
            raise ValueError(f"AlexNet needs pictures of at least 63 pixels a side, not {size}")
        self.conv1 = nn.Conv2d(channels, 64, 11, 4, 2)
        self.conv2 = nn.Conv2d(64, 192, 5, 1, 2)
        self.conv3 = nn.Conv2d(192, 384, 3, 1, 1)
        self.conv4 = nn.Conv2d(384, 256, 3, 1, 1)
        self.conv5 = nn.Conv2d(256, 256, 3, 1, 1)
        self.pool1, self.pool2, self.pool5 = (nn.MaxPool2d(3, 2) for _ in range(3))
        self.relu1, self.relu2, self.relu3, self.relu4, self.relu5, self.relu6, self.relu7 = (
            nn.ReLU() for _ in range(7)
        )
        self.norm1, self.norm2 = (local_response_norm() if local_response else nn.Identity() for _ in range(2))
        self.drop6, self.drop7 = nn.Dropout(0.5), nn.Dropout(0.5)
        self.flatten = nn.Flatten()
        self.fc6 = nn.Linear(256 * side * side, WIDE)
        self.fc7 = nn.Linear(WIDE, WIDE)
        self.fc8 = nn.Linear(WIDE, classes)

    def features(self, x: Tensor) -> Tensor:
        x = self.pool1(self.norm1(self.relu1(self.conv1(x))))
        x = self.pool2(self.norm2(self.relu2(self.conv2(x))))
        x = self.relu4(self.conv4(self.relu3(self.conv3(x))))
        feature_map: Tensor = self.pool5(self.relu5(self.conv5(x)))
        return feature_map

    def embed(self, feature_map: Tensor) -> Tensor:
        x = self.relu6(self.fc6(self.drop6(self.flatten(feature_map))))
        vector: Tensor = self.relu7(self.fc7(self.drop7(x)))
        return vector


def alexnet_with_local_response(classes: int, channels: int = 3, size: int = 224) -> AlexNet:
    """AlexNet with the local response normalisation of 2012; as many parameters as without."""
    return AlexNet(classes, channels, size, local_response=True)
