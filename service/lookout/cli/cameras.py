"""`lookout cameras`: which cameras are connected."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lookout.cli.settings_flags import CONFIG_HELP
from lookout.errors import CameraAbsent
from lookout.printable import printable_json
from lookout.settings.sources import load
from lookout.terminal import console, say, table

# The first import of picamera2 from a cold card takes seconds, for each interpreter that is tried.
DEADLINE_S = 45.0


def cameras(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per camera and line.")] = False,
    file: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)] = None,
) -> None:
    """List the cameras of this machine, each with its address. Opens none of them."""
    from lookout.camera.discover import discover
    from lookout.deadline import Deadline

    found = discover(load({}, file).settings.camera.python, Deadline.after(DEADLINE_S))
    if as_json:
        for camera in found.cameras:
            typer.echo(printable_json(asdict(camera)))
    elif found.cameras:
        rows = table("Source", "Kind", "Name", "Note", folding=("Source", "Name", "Note"))
        for camera in found.cameras:
            rows.add_row(
                camera.address, {"pi": "Pi", "usb": "USB"}.get(camera.kind, camera.kind), camera.name, camera.note
            )
        console().print(rows)
        say(f"Use one with: lookout serve --source {found.cameras[0].address}")
    if not found.cameras:
        reasons = "; ".join(found.reasons)
        raise CameraAbsent(
            f"{reasons[:1].upper()}{reasons[1:]}.",
            " ".join(found.remedies) + " Without a camera: lookout demo. For a stream: lookout serve --source rtsp://…",
        )
