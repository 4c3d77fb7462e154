"""Tokens are kept as hashes, logins outlive a restart, and both end when they should."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from lookout.auth.tokens import SESSION_S, Token, TokenStore
from lookout.errors import StateFolderUnusable


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "state")


def test_nobody_has_a_token_at_first(store: TokenStore) -> None:
    assert store.tokens() == ()
    assert store.verify("anything") is None


def test_a_token_is_long_random_and_kept_only_as_a_hash(store: TokenStore, tmp_path: Path) -> None:
    token, text = store.create("phone")
    _, other = store.create("tablet")
    assert len(text) >= 43
    assert text != other
    kept = (tmp_path / "state" / "tokens.json").read_text()
    assert text not in kept
    assert store.verify(text) == token
    assert store.verify(text + "x") is None
    assert store.verify("") is None
    assert store.verify("ä\udcff") is None


def test_its_files_are_only_for_the_owner(store: TokenStore, tmp_path: Path) -> None:
    token, _ = store.create("phone")
    store.open_session(token)
    for file in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert sorted(file.name for file in (tmp_path / "state").iterdir()) == [
        "session.key",
        "tokens.json",
        "tokens.lock",
        "written.json",
    ]


def test_another_process_makes_and_revokes_tokens(store: TokenStore, tmp_path: Path) -> None:
    assert store.tokens() == ()
    token, text = TokenStore(tmp_path / "state").create("made elsewhere")
    assert store.verify(text) == token
    assert TokenStore(tmp_path / "state").revoke(token.id)
    assert store.verify(text) is None
    assert not store.revoke(token.id)


def test_a_login_outlives_a_restart_and_ends_with_its_token(store: TokenStore, tmp_path: Path) -> None:
    token, _ = store.create("phone")
    cookie = store.open_session(token)
    restarted = TokenStore(tmp_path / "state")
    assert restarted.session(cookie) == token
    restarted.revoke(token.id)
    assert restarted.session(cookie) is None
    assert store.session(cookie) is None


def test_a_login_ends_after_ninety_days(store: TokenStore) -> None:
    token, _ = store.create("phone")
    cookie = store.open_session(token, now=1000.0)
    assert store.session(cookie, now=1000.0 + SESSION_S - 1) == token
    assert store.session(cookie, now=1000.0 + SESSION_S) is None
    assert SESSION_S == 90 * 86400


def test_a_forged_login_is_none(store: TokenStore) -> None:
    token, _ = store.create("phone")
    other, _ = store.create("tablet")
    cookie = store.open_session(token, now=1000.0)
    token_id, expiry, signature = cookie.split(".")
    for forged in (
        f"{token_id}.{int(expiry) + 1}.{signature}",
        f"{other.id}.{expiry}.{signature}",
        f"{token_id}.{expiry}.",
        f"{token_id}.{expiry}",
        f"{token_id}.٣.{signature}",
        f"{token_id}.{expiry}.é{signature}",
        f"{token_id}.{expiry}.\udce9{signature}",
        "..",
        "",
        "x" * 10_000,
    ):
        assert store.session(forged, now=1000.0) is None


def test_a_token_file_counts_and_its_new_content_ends_old_logins(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  from-the-container\n")
    store = TokenStore(tmp_path / "state", file)
    token = store.verify("from-the-container")
    assert token is not None
    cookie = store.open_session(token)
    assert store.session(cookie) == token
    file.write_text("another-one-that-is-longer")
    assert store.verify("from-the-container") is None
    assert store.session(cookie) is None


@pytest.mark.parametrize(
    "content", ["", "\n", "short", "# a comment\nand-then-a-token-of-some-length", "two words-of-sixteen"]
)
def test_a_token_file_without_a_token_is_reported(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(StateFolderUnusable, match="contains no token"):
        TokenStore(tmp_path, path).tokens()


def test_a_token_file_that_is_emptied_opens_no_door(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-token-of-some-length\n")
    store = TokenStore(tmp_path, path)
    assert store.verify("a-token-of-some-length")
    path.write_text("")
    with pytest.raises(StateFolderUnusable):
        store.tokens()


def test_a_missing_token_file_lets_nobody_in_on_a_guess(tmp_path: Path) -> None:
    store = TokenStore(tmp_path / "state", tmp_path / "nowhere")
    for _ in range(2):
        with pytest.raises(StateFolderUnusable, match="cannot be read"):
            store.tokens()


@pytest.mark.parametrize("content", ["{", "[]", '{"tokens": [{"id": 1}]}', '{"tokens": 3}', "null", "[" * 100_000])
def test_a_damaged_file_is_reported_and_not_taken_for_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokens.json").write_text(content)
    with pytest.raises(StateFolderUnusable, match="damaged"):
        TokenStore(tmp_path).tokens()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderUnusable, match="cannot be written"):
        TokenStore(tmp_path / "file").create("phone")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TokenStore(tmp_path)
    token, _ = store.create("phone")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lookout.auth.tokens.os.fsync", full)
    with pytest.raises(StateFolderUnusable, match="No space left"):
        store.create("tablet")
    monkeypatch.undo()
    assert TokenStore(tmp_path).tokens() == (token,)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tokens.json", "tokens.lock", "written.json"]


def test_what_is_kept_can_be_read_again(tmp_path: Path) -> None:
    token, _ = TokenStore(tmp_path).create("phone")
    entry = json.loads((tmp_path / "tokens.json").read_text())["tokens"][0]
    assert Token(**entry) == token
    assert token.created.endswith("Z")
