"""Where the settings come from: flags, environment, kept changes, the TOML file, defaults; and who set what.

The first that names a setting wins, in this order: flag, environment, override, file, default.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from service.errors import SettingInvalid, StateFolderUnusable
from service.settings import Settings
from service.settings_keys import Key, all_keys, key_meant
from service.system.durable import make_folder, probe_folder

Kind = Literal["flag", "environment", "override", "file", "default"]
PRECEDENCE: tuple[Kind, ...] = ("flag", "environment", "override", "file")
PREFIX = "LOOKOUT_"
# A settings file is some hundred lines; more is some other file.
MAX_FILE_BYTES = 2**20
# Set by our own test command, and by Kubernetes for a service that is called "lookout".
_NOT_OURS = re.compile(r"LOOKOUT_(TESTS_.*|SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP).*)")
_FIXED_SECTIONS = {
    "server": "it decides how the service is reached",
    "upload": "it protects the machine",
    "state": "it says where things are kept",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a value. where: the flag, the variable, or the file with its line."""

    kind: Kind
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says: values by dotted key, and where each stands."""

    values: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force, and where each came from.

    config: the TOML file that was read. state_folder, cache_folder: chosen, not yet made.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    layers: Mapping[Kind, Layer]
    config: Path | None
    state_folder: Path
    cache_folder: Path

    def changeable(self, key: str) -> tuple[bool, str]:
        """Whether a running service lets this setting be changed, and the reason if not."""
        origin, section = self.origins[key], key.partition(".")[0]
        if section in _FIXED_SECTIONS:
            return False, f"{key} is read at start alone: {_FIXED_SECTIONS[section]}."
        if origin.kind in ("flag", "environment"):
            return False, f"{key} is set by {origin.where}, which goes before anything set here."
        return True, ""

    def with_layer(self, kind: Kind, layer: Layer) -> LoadedSettings:
        """The same with one source replaced, checked whole. Raises SettingInvalid."""
        layers = {**self.layers, kind: layer}
        settings, origins = _merged(layers)
        return replace(self, settings=settings, origins=origins, layers=layers)


def load(
    flags: Mapping[str, str] | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    overrides: bool = True,
) -> LoadedSettings:
    """Read every source. flags: texts by dotted key. config: the file named by --config, which then must exist.

    Raises SettingInvalid in one sentence that names the place, the key meant and what is allowed there.
    """
    from service.overrides import read_overrides

    environ = os.environ if environ is None else environ
    path = config or default_config(environ)
    layers: dict[Kind, Layer] = {
        "flag": _flag_layer(flags or {}),
        "environment": _environment_layer(environ),
        "file": _file_layer(path) if path else Layer(),
    }
    folder = choose_state_folder(_state_folder_asked(layers), environ)
    if overrides:
        layers["override"] = read_overrides(folder, layers["file"])
    settings, origins = _merged(layers)
    return LoadedSettings(settings, origins, layers, path, folder, choose_cache_folder(environ))


# --- folders ----------------------------------------------------------------------------------------------------


def default_config(environ: Mapping[str, str]) -> Path | None:
    """The settings file that is read when none is named: the user's, else the machine's, if there is one."""
    candidates = [_home_folder(environ, "XDG_CONFIG_HOME", ".config"), Path("/etc/lookout")]
    return next((folder / "lookout.toml" for folder in candidates if (folder / "lookout.toml").is_file()), None)


def choose_state_folder(asked: Path | None, environ: Mapping[str, str]) -> Path:
    """What state.folder says, else systemd's StateDirectory=, else the XDG state folder."""
    if asked is not None:
        return asked.expanduser().absolute()
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _home_folder(environ, "XDG_STATE_HOME", ".local/state")


def choose_cache_folder(environ: Mapping[str, str]) -> Path:
    """Systemd's CacheDirectory=, else the XDG cache folder. Safe to delete at any time."""
    given = environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _home_folder(environ, "XDG_CACHE_HOME", ".cache")


def prepare_state_folder(folder: Path) -> None:
    """Make the folder and see that it can be written. Raises StateFolderUnusable."""
    try:
        make_folder(folder)
        probe_folder(folder)
    except OSError as error:
        raise StateFolderUnusable(
            f"The state folder {folder} cannot be written: {error.strerror or error}.",
            "Let the service's user own it, or name another one with --state.folder.",
        ) from error


