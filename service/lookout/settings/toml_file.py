"""The settings file: TOML, read as one layer, with the line of each setting."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from lookout.errors import SettingInvalid
from lookout.settings import folders
from lookout.settings.keys import all_keys
from lookout.settings.layers import Layer, flat, unknown_key
from lookout.system.regular_files import read_regular

# A settings file has a few hundred lines; a larger one is some other file.
MAX_FILE_BYTES = 2**20


def read_toml_file(path: Path) -> Layer:
    """Read the settings file. Raises SettingInvalid, which names the line."""
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
    if path == folders.MACHINE_CONFIG:
        return f"Make it readable for the service: sudo chown root:lookout {path} && sudo chmod 640 {path}."
    return f"Make it readable for the user who runs Lookout: chmod u+r {path}, or change its owner."


def _not_toml(path: Path, error: Exception) -> SettingInvalid:
    message = str(error)
    line = re.search(r"\(at line (\d+), column \d+\)", message)
    reason = re.sub(r"\s*\(at .*\)$", "", message).rstrip(".")
    place = f"{path}, line {line[1]}" if line else f"{path}, at its end"
    quoted = 'Texts need quotation marks: source = "demo". ' if "value" in reason.lower() else ""
    return SettingInvalid(
        f"{place}: this is not TOML: {reason[:1].lower()}{reason[1:]}.",
        f"{quoted}`lookout config --template` shows the format.",
    )


def line_of(text: str, name: str) -> int | None:
    """Return the line of a TOML text on which a dotted key is set; None if it cannot be found."""
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
