"""What speaks for a label, of a network that somebody else's exporter wrote, against PyTorch's own numbers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import onnxruntime
import torch
from lookout.pipeline.card import InputSpec
from lookout.registry.graph_file import prepare
from lookout.registry.heat_maps import ROLE, with_heat_map

from models.training.archs import build

SIDE = 64


@pytest.mark.filterwarnings("ignore")
def test_the_heat_map_of_an_exported_resnet18_is_its_last_layer_at_each_place(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, picture = build("resnet18", 3).eval(), torch.rand(1, 3, SIDE, SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter
        torch.onnx.export(
            network, (picture,), str(tmp_path / "net.onnx"), input_names=["x"], output_names=["y"], dynamo=False
        )
    file = prepare(tmp_path / "net.onnx")
    spec = InputSpec(name="x", layout="NCHW", dtype="float32", width=SIDE, height=SIDE)
    shown = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    assert with_heat_map(file, "y", 3, spec, [shown])
    session = onnxruntime.InferenceSession(file.data, providers=["CPUExecutionProvider"])
    logits, heat = session.run(["y", ROLE], {"x": picture.numpy()})
    with torch.inference_mode():
        features = network.features(picture)
        expected = torch.einsum("lc,nchw->nlhw", network.head.weight, features)
    assert np.allclose(heat, expected.numpy(), atol=1e-4)
    bias = network.head.bias.detach().numpy()
    assert np.allclose(heat.mean((2, 3)) + bias, logits, atol=1e-4)
