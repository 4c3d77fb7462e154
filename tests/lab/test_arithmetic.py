"""The bench computes what PyTorch computes, forwards and backwards, and what it gives to copy prints its numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.conftest import Call
from tests.requires import is_met, requires

pytestmark = [requires("node"), requires("torch")]
if is_met("torch"):
    import torch
    from torch.nn import functional

# One node answers all examples; a machine under load may take its time for one.
EXAMPLES = settings(deadline=None, max_examples=25)
VALUES = st.integers(-9, 9).map(float) | st.floats(-3, 3, width=16)


@st.composite
def layers(draw: st.DrawFn) -> dict[str, Any]:
    """A volume, one filter, its steps and a pooling that fits behind it."""
    channels, stride, padding = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    kernel = [draw(st.integers(1, 5)) for _ in "yx"]
    sides = [draw(st.integers(max(2, f - 2 * padding), 9)) for f in kernel]
    out = [(n + 2 * padding - f) // stride + 1 for n, f in zip(sides, kernel, strict=True)]
    return {
        "input": draw(_volume(channels, *sides)),
        "kernel": draw(_volume(channels, *kernel)),
        "bias": draw(VALUES),
        "stride": stride,
        "padding": padding,
        "activation": draw(st.sampled_from(["none", "relu", "sigmoid"])),
        "pooling": {
            "kind": draw(st.sampled_from(["max", "mean"])),
            "size": draw(st.integers(1, min(3, *out))),
            "stride": draw(st.integers(1, 3)),
            "ceil": draw(st.booleans()),
        },
    }


def _volume(channels: int, rows: int, columns: int) -> st.SearchStrategy[list[list[list[float]]]]:
    row = st.lists(VALUES, min_size=columns, max_size=columns)
    return st.lists(st.lists(row, min_size=rows, max_size=rows), min_size=channels, max_size=channels)


def _tensor(values: object, *, learns: bool = False) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=learns)


def _steps(layer: dict[str, Any]) -> dict[str, int]:
    return {"stride": layer["stride"], "padding": layer["padding"]}


def _convolved(layer: dict[str, Any], x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x[None], w[None], b[None], stride=layer["stride"], padding=layer["padding"])


def _pooled(layer: dict[str, Any], y: torch.Tensor) -> torch.Tensor:
    pooling = layer["pooling"]
    pool = functional.max_pool2d if pooling["kind"] == "max" else functional.avg_pool2d
    return pool(y, pooling["size"], pooling["stride"], ceil_mode=pooling["ceil"])


def _activated(layer: dict[str, Any], y: torch.Tensor) -> torch.Tensor:
    return {"none": lambda: y, "relu": y.relu, "sigmoid": y.sigmoid}[layer["activation"]]()


@given(layer=layers())
@EXAMPLES
def test_the_layer_is_that_of_pytorch(call: Call, layer: dict[str, Any]) -> None:
    y = _convolved(layer, *(_tensor(layer[name]) for name in ("input", "kernel", "bias")))
    ours = call("arithmetic", "convolve", layer["input"], layer["kernel"], layer["bias"], _steps(layer))
    np.testing.assert_allclose(ours, y[0, 0], atol=1e-9)
    pooled = call("arithmetic", "pool", ours, layer["pooling"])
    np.testing.assert_allclose(pooled, _pooled(layer, y)[0, 0], atol=1e-9)


@given(layer=layers(), seed=st.integers(0, 99))
@EXAMPLES
def test_its_gradients_are_those_of_autograd(call: Call, layer: dict[str, Any], seed: int) -> None:
    x, w, b = (_tensor(layer[name], learns=True) for name in ("input", "kernel", "bias"))
    y = _convolved(layer, x, w, b)
    a = _activated(layer, y)
    z = _pooled(layer, a)
    given_back = torch.from_numpy(np.random.default_rng(seed).integers(-5, 6, z.shape)).double()
    y.retain_grad()
    a.retain_grad()
    z.backward(given_back)
    before, active = y[0, 0].tolist(), a[0, 0].tolist()
    by_pool = call("arithmetic", "poolBackward", active, layer["pooling"], given_back[0, 0].tolist())
    np.testing.assert_allclose(by_pool, a.grad[0, 0], atol=1e-9)
    by_slope = call("arithmetic", "activateBackward", layer["activation"], before, by_pool)
    np.testing.assert_allclose(by_slope, y.grad[0, 0], atol=1e-9)
    back = call("arithmetic", "convolveBackward", layer["input"], layer["kernel"], _steps(layer), by_slope)
    for ours, tensor in ((back["input"], x), (back["kernel"], w), (back["bias"], b)):
        np.testing.assert_allclose(ours, tensor.grad, atol=1e-9)


@pytest.mark.parametrize("kind", ["none", "relu", "sigmoid"])
@pytest.mark.parametrize("value", [-3.0, -0.5, 0.0, 0.5, 4.0])
def test_an_activation_and_its_slope_are_those_of_pytorch(call: Call, kind: str, value: float) -> None:
    x = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    y = _activated({"activation": kind}, x)
    assert call("arithmetic", "activate", kind, value) == pytest.approx(y.item(), abs=1e-12)
    if x is not y:
        y.backward()
        assert call("arithmetic", "slope", kind, value) == pytest.approx(x.grad.item(), abs=1e-12)


@given(layer=layers())
@EXAMPLES
def test_windows_as_rows_times_the_kernel_are_the_layer_and_so_is_the_dense_matrix(
    call: Call, layer: dict[str, Any]
) -> None:
    y = _convolved(layer, *(_tensor(layer[name]) for name in ("input", "kernel", "bias"))).ravel()
    sizes = (layer["input"], layer["kernel"], _steps(layer))
    windows = np.array(call("arithmetic", "im2col", *sizes))
    assert windows.shape == (len(y), np.size(layer["kernel"]))
    np.testing.assert_allclose(windows @ np.ravel(layer["kernel"]) + layer["bias"], y, atol=1e-9)
    dense = np.array(call("arithmetic", "denseMatrix", *sizes))
    np.testing.assert_allclose(dense @ np.ravel(layer["input"]) + layer["bias"], y, atol=1e-9)


@given(layer=layers())
@EXAMPLES
def test_what_one_value_is_made_of_adds_up_to_it(call: Call, layer: dict[str, Any]) -> None:
    ours = call("arithmetic", "convolve", layer["input"], layer["kernel"], layer["bias"], _steps(layer))
    at = [len(ours) - 1, len(ours[0]) - 1]
    terms = call("arithmetic", "terms", layer["input"], layer["kernel"], _steps(layer), at)
    total = sum(term["value"] * term["weight"] for term in terms) + layer["bias"]
    assert total == pytest.approx(ours[at[0]][at[1]], abs=1e-9)


@given(layer=layers())
@EXAMPLES
def test_the_copied_programs_print_these_numbers(call: Call, layer: dict[str, Any]) -> None:
    """Run in this process: a hundred of them in processes of their own would take minutes."""
    y = _convolved(layer, *(_tensor(layer[name]) for name in ("input", "kernel", "bias")))
    wanted = _pooled(layer, _activated(layer, y))[0, 0]
    for name in ("numpyCode", "torchCode"):
        printed: list[str] = []
        exec(call("code", name, layer), {"print": lambda value, into=printed: into.append(repr(value))})
        np.testing.assert_allclose(json.loads(printed[0]), wanted, atol=1e-9)


def test_a_copied_program_runs_as_it_is(call: Call) -> None:
    course = call("examples", "GRIDS")["course"]
    layer = {"input": course, "kernel": call("examples", "KERNELS")["vertical"], "bias": 0, "stride": 1, "padding": 0}
    layer |= {"activation": "none", "pooling": None}
    program = call("code", "numpyCode", layer)
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(printed.stdout)[0] == [-5, -4, 0, 8]


@given(logits=st.lists(st.floats(-30, 30), min_size=2, max_size=6), temperature=st.floats(0.25, 4))
@EXAMPLES
def test_softmax_is_that_of_pytorch(call: Call, logits: list[float], temperature: float) -> None:
    wanted = (_tensor(logits) / temperature).softmax(0)
    np.testing.assert_allclose(call("arithmetic", "softmax", logits, temperature), wanted, atol=1e-12)


def test_softmax_of_large_logits_does_not_overflow(call: Call) -> None:
    assert call("arithmetic", "softmax", [900.0, 900.0, -900.0]) == [0.5, 0.5, 0.0]


def test_a_stride_widens_what_later_layers_see(call: Call) -> None:
    """LeNet's convolutions and pools: 5, then 6, 14 and 16 pixels."""
    layers = [[5, 1], [2, 2], [5, 1], [2, 2]]
    assert [call("arithmetic", "receptiveField", layers[:n]) for n in range(1, 5)] == [5, 6, 14, 16]


@given(n=st.integers(1, 40), f=st.integers(1, 7), s=st.integers(1, 4))
@EXAMPLES
def test_tensorflows_same_padding_gives_tensorflows_same_size(call: Call, n: int, f: int, s: int) -> None:
    before, after = call("arithmetic", "samePadding", n, f, s)
    assert 0 <= after - before <= 1
    assert call("arithmetic", "positions", n, f, s, before, after) == -(-n // s)
    if n >= f:  # floor((n - f) / s) + 1 is ceil((n - f + 1) / s): books give both for VALID
        sizes = call("arithmetic", "sizes", n, f, s, 0)
        assert sizes["floor"] == sizes["valid"]
