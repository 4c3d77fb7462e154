"""The paths of the shipped files: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

# The default model. `cat-dog-resnet18` is the one that courses take apart.
DEFAULT_MODEL = "cat-dog-lite0"


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parents[1] / name


def static_folder() -> Path:
    """Return the folder of the dashboard's files."""
    return _folder("static")


def systemd_folder() -> Path:
    """Return the folder of the units and their installer."""
    return _folder("systemd")


def demo_pictures() -> Path:
    """Return the folder of the demo's photographs."""
    return _PACKAGE / "camera" / "sources" / "pictures"


def models_folder() -> Path:
    """Return the folder of the shipped models, each in its own folder."""
    return _folder("models")
