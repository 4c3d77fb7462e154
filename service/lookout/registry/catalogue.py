"""The installed models: one folder each, with a card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lookout.errors import DiskSlow, ModelRejected, UnknownModel
from lookout.pipeline.card import CARD_FILE, Card, load_card
from lookout.resources import models_folder
from lookout.settings.schema import Settings
from lookout.storage import with_timeout

T = TypeVar("T")


class Catalogue:
    """Looks up models by name. Earlier folders take precedence. Nothing is cached, so a new folder is found at once."""

    def __init__(self, folders: Sequence[Path], added: Path | None = None) -> None:
        """added: the folder that is searched last.

        All folders except the shipped one may be on a disk that does not respond, and then count as empty.
        """
        self._added = added
        self._shipped = models_folder()
        self._folders: tuple[Path, ...] = (*folders, *((added,) if added else ()))

    @classmethod
    def of(cls, settings: Settings, state_folder: Path | None = None) -> Catalogue:
        """Search the user's own folder first, then the shipped one, then that of `lookout models add`."""
        return cls(_given(settings), added_models(state_folder) if state_folder else None)

    def with_folder_of(self, settings: Settings) -> Catalogue:
        """The same catalogue with another `model.folder`."""
        return Catalogue(_given(settings), self._added)

    def names(self) -> list[str]:
        """The names of all models that have a card, valid or not."""
        nothing: list[str] = []
        return sorted({name for folder in self._folders for name in self._look(folder, _names, nothing)})

    def finds(self, name: str) -> Path | None:
        """The folder of the model with this name; None if there is none."""
        try:
            return self.folder(name)
        except UnknownModel:
            return None

    def folder(self, name: str) -> Path:
        """The folder of the model with this name. Raises UnknownModel."""
        if Path(name).name == name and not name.startswith(".") and name:
            for folder in self._folders:
                if self._look(folder, lambda at: _has_card(at / name), otherwise=False):
                    return folder / name
        known = ", ".join(self.names()) or "none"
        raise UnknownModel(f'There is no model "{name}".', f"Installed: {known}. `lookout models add` adds one.")

    def card(self, name: str) -> Card:
        """The card of the model with this name.

        Raises UnknownModel, or ModelRejected if the card is not valid or has another name.
        """
        folder = self.folder(name)
        card = self._load(folder)
        if card.name != name:
            raise ModelRejected(
                f'The card in {folder} belongs to a model named "{card.name}".', "Name the folder like the model."
            )
        return card

    def _load(self, folder: Path) -> Card:
        if folder.parent == self._shipped:
            return load_card(folder)
        try:
            return with_timeout(folder, lambda: load_card(folder))
        except DiskSlow as error:
            raise ModelRejected(
                f"The card in {folder} cannot be read: its disk does not answer.", error.remedy
            ) from error

    def _look(self, folder: Path, look: Callable[[Path], T], otherwise: T) -> T:
        if folder == self._shipped:
            return look(folder)
        try:
            return with_timeout(folder, lambda: look(folder))
        except DiskSlow:
            return otherwise


def added_models(state_folder: Path) -> Path:
    """Where `lookout models add` puts models by default."""
    return state_folder / "models"


def _given(settings: Settings) -> tuple[Path, ...]:
    own = settings.model.folder
    return (*((own,) if own else ()), models_folder())


def _names(folder: Path) -> list[str]:
    # Hidden folders are being written or removed.
    return [path.name for path in _inside(folder) if not path.name.startswith(".") and _has_card(path)]


def _inside(folder: Path) -> list[Path]:
    """The entries of a folder; none if it cannot be read."""
    try:
        return list(folder.glob("*"))
    except OSError:
        return []


def _has_card(folder: Path) -> bool:
    try:
        return (folder / CARD_FILE).is_file()
    except OSError:
        return False
