"""Where the settings come from: flags, environment, kept changes, the TOML file, defaults.

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

from lookout.errors import SettingInvalid, StateFolderUnusable
from lookout.settings.keys import Key, all_keys
from lookout.settings.layers import PRECEDENCE, PREFIX, Kind, Layer, LoadedSettings, flat, merged, unknown_key
from lookout.settings.overrides import read_overrides
from lookout.storage import with_timeout
from lookout.storage.atomic_files import make_folder, probe_folder
from lookout.system.regular_files import read_regular

log = logging.getLogger(__name__)

# A settings file has a few hundred lines; a larger one is some other file.
MAX_FILE_BYTES = 2**20
MACHINE_CONFIG = Path("/etc/lookout/lookout.toml")
# Set by our own test command, and by Kubernetes for a service named "lookout".
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
        "file": _file_layer(path) if path else Layer(),
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


# --- folders ----------------------------------------------------------------------------------------------------


def default_config(environ: Mapping[str, str]) -> Path | None:
    """The settings file that is read when none is named: the user's, else the machine's, if there is one.

    The machine's may hold a camera's password and be readable by the service only: other users do without it. Under
    systemd it is returned all the same, since a service that cannot read its own settings must say so.
    """
    own = _home_folder(environ, "XDG_CONFIG_HOME", ".config") / "lookout.toml"
    if _exists(own, unseen=False):  # a home that this user may not read is somebody else's
        return own
    theirs = os.access(MACHINE_CONFIG, os.R_OK, effective_ids=True) or "STATE_DIRECTORY" in environ
    return MACHINE_CONFIG if theirs and _exists(MACHINE_CONFIG, unseen=True) else None


def _exists(path: Path, *, unseen: bool) -> bool:
    """True also for what is not a file: reading it reports that. unseen: the result where this user may not look."""
    try:
        return path.exists()
    except PermissionError:
        return unseen


def choose_state_folder(asked: Path | None, environ: Mapping[str, str]) -> Path:
    """What state.folder says, else systemd's StateDirectory=, else the XDG state folder. Raises SettingInvalid."""
    if asked is not None:
        try:
            return asked.expanduser().absolute()
        except RuntimeError as error:
            raise SettingInvalid(
                f"state.folder {asked} is in the home of an unknown user.", "Give the full path, starting with /."
            ) from error
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _home_folder(environ, "XDG_STATE_HOME", ".local/state")


def choose_cache_folder(environ: Mapping[str, str]) -> Path:
    """Systemd's CacheDirectory=, else the XDG cache folder. Safe to delete at any time."""
    given = environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _home_folder(environ, "XDG_CACHE_HOME", ".cache")


def prepare_state_folder(folder: Path) -> None:
    """Create the folder and check that it is writable. Raises StateFolderUnusable, DiskSlow."""

    def prepare() -> None:
        make_folder(folder)
        probe_folder(folder)

    try:
        with_timeout(folder, prepare)
    except OSError as error:
        raise StateFolderUnusable(
            f"The state folder {folder} cannot be written: {error.strerror or error}.",
            "Make the service's user its owner, or choose another folder with --state.folder.",
        ) from error


def _home_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    base = environ.get(variable, "")
    if Path(base).is_absolute():  # the XDG specification: relative paths must be ignored
        return Path(base) / "lookout"
    home = environ.get("HOME", "")
    # A service user may have no home: use the folders of a system service.
    fallback = {".config": "/etc", ".local/state": "/var/lib", ".cache": "/var/cache"}[below_home]
    return (Path(home) / below_home if Path(home).is_absolute() else Path(fallback)) / "lookout"


def _state_folder_asked(layers: Mapping[Kind, Layer]) -> Path | None:
    for kind in PRECEDENCE:
        value = layers[kind].values.get("state.folder") if kind in layers else None
        if isinstance(value, str) and value:
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
    """LOOKOUT_ANSWER__ENTER__CAT sets one entry of a table."""
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


def _file_layer(path: Path) -> Layer:
    try:
        # Editors on Windows write a byte order mark.
        text = read_regular(path, MAX_FILE_BYTES, follow_links=True).decode("utf-8-sig")
        tree = tomllib.loads(text)
    except OSError as error:
        raise SettingInvalid(
            f"The settings file {path} cannot be read: {error.strerror or error}.",
            _remedy_for(path, error),
        ) from error
    except UnicodeDecodeError as error:
        raise SettingInvalid(f"The settings file {path} is not UTF-8 text.", "Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:  # from the parser, or beyond it: huge numbers, deep nesting
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


def _remedy_for(path: Path, error: OSError) -> str:
    if not isinstance(error, PermissionError):
        return "Correct the path, or create the file: lookout config --template > lookout.toml."
    if path == MACHINE_CONFIG:
        return f"Make it readable for the service: sudo chown root:lookout {path} && sudo chmod 640 {path}."
    return f"Make it readable for the user who runs Lookout: chmod u+r {path}, or change its owner."


def _not_toml(path: Path, error: Exception) -> SettingInvalid:
    message = str(error)
    line = re.search(r"\(at line (\d+), column \d+\)", message)
    reason = re.sub(r"\s*\(at .*\)$", "", message).rstrip(".")
    place = f"{path}, line {line[1]}" if line else f"{path}, at its end"
    return SettingInvalid(
        f"{place}: this is not TOML: {reason[:1].lower()}{reason[1:]}.",
        "Texts need quotation marks: source = \"demo\". `lookout config --template` shows the format.",
    )  # fmt: skip


def line_of(text: str, name: str) -> int | None:
    """The line of a TOML text on which a dotted key is set; None if it cannot be found."""
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
