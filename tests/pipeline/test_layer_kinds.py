"""What the layers of newer architectures cost and see, each kind in a small graph that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lookout.inspection.layers import LayerTable
from lookout.inspection.layers_onnx import layer_table
from lookout.pipeline import run_limit
from onnx import TensorProto, helper, numpy_helper

from tests.cli.graphs import Net

RNG = np.random.default_rng(7)


def table_of(net: Net, folder: Path) -> LayerTable:
    return layer_table(net.save(folder / "net.onnx"))


def keep(net: Net, values: np.ndarray) -> str:
    net.stored.append(numpy_helper.from_array(np.ascontiguousarray(values), f"kept{len(net.stored)}"))
    return net.stored[-1].name


def tokens(channels: int = 6) -> Net:
    """Nine tokens, each of a patch of four pixels a side: 1 x 9 x channels."""
    net = Net(3, 12, 12)
    net.conv(channels, 4, 4)
    net.node("Reshape", [net.at, net.integers(1, channels, 9)])
    net.node("Transpose", [net.at], perm=[0, 2, 1])
    return net


PATCHES = 6 * (3 * 16 + 1)


def test_squeeze_and_excite_weighs_every_channel_by_the_whole_picture(tmp_path: Path) -> None:
    net = Net(3, 8, 8)
    start = net.conv(8, 3, padding=1)
    net.node("GlobalAveragePool", [net.at])
    net.conv(2, 1), net.relu(), net.conv(8, 1)
    net.node("Mul", [start, net.node("Sigmoid", [net.at])])
    table = table_of(net, tmp_path)
    assert table.parameters == 8 * 28 + 2 * 9 + 8 * 3
    assert table.multiply_adds == 64 * 8 * 27 + 16 + 16
    assert table.layers[-1].field.size == (10, 10)


def test_a_convnext_block_with_its_dense_layers_channels_last(tmp_path: Path) -> None:
    net = Net(4, 8, 8)
    start = net.conv(4, 1)
    net.conv(4, 7, padding=3, groups=4)
    net.node("Transpose", [net.at], perm=[0, 2, 3, 1])
    net.node("LayerNormalization", [net.at, net.store((4,)), net.store((4,))], axis=-1)
    net.node("Add", [net.node("MatMul", [net.at, net.store((4, 16))]), net.store((16,))])
    net.node("Erf", [net.at])
    net.node("Add", [net.node("MatMul", [net.at, net.store((16, 4))]), net.store((4,))])
    net.node("Mul", [net.at, net.store((4,))])
    net.node("Transpose", [net.at], perm=[0, 3, 1, 2])
    net.node("Add", [start, net.at])
    table = table_of(net, tmp_path)
    assert table.parameters == 4 * 5 + 4 * 50 + 8 + 4 * 16 + 16 + 16 * 4 + 4 + 4
    assert table.multiply_adds == 64 * (16 + 4 * 49 + 64 + 64)
    assert table.layers[-1].field.size == (7, 7)
    assert table.incomplete == ""


def test_attention_counts_its_products_and_shows_no_field(tmp_path: Path) -> None:
    """A class token that the exporter repeats, positions, one head; queries meet keys, weights meet values."""
    net = tokens()
    start = net.at
    token = net.node("Expand", [net.store((1, 1, 6)), net.node("Shape", [net.integers(0, 0, 0)])])
    net.stored[-1].CopyFrom(numpy_helper.from_array(np.array([[[0]]], np.int64), net.stored[-1].name))
    net.node("Concat", [token, start], axis=1)
    net.node("Add", [net.at, net.store((1, 10, 6))])
    here = net.at
    queries, keys, values = (net.node("MatMul", [here, net.store((6, 6))]) for _ in range(3))
    net.node("MatMul", [queries, net.node("Transpose", [keys], perm=[0, 2, 1])])
    net.node("Softmax", [net.at], axis=-1)
    net.node("MatMul", [net.at, values])
    table = table_of(net, tmp_path)
    assert table.parameters == PATCHES + 6 + 10 * 6 + 3 * 36
    assert table.multiply_adds == 9 * 6 * 48 + 3 * 10 * 36 + 2 * 10 * 10 * 6
    assert table.layers[2].field.size == (4, 4)
    assert [row.field for row in table.layers if row.operator in ("Concat", "Softmax")] == [None, None]


def test_a_layer_over_tokens_shows_no_field(tmp_path: Path) -> None:
    net = tokens()
    net.node("Transpose", [net.at], perm=[0, 2, 1])
    net.node("MatMul", [net.at, net.store((9, 5))])
    row = table_of(net, tmp_path).layers[-1]
    assert (row.parameters, row.multiply_adds, row.field) == (45, 6 * 9 * 5, None)


def test_groups_exported_as_an_instance_norm_count_only_what_follows(tmp_path: Path) -> None:
    """PyTorch exports GroupNorm so: a scale of ones and a shift of zeros for each group, then those it learned."""
    net = Net(3, 8, 8)
    net.conv(4, 1)
    net.node("Reshape", [net.at, net.integers(1, 2, 128)])
    net.node("InstanceNormalization", [net.at, keep(net, np.ones(2, np.float32)), keep(net, np.zeros(2, np.float32))])
    net.node("Reshape", [net.at, net.integers(1, 4, 8, 8)])
    net.node("Add", [net.node("Mul", [net.at, net.store((4, 1, 1))]), net.store((4, 1, 1))])
    table = table_of(net, tmp_path)
    assert table.parameters == 4 * 4 + 4 + 4
    assert table.incomplete == ""


@pytest.mark.parametrize(
    ("name", "missing"), [("val_7", True), ("permute_12", True), ("onnx::Add_31", True), ("pos_embed", False)]
)
def test_a_table_the_exporter_worked_out_is_reported_as_incomplete(tmp_path: Path, name: str, missing: bool) -> None:
    """EdgeNeXt's positions come from a convolution that exporters fold away, weights, multiply-adds and all."""
    net = tokens()
    table = RNG.normal(size=(1, 9, 6)).astype(np.float32)
    net.stored.append(numpy_helper.from_array(table, name))
    net.node("Add", [net.at, name])
    assert ("1 operator of the kind Add" in table_of(net, tmp_path).incomplete) == missing


