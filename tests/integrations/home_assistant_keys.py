"""What Home Assistant 2026.11's MQTT integration takes in a device's discovery message, as a table of our own.

Facts of its documentation (https://www.home-assistant.io/integrations/mqtt/), written down so that every run can hold
our message against them without installing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_EVERY = {
    "platform", "name", "unique_id", "default_entity_id", "availability", "availability_mode", "entity_category",
    "icon",
    "json_attributes_topic", "json_attributes_template", "enabled_by_default", "encoding", "entity_picture", "qos",
}  # fmt: skip
_COMMAND = {"command_topic", "command_template", "optimistic", "retain", "state_topic", "value_template"}
_STATE = {"state_topic", "value_template", "device_class", "expire_after", "force_update"}
# Keys by component: those it takes, and those it must have.
KEYS: dict[str, tuple[set[str], set[str]]] = {
    "sensor": (
        _STATE | {"options", "state_class", "suggested_display_precision", "unit_of_measurement"},
        {"state_topic"},
    ),
    "binary_sensor": (_STATE | {"off_delay", "payload_on", "payload_off"}, {"state_topic"}),
    "event": ({"state_topic", "value_template", "device_class", "event_types"}, {"state_topic", "event_types"}),
    "image": ({"image_topic", "image_encoding", "content_type", "url_topic", "url_template"}, set()),
    "switch": (_COMMAND | {"device_class", "payload_on", "payload_off", "state_on", "state_off"}, {"command_topic"}),
    "select": (_COMMAND | {"options"}, {"command_topic", "options"}),
    "number": (_COMMAND | {"device_class", "min", "max", "step", "mode", "unit_of_measurement"}, {"command_topic"}),
}
_CLASSES = {
    "sensor": {"enum", "frequency", "duration", "temperature"},
    "binary_sensor": {"occupancy", "connectivity", "problem"},
}
_UNITS = {
    "frequency": {"Hz", "kHz", "MHz", "GHz"},
    "duration": {"d", "h", "min", "s", "ms"},
    "temperature": {"°C", "°F", "K"},
    "enum": {None},
}
_ORIGIN = {"name", "sw_version", "support_url"}
_DEVICE = {
    "identifiers", "connections", "name", "manufacturer", "model", "model_id", "sw_version", "hw_version",
    "serial_number", "suggested_area", "via_device", "configuration_url",
}  # fmt: skip


def faults(message: dict[str, Any]) -> list[str]:
    """What Home Assistant would refuse, a sentence each; empty for a message that it takes."""
    found = [f"unknown key {key}" for key in message.keys() - {"device", "origin", "components", "qos", "availability"}]
    found += [f"device: unknown key {key}" for key in message["device"].keys() - _DEVICE]
    found += [f"origin: unknown key {key}" for key in message["origin"].keys() - _ORIGIN]
    found += [] if message["device"].get("identifiers") else ["device: no identifiers"]
    found += [] if message["origin"].get("name") else ["origin: no name"]
    ids = [one["unique_id"] for one in message["components"].values() if "unique_id" in one]
    found += [] if len(set(ids)) == len(ids) else ["two components have the same unique_id"]
    for key, one in message["components"].items():
        found += [f"{key}: {fault}" for fault in _component(dict(one))]
    return found


def _component(one: dict[str, Any]) -> Iterator[str]:
    platform = one["platform"]
    if platform not in KEYS:
        yield f"unknown platform {platform}"
        return
    if set(one) == {"platform"}:  # to be removed
        return
    takes, must = KEYS[platform]
    yield from (f"unknown key {key}" for key in one.keys() - takes - _EVERY)
    yield from (f"lacks {key}" for key in (must | {"unique_id"}) - one.keys())
    device_class = one.get("device_class")
    if device_class is not None and device_class not in _CLASSES.get(platform, set()):
        yield f"unknown device_class {device_class}"
    if platform == "sensor":
        yield from _sensor(one)
    if platform == "image" and ("image_topic" in one) == ("url_topic" in one):
        yield "needs one of image_topic and url_topic"
    if platform == "number" and (one["min"] >= one["max"] or one.get("mode") not in (None, "auto", "box", "slider")):
        yield "a range or mode that does not exist"
    if one.get("entity_category") not in (None, "config", "diagnostic"):
        yield "unknown entity_category"
    if one.get("availability_mode") not in (None, "all", "any", "latest"):
        yield "unknown availability_mode"
    for list_name in ("options", "event_types"):
        values = one.get(list_name)
        if values is not None and (not values or len(set(values)) != len(values)):
            yield f"{list_name} is empty or says something twice"
    if not one.get("default_entity_id", f"{platform}.x").startswith(f"{platform}."):
        yield "default_entity_id is of another domain"


def _sensor(one: dict[str, Any]) -> Iterator[str]:
    device_class = one.get("device_class")
    if ("options" in one) != (device_class == "enum"):
        yield "options and the device_class enum belong together"
    if device_class == "enum" and ("state_class" in one or "unit_of_measurement" in one):
        yield "an enum has no unit and no state_class"
    if device_class in _UNITS and one.get("unit_of_measurement") not in _UNITS[device_class]:
        yield f"{device_class} is not measured in {one.get('unit_of_measurement')}"
