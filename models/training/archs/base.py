"""The base class of all classifiers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Classifier(nn.Module, ABC):
    """Picture -> feature map -> one vector (the embedding) -> one linear layer -> logits.

    ``pooled``: the embedding is the feature map's mean over positions. Then the last layer can also be applied to each
    position, which gives the class activation map (Zhou et al. 2016), whose mean over positions is the logits.
    """

    pooled: bool = False
    head_name: str = "fc"

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Normalised pictures [n, c, h, w] -> feature map [n, f, h', w']."""

    @abstractmethod
    def embed(self, feature_map: Tensor) -> Tensor:
        """Feature map -> embedding [n, e]."""

    @property
    def head(self) -> nn.Linear:
        """The last layer, embedding -> logits [n, labels]."""
        layer = self.get_submodule(self.head_name)
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embed(self.features(x)))
        return logits
