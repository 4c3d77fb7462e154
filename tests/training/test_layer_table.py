"""The layer table of a network that PyTorch exported agrees with PyTorch's own count."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from lookout.inspection.layers_onnx import layer_table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


class _Tokens(nn.Module):
    """A convolution, patches as tokens with attention among them, and a dense layer: what a small transformer has."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(self.patches(x).flatten(2).transpose(1, 2))
        q, k, v = self.qkv(tokens).reshape(1, -1, 3, 16).unbind(2)
        mixed = (q @ k.transpose(1, 2)).softmax(-1) @ v
        return self.head(mixed.mean(1))


def test_parameters_and_multiply_adds_are_pytorchs_and_mixed_tokens_have_no_field(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, picture = _Tokens().eval(), torch.zeros(1, 3, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter
        torch.onnx.export(network, (picture,), str(tmp_path / "net.onnx"), dynamo=False, opset_version=17)
    table = layer_table(tmp_path / "net.onnx")
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        network(picture)
    assert table.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert table.multiply_adds == counted.get_total_flops() // 2
    assert not table.incomplete
    fields = {row.operator: row.field for row in table.layers}
    assert fields["Conv"] is not None
    assert fields["Conv"].size == (8, 8)
    assert table.layers[-1].field is None, "attention mixes all places"
