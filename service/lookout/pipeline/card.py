"""The model card: the facts that an ONNX graph does not contain. `card.json` is beside the ONNX files it describes."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from lookout.errors import ModelRejected
from lookout.system.regular_files import open_regular, read_regular

CARD_FILE = "card.json"
# A card is a page of text; a larger file is not a card.
MAX_CARD_BYTES = 2**20
MAX_OUTPUTS = 10_000
# The size limit of a protobuf message.
MAX_GRAPH_BYTES = 2**31 - 1
# For labels without thresholds in the card: cautious enough for an uncalibrated network.
DEFAULT_ENTER, DEFAULT_LEAVE = 0.8, 0.6

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Label(_Part):
    """One class of the network's last layer, in order. A reject label means "none of these".

    outputs: the positions, from 0, of the network's outputs that this label combines; None: its own.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    reject: bool = False
    outputs: list[Annotated[int, Field(ge=0, lt=MAX_OUTPUTS)]] | None = Field(default=None, min_length=1)


class InputSpec(_Part):
    """How a picture becomes the network's input tensor.

    With dtype float32, the tensor is (pixel * scale - mean) / std per channel, with pixels from 0 to 255; a uint8
    graph takes the pixels as they are and does this itself.
    """

    name: str
    layout: Literal["NHWC", "NCHW"]
    dtype: Literal["uint8", "float32"]
    width: Annotated[int, Field(ge=4, le=4096)]
    height: Annotated[int, Field(ge=4, le=4096)]
    color: Literal["rgb", "bgr", "gray"] = "rgb"
    resize: Literal["crop", "squash", "letterbox"] = "crop"
    interpolation: Literal["area", "linear"] = "area"
    scale: float = 1.0
    mean: list[float] = Field(default_factory=lambda: [0.0], min_length=1, max_length=3)
    std: list[Annotated[float, Field(gt=0.0)]] = Field(default_factory=lambda: [1.0], min_length=1, max_length=3)

    @property
    def channels(self) -> int:
        return 1 if self.color == "gray" else 3

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> InputSpec:
        for what, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{what} has {len(values)} values for {self.channels} channels")
        return self

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The tensor's shape for a batch of one."""
        h, w, c = self.height, self.width, self.channels
        return (1, h, w, c) if self.layout == "NHWC" else (1, c, h, w)


class Outputs(_Part):
    """The names of the graph's outputs: either logits, or probabilities if the graph ends in a softmax."""

    logits: str | None = None
    probabilities: str | None = None
    embedding: str | None = None
    feature_map: str | None = None
    activation_map: str | None = None

    @model_validator(mode="after")
    def _one_answer(self) -> Outputs:
        if (self.logits is None) == (self.probabilities is None):
            raise ValueError("name either logits or probabilities")
        return self

    @property
    def answer(self) -> str:
        return self.logits or self.probabilities or ""


class Calibration(_Part):
    """Guo et al. 2017: probabilities are softmax(logits / temperature)."""

    temperature: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0


class Thresholds(_Part):
    """The smoothed probability at which a label becomes the answer, and the one below which it is dropped."""

    enter: Probability = DEFAULT_ENTER
    leave: Probability = DEFAULT_LEAVE

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        if self.leave > self.enter:
            raise ValueError(f"leave ({self.leave:g}) is above enter ({self.enter:g})")
        return self


class GraphFile(_Part):
    """One ONNX file and its hash."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.onnx$", max_length=200)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0)]


class Translation(_Part):
    """The card's texts in another language. labels: titles by label; anything missing stays in English."""

    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    description: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    labels: dict[str, Annotated[str, Field(min_length=1, max_length=200)]] = Field(default_factory=dict)


