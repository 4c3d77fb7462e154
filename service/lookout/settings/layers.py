"""The settings as layers, one per source, merged in order; an invalid value is reported with the place it came from."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from lookout.errors import SettingInvalid
from lookout.redaction import redact, redact_text
from lookout.settings.keys import Key, all_keys, key_meant
from lookout.settings.schema import Settings

Kind = Literal["flag", "environment", "override", "file", "default"]
PRECEDENCE: tuple[Kind, ...] = ("flag", "environment", "override", "file")
PREFIX = "LOOKOUT_"
# Sections and keys that cannot be changed while the service runs, and why.
_FIXED = {
    "server": "it decides how the service is reached",
    "upload": "it protects the machine",
    "state": "it says where data is kept",
    "metrics": "it decides who may read them",
    "mqtt": "it decides who is sent what the camera sees",
    "notify": "it decides who is sent what the camera sees, and names programs that are run",
    "model.folder": "it says where models are found",
    # Permission to change settings must not become permission to run any program on the disk.
    "camera.python": "it names a program that is run",
}
# The sections among them: changes there take effect at the next start.
READ_AT_START = tuple(key for key in _FIXED if "." not in key)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set. where: the flag, the variable, or the file with its line."""

    kind: Kind
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind


@dataclass(frozen=True, slots=True)
class Layer:
    """The values of one source by dotted key, and where each was set."""

    values: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force, and where each came from.

    config: the TOML file that was read. state_folder, cache_folder: chosen, not created yet. unread: whether the
    changes kept in the state folder could not be read, and are therefore missing here.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    layers: Mapping[Kind, Layer]
    config: Path | None
    state_folder: Path
    cache_folder: Path
    unread: bool = False

    def changeable(self, key: str) -> tuple[bool, str]:
        """Return whether this setting can be changed while the service runs, and the reason if not."""
        origin, why = self.origins[key], _FIXED.get(key) or _FIXED.get(key.partition(".")[0])
        if why is not None:
            return False, f"{key} cannot be changed from here: {why}."
        if origin.kind in ("flag", "environment"):
            return False, f"{key} is set by {origin.where}, which takes precedence over anything set here."
        return True, ""

    def value_of(self, key: str) -> Any:
        """Return a setting's value in plain TOML types; addresses without their passwords."""
        section, _, name = key.partition(".")
        value = self.settings.model_dump(mode="json")[section][name]
        return redact(value) if key == "camera.source" else value

    def with_layer(self, kind: Kind, layer: Layer) -> LoadedSettings:
        """Return a copy with one source replaced, validated as a whole. Raises SettingInvalid."""
        layers = {**self.layers, kind: layer}
        settings, origins = merged(layers)
        return replace(self, settings=settings, origins=origins, layers=layers)

    def with_sections_of(self, other: LoadedSettings, sections: Collection[str]) -> LoadedSettings:
        """Return a copy with some sections taken from `other`, in all sources. Raises SettingInvalid."""
        layers = {
            kind: _spliced(layer, other.layers.get(kind, Layer()), sections) for kind, layer in self.layers.items()
        }
        settings, origins = merged(layers)
        return replace(self, settings=settings, origins=origins, layers=layers)


def _spliced(layer: Layer, other: Layer, sections: Collection[str]) -> Layer:
    def choose(own: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in own.items() if key.partition(".")[0] not in sections}
        return kept | {key: value for key, value in theirs.items() if key.partition(".")[0] in sections}

    return Layer(choose(layer.values, other.values), choose(layer.where, other.where))