def _home_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    base = environ.get(variable, "")
    if Path(base).is_absolute():  # the XDG specification: relative ones are to be ignored
        return Path(base) / "lookout"
    home = environ.get("HOME", "")
    # A service user may have no home: then the folders of a system service.
    fallback = {".config": "/etc", ".local/state": "/var/lib", ".cache": "/var/cache"}[below_home]
    return (Path(home) / below_home if Path(home).is_absolute() else Path(fallback)) / "lookout"


def _state_folder_asked(layers: Mapping[Kind, Layer]) -> Path | None:
    for kind in PRECEDENCE:
        value = layers[kind].values.get("state.folder") if kind in layers else None
        if isinstance(value, str):
            return Path(value)
    return None


# --- one layer a source -------------------------------------------------------------------------------------------


def _flag_layer(flags: Mapping[str, str]) -> Layer:
    keys = all_keys()
    for name in flags:
        if name not in keys:
            raise unknown_key(name, f"--{name}")
    return Layer({name: keys[name].parse(text) for name, text in flags.items()}, {name: f"--{name}" for name in flags})


def _environment_layer(environ: Mapping[str, str]) -> Layer:
    by_variable = {key.environment: key for key in all_keys().values()}
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or _NOT_OURS.fullmatch(variable):
            continue
        text = environ[variable]
        if variable == "LOOKOUT_PORT" and "://" in text:  # Kubernetes again
            continue
        key = by_variable.get(variable)
        if key is not None:
            values[key.name] = key.parse(text)
        else:
            key, name = _table_entry(variable, by_variable)
            table = values.get(key.name)
            values[key.name] = {**(table if isinstance(table, dict) else {}), name: _plain(text)}
        where[key.name] = variable
    return Layer(values, where)


def _table_entry(variable: str, by_variable: Mapping[str, Key]) -> tuple[Key, str]:
    """LOOKOUT_ANSWER__ENTER__CAT names one entry of a table."""
    head, separator, entry = variable.rpartition("__")
    key = by_variable.get(head) if separator else None
    if key is None or not key.is_table:
        raise unknown_key(variable.removeprefix(PREFIX).lower().replace("__", "."), variable, environment=True)
    return key, entry.lower()