def relative(heads: int, places: int, kind: type = np.float32) -> np.ndarray:
    """heads x places x places, a number for each head and difference of two places: 2 · places − 1 differ."""
    learned = RNG.normal(size=(heads, 2 * places - 1)).astype(kind)
    difference = np.arange(places)[:, None] - np.arange(places)[None, :] + places - 1
    return learned[:, difference]


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("stored_as", ["heads x places x places", "pairs x heads"])
def test_an_unfolded_table_of_positions_counts_what_was_learned(tmp_path: Path, stored_as: str, kind: type) -> None:
    net = tokens()
    here = net.at
    net.node("MatMul", [here, net.node("Transpose", [here], perm=[0, 2, 1])])
    net.node("Expand", [net.at, net.integers(1, 3, 9, 9)])
    net.node("Cast", [net.at], to=TensorProto.FLOAT if kind is np.float32 else TensorProto.FLOAT16)
    scores, bias = net.at, relative(3, 9, kind)
    if stored_as == "pairs x heads":
        rows = net.node("Reshape", [keep(net, bias.reshape(3, 81).T), net.integers(9, 9, 3)])
        net.node("Add", [scores, net.node("Transpose", [rows], perm=[2, 0, 1])])
    else:
        net.node("Add", [scores, keep(net, bias)])
    net.node("Cast", [net.at], to=TensorProto.FLOAT)
    table = table_of(net, tmp_path)
    assert table.parameters == PATCHES + 3 * 17
    assert table.incomplete == "A table of positions is stored unfolded; the numbers in it that differ are counted."


def test_a_table_of_positions_that_is_not_an_unfolded_one_counts_whole(tmp_path: Path) -> None:
    net = tokens()
    here = net.at
    net.node("MatMul", [here, net.node("Transpose", [here], perm=[0, 2, 1])])
    net.node("Add", [net.at, keep(net, RNG.normal(size=(1, 9, 9)).astype(np.float32))])
    table = table_of(net, tmp_path)
    assert (table.parameters, table.incomplete) == (PATCHES + 81, "")


@pytest.mark.parametrize("computed", [False, True])
def test_a_mask_is_nothing_learned(tmp_path: Path, computed: bool) -> None:
    net = tokens()
    here = net.at
    scores = net.node("MatMul", [here, net.node("Transpose", [here], perm=[0, 2, 1])])
    seen = np.tril(np.ones((1, 9, 9), bool))
    if computed:
        mask = net.node("Where", [keep(net, seen), keep(net, np.float32(0)), keep(net, np.float32(-100))])
    else:
        mask = keep(net, np.where(seen, np.float32(0), np.float32(-100)))
    net.node("Add", [scores, mask])
    assert table_of(net, tmp_path).parameters == PATCHES


def test_what_is_computed_only_from_weights_is_listed_as_missing(tmp_path: Path) -> None:
    """As Swin's second version makes its table of positions with a small network of its own."""
    net = tokens()
    here = net.at
    made = net.node("MatMul", [net.store((9, 4)), net.store((4, 6))])
    net.node("Add", [here, made])
    table = table_of(net, tmp_path)
    assert table.parameters == PATCHES
    assert table.incomplete == "1 operator of the kind Add could not be worked out."


def test_shapes_of_the_picture_are_no_weights_of_a_computed_number(tmp_path: Path) -> None:
    net = tokens()
    here = net.at
    net.node("ReduceMax", [net.node("Cast", [net.node("Shape", [here])], to=TensorProto.FLOAT)], keepdims=0)
    net.node("Mul", [here, net.node("Sqrt", [net.at])])
    assert table_of(net, tmp_path).incomplete == ""


