"""The message by which Home Assistant finds the device, held against what it takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lookout.integrations.mqtt import discovery
from lookout.integrations.mqtt.discovery import Device
from lookout.integrations.mqtt.messages import Profile
from lookout.integrations.mqtt.topics import Topics, slug

from tests.integrations.home_assistant_keys import faults

DEVICE = Device(Topics("lookout", "k3f9"), "Lookout", "Raspberry Pi 5", "http://lookout.local:8642/", control=True)
LABELS = ("cat", "dog", "Miu's friend", '"}}', "貓", "nobody")
PROFILE = Profile(LABELS, {label: label.capitalize() for label in LABELS}, ("cat-dog-resnet18", "my-home"))


def message(profile: Profile = PROFILE, **before: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(discovery.payload(DEVICE, profile, before))
    return made


@pytest.mark.parametrize("profile", [PROFILE, Profile(), Profile(("cat",), None, ())])
def test_home_assistant_takes_it(profile: Profile) -> None:
    assert faults(message(profile)) == []
    assert faults(message(profile, present_old="binary_sensor")) == []


@pytest.mark.parametrize(
    ("component", "change"),
    [
        ("answer", {"options": []}),
        ("answer", {"object_id": "x"}),
        ("answer", {"unit_of_measurement": "%"}),
        ("power", {"device_class": "undervoltage"}),
        ("picture", {"url_topic": "x"}),
        ("temperature", {"unit_of_measurement": "degrees"}),
        ("pause", {"command_topic": None}),
    ],
)
def test_the_table_knows_what_home_assistant_refuses(component: str, change: dict[str, Any]) -> None:
    broken = message()
    merged = broken["components"][component] | change
    broken["components"][component] = {key: value for key, value in merged.items() if value is not None}
    assert faults(broken)


def test_what_depends_on_the_camera_is_unavailable_without_it() -> None:
    components = message()["components"]
    both = {key for key, one in components.items() if len(one["availability"]) == 2}
    assert both == {"answer", "probability", *(f"present_{slug(label)}" for label in LABELS)}
    assert all(components[key]["availability_mode"] == "all" for key in both)


def test_labels_that_no_topic_can_hold_have_ones_of_their_own() -> None:
    slugs = [slug(label) for label in ("a/b", "a+b", "a b", "a#b", "貓", "狗", "a_b", "")]
    assert len(set(slugs)) == len(slugs)
    assert all(set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") and one for one in slugs)


def test_what_is_not_there_any_more_is_removed_within_bounds() -> None:
    before = discovery.platforms(discovery.payload(DEVICE, PROFILE))
    after = message(Profile(("cat",)), **before)
    assert after["components"]["present_dog"] == {"platform": "binary_sensor"}
    many = {f"present_{number}": "binary_sensor" for number in range(10_000)}
    assert len(message(PROFILE, **many)["components"]) < 200
    assert discovery.platforms(b"not ours") == {}
    assert discovery.platforms(b'{"components": [1]}') == {}


def test_the_entities_of_the_docs_are_those_that_are_announced() -> None:
    page = (Path(__file__).parents[2] / "docs" / "home-assistant.md").read_text("utf-8")
    named = set(re.findall(r"(?:binary_sensor|sensor|image|event)\.lookout_\w+", page))
    assert named <= {one["default_entity_id"] for one in message(Profile(("cat",)))["components"].values()}
    assert named