class Card(_Part):
    """Everything known about a model. The order of `labels` is the order of the network's outputs."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Name
    version: str
    title: str
    description: str = ""
    # By BCP 47 language tag, such as "zh-Hant"; the fields above are in English.
    translations: dict[Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")], Translation] = Field(
        default_factory=dict
    )
    labels: list[Label] = Field(min_length=2, max_length=MAX_OUTPUTS)
    # Whether a mirror image shows the same label, as with animals but not with letters; the focus then looks at both.
    mirror: bool = False
    input: InputSpec
    outputs: Outputs
    calibration: dict[str, Calibration] = Field(default_factory=dict)
    thresholds: dict[str, Thresholds] = Field(default_factory=dict)
    files: dict[Annotated[str, Field(pattern=r"^[a-z0-9]+$")], GraphFile] = Field(min_length=1)
    metrics: dict[str, Any] = Field(default_factory=dict)
    data: str = ""
    licence: str = ""
    created: datetime

    _folder: Path = PrivateAttr(default_factory=Path)

    @field_validator("metrics")
    @classmethod
    def _metrics_are_json_safe(cls, metrics: dict[str, Any]) -> dict[str, Any]:
        check_json_safe(metrics)
        return metrics

    @model_validator(mode="after")
    def _labels_fit(self) -> Card:
        names = self.label_names
        if len(set(names)) != len(names):
            raise ValueError("two labels have the same name")
        grouped = [place for label in self.labels for place in label.outputs or ()]
        if grouped and (
            None in [label.outputs for label in self.labels] or sorted(grouped) != list(range(len(grouped)))
        ):
            raise ValueError("the labels' outputs are not every output of the network, each once")
        unknown = sorted(set(self.thresholds) - set(names))
        if unknown:
            raise ValueError(f'thresholds contain "{unknown[0]}", which is not one of the labels')
        for language, translation in self.translations.items():
            unknown = sorted(set(translation.labels) - set(names))
            if unknown:
                raise ValueError(
                    f'the translation "{language}" contains "{unknown[0]}", which is not one of the labels'
                )
        unknown = sorted(set(self.calibration) - set(self.files))
        if unknown:
            raise ValueError(f'calibration contains the precision "{unknown[0]}", for which there is no file')
        return self

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def groups(self) -> tuple[tuple[int, ...], ...] | None:
        """For each label, the network's outputs that make it up; None if each has its own."""
        if self.labels[0].outputs is None:
            return None
        return tuple(tuple(label.outputs or ()) for label in self.labels)

    @property
    def numbers(self) -> int:
        """The number of values in the network's output."""
        return len(self.labels) if self.groups is None else sum(map(len, self.groups))

    @property
    def precisions(self) -> tuple[str, ...]:
        return tuple(self.files)

    def path(self, precision: str) -> Path:
        return self._folder / self.files[precision].file

    def temperature(self, precision: str) -> float:
        return self.calibration.get(precision, Calibration()).temperature

    def thresholds_of(self, label: str) -> Thresholds:
        return self.thresholds.get(label, Thresholds())


def load_card(folder: Path) -> Card:
    """Read and check `folder/card.json`. Raises ModelRejected with the first thing that is wrong."""
    path = folder / CARD_FILE
    try:
        card = Card.model_validate(json.loads(read_regular(path, MAX_CARD_BYTES)))
    except OSError as error:
        raise ModelRejected(
            f"The model's card {path} cannot be read ({error.strerror or error}).",
            "Run `lookout models add FILE.onnx --labels FILE` to make one.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelRejected(f"The model's card {path} is not valid: {_first(error)}.", _REMEDY) from error
    card._folder = folder
    return card


_REMEDY = "Correct the card, or make a new one with `lookout models add`."


def _first(error: Exception) -> str:
    """The first problem that validation reports, with the path of the field."""
    if not isinstance(error, ValidationError):
        return str(error).rstrip(".")
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def check_json_safe(document: object) -> None:
    """Raise ValueError for what Python accepts as JSON but no response can contain: NaN, infinities, surrogates."""
    json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def sha256_of(path: Path, *, follow_links: bool = False) -> str:
    """Hex digest of a regular file, read in pieces. Raises OSError."""
    with open_regular(path, MAX_GRAPH_BYTES, follow_links=follow_links) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
