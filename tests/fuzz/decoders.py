"""The decoders of outside bytes, each as a check of one input: a result or an error with a remedy, nothing else."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis.strategies import SearchStrategy
from lookout.api.inference.bodies import Output, read_infer, unpacked, write_infer
from lookout.api.routes.live import LiveQuery, _reply
from lookout.api.uploads import read_parts
from lookout.errors import LookoutError
from lookout.pictures.decode import read_picture
from lookout.pictures.decoder import Decoder as Decoding
from lookout.pictures.limits import DecodeLimits
from lookout.pipeline.card import CARD_FILE, InputSpec, load_card
from lookout.settings.layers import LoadedSettings
from lookout.settings.overrides import keep_overrides, patch_settings
from lookout.settings.sources import load
from lookout.storage import Storage

from tests.fuzz import inputs


@dataclass(frozen=True)
class Decoder:
    """check: takes one input; raises anything but a LookoutError that is the client's fault when it is broken."""

    name: str
    inputs: Callable[[], SearchStrategy[Any]]
    check: Callable[[Any], None]


@contextlib.contextmanager
def _refusal_is_fine() -> Iterator[None]:
    refused = None
    try:
        yield
    except LookoutError as error:
        refused = error
    if refused is not None:
        assert 400 <= refused.status < 500, f"{type(refused).__name__} blames the service: {refused}"
        assert refused.detail


def check_picture(data: bytes) -> None:
    with _refusal_is_fine():
        picture = read_picture(data, DecodeLimits(1_000_000, 1_000_000))
        assert picture.pixels.ndim == 3
        assert picture.pixels.shape[2] == 3
        assert picture.pixels.size <= 3_000_000


@functools.cache
def _decoder() -> Decoding:
    decoder = Decoding()
    atexit.register(decoder.close)
    return decoder


def check_picture_in_its_process(data: bytes) -> None:
    with _refusal_is_fine():
        assert _decoder().read(data, DecodeLimits(1_000_000, 1_000_000)).pixels.ndim == 3


def check_form(body: bytes) -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(body), 50):
            yield body[at : at + 50]

    with _refusal_is_fine(), contextlib.ExitStack() as files:
        assert asyncio.run(read_parts("multipart/form-data; boundary=edge", chunks(), files))


def check_card(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / CARD_FILE).write_bytes(data)
        with _refusal_is_fine():
            card = load_card(Path(folder))
            assert card.label_names
            for precision in card.files:
                assert card.path(precision).is_relative_to(folder), "a model's files lie in its folder"


def check_settings_file(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lookout.toml"
        file.write_bytes(data)
        with _refusal_is_fine():
            load({}, file, {"HOME": folder})


def check_environment(variables: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder, _refusal_is_fine():
        load({}, None, {"HOME": folder, **variables})


def check_patch(patch: Any) -> None:
    """What is accepted can be kept, and is the same when it is read again."""
    with tempfile.TemporaryDirectory() as folder, _refusal_is_fine():
        before = _untouched(folder)
        patch = json.loads(json.dumps(patch))
        after = patch_settings(before, patch)
        keep_overrides(after, Storage(after.state_folder))
        assert _untouched(folder).settings == after.settings


def _untouched(folder: str) -> LoadedSettings:
    return load({}, None, {"HOME": folder, "XDG_STATE_HOME": folder})


def check_message(message: str | bytes) -> None:
    text = message if isinstance(message, str) else None
    kind, sequence = _reply(text)
    assert isinstance(kind, str)
    assert sequence is None or isinstance(sequence, int)


def check_query(query: dict[str, str]) -> None:
    with _refusal_is_fine():
        asked = LiveQuery.of(query)
        assert 1.0 <= asked.rate <= 60.0
        assert asked.picture is None or 16 <= asked.picture <= 4096


_SMALL = InputSpec(name="pixels", layout="NHWC", dtype="uint8", width=4, height=4)


def check_inference(given: tuple[bytes, str | None, str]) -> None:
    """What is accepted has the network's shape and type, and its outputs can be written."""
    body, length, encoding = given
    with _refusal_is_fine():
        asked = read_infer(unpacked(body, encoding, 2**16), length, _SMALL)
        assert (asked.tensor.shape, asked.tensor.dtype) == ((1, 4, 4, 3), np.uint8)
        outputs = asked.outputs or (Output("logits", asked.binary),)
        arrays = [np.ones((1, 3), np.float32) for _ in outputs]
        text, json_length = write_infer({}, outputs, arrays, lambda _: ("cat", "dog", "neither"))
        json.loads(text[:json_length])


DECODERS = (
    Decoder("pictures", inputs.pictures, check_picture),
    Decoder("pictures, in their process", inputs.pictures, check_picture_in_its_process),
    Decoder("multipart forms", inputs.forms, check_form),
    Decoder("model cards", inputs.cards, check_card),
    Decoder("settings files", inputs.toml, check_settings_file),
    Decoder("environment", inputs.environment, check_environment),
    Decoder("settings patches", inputs.patches, check_patch),
    Decoder("WebSocket messages", inputs.messages, check_message),
    Decoder("inference requests", inputs.inferences, check_inference),
    Decoder("WebSocket queries", inputs.queries, check_query),
)