def test_channels_that_change_their_order_see_what_they_saw(tmp_path: Path) -> None:
    """ShuffleNet's shuffle; some of the channels taken out."""
    net = Net(3, 8, 8)
    net.conv(6, 3, padding=1)
    net.node("Reshape", [net.at, net.integers(1, 2, 3, 8, 8)])
    net.node("Transpose", [net.at], perm=[0, 2, 1, 3, 4])
    net.node("Reshape", [net.at, net.integers(1, 6, 8, 8)])
    net.node("Slice", [net.at, net.integers(0), net.integers(3), net.integers(1)])
    net.channels = 3
    net.conv(4, 3)
    assert table_of(net, tmp_path).layers[-1].field.size == (5, 5)


def test_windows_cut_from_the_picture_show_no_field(tmp_path: Path) -> None:
    net = Net(3, 8, 8)
    net.conv(6, 3, padding=1)
    net.node("Reshape", [net.at, net.integers(1, 6, 2, 4, 2, 4)])
    net.node("Transpose", [net.at], perm=[0, 2, 4, 1, 3, 5])
    assert [row.field for row in table_of(net, tmp_path).layers[1:]] == [None, None]


def test_behind_the_mean_of_the_picture_nothing_is_lost_from_sight(tmp_path: Path) -> None:
    """As PyTorch's newer exporter ends a network: the mean, numbers picked by their places, a normalisation."""
    net = Net(3, 8, 8)
    net.conv(6, 3, padding=1)
    net.node("ReduceMean", [net.at], axes=[2, 3])
    net.node("Reshape", [net.at, net.integers(6)])
    net.node("Gather", [net.at, keep(net, np.arange(6).reshape(1, 6, 1, 1))], axis=0)
    net.node("Flatten", [net.at])
    net.linear(6, 2)
    assert table_of(net, tmp_path).layers[-1].field.size == (10, 10)


def test_counts_that_are_divided_by_are_no_parameters(tmp_path: Path) -> None:
    """Means over windows of unequal sizes, written out: sums, then a count for each place."""
    net = Net(3, 8, 8)
    net.conv(4, 3, padding=1)
    net.node("Div", [net.at, keep(net, np.full((8, 8), 4, np.float32))])
    assert table_of(net, tmp_path).parameters == 4 * 28


def test_a_product_for_each_head_and_an_einsum(tmp_path: Path) -> None:
    net = tokens()
    here = net.at
    net.node("Einsum", [here, net.store((2, 6, 4))], equation="btc,hcd->bhtd")
    net.node("MatMul", [net.at, net.store((2, 4, 3))])
    einsum, product = table_of(net, tmp_path).layers[-2:]
    assert (einsum.multiply_adds, einsum.parameters, einsum.output) == (2 * 9 * 6 * 4, 48, (1, 2, 9, 4))
    assert (product.multiply_adds, product.parameters) == (2 * 9 * 4 * 3, 24)


def test_a_grouped_transposed_convolution(tmp_path: Path) -> None:
    net = Net(4, 5, 5)
    net.node("ConvTranspose", [net.at, net.store((4, 2, 3, 3))], kernel_shape=[3, 3], strides=[2, 2], group=2)
    row = table_of(net, tmp_path).layers[0]
    assert (row.output, row.parameters, row.multiply_adds) == ((1, 4, 11, 11), 4 * 2 * 9, 4 * 25 * 2 * 9)


def test_shapes_that_take_long_to_find_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes computed in the graph are measured in a run, which may take longer than a camera's picture may."""
    monkeypatch.setattr(run_limit, "RUN_LIMIT_S", 0.0)
    net = Net(3, 8, 8)
    net.conv(6, 3, padding=1)
    here = net.at
    size = net.node("Mod", [net.node("Shape", [here]), net.integers(5, 7, 9, 9)])
    net.node("Reshape", [here, size])
    assert table_of(net, tmp_path).layers[-1].output == (1, 6, 8, 8)


def test_what_a_graph_inside_a_node_takes_from_outside_is_followed(tmp_path: Path) -> None:
    """PyTorch's exporter leaves an If behind whose condition is stored: both branches use the feature map."""
    net = Net(3, 8, 8)
    here = net.conv(4, 3, padding=1)
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(operator, [here], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name, operator in (("then", "Relu"), ("else", "Neg"))
    }
    net.node("If", [keep(net, np.array(True))], **branches)
    net.node("GlobalAveragePool", [net.at]), net.node("Flatten", [net.at]), net.linear(4, 2)
    table = table_of(net, tmp_path)
    assert [row.operator for row in table.layers] == ["Conv", "If", "GlobalAveragePool", "Flatten", "Gemm"]
    assert table.parameters == 4 * 28 + 10
    assert table.multiply_adds == 64 * 4 * 27 + 8
    assert "of the kind If could not be worked out" in table.incomplete
