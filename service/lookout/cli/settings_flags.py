"""Every setting as a flag, made from schema.py: `--answer.max_rate 2`. The commonest also have a short form."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from lookout.settings.keys import Key, all_keys

SHORT = {"camera.source": "--source", "server.host": "--host", "server.port": "--port", "model.name": "--model"}
_PANELS = {
    "camera": "Camera: where frames come from",
    "model": "Model: which network classifies them",
    "answer": "Answer: how predictions become an answer",
    "power": "Power: how warm and how busy the machine may become",
    "server": "Server: where it listens, and who may use it",
    "upload": "Upload: limits on uploaded pictures",
    "state": "State: what is kept on disk",
    "metrics": "Figures for Prometheus",
    "mqtt": "MQTT: a broker, and with it Home Assistant",
    "notify": "Notices: see docs/notices.md",
    "events": "Events: what is kept of what was seen",
}
CONFIG_HELP = (
    "Settings file to read. [dim]Default: ~/.config/lookout/lookout.toml, else /etc/lookout/lookout.toml[/dim]"
)


def with_setting_flags(verb: Callable[[dict[str, str], Path | None], None]) -> Callable[..., None]:
    """Return the command with a flag for every setting; `run` is called with those that were given, as texts."""
    by_parameter = {key.name.replace(".", "__"): key for key in all_keys().values()}

    def command(**given: Any) -> None:
        config = given.pop("config")
        flags = {by_parameter[name].name: text for name, text in given.items() if text is not None}
        verb(flags, config)

    config = typer.Option(None, "--config", "-c", metavar="FILE", help=CONFIG_HELP, show_default=False)
    parameters = [inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=config, annotation=Path | None)]
    parameters += [_parameter(name, key) for name, key in by_parameter.items()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__, command.__name__ = verb.__doc__, verb.__name__
    return command


def _parameter(name: str, key: Key) -> inspect.Parameter:
    option = typer.Option(
        None,
        *([SHORT[key.name]] if key.name in SHORT else []),
        f"--{key.name}",
        metavar=metavar(key),
        help=_help(key),
        show_default=False,
        rich_help_panel=_PANELS[key.section],
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=str | None)


def metavar(key: Key) -> str:
    """One word for the flag's value."""
    if key.choices:
        return "WORD" if isinstance(key.choices[0], str) else "NUMBER"
    if key.name == "answer.region":
        return "X,Y,W,H"
    if key.is_table:
        return "NAME=VALUE,…"
    names = {"int": "NUMBER", "float": "NUMBER", "bool": "true|false", "Path": "PATH"}
    return names.get(getattr(key.type, "__name__", ""), "LIST" if "list" in str(key.type) else "TEXT")


def _help(key: Key) -> str:
    # Square brackets would be interpreted as markup.
    text = key.help.replace("[", r"\[")
    if key.choices and not all(str(choice) in text for choice in key.choices):
        text = f"{text.removesuffix('.')}: {', '.join(str(choice) for choice in key.choices)}."
    default = default_text(key)
    return f"{text} [dim]\\[{default}][/dim]" if default else text


def default_text(key: Key) -> str:
    """Return the default as text for people, empty if there is none worth showing."""
    if key.value in (None, [], {}) or key.is_table:
        return ""
    if isinstance(key.value, float):
        return f"{key.value:g}"
    return ",".join(key.value) if isinstance(key.value, list) else f"{key.value}"
