"""Who may use the service: tokens, of which only hashes are kept, and the cookie sessions that stand for them."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.errors import StateFolderUnusable
from service.system.durable import replace_file

TOKENS_FILE = "tokens.json"
_KEY_FILE = "session.key"
_LOCK_FILE = "tokens.lock"
_TOKEN_BYTES = 32
SESSION_S = 90 * 24 * 3600
# Nobody needs more; more means that something creates tokens in a loop.
_MAX_TOKENS = 1000
# A token file holds one line; anything longer is some other file.
_MAX_TOKEN_FILE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. The token itself is shown once, when it is made, and never kept.

    sha256: of the token's text, hexadecimal. created: RFC 3339.
    """

    id: str
    name: str
    sha256: str
    created: str


class TokenStore:
    """The tokens of one state folder, and the token file beside it if one is set.

    Another process may add or revoke tokens (`lookout token`): the file is read again whenever it has changed.
    """

    def __init__(self, folder: Path, token_file: Path | None = None) -> None:
        self._folder = folder
        self._path = folder / TOKENS_FILE
        self._token_file = token_file
        self._seen: tuple[object, object] | None = None
        self._tokens: tuple[Token, ...] = ()
        self._key: bytes | None = None

    # --- tokens -----------------------------------------------------------------------------------------------

    def tokens(self) -> tuple[Token, ...]:
        """All valid tokens. Raises StateFolderUnusable when they cannot be read: nobody is let in on a guess."""
        stamps = (_stamp(self._path), _stamp(self._token_file))
        if stamps != self._seen:
            self._tokens = self._read() + self._read_token_file()
            self._seen = stamps
        return self._tokens

    def create(self, name: str) -> tuple[Token, str]:
        """A new token and its text, which cannot be had again. Raises StateFolderUnusable."""
        text = secrets.token_urlsafe(_TOKEN_BYTES)
        created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        token = Token(secrets.token_hex(4), name, _digest(text), created)
        with self._locked():
            tokens = self._read()
            if len(tokens) >= _MAX_TOKENS:
                raise StateFolderUnusable(f"There are {len(tokens)} tokens already.", "Revoke some first.")
            self._write((*tokens, token))
        return token, text

    def revoke(self, token_id: str) -> bool:
        """End a token and every login made with it. False when there is none of that id in the state folder."""
        with self._locked():
            tokens = self._read()
            kept = tuple(token for token in tokens if token.id != token_id)
            if len(kept) == len(tokens):
                return False
            self._write(kept)
            return True

    def verify(self, text: str) -> Token | None:
        """The token of that text. Every stored hash is compared, each in constant time."""
        digest, found = _digest(text), None
        for token in self.tokens():
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found

    # --- cookie sessions ----------------------------------------------------------------------------------------

    def open_session(self, token: Token, now: float | None = None) -> str:
        """A cookie value that stands for the token until `SESSION_S` seconds after `now` (Unix seconds)."""
        expiry = int((time.time() if now is None else now) + SESSION_S)
        return f"{token.id}.{expiry}.{self._sign(token, expiry)}"

    def session(self, cookie: str, now: float | None = None) -> Token | None:
        """The token a cookie stands for, None when it is expired, forged, or its token is revoked."""
        token_id, _, rest = cookie.partition(".")
        expiry, _, signature = rest.partition(".")
        if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= 12):
            return None
        if int(expiry) <= (time.time() if now is None else now):
            return None
        for token in self.tokens():
            if token.id == token_id and hmac.compare_digest(self._sign(token, int(expiry)), signature):
                return token
        return None

    def _sign(self, token: Token, expiry: int) -> str:
        """The token's hash is signed with its id: a token file with new content ends the logins of the old one."""
        message = f"lookout-session.{token.id}.{token.sha256}.{expiry}".encode()
        digest = hmac.digest(self._session_key(), message, "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _session_key(self) -> bytes:
        """Kept in the state folder, so that a restart does not end logins."""
        if self._key is None:
            with self._locked():
                path = self._folder / _KEY_FILE
                with _sentence("read"):
                    key = path.read_bytes() if path.is_file() else b""
                if len(key) != _TOKEN_BYTES:
                    key = secrets.token_bytes(_TOKEN_BYTES)
                    _write_private(path, key)
                self._key = key
        return self._key

    # --- files --------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[Token, ...]:
        try:
            entries = json.loads(self._path.read_bytes())["tokens"]
            return tuple(
                Token(str(e["id"]), str(e["name"]), str(e["sha256"]), str(e["created"])) for e in entries[:_MAX_TOKENS]
            )
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unusable("read", self._path, error.strerror or str(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StateFolderUnusable(
                f"{self._path} is damaged.", "Delete it and make new tokens with `lookout token`."
            ) from error

    def _read_token_file(self) -> tuple[Token, ...]:
        if self._token_file is None:
            return ()
        try:
            with self._token_file.open("rb") as file:
                text = file.read(_MAX_TOKEN_FILE_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise StateFolderUnusable(
                f"The token file {self._token_file} cannot be read ({reason}).",
                "Set server.token_file to a readable file with one token in it.",
            ) from error
        if not text:
            return ()
        digest = _digest(text)
        return (Token(f"file-{digest[:8]}", "token file", digest, ""),)

    def _write(self, tokens: tuple[Token, ...]) -> None:
        document = {"tokens": [asdict(token) for token in tokens]}
        _write_private(self._path, json.dumps(document, indent=1).encode())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, whichever process it is in."""
        with _sentence("written"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _digest(text: str) -> str:
    """Plain SHA-256: a token has 256 random bits, so there is nothing to guess and nothing to slow down."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _stamp(path: Path | None) -> object:
    """Changes whenever the file does. A failing look is a change too, so that the next read tells why."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_mtime_ns, status.st_size


def _write_private(path: Path, content: bytes) -> None:
    """Replace the file in one step, readable by its owner alone; whatever happens, the old or the new is there."""
    with _sentence("written"):
        replace_file(path, content)


@contextlib.contextmanager
def _sentence(verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unusable(verb, error.filename or "the state folder", error.strerror or str(error)) from error


def _unusable(verb: str, path: object, reason: str) -> StateFolderUnusable:
    return StateFolderUnusable(
        f"{path} cannot be {verb} ({reason}).",
        "Let the service's user own the folder, or set state.folder to one it owns.",
    )
