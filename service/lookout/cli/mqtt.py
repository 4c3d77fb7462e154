"""`lookout mqtt`: whether the broker accepts Lookout, and removing everything that it retains of this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookout.cli.app import App
from lookout.cli.settings_flags import CONFIG_HELP
from lookout.errors import SettingInvalid
from lookout.settings.sources import load
from lookout.terminal import say

if TYPE_CHECKING:
    from lookout.settings.layers import LoadedSettings

app = App(name="mqtt", help="The MQTT broker to which Lookout publishes.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)]


@app.command("test")
def try_broker(file: Config = None) -> None:
    """Connect as the service would, publish one message and wait until the broker returns it."""
    loaded = _loaded(file)
    from lookout.integrations.mqtt import tools

    say(f"The broker {tools.try_broker(loaded.settings.mqtt)} accepts Lookout, and delivers what it publishes.")


@app.command("clear")
def clear(file: Config = None) -> None:
    """Remove this device from Home Assistant, and everything that the broker retains of it. Stop the service first."""
    loaded = _loaded(file)
    from lookout.integrations.identity import read_id
    from lookout.integrations.mqtt.tools import clear_device

    device = read_id(loaded.state_folder)
    if device is None:
        say("This device was never announced to a broker: there is nothing to clear.")
        return
    count = clear_device(loaded.settings.mqtt, device)
    say(f"Cleared {count} retained messages of lookout_{device}.")


def _loaded(file: Path | None) -> LoadedSettings:
    """Return the settings. Raises SettingInvalid if no broker is set, or if the package for it is missing."""
    from lookout.integrations.registry import KINDS

    loaded = load({}, file)
    if loaded.settings.mqtt.url is None:
        raise SettingInvalid("MQTT is off.", "Name the broker in the settings file: mqtt.url = mqtt://user@host")
    missing = next(kind for kind in KINDS if kind.name == "mqtt").missing()
    if missing is not None:
        raise SettingInvalid(missing.detail, missing.remedy)
    return loaded
