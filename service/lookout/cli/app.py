"""Typer, with a help in which a flag without a value shows no type: newer releases show one for each."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup


def _bare(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _bare(super().get_params(ctx))


class _Group(TyperGroup):
    """Exits with status 0 if the reader of the output, such as `head`, has closed it; Typer calls that a failure."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().make_context(*arguments, **options)  # prints the help
        except BrokenPipeError:
            self._end()

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            self._end()
        return result

    def _end(self) -> NoReturn:
        leave_output()
        sys.exit(0)

    def get_params(self, ctx: Any) -> list[Any]:
        return _bare(super().get_params(ctx))


def leave_output() -> None:
    """Discard what is still to be written, or Python would flush it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class App(typer.Typer):
    """A command, or a group of commands, with this module's help."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=_Group, rich_markup_mode="rich", add_completion=False, **options)

    def command(self, *arguments: Any, **options: Any) -> Callable[..., Any]:
        return super().command(*arguments, cls=_Command, **options)
