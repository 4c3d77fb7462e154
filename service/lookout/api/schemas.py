"""Request and response schemas for the description of the API; those of the state are in `state.view`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from lookout.api.problems import Problem


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelScore(_Response):
    label: str
    title: str = Field(description="The label for people.")
    probability: float = Field(ge=0, le=1)


class NormalisedRect(_Response):
    """A part of a picture, normalised to 0..1: upper left corner, width and height."""

    x: float
    y: float
    width: float
    height: float


class UploadTiming(_Response):
    """Milliseconds in each stage."""

    decode: float
    preprocess: float
    inference: float
    postprocess: float


class ModelInfo(_Response):
    name: str
    version: str
    precision: str


class Explanation(_Response):
    """Which parts of the picture support the label. Each cell sees the whole picture, so this is coarse."""

    png: str = Field(description="A grey PNG as a data URI, one pixel per cell, covering `seen`.")
    cells: int
    label: str


class ClassifyResponse(_Response):
    """What the network says about one picture."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "top": [
                    {"label": "cat", "title": "Cat", "probability": 0.981},
                    {"label": "neither", "title": "Neither", "probability": 0.013},
                    {"label": "dog", "title": "Dog", "probability": 0.006},
                ],
                "probabilities": {"cat": 0.981, "dog": 0.006, "neither": 0.013},
                "width": 4032,
                "height": 3024,
                "seen": {"x": 0.125, "y": 0.0, "width": 0.75, "height": 1.0},
                "timing_ms": {"decode": 21.4, "preprocess": 0.3, "inference": 4.8, "postprocess": 0.1},
                "model": {"name": "cat-dog-lite0", "version": "1", "precision": "fp32"},
            }
        }
    )

    top: list[LabelScore] = Field(description="The best labels, best first.")
    probabilities: dict[str, float]
    width: int = Field(description="Pixels of the upright original.")
    height: int
    seen: NormalisedRect = Field(description="The part that the network saw.")
    timing_ms: UploadTiming
    model: ModelInfo
    embedding: list[float] | None = Field(None, description="With ?embedding=true; null if the model has none.")
    explanation: Explanation | None = Field(None, description="With ?explain=true; null if the model has none.")


class ClassifyFailure(_Response):
    """A picture of a form that could not be classified, at its place in the list."""

    name: str = Field(description="The file name the client sent; may be empty.")
    error: Problem


class MapLayerResponse(_Response):
    """A layer whose feature maps can be shown, with its number of channels and their size."""

    name: str
    operator: str
    channels: int
    height: int
    width: int


class ChannelResponse(_Response):
    """One feature map."""

    channel: int = Field(description="Its number in the layer, from 0.")
    mean: float
    highest: float


class FeatureMapsResponse(_Response):
    """How the strongest channels of a layer respond to one frame."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "layers": [{"name": "_relu0", "operator": "Clip", "channels": 32, "height": 64, "width": 64}],
                "layer": {"name": "_relu0", "operator": "Clip", "channels": 32, "height": 64, "width": 64},
                "model": {"name": "cat-dog-lite0", "version": "1", "precision": "fp32"},
                "frame_id": 99120,
                "captured_at": "2026-05-01T07:14:10.979Z",
                "age_ms": 41,
                "seen": {"x": 0.125, "y": 0.0, "width": 0.75, "height": 1.0},
                "input": "data:image/jpeg;base64,/9j/4AAQSkZJ…",
                "channels": [{"channel": 17, "mean": 0.8312, "highest": 4.1077}],
                "columns": 1,
                "width": 48,
                "height": 48,
                "zero": 0,
                "png": "data:image/png;base64,iVBORw0KGgo…",
            }
        }
    )

    layers: list[MapLayerResponse] = Field(description="All to choose from, in the network's order.")
    layer: MapLayerResponse = Field(description="The one shown.")
    model: ModelInfo
    frame_id: int
    captured_at: str
    age_ms: int
    seen: NormalisedRect = Field(description="The part of the frame that the network saw.")
    input: str = Field(description="That part at the network's input size, as a JPEG in a data URI.")
    channels: list[ChannelResponse] = Field(description="Those shown, in the order of the tiles.")
    columns: int = Field(description="Tiles per row of the picture.")
    width: int = Field(description="Pixels of a tile; large maps are shrunk.")
    height: int
    zero: int = Field(description="The grey value of zero: 0, or 128 for a layer with both signs.")
    png: str = Field(
        description="The tiles as a grey PNG without gaps, as a data URI; each is scaled to its own maximum."
    )


class PictureMapsResponse(_Response):
    """How the strongest channels of a layer respond to an uploaded picture."""

    layers: list[MapLayerResponse] = Field(description="All to choose from, in the network's order.")
    layer: MapLayerResponse = Field(description="The one shown.")
    model: ModelInfo
    seen: NormalisedRect = Field(description="The part of the picture that the network saw.")
    input: str = Field(description="That part at the network's input size, as a PNG in a data URI.")
    channels: list[ChannelResponse] = Field(description="Those shown, in the order of the tiles.")
    columns: int = Field(description="Tiles per row of the picture.")
    width: int = Field(description="Pixels of a tile.")
    height: int
    zero: int = Field(description="The grey value of zero.")
    png: str = Field(description="The tiles as one grey PNG in a data URI.")


class PictureChannelResponse(_Response):
    """One feature map of an uploaded picture, as numbers."""

    layer: MapLayerResponse
    model: ModelInfo
    seen: NormalisedRect
    channel: int
    after: list[list[float]] = Field(description="The values after the activation, by row.")
    before: list[list[float]] | None = Field(description="The values before the activation; null if it is not kept.")


class LayerTimesResponse(_Response):
    """How long each layer takes on this machine, for one picture on one thread."""

    model: ModelInfo
    runs: int = Field(description="The times are the medians of this many runs.")
    layers: dict[str, float] = Field(
        description="Milliseconds by row of the layer table. A layer without a time is done together with another one."
    )
    between: float = Field(description="Milliseconds for what belongs to no layer, such as reordering numbers.")


class LabelName(_Response):
    label: str
    title: str = Field(description="The label for people.")


class Heat(_Response):
    """How much each cell of the part that was seen supports a label; negative values count against it."""

    label: str
    method: Literal["activation", "cover"] = Field(
        description="activation: the network's class activation map. cover: by how much the probability fell while the "
        "cell was covered."
    )
    cells: list[list[float]]


class PictureAnswerResponse(_Response):
    """How the network arrives at its answer to a picture."""

    model: ModelInfo
    seen: NormalisedRect
    labels: list[LabelName]
    values: list[float] = Field(description="The network's raw outputs, in its own order.")
    are_logits: bool = Field(description="Whether the values are logits, to which a softmax is applied next.")
    temperature: float = Field(description="The values are divided by it before the softmax.")
    probabilities: list[float] = Field(description="One per label.")
    heat: Heat | None = Field(description="With ?label=.")


class FilterResponse(_Response):
    """One filter of a network's first layer."""

    filter: int
    count: int = Field(description="Number of filters in the layer.")
    weights: list[list[list[float]]] = Field(description="Rows of weights for each input channel.")


