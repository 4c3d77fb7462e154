"""Each network has the layers of its paper: shapes at the paper's size and at 96, and the number of parameters."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import torch

from models.training.archs import build
from models.training.archs.alexnet import AlexNet
from models.training.archs.efficientnet_lite import EfficientNetLite
from models.training.archs.lenet import LeNet5

Shapes = dict[str, tuple[int, ...]]

# He et al. 2015, table 1: output sides 112, 56, 56, 28, 14, 7. At 96 pixels: 48, 24, 24, 12, 6, 3.
RESNET18_224: Shapes = {
    "conv1": (64, 112, 112),
    "maxpool": (64, 56, 56),
    "layer1": (64, 56, 56),
    "layer2": (128, 28, 28),
    "layer3": (256, 14, 14),
    "layer4": (512, 7, 7),
    "fc": (1000,),
}
RESNET18_96: Shapes = {
    "conv1": (64, 48, 48),
    "maxpool": (64, 24, 24),
    "layer1": (64, 24, 24),
    "layer2": (128, 12, 12),
    "layer3": (256, 6, 6),
    "layer4": (512, 3, 3),
    "fc": (1000,),
}
RESNET50_224: Shapes = {
    **RESNET18_224,
    "layer1": (256, 56, 56),
    "layer2": (512, 28, 28),
    "layer3": (1024, 14, 14),
    "layer4": (2048, 7, 7),
}
RESNET50_96: Shapes = {
    **RESNET18_96,
    "layer1": (256, 24, 24),
    "layer2": (512, 12, 12),
    "layer3": (1024, 6, 6),
    "layer4": (2048, 3, 3),
}
# Krizhevsky et al. 2012 give 55, 27, 13, 6 for 227 pixels without padding; the 2014 form pads by 2: the same from 224.
ALEXNET_224: Shapes = {
    "conv1": (64, 55, 55),
    "pool1": (64, 27, 27),
    "conv2": (192, 27, 27),
    "pool2": (192, 13, 13),
    "conv3": (384, 13, 13),
    "conv4": (256, 13, 13),
    "conv5": (256, 13, 13),
    "pool5": (256, 6, 6),
    "fc6": (4096,),
    "fc7": (4096,),
    "fc8": (1000,),
}
ALEXNET_227: Shapes = {**ALEXNET_224, "conv1": (64, 56, 56)}
ALEXNET_96: Shapes = {
    **ALEXNET_224,
    "conv1": (64, 23, 23),
    "pool1": (64, 11, 11),
    "conv2": (192, 11, 11),
    "pool2": (192, 5, 5),
    "conv3": (384, 5, 5),
    "conv4": (256, 5, 5),
    "conv5": (256, 5, 5),
    "pool5": (256, 2, 2),
}
# LeCun et al. 1998, figure 2.
LENET_32: Shapes = {
    "c1": (6, 28, 28),
    "s2": (6, 14, 14),
    "c3": (16, 10, 10),
    "s4": (16, 5, 5),
    "c5": (120,),
    "f6": (84,),
    "output": (10,),
}
LENET_96: Shapes = {**LENET_32, "c1": (6, 92, 92), "s2": (6, 46, 46), "c3": (16, 42, 42), "s4": (16, 21, 21)}


@pytest.mark.parametrize(
    ("arch", "size", "expected"),
    [
        ("resnet18", 224, RESNET18_224),
        ("resnet18", 96, RESNET18_96),
        ("resnet50", 224, RESNET50_224),
        ("resnet50", 96, RESNET50_96),
        ("alexnet", 224, ALEXNET_224),
        ("alexnet", 227, ALEXNET_227),
        ("alexnet", 96, ALEXNET_96),
        ("alexnet-lrn", 96, ALEXNET_96),
        ("lenet5", 32, LENET_32),
        ("lenet5-sigmoid", 32, LENET_32),
        ("lenet5", 96, LENET_96),
    ],
)
def test_layers_have_the_papers_shapes(arch: str, size: int, expected: Shapes) -> None:
    channels, classes = (1, 10) if arch.startswith("lenet5") else (3, 1000)
    network = build(arch, classes, channels, size).eval()
    found: Shapes = {}
    for name in expected:
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: found.__setitem__(name, tuple(output.shape[1:]))
        )
    with torch.inference_mode():
        network(torch.zeros(1, channels, size, size))
    assert found == expected


@pytest.mark.parametrize(
    ("arch", "channels", "classes", "size", "parameters"),
    [
        ("resnet18", 3, 1000, 224, 11_689_512),
        ("resnet50", 3, 1000, 224, 25_557_032),
        ("alexnet", 3, 1000, 224, 61_100_840),
        ("alexnet-lrn", 3, 1000, 224, 61_100_840),
        ("lenet5", 1, 10, 32, 61_706),
        ("lenet5-sigmoid", 1, 10, 32, 61_706),
    ],
)
def test_parameters_are_as_many_as_in_the_literature(
    arch: str, channels: int, classes: int, size: int, parameters: int
) -> None:
    network = build(arch, classes, channels, size)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_layers_of_lenet_have_the_papers_parameters() -> None:
    network = LeNet5(10)
    counts = [sum(p.numel() for p in network.get_submodule(n).parameters()) for n in ("c1", "c3", "c5", "f6", "output")]
    assert counts == [156, 2_416, 48_120, 10_164, 850]


def test_local_response_normalisation_is_the_papers() -> None:
    """Krizhevsky et al. 2012, section 3.3: k 2, n 5, alpha 0.0001, beta 0.75, over neighbouring channels."""
    a = torch.rand(1, 7, 2, 2) * 300
    norm = build("alexnet-lrn", 3, 3, 96).get_submodule("norm1")
    expected = torch.stack(
        [a[:, i] / (2 + 1e-4 * (a[:, max(0, i - 2) : i + 3] ** 2).sum(1)) ** 0.75 for i in range(7)], dim=1
    )
    assert torch.allclose(norm(a), expected, rtol=1e-4)


def test_lenet_with_sigmoid_passes_the_picture_on_from_the_start() -> None:
    """With the usual start, four sigmoids leave a spread of 0.00005, and training stands still."""
    torch.manual_seed(0)
    logits = build("lenet5-sigmoid", 10, 1, 32)(torch.randn(32, 1, 32, 32))
    assert logits.std(0).mean() > 0.005


@pytest.mark.parametrize(("network", "size"), [(AlexNet, 62), (LeNet5, 15)])
def test_a_size_too_small_for_the_network_is_refused_in_a_sentence(network: type, size: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        network(3, 3, size)


def test_a_residual_block_starts_as_its_shortcut() -> None:
    block = build("resnet18", 3).get_submodule("layer1.0").train()
    x = torch.rand(2, 64, 8, 8)
    with torch.no_grad():
        assert torch.equal(block(x), x)


@pytest.mark.parametrize(("variant", "parameters"), [("lite0", 4_652_008), ("lite1", 5_416_680), ("lite2", 6_092_072)])
def test_the_teachers_have_the_published_numbers_of_parameters(variant: str, parameters: int) -> None:
    assert sum(p.numel() for p in EfficientNetLite(variant).parameters()) == parameters


@pytest.mark.parametrize(("size", "side"), [(224, 7), (160, 5), (97, 4)])
def test_the_teacher_pads_as_tensorflow_does(size: int, side: int) -> None:
    shapes: list[tuple[int, ...]] = []
    network = EfficientNetLite("lite0", 3).eval()
    network.get_submodule("_conv_head").register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape)))
    with torch.inference_mode():
        network(torch.zeros(1, 3, size, size))
    assert shapes == [(1, 1280, side, side)]
