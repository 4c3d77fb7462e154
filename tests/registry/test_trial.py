"""A model folder may hold anything: what cannot be loaded becomes a reason, and costs the service nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lookout.engine.worker import Engine, first_state
from lookout.errors import ModelRejected, UnknownModel
from lookout.inspection.layers import read_table
from lookout.pipeline import run_limit
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier
from lookout.registry.catalogue import Catalogue
from lookout.registry.loader import MachineProfile, load
from lookout.registry.trial import finish_trial, start_trial
from lookout.settings.schema import ModelSettings, Settings
from lookout.state.hub import Hub
from lookout.storage import Storage
from lookout.system.regular_files import NotRegular, read_regular
from onnx import TensorProto, helper

from tests.models import SIDE, model_of, picture, write_card, write_model

LOGITS = {"logits": "logits"}


def ends_in(nodes: list[Any], stored: dict[str, Any], shape: list[int | str] | None = None) -> Any:
    """A graph that takes the mean of each channel, called "means" (1 x 3), and ends in these nodes' "logits"."""
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, SIDE, SIDE, 3])
    means = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["means"], axes=[1, 2], keepdims=0),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape or [1, 3])
    return model_of([*means, *nodes], pixels, [logits], stored)


def endless(brightness: float = 0.0) -> Any:
    """Adds one a thousand million times, for pictures brighter than this."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["going"]), helper.make_node("Add", ["sum", "one"], ["more"])],
        "body",
        [
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 3]),
        ],
        [
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 3]),
        ],
    )
    nodes = [
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "limit"], ["bright"]),
        helper.make_node("Loop", ["times", "bright", "means"], ["logits"], body=body),
    ]
    stored = {"one": np.ones((1, 3), np.float32), "limit": np.float32(brightness), "times": np.int64(10**9)}
    return ends_in(nodes, stored)


def fewer_when_bright() -> Any:
    """Three numbers for dark pictures, fewer for bright ones."""
    nodes = [
        helper.make_node("Less", ["means", "limit"], ["dark"]),
        helper.make_node("Squeeze", ["dark", "first"], ["which"]),
        helper.make_node("Compress", ["means", "which"], ["few"], axis=1),
        helper.make_node("Identity", ["few"], ["logits"]),
    ]
    return ends_in(nodes, {"limit": np.float32(200), "first": np.array([0], np.int64)}, [1, "n"])


def hungry() -> Any:
    """Asks for forty thousand million numbers."""
    nodes = [
        helper.make_node("Mul", ["means", "zero"], ["nothing"]),
        helper.make_node("Expand", ["nothing", "vast"], ["all"]),
        helper.make_node("ReduceSum", ["all", "axes"], ["sums"], keepdims=0),
        helper.make_node("Add", ["means", "sums"], ["logits"]),
    ]
    vast = np.array([4 * 10**9, 1, 3], np.int64)
    return ends_in(nodes, {"zero": np.float32(0), "vast": vast, "axes": np.array([0], np.int64)})


# --- files ----------------------------------------------------


def _link_out(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_bytes(b"\x89PNG\r\n\x1a\n password")
    path.symlink_to(secret)


KINDS: dict[str, Callable[[Path], object]] = {
    "link": _link_out,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "sparse": lambda path: _sparse(path),
}


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["card.json", "fp32.onnx", "layers.json"])
def test_only_regular_files_inside_the_folder_are_read(tmp_path: Path, kind: str, name: str) -> None:
    folder = write_model(tmp_path / "models")
    (folder / name).unlink(missing_ok=True)
    KINDS[kind](folder / name)
    started = time.monotonic()
    if name == "layers.json":
        assert read_table(folder, {""}) is None
    else:
        with pytest.raises(ModelRejected) as caught:
            Classifier.load(load_card(folder), "fp32")
        assert "cannot be read (it is " in caught.value.detail
    assert time.monotonic() - started < 2


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_regular(path, 8) == b"12345678"
    with pytest.raises(NotRegular, match="larger than 7 bytes"):
        read_regular(path, 7)
    monkeypatch.setattr("lookout.system.regular_files._refuse_unless_regular", lambda *_: None)
    with pytest.raises(NotRegular, match="larger than 7 bytes"):
        read_regular(path, 7)


def test_a_path_that_the_administrator_names_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 8, follow_links=True) == b"1"
    with pytest.raises(NotRegular, match="it is a link"):
        read_regular(tmp_path / "link", 8)


# --- graphs ---------------------------------------------------------------------------------------------------------


def test_a_run_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_limit, "RUN_LIMIT_S", 0.3)
    card = write_card(tmp_path, graphs={"fp32": endless(brightness=200)}, outputs=LOGITS)
    classifier = Classifier.load(card, "fp32")
    for color in ((255, 255, 255), (250, 250, 250)):
        started = time.monotonic()
        with pytest.raises(ModelRejected, match=r"takes longer than 0\.3 s for a picture"):
            classifier.classify(picture(color))
        assert time.monotonic() - started < 3
        assert len(classifier.classify(picture((9, 9, 9))).probabilities) == 3, "and it goes on with the next"


def test_fewer_answers_on_some_pictures_are_an_error_of_that_picture(tmp_path: Path) -> None:
    classifier = Classifier.load(write_card(tmp_path, graphs={"fp32": fewer_when_bright()}, outputs=LOGITS), "fp32")
    assert len(classifier.classify(picture((9, 9, 9))).probabilities) == 3
    with pytest.raises(ModelRejected, match="2 values, the card lists 3 labels"):
        classifier.classify(picture((255, 9, 9)))


def tried(folder: Path, seconds: float = 30.0) -> str:
    with pytest.raises(ModelRejected) as caught:
        finish_trial(start_trial(folder, "fp32", seconds), folder, seconds)
    assert caught.value.remedy
    return caught.value.detail


def test_a_trial_says_why_a_graph_cannot_be_loaded(tmp_path: Path) -> None:
    assert "it takes more memory than there is" in tried(
        write_model(tmp_path, "hungry", {"fp32": hungry()}, outputs=LOGITS)
    )
    assert "not an ONNX graph" in tried(write_model(tmp_path, "text", {"fp32": b"text"}))
    endless_one = write_model(tmp_path, "endless", {"fp32": endless()}, outputs=LOGITS)
    assert "did not load within 2 s" in tried(endless_one, 2.0)


def test_a_graph_is_tried_once_and_one_that_failed_is_not_tried_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[str] = []

    def counted(folder: Path, *arguments: Any) -> Any:
        starts.append(folder.name)
        return start_trial(folder, *arguments)

    monkeypatch.setattr("lookout.registry.trial.start_trial", counted)
    write_model(tmp_path / "models", "sound")
    write_model(tmp_path / "models", "text", {"fp32": b"text"})
    catalogue = Catalogue([tmp_path / "models"])
    storage = Storage(tmp_path / "state", tmp_path / "cache")
    for _ in range(2):  # two starts of the service
        profile = MachineProfile.at(tmp_path / "cache", storage)
        load(catalogue, ModelSettings(name="sound"), profile)
        for _ in range(2):
            with pytest.raises(ModelRejected, match="not an ONNX graph"):
                load(catalogue, ModelSettings(name="text"), profile)
    assert starts == ["sound", "text", "text"]


def test_a_trial_ends_with_the_service(tmp_path: Path) -> None:
    write_model(tmp_path / "models", "endless", {"fp32": endless()}, outputs=LOGITS)
    profile = MachineProfile.at(tmp_path / "cache", Storage(tmp_path / "state", tmp_path / "cache"))
    profile.trials.stop()
    started = time.monotonic()
    with pytest.raises(ModelRejected):
        load(Catalogue([tmp_path / "models"]), ModelSettings(name="endless"), profile)
    assert time.monotonic() - started < 2


def test_a_model_that_hangs_on_a_frame_fails_with_its_reason_and_the_service_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_limit, "RUN_LIMIT_S", 0.3)
    write_model(tmp_path / "models", "endless", {"fp32": endless(brightness=200)}, outputs=LOGITS)
    settings = Settings.model_validate({"camera": {"fps": 30}, "model": {"name": "endless"}})
    hub = Hub(first_state(settings, time.monotonic()))
    engine = Engine(settings, Catalogue([tmp_path / "models"]), hub)
    engine.start()
    try:
        with pytest.raises(ModelRejected, match="takes longer than"):
            engine.model.classify(picture((255, 255, 255)))
        assert engine.model.classify(picture((9, 9, 9)))[1].probabilities, "one picture's failure is its own"
    finally:
        assert engine.stop()


def test_a_picture_of_filters_is_served_only_if_it_is_one_of_the_folder(tmp_path: Path) -> None:
    """A link to another file was served, with the password in it."""
    from lookout.api.routes.models import _filters

    folder = write_model(tmp_path / "models")
    card = load_card(folder)
    for make in (_link_out, lambda path: path.write_bytes(b"password"), os.mkfifo):
        make(folder / "filters.png")
        with pytest.raises(UnknownModel):
            _filters(card)
        (folder / "filters.png").unlink()
