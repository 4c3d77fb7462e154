"""`lookout doctor`: what is wrong with this machine, and the one thing that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookout.cli.settings_flags import CONFIG_HELP


def doctor(
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Write a support file (.tar.gz) without secrets.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Explain the lines of this log; - reads stdin.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per check and line.")] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)] = None,
) -> None:
    """Check this machine for everything that is known to go wrong, with one fix each.

    The exit status is 1 if something fails; warnings leave it at 0.
    """
    from lookout.doctor.report import run_and_print

    if not run_and_print(bundle=bundle, log=log, as_json=as_json, config=config):
        raise typer.Exit(1)
