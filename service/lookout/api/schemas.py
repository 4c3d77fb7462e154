"""The shapes of requests and responses, for the description of the API; the state's own are in `state.view`."""

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
    """What the strongest channels of a layer answer to a picture handed in."""

    layers: list[MapLayerResponse] = Field(description="All to choose from, in the network's order.")
    layer: MapLayerResponse = Field(description="The one shown.")
    model: ModelInfo
    seen: NormalisedRect = Field(description="The part of the picture that the network looked at.")
    input: str = Field(description="What it was given, as a PNG data URI of the network's size.")
    channels: list[ChannelResponse] = Field(description="In the order of the tiles.")
    columns: int = Field(description="Tiles in a row of the picture.")
    width: int = Field(description="Of a tile, in pixels.")
    height: int
    zero: int = Field(description="The grey that is zero.")
    png: str = Field(description="The tiles as one grey PNG data URI.")


class PictureChannelResponse(_Response):
    """One feature map of a picture, number by number."""

    layer: MapLayerResponse
    model: ModelInfo
    seen: NormalisedRect
    channel: int
    after: list[list[float]] = Field(description="Rows of values.")
    before: list[list[float]] | None = Field(description="What went into the activation; null where it is not kept.")


class LayerTimesResponse(_Response):
    """How long each layer takes on this machine, for one picture on one thread."""

    model: ModelInfo
    runs: int = Field(description="The times are the medians of so many runs.")
    layers: dict[str, float] = Field(
        description="Milliseconds by row of the layer table. A layer without a time is done together with another one."
    )
    between: float = Field(description="Milliseconds for what belongs to no layer, such as reordering numbers.")


class LabelName(_Response):
    label: str
    title: str = Field(description="The label for people.")


class Heat(_Response):
    """How much each cell of what was seen speaks for a label; negative numbers speak against it."""

    label: str
    method: Literal["activation", "cover"] = Field(
        description="The network's own map; or by how much the probability fell while the place was covered."
    )
    cells: list[list[float]]


class PictureAnswerResponse(_Response):
    """How the answer to a picture comes about."""

    model: ModelInfo
    seen: NormalisedRect
    labels: list[LabelName]
    values: list[float] = Field(description="As the network puts them out, in its own order.")
    are_logits: bool = Field(description="Whether a softmax is still to come.")
    temperature: float = Field(description="The values are divided by it before the softmax.")
    probabilities: list[float] = Field(description="One a label.")
    heat: Heat | None = Field(description="With ?label=.")


class FilterResponse(_Response):
    """One filter of a network's first layer."""

    filter: int
    count: int = Field(description="How many there are.")
    weights: list[list[list[float]]] = Field(description="Channels of rows of numbers.")


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
    minimum: float | None = Field(description="The smallest number, or just below it; null for no limit.")
    maximum: float | None = Field(description="The largest number, or just above it; null for no limit.")
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
    keys: dict[str, Setting] = Field(description="The same, each with everything known about it.")
    restart_required: list[str] = Field(
        description="Settings that were changed where they are set and take effect at the next start."
    )


class PauseResponse(_Response):
    paused: bool


class ConnectedCamera(_Response):
    """A camera that is connected."""

    kind: str = Field(description="pi or usb.")
    address: str = Field(description="For camera.source.")
    name: str
    note: str


class CamerasResponse(_Response):
    """The connected cameras, best first. reasons: what was looked for and not found."""

    cameras: list[ConnectedCamera]
    reasons: list[str]


class LoginRequest(BaseModel):
    """The token as `lookout token` prints it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"token": "pY3…"}})

    token: StrictStr = Field(min_length=1, max_length=200)


class LoginStatus(_Response):
    """What the login page needs to know. command: makes a token, typed on the machine that runs the service."""

    logged_in: bool
    token_exists: bool
    command: str
    scope: str = Field(description="What the login opens; empty where nobody is logged in.")


class LinkWanted(BaseModel):
    """for_s: seconds for which the link opens the pictures; a year, unless something else is asked for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"for_s": 86400}})

    for_s: float = Field(365 * 86400, strict=True, ge=60, le=10 * 366 * 86400, allow_inf_nan=False)


class StreamLink(_Response):
    """Addresses of the pictures that need no token. They end with the token that made them, at the latest."""

    stream: str = Field(description="Of the stream, from the service's own root.")
    snapshot: str = Field(description="Of the newest frame.")
    expires: str | None = Field(description="RFC 3339; null where everybody may see the pictures anyway.")


class LoginResponse(_Response):
    """Whose token it was. The cookie does the rest."""

    name: str
    expires_in_s: int


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
    """What runs here, on what."""

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
