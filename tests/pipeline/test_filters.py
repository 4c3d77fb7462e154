"""The picture of the first layer's filters."""

import numpy as np
import onnx
from lookout.inspection.filters import _first_filters, filter_picture
from onnx import helper


def test_a_red_filter_is_shown_red_and_zero_is_middle_grey():
    weights = np.zeros((2, 3, 7, 7), np.float32)
    weights[0, 0] = 1.0
    picture = filter_picture(weights)
    blue, green, red = picture[10, 10]
    assert red == 255
    assert blue == green == 128
    assert (picture[10, 7 * 4 + 10] == 128).all()


def test_a_filter_over_many_channels_is_shown_grey():
    picture = filter_picture(np.ones((5, 16, 3, 3), np.float32))
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 1] == picture[..., 2]).all()


def test_filters_stored_with_a_zero_point_are_what_they_stand_for():
    kept = np.array([0, 128, 255, 64], np.uint8).reshape(4, 1, 1, 1)
    numbers = {
        "kept": kept,
        "scale": np.array(0.1, np.float32),
        "zero": np.array(128, np.uint8),
    }
    nodes = [
        helper.make_node("DequantizeLinear", list(numbers), ["weights"]),
        helper.make_node("Conv", ["x", "weights"], ["y"]),
    ]
    sides = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, n, 2, 2]) for name, n in (("x", 1), ("y", 4))
    ]
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in numbers.items()]
    graph = helper.make_graph(nodes, "one", sides[:1], sides[1:], stored)
    found = _first_filters(graph)
    assert np.allclose(found.ravel(), [-12.8, 0, 12.7, -6.4])
