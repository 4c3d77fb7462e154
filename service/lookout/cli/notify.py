"""`lookout notify`: tests whether a target receives notices."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated

import typer

from lookout.cli.app import App
from lookout.cli.settings_flags import CONFIG_HELP
from lookout.errors import SettingInvalid
from lookout.settings.sources import load
from lookout.terminal import say
from lookout.timestamps import rfc3339

app = App(name="notify", help="Notices of what the camera sees.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Notices of what the camera sees."""


@app.command("test")
def try_target(
    name: Annotated[str, typer.Argument(help="A target: the NAME of [notify.targets.NAME].")],
    file: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)] = None,
) -> None:
    """Send a test notice to a target, and say whether it arrived."""
    from lookout.integrations.notify.notice import trial
    from lookout.integrations.notify.targets import target_of
    from lookout.settings.installation import address_for_others

    settings = load({}, file).settings
    if name not in settings.notify.targets:
        known = ", ".join(settings.notify.targets) or "none"
        raise SettingInvalid(f'There is no target "{name}".', f"The settings file names: {known}.")
    address = address_for_others(settings.server)
    target = target_of(settings.notify.targets[name], address)
    try:
        target.send(trial(secrets.token_hex(8), rfc3339(time.time()), address))
    finally:
        target.close()
    say(f"{name} has accepted the test notice.")
