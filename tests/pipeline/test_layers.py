"""The layer table against figures that anybody can look up or work out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from lookout.errors import ModelRejected
from lookout.inspection.layers import LayerTable, Window, same_padding, window_positions
from lookout.inspection.layers_onnx import layer_table, write_layers
from lookout.pipeline.card import sha256_of
from onnx import TensorProto, helper, numpy_helper

from tests.cli.graphs import Net, alexnet, lenet5, resnet, tiny


def table_of(net: Net, folder: Path) -> LayerTable:
    return layer_table(net.save(folder / "net.onnx"))


def ran(net: Net, folder: Path) -> tuple[int, ...]:
    """The shape that onnxruntime really delivers."""
    session = onnxruntime.InferenceSession(str(net.save(folder / "net.onnx")), providers=["CPUExecutionProvider"])
    shape = [size if isinstance(size, int) else 1 for size in session.get_inputs()[0].shape]
    return session.run(None, {"pixels": np.zeros(shape, np.float32)})[0].shape


def test_lenet5_has_the_parameters_of_the_textbooks(tmp_path: Path) -> None:
    table = table_of(lenet5(), tmp_path)
    assert table.parameters == 61_706
    assert [row.parameters for row in table.layers if row.parameters] == [156, 2_416, 48_120, 10_164, 850]
    assert [row.output[-1] for row in table.layers if row.operator in ("Conv", "AveragePool")] == [28, 14, 10, 5]
    assert [row.field.size[0] for row in table.layers if row.window] == [5, 6, 14, 16]
    gemm = next(row for row in table.layers if row.operator == "Gemm")
    assert gemm.field.size == (32, 32), "the first dense layer sees the whole picture"
    assert table.multiply_adds == 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10


def test_resnet18_has_its_parameters_and_a_third_of_a_billion_multiply_adds(tmp_path: Path) -> None:
    table = table_of(resnet((2, 2, 2, 2), bottleneck=False), tmp_path)
    assert table.parameters == 11_689_512
    assert table.multiply_adds / 1e9 == pytest.approx(0.334, abs=0.0005)
    assert table.layers[0].output == (1, 64, 48, 48)
    assert table.layers[-1].output == (1, 1000)
    last = [row for row in table.layers if row.operator == "Conv"][-1]
    assert (last.field.size, last.field.jump) == ((435, 435), (32, 32))


def test_resnet50_has_its_parameters(tmp_path: Path) -> None:
    table = table_of(resnet((3, 4, 6, 3), bottleneck=True, side=64), tmp_path)
    assert table.parameters == 25_557_032


def test_alexnet_in_one_column_has_its_parameters(tmp_path: Path) -> None:
    table = table_of(alexnet(), tmp_path)
    assert table.parameters == 61_100_840
    assert [row.output[-1] for row in table.layers if row.operator == "MaxPool"] == [27, 13, 6]


def test_two_3x3_see_what_one_5x5_sees(tmp_path: Path) -> None:
    two, one = Net(3, 32, 32), Net(3, 32, 32)
    two.conv(8, 3), two.conv(8, 3)
    one.conv(8, 5)
    assert table_of(two, tmp_path).layers[-1].field.size == table_of(one, tmp_path).layers[-1].field.size == (5, 5)


def test_a_kernel_and_padding_that_are_not_square(tmp_path: Path) -> None:
    net = Net(2, 3, 5, batch=4)
    net.conv(3, (3, 5), padding=(1, 2))
    row = table_of(net, tmp_path).layers[0]
    assert row.window == Window((3, 5), (1, 1), (1, 2, 1, 2), (1, 1))
    assert row.output == (4, 3, 3, 5) == ran(net, tmp_path)
    assert row.parameters == 3 * 2 * 3 * 5 + 3
    assert row.field.size == (3, 5)
    assert row.as_json()["formula"] == [
        {"axis": "height", "n": 3, "p": 1, "f": 3, "s": 1, "rounding": "floor", "size": 3},
        {"axis": "width", "n": 5, "p": 2, "f": 5, "s": 1, "rounding": "floor", "size": 5},
    ]


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("sides", [(7, 9), (8, 8), (10, 11)])
def test_a_pool_with_two_strides(tmp_path: Path, sides: tuple[int, int], ceil: bool) -> None:
    net = Net(2, *sides)
    net.pool("MaxPool", 3, (2, 1), 1, ceil_mode=int(ceil))
    row = table_of(net, tmp_path).layers[0]
    assert row.output == ran(net, tmp_path)
    assert row.output[2:] == row.window.output_size(sides)
    assert row.parameters == row.multiply_adds == 0
    assert (row.field.size, row.field.jump, row.window.ceil_mode) == ((3, 3), (2, 1), ceil)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("n", [7, 8, 13])
def test_automatic_padding_is_what_the_runtime_does(tmp_path: Path, mode: str, n: int) -> None:
    net = Net(3, n, n)
    net.conv(4, 3, 2, auto_pad=mode)
    row = table_of(net, tmp_path).layers[0]
    assert row.output == ran(net, tmp_path)
    assert row.window.output_size((n, n)) == row.output[2:]
    expected = -(-n // 2) if mode.startswith("SAME") else -(-(n - 3 + 1) // 2)
    assert row.output[2] == expected


def test_an_odd_pixel_of_same_padding_goes_to_the_end_or_the_beginning() -> None:
    assert same_padding(8, 3, 2) == (0, 1)
    assert same_padding(8, 3, 2, upper=False) == (1, 0)


def test_ceil_mode_never_starts_a_window_in_the_padding_behind_the_picture() -> None:
    assert window_positions(3, 2, 2, 1, 1, ceil_mode=True) == 2
    assert window_positions(4, 3, 2, 0, 0, ceil_mode=True) == 2
    assert window_positions(4, 3, 2, 0, 0) == 1


def test_dilation_widens_what_is_seen(tmp_path: Path) -> None:
    net = Net(3, 32, 32)
    net.conv(4, 3, dilation=3)
    row = table_of(net, tmp_path).layers[0]
    assert (row.field.size, row.output) == ((7, 7), (1, 4, 26, 26))
    assert row.as_json()["formula"][0]["f"] == 7


def test_groups_divide_parameters_and_multiply_adds(tmp_path: Path) -> None:
    net = Net(8, 16, 16)
    net.conv(8, 3, padding=1, groups=8)
    row = table_of(net, tmp_path).layers[0]
    assert (row.groups, row.parameters, row.multiply_adds) == (8, (9 + 1) * 8, 16 * 16 * 8 * 9)


def as_float16(net: Net) -> Net:
    """The same network, its weights stored in half precision with a Cast each."""
    casts = []
    for tensor in list(net.stored):
        values = numpy_helper.to_array(tensor).astype(np.float16)
        half = numpy_helper.from_array(values, f"{tensor.name}_half")
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
        net.stored[net.stored.index(tensor)] = half
    net.nodes[:0] = casts
    return net


def as_int8(net: Net) -> Net:
    """The same network with QuantizeLinear and DequantizeLinear around every convolution and product."""
    nodes = []
    scale, zero, low = net.store((), np.float32), net.store((), np.uint8), net.store((), np.int8)
    for node in net.nodes:
        if node.op_type in ("Conv", "Gemm"):
            name = node.input[0]
            nodes.append(helper.make_node("QuantizeLinear", [name, scale, zero], [f"{node.name}_q"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"{node.name}_q", scale, zero], [f"{node.name}_d"]))
            index = next(i for i, tensor in enumerate(net.stored) if tensor.name == node.input[1])
            values = numpy_helper.to_array(net.stored[index]).astype(np.int8)
            net.stored[index] = numpy_helper.from_array(values, f"{node.input[1]}_q")
            nodes.append(helper.make_node("DequantizeLinear", [f"{node.input[1]}_q", scale, low], [node.input[1]]))
            node.input[0] = f"{node.name}_d"
        nodes.append(node)
    net.nodes = nodes
    return net


@pytest.mark.parametrize("stored_as", [as_float16, as_int8])
def test_how_weights_are_stored_changes_no_row(tmp_path: Path, stored_as: object) -> None:
    plain = layer_table(lenet5().save(tmp_path / "a.onnx"))
    other = layer_table(stored_as(lenet5()).save(tmp_path / "b.onnx"))  # type: ignore[operator]
    assert other.layers == plain.layers
    assert (other.parameters, other.multiply_adds) == (plain.parameters, plain.multiply_adds)


def test_normalising_pixels_in_the_graph_is_not_a_parameter(tmp_path: Path) -> None:
    net = Net(3, 8, 8)
    net.node("Sub", [net.at, net.store((1, 3, 1, 1))])
    net.conv(4, 3)
    net.node("Mul", [net.at, net.store((1, 4, 1, 1))])
    assert [row.parameters for row in table_of(net, tmp_path).layers] == [0, (27 + 1) * 4, 4]


def test_a_product_of_matrices_with_its_bias_apart(tmp_path: Path) -> None:
    net = Net(1, 4, 4)
    net.node("Flatten", [net.at])
    net.node("MatMul", [net.at, net.store((16, 5))])
    net.node("Add", [net.at, net.store((5,))])
    table = table_of(net, tmp_path)
    assert [(row.parameters, row.multiply_adds) for row in table.layers] == [(0, 0), (80, 80), (5, 0)]
    assert table.layers[1].field.size == (4, 4)


def test_a_mean_over_the_picture_sees_all_of_it(tmp_path: Path) -> None:
    net = Net(3, 8, 8)
    net.conv(4, 3, padding=1)
    net.node("ReduceMean", [net.at], axes=[2, 3], keepdims=0)
    table = table_of(net, tmp_path)
    assert table.layers[-1].field.size == (10, 10)


def test_pixels_may_come_channels_last(tmp_path: Path) -> None:
    net = Net(3, 8, 6)
    net.input = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 8, 6, 3])
    net.node("Transpose", [net.at], perm=[0, 3, 1, 2])
    net.conv(4, 3)
    net.node("Flatten", [net.at])
    net.linear(4 * 6 * 4, 2)
    table = table_of(net, tmp_path)
    assert table.layers[1].output == (1, 4, 6, 4)
    assert table.layers[-1].field.size == (8, 6)


def test_branches_join_with_the_wider_view(tmp_path: Path) -> None:
    net = Net(3, 16, 16)
    start = net.at
    small = net.conv(4, 1)
    net.at, net.channels = start, 3
    large = net.conv(4, 5, padding=2)
    net.node("Concat", [small, large], axis=1)
    row = table_of(net, tmp_path).layers[-1]
    assert (row.output, row.field.size) == ((1, 8, 16, 16), (5, 5))


def test_a_branch_beside_the_answer_is_shown_but_not_in_the_totals(tmp_path: Path) -> None:
    net = tiny()
    model = net.model()
    shared = net.nodes[-1].input[1]
    weight = helper.make_node("Unsqueeze", [shared, "last_axes"], ["map_weight"])
    side = helper.make_node("Conv", [net.nodes[1].output[0], "map_weight"], ["activation_map"], name="map")
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3], np.int64), "last_axes"))
    model.graph.node.extend([weight, side])
    model.graph.output.append(helper.make_tensor_value_info("activation_map", TensorProto.FLOAT, None))
    onnx.save(model, str(tmp_path / "side.onnx"))
    plain, table = table_of(net, tmp_path), layer_table(tmp_path / "side.onnx")
    row = table.layers[-1]
    assert (row.name, row.main, row.parameters) == ("map", False, 24)
    assert (table.parameters, table.multiply_adds) == (plain.parameters, plain.multiply_adds)
    other = layer_table(tmp_path / "side.onnx", output="activation_map")
    assert other.parameters == (27 + 1) * 8 + 24
    with pytest.raises(ModelRejected, match="has no output “nothing”"):
        layer_table(tmp_path / "side.onnx", output="nothing")


def test_weights_used_twice_count_once_in_the_total(tmp_path: Path) -> None:
    net = Net(4, 8, 8)
    net.conv(4, 3, padding=1, bias=False)
    net.conv(4, 3, padding=1, bias=False, weight=net.stored[0].name)
    table = table_of(net, tmp_path)
    assert [row.parameters for row in table.layers] == [144, 144]
    assert table.parameters == 144


def test_an_open_number_of_pictures_counts_as_one_and_an_open_size_must_be_said(tmp_path: Path) -> None:
    assert table_of(tiny(batch="n"), tmp_path).layers[0].output == (1, 8, 16, 16)
    net = tiny()
    net.input = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, "h", "w"])
    path = net.save(tmp_path / "open.onnx")
    with pytest.raises(ModelRejected, match="leaves the size of its input “pixels” open"):
        layer_table(path)
    assert layer_table(path, (1, 3, 64, 48)).layers[0].output == (1, 8, 32, 24)
    with pytest.raises(ModelRejected, match="takes 4 dimensions, but 2 sizes"):
        layer_table(path, (64, 48))
    for size in (0, -5, 2**31, 10**20):
        with pytest.raises(ModelRejected, match="numbers are between 1 and"):
            layer_table(path, (1, 3, size, 48))


@pytest.mark.parametrize("content", [b"these are not weights\n", b"", b"\x00" * 64, b"PK\x03\x04zip"])
def test_what_is_not_a_graph_gets_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelRejected) as caught:
        layer_table(path)
    assert "is not an ONNX model" in caught.value.detail
    assert caught.value.remedy


def test_a_card_is_not_a_graph_whatever_its_name_says(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text('{"schema": 1}')
    with pytest.raises(ModelRejected, match="is not an ONNX model"):
        layer_table(path)


def test_a_node_that_takes_nothing_has_its_row(tmp_path: Path) -> None:
    net = Net(3, 8, 8)
    net.conv(4, 3)
    picture = net.at
    noise = helper.make_node("RandomNormal", [], ["noise"], shape=[1, 4, 6, 6])
    net.node("Add", [picture, "noise"])
    model = net.model()
    model.graph.node.insert(0, noise)
    onnx.save(model, str(tmp_path / "noisy.onnx"))
    rows = layer_table(tmp_path / "noisy.onnx").layers
    assert [row.operator for row in rows] == ["RandomNormal", "Conv", "Add"]


def test_a_missing_file_and_layers_that_do_not_fit_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="No such file"):
        layer_table(tmp_path / "none.onnx")
    net = tiny()
    net.linear(99, 2)
    with pytest.raises(ModelRejected, match="do not fit each other"):
        table_of(net, tmp_path)


def test_the_file_beside_the_card_is_bound_to_the_graph(tmp_path: Path) -> None:
    graph = tiny().save(tmp_path / "net.fp32.onnx")
    (tmp_path / "card.json").write_text(json.dumps({"files": {"int8": {"file": "x"}, "fp32": {"file": graph.name}}}))
    table = write_layers(tmp_path)
    written = json.loads((tmp_path / "layers.json").read_text("utf-8"))
    assert written == table.to_json()
    assert written["graph"] == {"file": graph.name, "sha256": sha256_of(graph)}
    assert written["totals"] == {"parameters": 27 * 8 + 8 + 27, "multiply_adds": 16 * 16 * 8 * 27 + 24}
    assert written["layers"][0]["receptive_field"] == [3, 3]
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")], "nothing half written is left"


def test_a_transposed_convolution_meets_every_input_number_once(tmp_path: Path) -> None:
    net = Net(4, 5, 5)
    net.node("ConvTranspose", [net.at, net.store((4, 2, 3, 3)), net.store((2,))], kernel_shape=[3, 3], strides=[2, 2])
    row = table_of(net, tmp_path).layers[0]
    assert row.output == (1, 2, 11, 11) == ran(net, tmp_path)
    assert (row.parameters, row.multiply_adds, row.field) == (4 * 2 * 9 + 2, 4 * 25 * 2 * 9, None)


def test_a_convolution_in_whole_numbers_shows_the_same_arithmetic(tmp_path: Path) -> None:
    net = Net(3, 8, 8)
    scale, zero = net.store((), np.float32), net.store((), np.uint8)
    net.node("QuantizeLinear", [net.at, scale, zero])
    weight = net.store((4, 3, 3, 3), np.uint8)
    net.node(
        "QLinearConv",
        [net.at, scale, zero, weight, scale, zero, scale, zero, net.store((4,), np.int32)],
        pads=[1, 1, 1, 1],
    )
    net.node("DequantizeLinear", [net.at, scale, zero])
    (row,) = table_of(net, tmp_path).layers
    assert (row.output, row.parameters, row.multiply_adds) == ((1, 4, 8, 8), 4 * 27 + 4, 64 * 4 * 27)
    assert row.field.size == (3, 3)


def test_an_operator_that_onnx_does_not_know_still_has_its_row(tmp_path: Path) -> None:
    net = Net(3, 8, 8)
    net.conv(4, 3)
    net.node("Special", [net.at], domain="com.example")
    model = net.model()
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    onnx.save(model, str(tmp_path / "odd.onnx"))
    last = layer_table(tmp_path / "odd.onnx").layers[-1]
    assert (last.operator, last.output, last.parameters) == ("Special", None, 0)


@pytest.mark.parametrize(("axes", "sees"), [([2, 3], (10, 10)), ([2], (10, 3)), ([-1], (3, 10))])
def test_a_mean_over_axes_given_as_an_input(tmp_path: Path, axes: list[int], sees: tuple[int, int]) -> None:
    net = Net(3, 8, 8)
    net.conv(4, 3, padding=1)
    net.node("ReduceMean", [net.at, net.integers(*axes)], keepdims=1)
    model = net.model(opset=18)
    onnx.save(model, str(tmp_path / "mean.onnx"))
    assert layer_table(tmp_path / "mean.onnx").layers[-1].field.size == sees


def test_without_a_card_no_table_is_written(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="names no graph"):
        write_layers(tmp_path)
