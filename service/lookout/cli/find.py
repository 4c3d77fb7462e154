"""`lookout find` and `lookout fleet`: the other Lookouts on the local network, for people and for Prometheus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookout.cli.app import App
from lookout.errors import LookoutError, SettingInvalid
from lookout.integrations.packages import ZEROCONF
from lookout.printable import printable_json
from lookout.storage.atomic_files import replace_file
from lookout.terminal import console, say, show, table

if TYPE_CHECKING:
    from lookout.integrations.mdns.browse import Found

Seconds = Annotated[float, typer.Option("--seconds", min=0.1, max=60.0, metavar="S", help="How long to listen.")]
fleet = App(name="fleet", help="Lists of several Lookouts for other programs.", no_args_is_help=True)


class NothingFound(LookoutError):
    """No Lookout answered."""

    code = "nothing_found"
    title = "No other Lookout was found"


def find(
    seconds: Seconds = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """List the Lookouts on the local network that announce themselves (server.announce)."""
    found = _found(seconds)
    if as_json:
        show(printable_json([_entry(one) for one in found], indent=2))
        return
    rows = table("Name", "Address", "Version")
    for one in found:
        rows.add_row(one.name, one.address, one.version)
    console().print(rows)


@fleet.command("targets")
def targets(
    seconds: Seconds = 3.0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Replace this file in one step instead of printing."),
    ] = None,
) -> None:
    """Print the Lookouts on the local network as targets for Prometheus' file_sd_configs.

    If none answers, the file stays as it was.
    """
    text = json.dumps([_target(one) for one in _found(seconds)], ensure_ascii=False, indent=2)
    if output is None:
        show(text)
        return
    try:
        replace_file(output, f"{text}\n".encode(), mode=0o644)
    except OSError as error:
        raise SettingInvalid(f"{output} cannot be written: {error.strerror}.", "Name another file.") from error
    say(f"Wrote {output}.")


def _entry(one: Found) -> dict[str, str]:
    return {"name": one.name, "address": one.address, "version": one.version}


def _target(one: Found) -> dict[str, object]:
    labels = {"device": one.name, "__scheme__": one.scheme, "__metrics_path__": f"{one.path.rstrip('/')}/metrics"}
    return {"targets": [f"{one.host}:{one.port}"], "labels": labels}


def _found(seconds: float) -> list[Found]:
    """Return the Lookouts that answer. Raises NothingFound or PackageMissing, with what to do about it."""
    if not ZEROCONF.is_there():
        raise ZEROCONF.missing("They cannot be looked for:")
    from lookout.integrations.mdns import browse

    try:
        found = browse.find(seconds)
    except OSError as error:
        raise NothingFound(f"There is no network to search: {error.strerror}.", "Connect this machine.") from error
    if not found:
        raise NothingFound(
            f"No Lookout answered within {seconds:g} seconds.",
            "Set server.announce = true on each, and look from the same network; access points may block mDNS.",
        )
    return found
