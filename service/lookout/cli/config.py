"""`lookout config`: the settings in force and where they were set; or a commented file to start from."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from lookout.cli.settings_flags import CONFIG_HELP
from lookout.printable import printable_json
from lookout.settings.folders import MACHINE_CONFIG
from lookout.settings.installation import SERVICE_FOLDER, service_owner, user_name
from lookout.settings.keys import Key, all_keys
from lookout.settings.layers import LoadedSettings
from lookout.settings.sources import load
from lookout.terminal import console, say, table


def config(
    file: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)] = None,
    template: Annotated[bool, typer.Option("--template", help="Print a commented settings file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the settings as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a table for documentation.")] = False,
) -> None:
    """Show the settings in force and where each came from, or print a settings file to start from."""
    if template:
        typer.echo(template_text(), nl=False)
        return
    if as_markdown:
        typer.echo(markdown_text(), nl=False)
        return
    loaded = load({}, file)
    if as_json:
        typer.echo(printable_json(_as_json(loaded), 1))
        return
    rows = table("Setting", "Value", "Set by", folding=("Value", "Set by"))
    for name in all_keys():
        origin = loaded.origins[name]
        rows.add_row(name, toml_value(loaded.value_of(name)), str(origin), style=None if origin.where else "dim")
    console().print(rows)
    say(f"State folder: {loaded.state_folder}")
    owner = service_owner()
    if loaded.config is None and MACHINE_CONFIG.exists() and owner not in (None, os.geteuid()):
        say(
            f"These are not the settings of this machine's Lookout service, which has its own in {MACHINE_CONFIG}. For "
            f"those: sudo -u {user_name(owner)} STATE_DIRECTORY={SERVICE_FOLDER} lookout config"
        )
    elif loaded.config is None:
        folder = "~/.config/lookout"
        say(
            "There is no settings file. To make one: "
            f"mkdir -p {folder} && lookout config --template > {folder}/lookout.toml"
        )


def _as_json(loaded: LoadedSettings) -> dict[str, Any]:
    return {
        name: {
            "value": loaded.value_of(name),
            "set_by": loaded.origins[name].kind,
            "where": loaded.origins[name].where,
        }
        for name in all_keys()
    }


def toml_value(value: Any) -> str:
    """Return a value as written in the settings file."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        inner = ", ".join(f"{_toml_key(name)} = {toml_value(entry)}" for name, entry in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(entry) for entry in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _toml_key(name: str) -> str:
    """Return a key, without quotes if TOML allows it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def template_text() -> str:
    """Return a TOML file with every setting, its help, range and default, all commented out."""
    lines = [
        "# Lookout's settings. Remove the # before a line to change it; everything here is the default.",
        "# A flag (--camera.fps 10) or an environment variable (LOOKOUT_CAMERA__FPS=10) overrides this file.",
    ]
    section = ""
    for key in all_keys().values():
        if key.section != section:
            section = key.section
            lines += ["", f"[{section}]"]
        lines += ["", *(f"# {part}" for part in _wrapped(f"{key.help} ({key.allowed})")), f"#{_assignment(key)}"]
    return "\n".join(lines) + "\n"


def _assignment(key: Key) -> str:
    leaf = key.name.partition(".")[2]
    if key.value is None:
        return f'{leaf} = "…"'
    return f"{leaf} = {toml_value(key.value)}"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 98)


def markdown_text() -> str:
    """Return the settings as a table, for the documentation."""
    lines = ["| setting | default | what | allowed |", "| --- | --- | --- | --- |"]
    for key in all_keys().values():
        default = "none" if key.value is None else f"`{toml_value(key.value)}`"
        cells = [f"`{key.name}`", default, key.help, key.allowed]
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
