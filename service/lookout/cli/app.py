"""Typer, with a help in which a flag without a value shows no type: newer releases show one for each."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
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

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _reader_may_leave():
            super().format_help(ctx, formatter)


@contextlib.contextmanager
def _reader_may_leave() -> Iterator[None]:
    """Rich answers a closed pipe with exit status 1, but a reader that has read enough is not a failure."""
    try:
        yield
    except SystemExit:
        leave_output()
        sys.exit(0)


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

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _reader_may_leave():
            super().format_help(ctx, formatter)

    def _end(self) -> NoReturn:
        leave_output()
        sys.exit(0)

    def get_params(self, ctx: Any) -> list[Any]:
        return _bare(super().get_params(ctx))


def leave_output() -> None:
    """Discard what is still to be written, or Python would flush it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class App(typer.Typer):
    """A command or a group of commands, with this module's help. Only the outermost one offers shell completion."""

    def __init__(self, *, add_completion: bool = False, **options: Any) -> None:
        super().__init__(cls=_Group, rich_markup_mode="rich", add_completion=add_completion, **options)

    def command(self, *arguments: Any, **options: Any) -> Callable[..., Any]:
        return super().command(*arguments, cls=_Command, **options)
