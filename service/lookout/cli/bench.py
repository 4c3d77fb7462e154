"""`lookout bench`: how fast this machine is, compared with the stated goals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookout.cli.settings_flags import CONFIG_HELP
from lookout.resources import DEFAULT_MODEL


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the time, with less certain figures.")] = False,
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAME,…", help="Run only some of: network, focus, loop, live.")
    ] = None,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Name of the model.")] = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Also write the figures as JSON.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)] = None,
) -> None:
    """Measure speed, memory and start on this machine, and compare them with the stated goals.

    Takes a few minutes, mostly with one busy core. A missed goal is reported; it is not a failure.
    """
    from lookout.bench.report import run_and_print
    from lookout.registry.catalogue import Catalogue
    from lookout.settings.sources import load

    loaded = load({}, config)
    card = Catalogue.of(loaded.settings, loaded.state_folder).card(model)
    run_and_print(card, quick=quick, only=only, as_json=as_json, save=save)
