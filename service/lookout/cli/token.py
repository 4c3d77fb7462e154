"""`lookout token`: give somebody access. Makes a token, lists them, revokes one."""

from __future__ import annotations

import json
import shlex
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from lookout.cli.app import App
from lookout.cli.settings_flags import CONFIG_HELP
from lookout.cli.state_folder import settings_for, storage_of
from lookout.errors import LookoutError
from lookout.settings.installation import address_for_others
from lookout.settings.layers import LoadedSettings
from lookout.storage import holder_of, holders
from lookout.terminal import console, say, table

if TYPE_CHECKING:
    from lookout.auth.tokens import Token, TokenStore

app = App(
    help=(
        "Give somebody access: make a token, list them, revoke one.\n\n"
        "By itself it makes one, and prints the URL that logs a browser in. The token is shown once; anybody with "
        "that URL has access."
    ),
    invoke_without_command=True,
    no_args_is_help=False,
)

_Folder = Annotated[
    Path | None,
    typer.Option("--state.folder", metavar="PATH", help="The state folder, if the service was started with this flag."),
]
_Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)]


class _Scope(StrEnum):
    """`auth.scopes.SCOPES`, as an enum for the command line."""

    VIEW = "view"
    CONTROL = "control"
    ADMIN = "admin"
    METRICS = "metrics"
    STREAM = "stream"


class UnknownToken(LookoutError):
    """There is no token with that id."""

    code = "unknown_token"
    title = "There is no such token"
    status = 404


@app.callback()
def token(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", "-n", help="What the token is for, such as: phone")] = "command line",
    scope: Annotated[
        _Scope,
        typer.Option(
            "--scope",
            "-s",
            help="What it allows: view (see), control (also pause and review), admin (also settings and model); "
            "metrics or stream: only that, for a program.",
        ),
    ] = _Scope.ADMIN,
    qr: Annotated[bool, typer.Option("--qr/--no-qr", help="Show a QR code for phones as well.")] = True,
    config: _Config = None,
    folder: _Folder = None,
) -> None:
    """Make a token and print the URL that logs a browser in, with a QR code if other machines can reach it.

    The token is shown once and cannot be retrieved again. Anybody who has the URL has access.
    """
    if context.invoked_subcommand is not None:
        return
    loaded = _loaded(config, folder)
    from lookout.auth.tokens import REFRESH_EVERY_S, TokenStore

    store = TokenStore(loaded.state_folder, storage=storage_of(loaded))
    made, text = store.create(name, scope)
    if len(store.tokens()) == 1:
        # The first token closes the service to everybody else: when it is printed, a running service has seen it.
        time.sleep(2 * REFRESH_EVERY_S)
    if scope in (_Scope.METRICS, _Scope.STREAM):
        _show(store, made, text)
        say(f"Token {made.id} ({made.name}) opens only {scope}. Programs send: Authorization: Bearer {text}")
        return
    address = _address(loaded)
    _show(store, made, f"{address}#token={text}")  # what follows # stays in the browser and in no log
    say(f"Token {made.id} ({made.name}). Open the URL in a browser; programs send: Authorization: Bearer {text}")
    if urlsplit(address).hostname in ("127.0.0.1", "::1", "localhost"):
        # No phone could open this URL, so there is no QR code.
        say(f"The service only listens on this machine, and the URL is for a browser on it. {_opening(loaded)}")
    elif qr and sys.stderr.isatty():
        import segno

        segno.make(f"{address}#token={text}", error="l").terminal(out=sys.stderr, compact=True)


def _show(store: TokenStore, made: Token, text: str) -> None:
    """Print the token. If that fails, revoke it: nobody has seen it."""
    try:
        typer.echo(text)
    except OSError:
        store.revoke(made.id)
        raise


def _opening(loaded: LoadedSettings) -> str:
    """Return a sentence on how to open a service with these settings to the network."""
    if loaded.config is None:
        return "For others: lookout serve --host 0.0.0.0"
    return f'For others: set host = "0.0.0.0" under [server] in {loaded.config} and start it again, then run this.'


