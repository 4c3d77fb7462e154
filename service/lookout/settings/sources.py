"""Where the settings come from, read and merged: flags, environment, kept changes, the TOML file, defaults.

The first that names a setting wins, in this order: flag, environment, override, file, default.
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookout.errors import StateFolderUnusable
from lookout.settings.folders import choose_cache_folder, choose_state_folder, default_config
from lookout.settings.keys import Key, all_keys
from lookout.settings.layers import PRECEDENCE, PREFIX, Kind, Layer, LoadedSettings, merged, unknown_key
from lookout.settings.overrides import read_overrides
from lookout.settings.toml_file import read_toml_file

log = logging.getLogger(__name__)

# Set by the project's test command, and by Kubernetes for a service named "lookout".
_NOT_OURS = re.compile(r"LOOKOUT_(TESTS_.*|SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP).*)")


def load(
    flags: Mapping[str, str] | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    overrides: bool = True,
) -> LoadedSettings:
    """Read every source. flags: texts by dotted key. config: the file named by --config, which then must exist.

    Raises SettingInvalid, whose sentence names the place, the key that was meant and the allowed values.
    """
    environ = os.environ if environ is None else environ
    path = config or default_config(environ)
    layers: dict[Kind, Layer] = {
        "flag": _flag_layer(flags or {}),
        "environment": _environment_layer(environ),
        "file": read_toml_file(path) if path else Layer(),
    }
    folder = choose_state_folder(_state_folder_asked(layers), environ)
    unread = False
    if overrides:
        try:
            layers["override"] = read_overrides(folder, layers["file"])
        except StateFolderUnusable as error:
            log.warning("%s Changes made while Lookout ran are ignored.", error.detail)
            unread = True
    settings, origins = merged(layers)
    return LoadedSettings(settings, origins, layers, path, folder, choose_cache_folder(environ), unread)


def _state_folder_asked(layers: Mapping[Kind, Layer]) -> Path | None:
    for kind in PRECEDENCE:
        value = layers[kind].values.get("state.folder") if kind in layers else None
        if isinstance(value, str) and value:
            return Path(value)
    return None


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
    """Return the table and the entry that a variable such as LOOKOUT_ANSWER__ENTER__CAT sets."""
    head, separator, entry = variable.rpartition("__")
    key = by_variable.get(head) if separator else None
    if key is None or not key.is_table:
        raise unknown_key(variable.removeprefix(PREFIX).lower().replace("__", "."), variable, environment=True)
    # Variables are upper-case, labels lower-case; libcamera's controls, such as ExposureTime, are mixed.
    return key, entry.lower() if entry.isupper() else entry


def _plain(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
