"""The definition of every setting: its type, default, range and help. The values come from `sources.py`.

`--help`, the TOML template, `GET /api/settings` and the documentation are all made from these classes.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal

from pydantic import (
    Field,
    FiniteFloat,
    field_validator,
    model_validator,
)

from lookout.geometry import Rect
from lookout.resources import DEFAULT_MODEL
from lookout.settings.integrations import MqttSettings, NotifySettings
from lookout.settings.section import Probability, Section
from lookout.storage.budget import Limits

# As browsers send it, plus the trailing slash that people add. An app's page may have its own scheme.
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*://[^/\s]+/?|null)", re.IGNORECASE)
# An entry of Content-Security-Policy's frame-ancestors.
_SITE = re.compile(r"\*|([a-z][a-z0-9+.-]*://)?(\*\.)?([\w.-]+|\[[0-9a-f:]+\])(:(\d+|\*))?/?", re.IGNORECASE | re.ASCII)
# A host name, with * for any part of it: cam.example, *.example, pi*.example, * for all.
_HOST_PATTERN = re.compile(r"[\w*-]+(\.[\w*-]+)*\.?")
# A region of the camera's picture that is smaller than this shows the network too little.
MIN_REGION_PIXELS = 32


class Region(Section):
    """A part of the upright picture, normalised: x and y of the upper left corner, width and height."""

    x: float = Field(0.0, ge=0.0, lt=1.0)
    y: float = Field(0.0, ge=0.0, lt=1.0)
    width: float = Field(1.0, gt=0.0, le=1.0)
    height: float = Field(1.0, gt=0.0, le=1.0)

    @property
    def rect(self) -> Rect:
        """The region as plain data."""
        return Rect(self.x, self.y, self.width, self.height)

    @model_validator(mode="after")
    def _inside(self) -> Region:
        if self.x + self.width > 1.0 + 1e-6 or self.y + self.height > 1.0 + 1e-6:
            raise ValueError("the region extends past the edge: x + width and y + height must be at most 1")
        return self


class CameraSettings(Section):
    """Where frames come from."""

    source: str = Field(
        "auto",
        min_length=1,
        description="auto, pi:0, usb:/dev/v4l/by-id/…, rtsp://…, http://…, file:clip.mp4, folder:photos/, demo. "
        "auto picks the Pi camera, else a USB camera.",
    )
    width: int = Field(640, ge=32, le=4608, description="Width in pixels requested from the camera.")
    height: int = Field(480, ge=32, le=4608, description="Height in pixels requested from the camera.")
    fps: float = Field(15.0, gt=0.0, le=240.0, description="Frames per second requested from the camera.")
    rotate: Literal[0, 90, 180, 270] = Field(0, description="Degrees clockwise, applied before flip.")
    flip: Literal["none", "horizontal", "vertical", "both"] = Field("none", description="Mirror the picture.")
    stale_after_s: float = Field(
        2.0,
        ge=0.2,
        le=60.0,
        description="Seconds without a new frame after which nothing is shown as current.",
    )
    controls: dict[str, bool | int | FiniteFloat | str | list[FiniteFloat]] = Field(
        default_factory=dict,
        description="Exposure, focus, tuning file …: passed to the camera. RTSP: transport is tcp, udp, "
        "multicast or http. HTTPS: certificate = any accepts one that cannot be verified.",
    )
    repeats: Literal["stalled", "ignore"] = Field(
        "stalled",
        description='What identical frames of a live source mean: a stuck driver, or nothing ("ignore").',
    )
    python: str = Field("auto", description="Interpreter of the Pi camera's process; auto finds one with picamera2.")

    @model_validator(mode="after")
    def _frames_come_often_enough(self) -> CameraSettings:
        if 1.0 / self.fps > self.stale_after_s / 2.0:
            raise ValueError(
                f"at {self.fps:g} frames per second one frame takes {1 / self.fps:.2f} s, more than half of "
                f"stale_after_s ({self.stale_after_s:g} s): raise fps or stale_after_s"
            )
        return self


class ModelSettings(Section):
    """Which network classifies the frames."""

    name: str = Field(DEFAULT_MODEL, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the model.")
    precision: str = Field(
        "auto",
        pattern=r"^[a-z0-9]+$",
        description="auto, fp32 or int8; auto picks the faster one here. A model that lacks it uses another one.",
    )
    threads: int = Field(0, ge=0, le=64, description="Threads for the network; 0: chosen automatically.")
    folder: Path | None = Field(None, description="An additional folder of models.")


class AnswerSettings(Section):
    """How predictions become an answer."""

    window_s: float = Field(0.5, ge=0.0, le=60.0, description="Smoothing time constant in seconds.")
    hold_s: float = Field(1.0, ge=0.0, le=600.0, description="Minimum seconds that an answer stays.")
    enter: dict[str, Probability] = Field(
        default_factory=dict,
        description='Per label, or "*" for all others: the probability that makes it the answer. Default: the card\'s.',
    )
    leave: dict[str, Probability] = Field(
        default_factory=dict,
        description='Per label, or "*" for all others: below it the answer is dropped. Default: the card\'s.',
    )
    region: Region = Field(default_factory=lambda: Region.model_validate({}), description="The part to classify.")
    focus: Literal["auto", "off"] = Field(
        "auto",
        description='"auto" zooms in on what changed in a fixed scene, at most once per frame; "off" never does.',
    )
    max_rate: float = Field(
        10.0, ge=0.0, le=1000.0, description="Maximum classifications per second; 0: as fast as frames come."
    )
    unchanged_rate: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        description="Classifications per second while the picture does not change; 0: as often as when it does.",
    )

    @model_validator(mode="after")
    def _leave_below_enter(self) -> AnswerSettings:
        for label, leave in self.leave.items():
            enter = self.enter.get(label)
            if enter is not None and leave > enter:
                raise ValueError(
                    f'for label "{label}" leave ({leave:g}) is above enter ({enter:g}): lower leave or raise enter'
                )
        return self


class PowerSettings(Section):
    """How warm and how busy the machine may become."""

    temperature_c: float = Field(
        75.0,
        ge=0.0,
        le=110.0,
        description="Degrees Celsius above which Lookout classifies less, before the firmware throttles; 0: never.",
    )
    cpu_percent: float = Field(
        0.0,
        ge=0.0,
        le=6400.0,
        description="Percent of one processor core that Lookout may use before it classifies less; 0: no limit.",
    )
    min_rate: float = Field(
        1.0, gt=0.0, le=1000.0, description="Minimum classifications per second, however warm it is."
    )


class ServerSettings(Section):
    """Where the service listens, and who may use it."""

    name: str = Field(
        "",
        pattern=r"^[^\x00-\x1f\x7f-\x9f]{0,60}$",
        description="Name of this device, if there are several: on the dashboard, in MQTT and in notices.",
    )
    announce: bool = Field(
        False,
        description="Announce it on the local network by mDNS, for `lookout find`. Needs the package zeroconf.",
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; any but loopback needs a token.")
    port: int = Field(8642, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    auth: Literal["token", "always", "none"] = Field(
        "token",
        description='"token" asks for a token, except on this machine itself until the first one is made; '
        '"always" asks there too; "none" admits everybody who can reach the port.',
    )
    token_file: Path | None = Field(None, description="A file holding a token, for containers.")
    root_path: str = Field("", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="Sub-path behind a proxy: /lookout")
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Other host names of this machine; *.example.org stands for all below it.",
    )
    allowed_origins: list[str] = Field(default_factory=list, description="Other sites whose pages may change things.")
    allowed_frames: list[str] = Field(default_factory=list, description="Sites that may embed the dashboard.")
    allowed_images: Literal["same-origin", "same-site", "cross-origin"] = Field(
        "same-origin",
        description="Whose pages may show snapshot and stream as an image: only Lookout's, those of the same host or "
        "domain, or everybody's.",
    )
    inference: bool = Field(
        True, description="Serve /v2 (Open Inference Protocol), /hf and /models (Hugging Face's API)."
    )
    trusted_proxies: list[str] = Field(
        default_factory=lambda: ["127.0.0.1", "::1"], description="Proxies whose X-Forwarded-* headers are trusted."
    )
    tls_certificate: Path | None = Field(None, description="PEM file; with tls_key, the service uses HTTPS.")
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key.")

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for entry in value:
            if not _ORIGIN.fullmatch(entry):
                raise ValueError(f'"{entry}" is not an origin: write it as https://home.example or http://10.0.0.2:80')
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, value: list[str]) -> list[str]:
        for entry in value:
            if not _HOST_PATTERN.fullmatch(entry):
                raise ValueError(
                    f'"{entry}" is not a name: write it without scheme, port and path, such as cam.example or *.example'
                )
        return value

    @field_validator("allowed_frames")
    @classmethod
    def _are_sites(cls, value: list[str]) -> list[str]:
        for entry in value:
            # It becomes part of a header, where a semicolon or a comma would start a new directive.
            if not _SITE.fullmatch(entry):
                raise ValueError(f'"{entry}" is not a site: write it as https://home.example or http://10.0.0.2:8123')
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, value: list[str]) -> list[str]:
        for entry in value:
            try:
                if entry != "*":
                    ipaddress.ip_network(entry, strict=False)
            except ValueError:
                raise ValueError(
                    f'"{entry}" is not an address or network: write it as 10.0.0.2 or 10.0.0.0/8'
                ) from None
        return value


class UploadSettings(Section):
    """Limits on uploaded pictures, and on what decoding them may cost."""

    max_bytes: int = Field(12 * 2**20, ge=1024, le=2**30, description="Maximum bytes of one request.")
    max_pixels: int = Field(
        50_000_000,
        ge=1024,
        le=2**28,
        description="Maximum pixels of one picture. Decoding may take 1.8 bytes of memory per pixel, which is enough "
        "for a JPEG of that size and for other formats of half that.",
    )
    max_concurrent: int = Field(
        2, ge=1, le=64, description="Pictures classified at once; they are decoded one at a time."
    )


class StateSettings(Section):
    """What is kept on disk."""

    folder: Path | None = Field(None, description="Default: systemd's StateDirectory, else the XDG state folder.")
    max_bytes: int = Field(
        2**30,
        ge=2**20,
        description="Maximum bytes that Lookout keeps on disk, including caches, excluding models that you added. "
        "The last sixteenth is left to changes that you make.",
    )
    max_bytes_per_day: int = Field(
        200 * 2**20,
        ge=2**16,
        description="Maximum bytes that Lookout writes to disk per day (UTC): every write wears an SD card. "
        "The last sixteenth is left to changes that you make.",
    )

    @property
    def limits(self) -> Limits:
        """The budget for what is written to disk."""
        return Limits(per_day=self.max_bytes_per_day, total=self.max_bytes)


class EventsSettings(Section):
    """The diary: which events are recorded, and for how long they are kept."""

    enabled: bool = Field(
        True, description="Record events. If off, nothing is recorded; earlier events stay until deleted."
    )
    pictures: Literal["best", "none"] = Field(
        "best", description='"best" keeps the best frame of each event; "none" keeps numbers only.'
    )
    days: int = Field(90, ge=1, le=36_500, description="Days after which events are deleted; those that you keep stay.")
    max_count: int = Field(
        100_000, ge=100, le=10_000_000, description="Maximum number of events; the oldest are deleted first."
    )
    max_bytes: int = Field(
        512 * 2**20,
        ge=2**20,
        description="Maximum bytes of events and their pictures, within state.max_bytes; the oldest are deleted first.",
    )
    merge_s: float = Field(
        5.0,
        ge=0.0,
        le=3600.0,
        description="Visits of one label that are less than this many seconds apart are one event.",
    )
    min_s: float = Field(0.5, ge=0.0, le=600.0, description="Seconds that an answer must last to become an event.")
    sample: int = Field(
        5,
        ge=0,
        le=1000,
        description="Events per day drawn at random for review, to measure how often answers are right.",
    )
    keep_per_label: int = Field(
        20,
        ge=0,
        le=10_000,
        description="This many of the newest events of each label are deleted last when space is short.",
    )
    labels: list[str] = Field(default_factory=list, description="Labels whose pictures are kept; an empty list: all.")
    quiet: str = Field(
        "",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$",
        description="Hours of the day, in the machine's time zone, in which no pictures are kept, such as 22:00-07:00.",
    )


class MetricsSettings(Section):
    """Metrics for Prometheus at /metrics."""

    enabled: bool = Field(False, description="Collect and serve metrics. Needs the package prometheus-client.")
    public_on_loopback: bool = Field(
        False, description="Serve them without a token to programs on this machine, not through a proxy."
    )


class Settings(Section):
    """All settings. Immutable: a change makes a new object, validated as a whole."""

    camera: CameraSettings = Field(default_factory=lambda: CameraSettings.model_validate({}))
    model: ModelSettings = Field(default_factory=lambda: ModelSettings.model_validate({}))
    answer: AnswerSettings = Field(default_factory=lambda: AnswerSettings.model_validate({}))
    power: PowerSettings = Field(default_factory=lambda: PowerSettings.model_validate({}))
    server: ServerSettings = Field(default_factory=lambda: ServerSettings.model_validate({}))
    upload: UploadSettings = Field(default_factory=lambda: UploadSettings.model_validate({}))
    state: StateSettings = Field(default_factory=lambda: StateSettings.model_validate({}))
    events: EventsSettings = Field(default_factory=lambda: EventsSettings.model_validate({}))
    metrics: MetricsSettings = Field(default_factory=lambda: MetricsSettings.model_validate({}))
    mqtt: MqttSettings = Field(default_factory=lambda: MqttSettings.model_validate({}))
    notify: NotifySettings = Field(default_factory=lambda: NotifySettings.model_validate({}))

    @model_validator(mode="after")
    def _region_large_enough(self) -> Settings:
        region, camera = self.answer.region, self.camera
        turned = camera.rotate in (90, 270)
        width, height = (camera.height, camera.width) if turned else (camera.width, camera.height)
        if round(region.width * width) < MIN_REGION_PIXELS or round(region.height * height) < MIN_REGION_PIXELS:
            raise ValueError(
                f"answer.region is {region.width * width:.0f} x {region.height * height:.0f} pixels of the camera's "
                f"picture, less than {MIN_REGION_PIXELS} a side: choose a larger region"
            )
        return self

    @model_validator(mode="after")
    def _classified_often_enough(self) -> Settings:
        rate, stale = self.answer.max_rate, self.camera.stale_after_s
        if rate > 0 and 1.0 / rate > stale / 2.0:
            raise ValueError(
                f"answer.max_rate of {rate:g} per second leaves {1 / rate:.2f} s between classifications, more than "
                f"half of camera.stale_after_s ({stale:g} s): raise max_rate or stale_after_s"
            )
        unchanged = self.answer.unchanged_rate
        if unchanged > 0 and 1.0 / unchanged > stale / 2.0:
            raise ValueError(
                f"answer.unchanged_rate of {unchanged:g} per second leaves {1 / unchanged:.2f} s between "
                f"classifications, more than half of camera.stale_after_s ({stale:g} s): raise unchanged_rate or "
                "stale_after_s"
            )
        return self
