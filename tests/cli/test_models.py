"""`lookout models`: list, inspect, check, add; and everything that is not a model gets one sentence."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from lookout.cli import model_add
from lookout.registry.label_files import read_labels
from lookout.resources import models_folder

from tests.cli.conftest import Run, environment
from tests.cli.graphs import Net, lenet5, resnet, tiny

SHIPPED = "cat-dog-resnet18"


def test_the_installed_models_are_listed(lookout: Run) -> None:
    done = lookout("models", "list")
    assert SHIPPED in done.stdout
    assert "int8" in done.stdout
    cards = [json.loads(line) for line in lookout("models", "list", "--json").stdout.splitlines()]
    assert SHIPPED in [card["name"] for card in cards]


def test_inspect_prints_the_arithmetic_of_any_network(lookout: Run, tmp_path: Path) -> None:
    path = lenet5().save(tmp_path / "lenet.onnx")
    done = lookout("models", "inspect", path)
    assert done.returncode == 0
    for said in ("5×5", "1×6×28×28", "2×2 /2", "2,416", "48,120", "Total: 61,706 parameters"):
        assert said in done.stdout, said
    assert "lenet.onnx: input pixels 1×1×32×32" in done.stderr
    table = json.loads(lookout("models", "inspect", path, "--json").stdout)
    assert table["totals"]["parameters"] == 61_706


def test_inspect_knows_installed_models_by_name(lookout: Run) -> None:
    assert "Conv" in lookout("models", "inspect", SHIPPED, "--precision", "int8").stdout


def test_inspect_sets_several_side_by_side(lookout: Run, tmp_path: Path) -> None:
    path = lenet5().save(tmp_path / "lenet.onnx")
    costs = json.loads(lookout("models", "inspect", "--compare", path, "digits-lenet5", "--json").stdout)
    assert [one["parameters"] for one in costs] == [61_706, 61_706]
    assert costs[0]["bytes"] == path.stat().st_size
    assert all(0 < one["milliseconds"] < 1000 for one in costs)
    done = lookout("models", "inspect", "--compare", path, SHIPPED)
    assert "Parameters" in done.stdout
    assert "(×" in done.stdout
    assert lookout("models", "inspect", path, SHIPPED).returncode == 2


def test_inspect_names_side_branches_and_takes_a_shape(lookout: Run, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    net = tiny()
    net.input = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, "h", "w"])
    path = net.save(tmp_path / "open.onnx")
    done = lookout("models", "inspect", path)
    assert done.returncode == 3
    assert "--shape" in done.stderr
    assert "1×8×32×24" in lookout("models", "inspect", path, "--shape", "1,3,64,48").stdout
    assert lookout("models", "inspect", path, "--shape", "1,x").returncode == 2


def test_a_shape_that_inspect_suggests_is_in_the_order_of_the_file(lookout: Run, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    net = tiny()
    net.input = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", "h", "w", 3])
    net.nodes.insert(0, helper.make_node("Transpose", ["pixels"], ["turned"], perm=[0, 3, 1, 2]))
    net.nodes[1].input[0] = "turned"
    path = net.save(tmp_path / "open.onnx")
    done = lookout("models", "inspect", path)
    assert done.returncode == 3
    assert "--shape 1,96,96,3" in done.stderr
    assert "1×8×48×48" in lookout("models", "inspect", path, "--shape", "1,96,96,3").stdout


def test_inspect_knows_the_size_and_the_answer_of_an_added_model(lookout: Run, tmp_path: Path) -> None:
    """The card has both: the file leaves its size open and gives an embedding first."""
    from onnx import TensorProto, helper

    net = tiny()
    net.input = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, "h", "w"])
    model = net.model()
    model.graph.output.insert(0, helper.make_tensor_value_info(net.nodes[-2].output[0], TensorProto.FLOAT, None))
    onnx.save(model, str(tmp_path / "open.onnx"))
    (tmp_path / "labels.txt").write_text("cat\ndog\nneither\n")
    folder = {"LOOKOUT_MODEL__FOLDER": str(tmp_path / "m")}
    flags = ("--labels", tmp_path / "labels.txt", "--folder", tmp_path / "m", "--yes", "--shape", "1,3,48,48")
    assert lookout("models", "add", tmp_path / "open.onnx", *flags).returncode == 0
    made = json.loads(lookout("models", "inspect", "open", "--json", **folder).stdout)
    assert made["input"]["shape"] == [1, 3, 48, 48]
    assert made["totals"]["parameters"] == 8 * 28 + 27
    costs = json.loads(lookout("models", "inspect", "--compare", "open", SHIPPED, "--json", **folder).stdout)
    assert (costs[0]["input"], costs[0]["parameters"]) == ([1, 3, 48, 48], 8 * 28 + 27)


@pytest.mark.parametrize("name", ["text.onnx", "none.onnx", "unknown"])
def test_what_is_not_a_model_gets_one_sentence(lookout: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.onnx").write_text("these are not weights\n")
    done = lookout("models", "inspect", tmp_path / name if name.endswith(".onnx") else name)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_add_reads_the_graph_and_writes_card_and_layers(
    lookout: Run, network: Path, labels: Path, tmp_path: Path
) -> None:
    done = lookout("models", "add", network, "--labels", labels, "--yes", "--folder", tmp_path / "mine")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "mine" / "Tiny-Net"
    card = json.loads((folder / "card.json").read_text())
    assert [label["name"] for label in card["labels"]] == ["cat", "dog", "neither"]
    assert [label.get("reject", False) for label in card["labels"]] == [False, False, True]
    assert card["input"] == {
        "name": "pixels", "layout": "NCHW", "dtype": "float32", "width": 32, "height": 32, "color": "rgb",
        "resize": "crop", "scale": 1.0, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375],
    }  # fmt: skip
    assert (folder / "layers.json").is_file()
    config = {"LOOKOUT_MODEL__FOLDER": str(tmp_path / "mine")}
    assert "matches its card" in lookout("models", "check", "Tiny-Net", **config).stdout
    again = lookout("models", "add", network, "--labels", labels, "--yes", "--folder", tmp_path / "mine")
    assert again.returncode == 3
    assert "already a model" in again.stderr


def test_a_model_that_somebody_else_adds_meanwhile_is_left_alone(
    lookout: Run, network: Path, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "mine" / "twice" / "card.json"
    card = model_add._card

    def slowly(*arguments: object) -> object:
        theirs.parent.mkdir(parents=True)
        theirs.write_text("theirs")
        return card(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(model_add, "_card", slowly)
    words = ("models", "add", network, "--labels", labels, "--yes", "--name", "twice", "--folder", tmp_path / "mine")
    done = lookout(*words)
    assert done.returncode == 3
    assert "already a model" in done.stderr
    assert theirs.read_text() == "theirs"


def test_the_mark_of_windows_editors_is_not_a_part_of_a_label(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\n")
    assert read_labels(path) == ["cat", "dog"]


def test_what_was_added_is_found_by_its_name(lookout: Run, network: Path, labels: Path, tmp_path: Path) -> None:
    """The three commands of the README."""
    done = lookout("models", "add", network, "--labels", labels, "--yes", "--name", "mine")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("Use it with: lookout serve --model mine\n")
    assert "Total: " in lookout("models", "inspect", "mine").stdout
    assert "matches its card" in lookout("models", "check", "mine").stdout
    picture = tmp_path / "grey.png"
    cv2.imwrite(str(picture), np.full((40, 40, 3), 128, np.uint8))
    assert json.loads(lookout("classify", "--json", "--model", "mine", picture).stdout)["model"]["name"] == "mine"


@pytest.mark.parametrize("name", ["../evil", "a b", "", ".", "-x"])
def test_a_name_that_can_be_no_folder_is_refused(
    lookout: Run, network: Path, labels: Path, tmp_path: Path, name: str
) -> None:
    done = lookout("models", "add", network, "--labels", labels, "--yes", f"--name={name}", "--folder", tmp_path / "m")
    assert (done.returncode == 0) is (name == ""), "none given: the file's"
    assert [path.name for path in tmp_path.rglob("*.onnx") if path != network and path.parent.name != "Tiny-Net"] == []


def test_a_precision_that_a_model_lacks_is_named(lookout: Run) -> None:
    done = lookout("models", "inspect", SHIPPED, "--precision", "fp16")
    assert done.returncode == 3
    assert "has no precision" in done.stderr
    assert "int8" in done.stderr


def test_where_nobody_answers_the_question_it_says_how_to_do_without(
    lookout: Run, network: Path, labels: Path, tmp_path: Path
) -> None:
    done = lookout("models", "add", network, "--labels", labels, "--folder", tmp_path / "m")
    assert done.returncode == 1
    assert "--yes takes the usual values" in done.stderr
    assert not (tmp_path / "m").exists()


def test_add_asks_for_what_the_graph_cannot_tell(lookout: Run, network: Path, labels: Path, tmp_path: Path) -> None:
    answers = "My animals\nbgr\nsquash\nzero-to-one\n"
    done = lookout(
        "models", "add", network, "--labels", labels, "--folder", tmp_path / "m", "--name", "t", stdin=answers
    )
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "m/t/card.json").read_text())
    assert (card["title"], card["input"]["color"], card["input"]["resize"]) == ("My animals", "bgr", "squash")
    assert card["input"]["scale"] == pytest.approx(1 / 255)
    assert done.stdout.strip() == "", "questions are words"


def test_a_mean_given_blue_first_stays_so_if_the_order_is_only_asked_for(
    lookout: Run, network: Path, labels: Path, tmp_path: Path
) -> None:
    command = ("models", "add", network, "--labels", labels, "--folder", tmp_path / "m", "--name", "t")
    done = lookout(*command, "--mean", "104,117,123", stdin="My animals\nbgr\ncrop\n")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "m/t/card.json").read_text())["input"]["mean"] == [104.0, 117.0, 123.0]
    assert "blue first" in done.stderr


@pytest.mark.parametrize(("how", "status"), [("Ctrl+C", 130), ("end of input", 1)])
def test_a_question_may_be_left_without_an_answer(
    network: Path, labels: Path, tmp_path: Path, how: str, status: int
) -> None:
    command = ["models", "add", network, "--labels", labels, "--folder", tmp_path / "m"]
    process = subprocess.Popen(
        # A shell's background job, as a test run may be, has Ctrl+C ignored: env gives it back.
        ["env", "--default-signal=INT", sys.executable, "-m", "lookout", *command],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path), bufsize=0,
    )  # fmt: skip
    assert process.stderr is not None
    asked = b""
    while not asked.endswith(b"]:"):
        got = process.stderr.read(1)
        assert got, asked
        asked += got
    if how == "Ctrl+C":
        process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=20)
    assert process.returncode == status
    assert b"Traceback" not in words
    assert not (tmp_path / "m").exists()


def test_add_takes_flags_for_answers(lookout: Run, labels: Path, tmp_path: Path) -> None:
    net = Net(1, 28, 28)
    net.conv(4, 3), net.node("GlobalAveragePool", [net.at]), net.node("Flatten", [net.at]), net.linear(4, 3)
    net.node("Softmax", [net.at], axis=1)
    path = net.save(tmp_path / "gray.onnx")
    done = lookout(
        "models", "add", path, "--labels", labels, "--yes", "--folder", tmp_path / "m", "--scale", "0.0039",
        "--mean", "0.13", "--std", "0.3", "--reject", "dog", "--title", "Gray",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "m/gray/card.json").read_text())
    assert card["outputs"] == {"probabilities": "t4", "activation_map": "activation_map"}
    assert (card["input"]["color"], card["input"]["mean"], card["input"]["std"]) == ("gray", [0.13], [0.3])
    assert card["labels"][1]["reject"] is True


def misfits(folder: Path) -> dict[str, tuple[Path, str, str]]:
    two = Net(3, 8, 8)
    two.conv(4, 3)
    text = folder / "text.onnx"
    text.write_text("no weights")
    return {
        "text": (text, "cat\ndog\nneither\n", "is not an ONNX model"),
        "labels": (tiny().save(folder / "a.onnx"), "cat\ndog\n", "lists 2 labels, but the network "),
        "one label": (tiny().save(folder / "b.onnx"), "cat\n", "lists 1 label, but the network "),
        "map": (two.save(folder / "c.onnx"), "cat\ndog\n", "is not a classifier of whole pictures"),
    }


@pytest.mark.parametrize("case", ["text", "labels", "one label", "map"])
def test_a_model_that_cannot_be_added_leaves_nothing_behind(lookout: Run, tmp_path: Path, case: str) -> None:
    path, names, said = misfits(tmp_path)[case]
    (tmp_path / "labels.txt").write_text(names)
    done = lookout("models", "add", path, "--labels", tmp_path / "labels.txt", "--yes", "--folder", tmp_path / "m")
    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "m").glob("*"))


def test_check_finds_the_first_difference(lookout: Run, tmp_path: Path) -> None:
    copy = tmp_path / "m" / SHIPPED
    shutil.copytree(models_folder() / SHIPPED, copy)
    card = json.loads((copy / "card.json").read_text())
    config = {"LOOKOUT_MODEL__FOLDER": str(tmp_path / "m")}

    def check() -> tuple[int, str]:
        done = lookout("models", "check", SHIPPED, **config)
        return done.returncode, done.stderr

    assert check()[0] == 0
    shorter = {**card, "labels": card["labels"][:2], "thresholds": {}, "translations": {}}
    (copy / "card.json").write_text(json.dumps(shorter))
    status, words = check()
    assert status == 3
    assert "3" in words
    assert "2 labels" in words
    (copy / "card.json").write_text(json.dumps(card))
    (copy / "int8.onnx").write_text("no weights")
    status, words = check()
    assert status == 3
    assert "SHA-256 differs" in words
    (copy / "card.json").write_text("{")
    assert check()[0] == 3


def test_layers_of_another_graph_are_found(lookout: Run, network: Path, labels: Path, tmp_path: Path) -> None:
    lookout("models", "add", network, "--labels", labels, "--yes", "--folder", tmp_path / "m", "--name", "t")
    config = {"LOOKOUT_MODEL__FOLDER": str(tmp_path / "m")}
    layers = tmp_path / "m/t/layers.json"
    layers.write_text(layers.read_text().replace('"sha256": "', '"sha256": "0'))
    assert "belongs to another graph" in lookout("models", "check", "t", **config).stderr
    layers.write_text("{")
    assert "is damaged" in lookout("models", "check", "t", **config).stderr
    layers.unlink()
    assert "no layers.json" in lookout("models", "check", "t", **config).stdout


def test_a_wide_network_fits_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lookout.cli import layer_view
    from lookout.inspection.layers_onnx import layer_table
    from rich.console import Console

    out = Console(width=80, highlight=False, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    monkeypatch.setattr(layer_view, "console", lambda: out)
    layer_view.show(layer_table(resnet((1, 1, 1, 1), bottleneck=True, side=64).save(tmp_path / "r.onnx")))
    text = out.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "2048×2×2" in text
    out.file.close()
