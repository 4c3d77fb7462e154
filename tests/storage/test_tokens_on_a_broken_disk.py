"""A disk that hangs, fails or is gone revokes no token, opens no door and holds up nobody with a known one."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lookout.auth.tokens import TOKENS_FILE, TokenStore
from lookout.errors import StateFolderUnusable

from tests.faults import mounts
from tests.requires import requires
from tests.support.waiting import until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def watched(folder: Path) -> Iterator[Callable[[], TokenStore]]:
    stores: list[TokenStore] = []

    def make() -> TokenStore:
        store = TokenStore(folder)
        store.watch()
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


def refreshed(store: TokenStore) -> None:
    wanted = store.request_refresh()
    until(lambda: store.refreshes >= wanted)


def test_what_another_process_does_counts_a_moment_later(folder: Path, watched: Callable[[], TokenStore]) -> None:
    store = watched()
    assert store.tokens() == ()
    token, text = TokenStore(folder).create("made elsewhere")
    cookie = TokenStore(folder).open_session(token)
    refreshed(store)
    assert store.verify(text) == token
    assert store.session(cookie) == token
    TokenStore(folder).revoke(token.id)
    until(lambda: store.verify(text) is None)
    assert store.session(cookie) is None


def test_a_folder_that_is_gone_revokes_nothing(folder: Path) -> None:
    store = TokenStore(folder)
    token, text = store.create("phone")
    shutil.rmtree(folder)
    assert store.verify(text) == token
    assert store.tokens() == (token,)


def test_a_file_that_somebody_deletes_revokes_all(folder: Path) -> None:
    store = TokenStore(folder)
    store.create("phone")
    (folder / TOKENS_FILE).unlink()
    assert store.tokens() == ()


def test_a_file_that_cannot_be_read_now_counts_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = TokenStore(folder)
    token, _ = store.create("phone")
    store.create("tablet")

    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("lookout.auth.tokens.read_regular", fails)
        (folder / TOKENS_FILE).touch()
        assert store.tokens()[0] == token
        assert "the tokens known so far stay valid" in caplog.text
        with pytest.raises(StateFolderUnusable):
            TokenStore(folder).tokens()


@requires("mount")
def test_a_disk_that_is_pulled_out_revokes_nothing_and_may_come_back_changed(tmp_path: Path, folder: Path) -> None:
    with mounts.small_disk(tmp_path / "stick") as stick, mounts.bound(stick, folder) as plugged:
        store = TokenStore(folder)
        token, text = store.create("phone")
        plugged.unmount()
        assert folder.is_dir()
        assert store.tokens() == (token,), "else everybody could walk in on this machine"
        assert TokenStore(stick).revoke(token.id)
        plugged.mount()
        assert store.verify(text) is None


@requires("silent-disk")
def test_while_the_disk_is_silent_from_the_start_only_the_token_file_counts(folder: Path, tmp_path: Path) -> None:
    token, text = TokenStore(folder).create("phone")
    elsewhere = tmp_path / "token"
    elsewhere.write_text("from-a-file-elsewhere")
    with_file, without = TokenStore(folder, elsewhere), TokenStore(folder)
    with mounts.silent(folder):
        for store in (with_file, without):
            store.watch(folder_answers=False)
        assert with_file.verify("from-a-file-elsewhere") is not None
        assert with_file.verify(text) is None
        with pytest.raises(StateFolderUnusable):
            without.tokens()
    for store in (with_file, without):
        refreshed(store)
        until(lambda store=store: store.verify(text) == token)  # type: ignore[misc]
        store.close()


@requires("silent-disk")
def test_nobody_with_a_known_token_waits_for_a_disk_that_hangs(folder: Path, watched: Callable[[], TokenStore]) -> None:
    token, text = TokenStore(folder).create("phone")
    cookie = TokenStore(folder).open_session(token)
    store = watched()
    with mounts.silent(folder):
        store.request_refresh()
        time.sleep(0.1)
        began = time.monotonic()
        assert store.verify(text) == token
        assert store.session(cookie) == token
        assert store.verify("wrong") is None
        assert time.monotonic() - began < 0.1
    refreshed(store)
    assert store.verify(text) == token
