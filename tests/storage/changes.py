"""Every kind of write the service makes, and what has to work after the power is back, whatever came of them."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable
from pathlib import Path

from lookout.auth.tokens import TOKENS_FILE, TokenStore
from lookout.engine.control import PAUSED_FILE, was_paused
from lookout.pipeline.card import Card, load_card
from lookout.pipeline.session import GraphCache
from lookout.registry.tuning import Candidate, TuningCache
from lookout.resources import models_folder
from lookout.settings.folders import prepare_state_folder
from lookout.settings.layers import LoadedSettings
from lookout.settings.overrides import OVERRIDES_FILE, keep_overrides, patch_settings
from lookout.settings.sources import load
from lookout.storage import Storage

from tests.storage.power import content_of

MACHINE = "a machine"
# What a service writes and reads again; beside it lie the lock, the day's count and what was half written.
KEPT = (TOKENS_FILE, "session.key", OVERRIDES_FILE, PAUSED_FILE, "choice-", ".ort", ".sha256")


def card() -> Card:
    return load_card(models_folder() / "digits-lenet5")


def storage(folder: Path) -> Storage:
    """As after a start: the first change writes the day's count as well."""
    return Storage(folder, folder / "cache")


def settings(folder: Path) -> LoadedSettings:
    return load({"state.folder": str(folder)}, None, {"HOME": str(folder.parent), "CACHE_DIRECTORY": str(folder)})


def populate(folder: Path) -> None:
    """A folder as a service leaves it that ran for a while."""
    for change in (_token, _log_in, _setting(11.0), _choice("fp32"), _graph(b"an old graph" * 100)):
        change(folder)


def _token(folder: Path) -> None:
    TokenStore(folder, storage=storage(folder)).create("another")


def _revoke(folder: Path) -> None:
    store = TokenStore(folder, storage=storage(folder))
    store.revoke(store.tokens()[0].id)


def _log_in(folder: Path) -> None:
    store = TokenStore(folder, storage=storage(folder))
    store.open_session(store.tokens()[0])


def _setting(fps: float) -> Callable[[Path], None]:
    return lambda folder: keep_overrides(patch_settings(settings(folder), {"camera": {"fps": fps}}), storage(folder))


def _pause(folder: Path) -> None:
    storage(folder).keep(folder / PAUSED_FILE, b"")


def _resume(folder: Path) -> None:
    storage(folder).remove(folder / PAUSED_FILE)


def _choice(precision: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        choice = Candidate(precision, 1)
        TuningCache(folder / "cache", MACHINE, storage(folder)).put(card(), 0, choice, {choice: 1.0})

    return change


def _graph(content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        entry = GraphCache(folder / "cache" / "graphs", MACHINE, storage(folder)).entry("sha256 of a model", 1)
        memory = os.memfd_create("graph")
        try:
            os.pwrite(memory, content, 0)
            graph = mmap.mmap(memory, 0, prot=mmap.PROT_READ)
        finally:
            os.close(memory)
        storage(folder).run(lambda writer: entry.keep(writer, graph))

    return change


CHANGES: dict[str, Callable[[Path], None]] = {
    "a token made": _token,
    "a token revoked": _revoke,
    "the first login": _log_in,
    "a setting kept": _setting(7.0),
    "the camera paused": _pause,
    "the camera opened again": _resume,
    "a measurement": _choice("int8"),
    "an optimised graph": _graph(b"a newer, longer graph" * 100_000),
}

# Without these the change has nothing to change.
_FIRST: dict[str, Callable[[Path], None]] = {
    "a token revoked": _token,
    "the first login": lambda folder: (folder / "session.key").unlink(),
    "the camera opened again": _pause,
}


def prepare(folder: Path, what: str, *, used: bool) -> None:
    """The folder as it is before the change. used: by a service that ran for a while; else new, if that can be."""
    folder.mkdir(parents=True)
    if used or what in _FIRST:
        populate(folder)
    if what in _FIRST:
        _FIRST[what](folder)


def check_it_opens(folder: Path) -> None:
    """What a start reads; and changes can be made again."""
    prepare_state_folder(folder)
    loaded = settings(folder)
    assert loaded.settings.camera.fps in (15.0, 11.0, 7.0, 9.0)
    store = TokenStore(folder, storage=storage(folder))
    tokens = store.tokens()
    if tokens:
        assert store.session(store.open_session(tokens[-1])) == tokens[-1]
    was_paused(folder)
    for file in (folder / "cache").glob("choice-*.json"):
        json.loads(file.read_bytes())
    assert TuningCache(folder / "cache", MACHINE, storage(folder)).get(card(), 0) in (
        None,
        Candidate("fp32", 1),
        Candidate("int8", 1),
    )
    _setting(9.0)(folder)
    assert settings(folder).settings.camera.fps == 9.0
    _token(folder)
    assert len(store.tokens()) == len(tokens) + 1


def kept_files(content: dict[str, bytes]) -> dict[str, bytes]:
    """Those of the files that count."""
    return {
        name: data for name, data in content.items() if not name.endswith(".new") and any(part in name for part in KEPT)
    }


def content_of_kept(folder: Path) -> dict[str, bytes]:
    return kept_files(content_of(folder))
