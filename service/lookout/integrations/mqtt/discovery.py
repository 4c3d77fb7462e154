"""The description of the device for Home Assistant: its entities, their topics and when they are available.

One retained message for the whole device (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookout import __version__
from lookout.integrations.mqtt import quiet
from lookout.integrations.mqtt.messages import NOBODY, UNSURE, Profile, event_type
from lookout.integrations.mqtt.topics import Topics, slug

Component = dict[str, Any]
# Components that a label or a setting took with it are listed once more, so that Home Assistant removes them.
_MAX_REMOVED = 100
_MEASURED = (
    ("rate", "Classifications", "Hz", "frequency"),
    ("inference_ms", "Inference time", "ms", "duration"),
    ("temperature", "Temperature", "°C", "temperature"),
    ("disk_left_days", "Room for events", "d", "duration"),
)


@dataclass(frozen=True, slots=True)
class Device:
    """address: the dashboard's URL, ending in a slash. picture, control: whether there are such topics."""

    topics: Topics
    name: str
    model: str
    address: str
    picture: bool = True
    control: bool = False

    @property
    def id(self) -> str:
        return f"lookout_{self.topics.device}"


def payload(device: Device, profile: Profile, before: Mapping[str, str] | None = None) -> bytes:
    """Return the message. before: platform by component of an older one; components that are gone are removed."""
    components = _components(device, profile)
    gone = [(key, platform) for key, platform in (before or {}).items() if key not in components][:_MAX_REMOVED]
    message = {
        "device": {
            "identifiers": [device.id],
            "name": device.name,
            "manufacturer": "Lookout",
            "model": device.model,
            "sw_version": __version__,
            "configuration_url": device.address,
        },
        "origin": {"name": "Lookout", "sw_version": __version__, "support_url": f"{device.address}docs"},
        # Home Assistant removes a component that consists of its platform only.
        "components": components | {key: {"platform": platform} for key, platform in gone},
        "qos": 1,
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def platforms(message: bytes) -> dict[str, str]:
    """Return platform by component of a retained message; empty if it is not a discovery message."""
    try:
        components = json.loads(message)["components"]
        found = {str(key): str(one.get("platform") or one.get("p")) for key, one in components.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return dict(list(found.items())[: 2 * _MAX_REMOVED])


def _components(device: Device, profile: Profile) -> dict[str, Component]:
    builder = _Builder(device)
    _answer(builder, profile)
    _diagnostics(builder)
    if device.control:
        _controls(builder, profile)
    return builder.components


class _Builder:
    """Collects components; those that depend on the camera are unavailable while it delivers no frames."""

    def __init__(self, device: Device) -> None:
        self.topics = device.topics
        self.picture = device.picture
        self._id = device.id
        self._connected = [{"topic": device.topics.status}]
        self.components: dict[str, Component] = {}

    def add(self, key: str, platform: str, name: str, *, seen: bool = False, **more: Any) -> None:
        """Add a component. seen: it depends on what the camera sees."""
        availability = [*self._connected, *([{"topic": self.topics("camera")}] if seen else [])]
        self.components[key] = {
            "platform": platform,
            "name": name,
            "unique_id": f"{self._id}_{key}",
            "default_entity_id": f"{platform}.lookout_{_entity_id(key)}",
            "availability": availability,
            **({"availability_mode": "all"} if seen else {}),
            **more,
        }


def _answer(builder: _Builder, profile: Profile) -> None:
    topic = builder.topics("answer")
    builder.add(
        "answer",
        "sensor",
        "Answer",
        seen=True,
        device_class="enum",
        options=list(dict.fromkeys((*profile.labels, NOBODY, UNSURE))),
        state_topic=topic,
        value_template="{{ value_json.state }}",
        json_attributes_topic=topic,
        icon="mdi:eye",
    )
    builder.add(
        "probability",
        "sensor",
        "Probability",
        seen=True,
        unit_of_measurement="%",
        state_class="measurement",
        suggested_display_precision=0,
        state_topic=topic,
        value_template="{{ value_json.probability }}",
    )
    for label in profile.labels:
        builder.add(
            f"present_{slug(label)}",
            "binary_sensor",
            profile.title(label),
            seen=True,
            device_class="occupancy",
            state_topic=topic,
            value_template=f"{{{{ 'ON' if value_json.state == {_literal(label)} else 'OFF' }}}}",
        )
    if profile.labels:
        types = [event_type(label, what) for label in profile.labels for what in ("began", "ended")]
        builder.add("seen", "event", "Seen", event_types=types, state_topic=builder.topics("event"))
    if builder.picture:
        builder.add(
            "picture", "image", "Last picture", image_topic=builder.topics("picture"), content_type="image/jpeg"
        )


def _diagnostics(builder: _Builder) -> None:
    builder.add(
        "camera",
        "binary_sensor",
        "Camera",
        device_class="connectivity",
        entity_category="diagnostic",
        state_topic=builder.topics("camera"),
        payload_on="online",
        payload_off="offline",
    )
    builder.add(
        "power",
        "binary_sensor",
        "Power supply",
        device_class="problem",
        entity_category="diagnostic",
        state_topic=builder.topics("health"),
        value_template="{{ value_json.power }}",
    )
    for key, name, unit, device_class in _MEASURED:
        builder.add(
            key,
            "sensor",
            name,
            unit_of_measurement=unit,
            device_class=device_class,
            state_class="measurement",
            entity_category="diagnostic",
            state_topic=builder.topics("health"),
            value_template=f"{{{{ value_json.{key} }}}}",
        )


def _controls(builder: _Builder, profile: Profile) -> None:
    topics = builder.topics
    builder.add("pause", "switch", "Paused", entity_category="config", **_command(topics("paused")))
    if profile.models:
        builder.add(
            "model",
            "select",
            "Model",
            entity_category="config",
            options=list(profile.models),
            **_command(topics("model")),
        )
    if profile.notices:
        options = list(quiet.OPTIONS)
        builder.add(
            "notices", "select", "Notices", entity_category="config", options=options, **_command(topics("notify"))
        )
    for label in profile.labels:
        builder.add(
            f"enter_{slug(label)}",
            "number",
            f"Threshold: {profile.title(label)}",
            entity_category="config",
            min=0.05,
            max=0.99,
            step=0.01,
            mode="slider",
            **_command(topics.enter(label)),
        )


def _command(topic: str) -> dict[str, Any]:
    return {"state_topic": topic, "command_topic": f"{topic}/set"}


def _entity_id(key: str) -> str:
    """Return the key as part of an entity id: lower-case letters, digits and single underscores."""
    return re.sub(r"[^a-z0-9]+", "_", key.removeprefix("present_").lower()).strip("_") or "label"


def _literal(text: str) -> str:
    """Return a string literal for a template, whose syntax for strings is Python's."""
    return json.dumps(text, ensure_ascii=False)
