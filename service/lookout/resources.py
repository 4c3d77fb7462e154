"""Where the shipped files are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

# The model where none is chosen. `cat-dog-resnet18` is the one that courses take apart.
DEFAULT_MODEL = "cat-dog-lite0"


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parents[1] / name


def static_folder() -> Path:
    """The dashboard's files."""
    return _folder("static")


def systemd_folder() -> Path:
    """The units and their installer."""
    return _folder("systemd")


def demo_pictures() -> Path:
    """The photographs of the demo."""
    return _PACKAGE / "camera" / "sources" / "pictures"


def models_folder() -> Path:
    """The shipped models, one folder each."""
    return _folder("models")
