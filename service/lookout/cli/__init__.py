"""The command line: one thin module per command. Anything heavy is imported inside the command."""

from __future__ import annotations

from typing import Annotated

import typer

from lookout import __version__
from lookout.cli import (
    backup,
    bench,
    cameras,
    classify,
    config,
    doctor,
    events,
    find,
    models,
    mqtt,
    notify,
    serve,
    token,
    update,
)
from lookout.cli.app import App

app = App(
    name="lookout",
    help="Watches a camera and says what it sees: cat, dog or neither.\n\nStart with: lookout demo",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lookout {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    del version


app.command("demo")(serve.demo)
app.command("serve")(serve.serve)
app.command("classify")(classify.classify)
app.command("cameras")(cameras.cameras)
app.command("doctor")(doctor.doctor)
app.add_typer(models.app, name="models")
app.add_typer(events.app, name="events")
app.command("config")(config.config)
app.add_typer(token.app, name="token")
app.add_typer(mqtt.app, name="mqtt")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(notify.app, name="notify")
app.command("find")(find.find)
app.add_typer(find.fleet, name="fleet")
app.command("update")(update.update)
app.command("bench")(bench.bench)
