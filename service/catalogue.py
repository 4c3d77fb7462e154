"""Which models are installed: one folder each, with a card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.errors import ModelRejected, UnknownModel
from service.pipeline.card import CARD_FILE, Card, load_card
from service.resources import models_folder
from service.settings import Settings


class Catalogue:
    """Looks models up by name. Earlier folders win over later ones. Nothing is cached: a dropped-in folder counts."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    @classmethod
    def of(cls, settings: Settings) -> Catalogue:
        """The user's own folder first, then the shipped one."""
        own = settings.model.folder
        return cls(((own,) if own else ()) + (models_folder(),))

    def names(self) -> list[str]:
        """Names of all models that have a card, sound or not."""
        return sorted({path.name for folder in self._folders for path in _inside(folder) if _has_card(path)})

    def folder(self, name: str) -> Path:
        """Raises UnknownModel."""
        if Path(name).name == name and name not in ("", ".", ".."):
            for folder in self._folders:
                if _has_card(folder / name):
                    return folder / name
        known = ", ".join(self.names()) or "none"
        raise UnknownModel(f'There is no model "{name}".', f"Installed: {known}. `lookout models add` adds one.")

    def card(self, name: str) -> Card:
        """Raises UnknownModel, or ModelRejected when the card is not valid or that of another model."""
        folder = self.folder(name)
        card = load_card(folder)
        if card.name != name:
            raise ModelRejected(
                f'The card in {folder} is that of a model named "{card.name}".', "Give the folder the model's name."
            )
        return card


def _inside(folder: Path) -> list[Path]:
    """What lies in it; nothing where we may not look."""
    try:
        return list(folder.glob("*"))
    except OSError:
        return []


def _has_card(folder: Path) -> bool:
    try:
        return (folder / CARD_FILE).is_file()
    except OSError:
        return False