def _plain(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _file_layer(path: Path) -> Layer:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingInvalid(f"{path} is too large for a settings file.", "Name another one with --config.")
        text = path.read_text("utf-8")
        tree = tomllib.loads(text)
    except OSError as error:
        raise SettingInvalid(
            f"The settings file {path} cannot be read: {error.strerror or error}.",
            "Correct the path, or make one: lookout config --template > lookout.toml.",
        ) from error
    except UnicodeDecodeError as error:
        raise SettingInvalid(f"The settings file {path} is not text in UTF-8.", "Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, error) from error
    values, where = {}, {}
    for name, value in flat(tree):
        line = line_of(text, name)
        place = f"{path}, line {line}" if line else str(path)
        if name not in all_keys():
            raise unknown_key(name, place)
        values[name], where[name] = value, place
        for entry in value if isinstance(value, dict) else ():
            inner = line_of(text, f"{name}.{entry}") or line
            where[f"{name}.{entry}"] = f"{path}, line {inner}" if inner else str(path)
    return Layer(values, where)


def _not_toml(path: Path, error: tomllib.TOMLDecodeError) -> SettingInvalid:
    message = str(error)
    line = re.search(r"\(at line (\d+), column \d+\)", message)
    reason = re.sub(r"\s*\(at .*\)$", "", message).rstrip(".")
    place = f"{path}, line {line[1]}" if line else f"{path}, at its end"
    return SettingInvalid(
        f"{place}: this is not TOML: {reason[:1].lower()}{reason[1:]}.",
        "Texts need quotation marks: source = \"demo\". `lookout config --template` shows the form.",
    )  # fmt: skip


def flat(tree: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A nested table as dotted keys; deeper tables stay values."""
    pairs: list[tuple[str, Any]] = []
    for section, content in tree.items():
        if section in Settings.model_fields and isinstance(content, Mapping):
            pairs.extend((f"{section}.{name}", value) for name, value in content.items())
        else:
            pairs.append((section, content))
    return pairs


def line_of(text: str, name: str) -> int | None:
    """The line of a TOML text where a dotted key is set. None where it cannot be told."""
    header = ""
    parts = name.split(".")
    for number, line in enumerate(text.splitlines(), 1):
        table = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        if table:
            header = _without_quotes(table[1])
            if header == name or header.startswith(f"{name}."):
                return number
            continue
        entry = re.match(r"\s*([A-Za-z0-9_\-.\"' ]+?)\s*=", line)
        if entry:
            full = ".".join(part for part in (header, _without_quotes(entry[1])) if part)
            if full == name or full.startswith(f"{name}.") or (full == parts[0] and "{" in line):
                return number
    return None


def _without_quotes(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def unknown_key(name: str, place: str, *, environment: bool = False) -> SettingInvalid:
    """The error for a name that is no setting, with the one that is meant."""
    meant = key_meant(name)
    said = f"{place} is not a setting" if place.startswith(("--", PREFIX)) else f'{place}: "{name}" is not a setting'
    if name in Settings.model_fields:
        return SettingInvalid(f'{place}: "{name}" is a section, not a setting.', f"Write [{name}] above its settings.")
    section = difflib.get_close_matches(name, Settings.model_fields, 1, 0.7)
    if section and not environment:
        return SettingInvalid(f"{said}.", f"Did you mean the section [{section[0]}]?")
    if not meant:
        return SettingInvalid(f"{said}.", "`lookout config --template` lists all of them.")
    spelt = all_keys()[meant].environment if environment else f"--{meant}" if place.startswith("--") else meant
    return SettingInvalid(f"{said}.", f"Did you mean {spelt}?")


# --- together -----------------------------------------------------------------------------------------------------


def _merged(layers: Mapping[Kind, Layer]) -> tuple[Settings, dict[str, Origin]]:
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
        # As JSON and strictly: "8642" is no number and 1 is not true, but paths may be written as text.
        return Settings.model_validate_json(json.dumps(tree, default=str), strict=True), origins
    except ValidationError as error:
        raise _invalid(error, origins, layers) from error


def _invalid(error: ValidationError, origins: Mapping[str, Origin], layers: Mapping[Kind, Layer]) -> SettingInvalid:
    first = error.errors(include_url=False)[0]
    location = [str(part) for part in first["loc"]]
    name, message = ".".join(location[:2]), str(first["msg"]).removeprefix("Value error, ")
    key = all_keys().get(name)
    if key is None:
        return _contradiction(message, origins)
    origin, said, allowed = origins[name], name, key.allowed
    place = origin.where
    if key.is_table and len(location) > 2:
        said, allowed = f"{name}.{location[2]}", _entry_allowed(key)
        place = layers[origin.kind].where.get(said, origin.where) if origin.kind in layers else origin.where
    if first["type"] == "value_error":
        reason = f": {message}"
    elif first["type"] == "extra_forbidden":
        reason = f" does not exist; {name} takes {allowed}"
    else:
        reason = f" is {_shown(first['input'])}, but must be {allowed}"
    # A flag or variable names the setting by itself; a file needs the setting's name beside the line.
    subject = place if origin.kind in ("flag", "environment") else f"{place}: {said}" if place else said
    default = "" if key.is_table or key.value is None else f"The default is {_shown(key.value)}."
    return SettingInvalid(f"{subject}{reason}.", f"{key.help} {default}".strip())


def _entry_allowed(key: Key) -> str:
    if key.name in ("answer.enter", "answer.leave"):
        return "a number between 0 and 1"
    return key.allowed if key.name == "answer.region" else "true, false, a number, a text or a list of numbers"


def _contradiction(message: str, origins: Mapping[str, Origin]) -> SettingInvalid:
    """Two settings that are each right but do not fit together: name the places of those that were set."""
    involved = [name for name in origins if re.search(rf"\b{re.escape(name.partition('.')[2])}\b", message)]
    places = [str(origins[name]) for name in involved if origins[name].kind != "default"]
    prefix = f"{' and '.join(dict.fromkeys(places))}: " if places else ""
    return SettingInvalid(f"{prefix}{message}.", "")


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"