def flat(tree: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the dotted keys and values of a nested table; deeper tables stay values."""
    pairs: list[tuple[str, Any]] = []
    for section, content in tree.items():
        if section in Settings.model_fields and isinstance(content, Mapping):
            pairs.extend((f"{section}.{name}", value) for name, value in content.items())
        else:
            pairs.append((section, content))
    return pairs


def unknown_key(name: str, place: str, *, environment: bool = False) -> SettingInvalid:
    """Return the error for a name that is not a setting, suggesting the one that was meant."""
    meant = key_meant(name)
    said = f"{place} is not a setting" if place.startswith(("--", PREFIX)) else f'{place}: "{name}" is not a setting'
    if name in Settings.model_fields:
        return SettingInvalid(f'{place}: "{name}" is a section, not a setting.', f"Write [{name}] above its settings.")
    section = difflib.get_close_matches(name, Settings.model_fields, 1, 0.7) if "." not in name else []
    if section and not environment:
        return SettingInvalid(f"{said}.", f"Did you mean the section [{section[0]}]?")
    if not meant:
        return SettingInvalid(f"{said}.", "`lookout config --template` lists all of them.")
    spelt = all_keys()[meant].environment if environment else f"--{meant}" if place.startswith("--") else meant
    return SettingInvalid(f"{said}.", f"Did you mean {spelt}?")


def merged(layers: Mapping[Kind, Layer]) -> tuple[Settings, dict[str, Origin]]:
    tree: dict[str, dict[str, Any]] = {section: {} for section in Settings.model_fields}
    origins: dict[str, Origin] = {}
    for name, key in all_keys().items():
        origins[name] = Origin("default")
        for kind in PRECEDENCE:
            layer = layers.get(kind, Layer())
            if name in layer.values:
                tree[key.section][name.partition(".")[2]] = layer.values[name]
                origins[name] = Origin(kind, layer.where.get(name, kind))
                break
    try:
        # Validated as JSON, strictly: "8642" is not a number and 1 is not true, but paths may be written as text.
        return Settings.model_validate_json(json.dumps(tree, default=str), strict=True), origins
    except ValidationError as error:
        raise _invalid(error, origins, layers) from error


def _invalid(error: ValidationError, origins: Mapping[str, Origin], layers: Mapping[Kind, Layer]) -> SettingInvalid:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid" and (odd := _no_text(origins, layers)) is not None:
        return odd
    location = [str(part) for part in first["loc"]]
    name, message = ".".join(location[:2]), str(first["msg"]).removeprefix("Value error, ")
    key = all_keys().get(name)
    if key is None:
        if location[:1] == ["notify"]:
            return SettingInvalid(f"notify: {message}.", "docs/notices.md explains rules and targets.")
        return _contradiction(message, origins)
    origin, said, allowed = origins[name], name, key.allowed
    place = origin.where
    if key.section == "notify":  # rules and targets have settings of their own, some of them secret
        subject = _subject(origin, place, ".".join(location))
        return SettingInvalid(f"{subject}: {message}.", "docs/notices.md explains rules and targets.")
    if key.is_table and len(location) > 2:
        said, allowed = f"{name}.{location[2]}", _entry_allowed(key)
        place = layers[origin.kind].where.get(said, origin.where) if origin.kind in layers else origin.where
    if first["type"] == "value_error":
        reason = f": {message}"
    elif first["type"] == "extra_forbidden":
        reason = f" does not exist; {name} takes {allowed}"
    else:
        reason = f" is {_shown(first['input'])}, but must be {allowed}"
    subject = _subject(origin, place, said)
    default = "" if key.is_table or key.value is None else f"The default is {_shown(key.value)}."
    return SettingInvalid(f"{subject}{reason}.", f"{key.help} {default}".strip())


def _subject(origin: Origin, place: str, said: str) -> str:
    """Return what an error is about: the flag or variable, or the line of a file and the setting's name."""
    return place if origin.kind in ("flag", "environment") else f"{place}: {said}" if place else said


def _no_text(origins: Mapping[str, Origin], layers: Mapping[Kind, Layer]) -> SettingInvalid | None:
    """Return the error for the first setting that JSON cannot express, usually a path in another encoding; or None."""
    for name, origin in origins.items():
        try:
            json.dumps(layers.get(origin.kind, Layer()).values.get(name), ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            return SettingInvalid(
                f"{_subject(origin, origin.where, name)} is not valid UTF-8.",
                "Rename the file or folder, or make a link to it with a name in UTF-8.",
            )
    return None


def _entry_allowed(key: Key) -> str:
    if key.name in ("answer.enter", "answer.leave"):
        return "a number between 0 and 1"
    return key.allowed if key.name == "answer.region" else "true, false, a number, a text or a list of numbers"


def _contradiction(message: str, origins: Mapping[str, Origin]) -> SettingInvalid:
    """Return the error for two valid settings that contradict each other, with the places where they were set.

    message: what is wrong, a colon, and what helps.
    """
    involved = [name for name in origins if re.search(rf"\b{re.escape(name.partition('.')[2])}\b", message)]
    places = [origins[name].where for name in involved if origins[name].where]
    prefix = f"{' and '.join(dict.fromkeys(places))}: " if places else ""
    detail, _, remedy = message.rpartition(": ")
    return SettingInvalid(f"{prefix}{detail}.", f"{remedy[:1].upper()}{remedy[1:]}.")


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        value = redact(value) if "://" in value else value  # whole: a password may contain spaces
    text = redact_text(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 80 else text[:77] + "…"