class BrokenModel(_Response):
    """A model that is installed but cannot be used."""

    name: str
    reason: str


class ModelsResponse(_Response):
    """The installed models."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"models": [{"name": "cat-dog-lite0", "title": "Cat or dog"}], "broken": []}}
    )

    models: list[dict[str, Any]] = Field(description="The cards of all usable models.")
    broken: list[BrokenModel]


class ModelChoice(BaseModel):
    """Which model to use. What is left out stays the same, but a new name without a precision means "auto"."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "cat-dog-resnet18", "precision": "int8"}}
    )

    name: StrictStr | None = Field(None, max_length=100)
    precision: StrictStr | None = Field(None, max_length=20)


class Setting(_Response):
    """One setting. value: the one in force."""

    value: Any
    default: Any
    changeable: bool
    reason: str = Field(description="Why it cannot be changed here; empty if it can.")
    source: Literal["flag", "environment", "override", "file", "default"] = Field(description="Where it was set.")
    allowed: str = Field(description="The allowed values, in words.")
    form: Literal["boolean", "integer", "number", "text", "choice", "list", "table", "region"] = Field(
        description="The kind of value, for programs that show a form."
    )
    choices: list[Any] = Field(description="All allowed values; empty where it is not a choice.")
    minimum: float | None = Field(description="The lower limit, which may be excluded (see `allowed`); null: none.")
    maximum: float | None = Field(description="The upper limit, which may be excluded (see `allowed`); null: none.")
    help: str


class SettingsResponse(_Response):
    """The settings in force."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "settings": {"answer": {"max_rate": 10.0}},
                "keys": {
                    "answer.max_rate": {
                        "value": 10.0,
                        "default": 10.0,
                        "changeable": True,
                        "reason": "",
                        "source": "default",
                        "allowed": "a number between 0 and 1000",
                        "form": "number",
                        "choices": [],
                        "minimum": 0.0,
                        "maximum": 1000.0,
                        "help": "Maximum classifications per second; 0: as fast as frames come.",
                    }
                },
                "restart_required": ["server.port"],
            }
        }
    )

    settings: dict[str, dict[str, Any]] = Field(description="As in the TOML file.")
    keys: dict[str, Setting] = Field(description="The same settings by their full names, each with its details.")
    restart_required: list[str] = Field(
        description="Settings that were changed at their source and take effect at the next start."
    )


class PauseResponse(_Response):
    paused: bool


class ConnectedCamera(_Response):
    """A camera that is connected."""

    kind: str = Field(description="pi or usb.")
    address: str = Field(description="The value for camera.source.")
    name: str
    note: str


class CamerasResponse(_Response):
    """The connected cameras, best first. reasons: what was looked for and not found."""

    cameras: list[ConnectedCamera]
    reasons: list[str]


class HealthResponse(_Response):
    """The loop and the worker make progress."""

    status: Literal["ok"] = "ok"


class CameraHealthResponse(_Response):
    """The camera delivers and the answer is current, or the camera is paused."""

    status: Literal["ok", "paused"]


class ReadyResponse(_Response):
    """A model answers. camera: its status; a missing camera does not make the service less ready."""

    status: Literal["ready"] = "ready"
    model: str
    camera: str


class Licence(_Response):
    """Third-party software that this program uses."""

    name: str
    version: str
    licence: str


class AboutResponse(_Response):
    """The versions in use and the platform."""

    name: str = Field(description="What the device is called (server.name); empty where nothing was set.")
    version: str
    python: str
    onnxruntime: str
    platform: str
    dashboard: str = Field(description="Version of the dashboard's files; pages with another one are out of date.")
    signed_in: bool = Field(description="Whether the request came with a login that POST /api/logout would end.")
    lab: bool = Field(description="Whether the pages for trying and comparing models are there, under /lab.")
    viewers: dict[str, int] = Field(description="How many clients are watching, by kind.")
    licences: list[Licence]
