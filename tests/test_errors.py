"""Errors: the trees drawn above them are true, and each has what clients rely on."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import pytest
from lookout.errors import LookoutError


def _below(kind: type[LookoutError], module: str, depth: int = 0) -> Iterator[tuple[int, str]]:
    """The classes of a module below `kind`, each with its depth, in the order in which they are defined."""
    for child in kind.__subclasses__():
        if child.__module__ == module:
            yield depth + 1, child.__name__
            yield from _below(child, module, depth + 1)


@pytest.mark.parametrize("name", ["lookout.errors", "lookout.events.errors"])
def test_the_tree_that_is_drawn_is_the_tree_of_classes(name: str) -> None:
    module = importlib.import_module(name)
    drawn = re.search(r"^LookoutError\n((?:  +\w+\n)+)", module.__doc__ or "", re.MULTILINE)
    assert drawn is not None
    shown = [(len(line) - len(line.lstrip())) // 2 for line in drawn[1].splitlines()]
    drawn_tree = list(zip(shown, drawn[1].split(), strict=True))
    assert drawn_tree == list(_below(LookoutError, name)), f"draw the classes of {name} as they are, in their order"


def test_every_error_has_a_code_of_its_own_and_says_what_it_means() -> None:
    kinds: list[type[LookoutError]] = []
    for name in ("lookout.errors", "lookout.events.errors", "lookout.api.problems"):
        kinds += [kind for kind in vars(importlib.import_module(name)).values() if _is_own(kind, name)]
    codes = [kind.code for kind in kinds if "code" in vars(kind)]
    assert len(codes) == len(set(codes)) >= 50
    assert all(kind.title and kind.__doc__ for kind in kinds)


def _is_own(kind: object, module: str) -> bool:
    return isinstance(kind, type) and issubclass(kind, LookoutError) and kind.__module__ == module
