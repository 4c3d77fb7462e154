"""The int8 graph: what it computes on the way from the camera's pixels to its first layer."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

from models.training import quantize
from models.training.onnx_graph import InputFormat, to_onnx
from tests.training.networks import lively

PICTURES = np.random.default_rng(5).integers(0, 256, (8, 32, 32, 3), np.uint8)


def test_one_whole_mean_and_deviation_let_the_pixels_in_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    form = InputFormat(32, 3, (127.0,) * 3, (128.0,) * 3)
    direct = _int8(form)
    assert not {"Cast", "Sub", "Div"} & {node.op_type for node in direct.graph.node}
    monkeypatch.setattr(quantize, "_take_pixels_as_they_are", lambda _: None)
    logits = _logits(direct)
    assert np.ptp(logits, axis=0).min() > 0.001
    assert np.array_equal(logits, _logits(_int8(form)))


def test_a_mean_for_each_channel_is_subtracted() -> None:
    graph = _int8(InputFormat(32, 3, (124.0, 116.0, 104.0), (128.0,) * 3)).graph
    assert {"Cast", "Sub", "Div"} <= {node.op_type for node in graph.node}


def _int8(form: InputFormat) -> onnx.ModelProto:
    return quantize.quantize(to_onnx(lively("resnet18", size=32), form, half=False), PICTURES)


def _logits(graph: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.stack([session.run(["logits"], {"pixels": picture[None]})[0] for picture in PICTURES])