@app.command("list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per token and line.")] = False,
    config: _Config = None,
    folder: _Folder = None,
) -> None:
    """List the tokens. The tokens themselves are not stored, only what they are for."""
    loaded = _loaded(config, folder)
    from lookout.auth.tokens import TokenStore

    store = TokenStore(loaded.state_folder, loaded.settings.server.token_file)
    tokens, used = store.tokens(), store.uses.read()
    if as_json:
        for entry in tokens:
            row = {"id": entry.id, "name": entry.name, "created": entry.created, "scope": entry.scope}
            typer.echo(json.dumps(row | {"used": _hour(used[entry.id]) if entry.id in used else None}))
        return
    if not tokens:
        say("There is no token yet. Make one with: lookout token")
        return
    rows = table("Id", "Name", "Scope", "Made", "Last used", folding=("Name",))
    for entry in tokens:
        last = _hour(used[entry.id]) if entry.id in used else "never"
        rows.add_row(entry.id, entry.name, entry.scope, entry.created[:10], last)
    console().print(rows)


def _hour(at: int) -> str:
    """Return Unix seconds as a time rounded to the hour, as uses are stored."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:00Z")


@app.command("link")
def link(
    name: Annotated[str, typer.Option("--name", "-n", help="What the link is for, such as: octoprint")] = "link",
    days: Annotated[int, typer.Option(min=1, max=3660, help="For how many days it is valid.")] = 365,
    config: _Config = None,
    folder: _Folder = None,
) -> None:
    """Make a URL that only opens the live picture, for programs that cannot send a token.

    It expires after its days, or when `lookout token revoke` ends the token made for it.
    """
    loaded = _loaded(config, folder)
    from lookout.auth.tokens import TokenStore

    store = TokenStore(loaded.state_folder, storage=storage_of(loaded))
    made, _ = store.create(name, _Scope.STREAM)
    signed = store.open_link(made, days * 86400)
    _show(store, made, f"{_address(loaded)}api/stream.mjpg?link={signed}")
    say(
        f"With snapshot.jpg instead of stream.mjpg it is a single picture. Anybody who has the URL sees what the "
        f"camera sees; to end it: lookout token revoke {made.id}"
    )


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `lookout token list` shows it.")],
    config: _Config = None,
    folder: _Folder = None,
) -> None:
    """Revoke a token, and end every login made with it."""
    loaded = _loaded(config, folder)
    from lookout.auth.tokens import TokenStore

    store = TokenStore(loaded.state_folder, loaded.settings.server.token_file, storage_of(loaded))
    if not store.revoke(token_id):
        if any(token.id == token_id for token in store.tokens()):
            raise UnknownToken(
                f'The token "{token_id}" is the one in {loaded.settings.server.token_file} (server.token_file).',
                "To end it, change that file.",
            )
        raise UnknownToken(f'There is no token "{token_id}".', "`lookout token list` shows them.")
    say(f"Token {token_id} was revoked, and every login made with it has ended.")


def _address(loaded: LoadedSettings) -> str:
    """Return the URL of the running service, whose flags may differ from the settings, or else the configured one."""
    holder = holder_of(loaded.state_folder)
    if holder is None:
        _name_others(loaded)
    return holder.address if holder and holder.address else address_for_others(loaded.settings.server)


def _name_others(loaded: LoadedSettings) -> None:
    """Say where a running service keeps its tokens, if that is not where this one was made."""
    if loaded.origins["state.folder"].kind == "default":
        for other in holders():
            folder = shlex.quote(str(other.folder))
            say(
                f"The Lookout that is running here (process {other.process}) keeps its tokens in another folder. "
                f"For one that it accepts: lookout token --state.folder {folder}"
            )


def _loaded(config: Path | None, folder: Path | None) -> LoadedSettings:
    """Return the settings. Tokens go where the service looks for them, so another user's folder is an error."""
    return settings_for("token", "tokens", config, folder)
