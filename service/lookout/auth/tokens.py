"""Access tokens, stored only as hashes, and the cookie sessions and links that are derived from them."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lookout import timestamps
from lookout.auth.scopes import DEFAULT
from lookout.auth.uses import TokenUses
from lookout.errors import StateFolderUnusable
from lookout.storage import Storage, Writer
from lookout.storage.atomic_files import make_folder
from lookout.system.regular_files import read_regular

log = logging.getLogger(__name__)

TOKENS_FILE = "tokens.json"
_KEY_FILE = "session.key"
_LOCK_FILE = "tokens.lock"
_TOKEN_BYTES = 32
SESSION_S = 90 * 24 * 3600
# Nobody needs more; more means that a program creates tokens in a loop.
_MAX_TOKENS = 1000
_MAX_TOKENS_BYTES = 2**20
# A token file has one line; anything longer is some other file.
_MAX_TOKEN_FILE_BYTES = 4096
_MIN_IN_FILE = 16  # of a token that a person chose: a shorter one can be guessed
# A token that another process created or revoked takes effect after this long at the latest.
REFRESH_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Token:
    """What is stored about a token. The token itself is shown once, when it is created, and never stored.

    sha256: of the token's text, hexadecimal. created: RFC 3339. scope: what it allows, one of `scopes.SCOPES`.
    """

    id: str
    name: str
    sha256: str
    created: str
    scope: str = DEFAULT


class TokenStore:
    """The tokens of one state folder, and of the token file if one is set.

    Another process may add or revoke tokens (`lookout token`): the file is read again whenever it changes. A failing
    disk revokes nothing: clients that had access keep it, and a machine that had tokens stays closed to others.
    """

    def __init__(self, folder: Path, token_file: Path | None = None, storage: Storage | None = None) -> None:
        self._folder = folder
        self._path = folder / TOKENS_FILE
        self._token_file = token_file
        self._storage = storage or Storage(folder)
        self._seen: tuple[object, object] | None = None
        self._kept: tuple[Token, ...] | None = None
        self._tokens: tuple[Token, ...] = ()
        # Nothing is known until the files have been read, and nobody is admitted on a guess.
        self._problem: StateFolderUnusable | None = StateFolderUnusable(
            f"The tokens in {folder} could not be read yet: its disk does not answer.",
            "Lookout reads them when it does; server.token_file can name one stored elsewhere.",
        )
        self._key: bytes | None = None
        self._watch: threading.Thread | None = None
        self._refresh_requested = threading.Event()
        self._refresh_lock = threading.Lock()
        self._closed = False
        self.refreshes = 0
        self.uses = TokenUses(folder, self._storage)

    # --- reading the files --------------------------------------------------------------------------------------

    def watch(self, *, folder_answers: bool = True) -> None:
        """Start a thread that reads the files, so that `tokens`, `verify` and `session` never wait for the disk.

        folder_answers: False if the folder's disk is known to hang. Then only the token file counts until the disk
        responds, and without one everybody is refused. Raises StateFolderUnusable if the token file cannot be read.
        """
        if folder_answers:
            self._refresh()
        elif from_file := self._read_token_file():
            self._tokens, self._problem = from_file, None
        self._watch = threading.Thread(target=self._refresh_loop, name="tokens", daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Stop reading the files."""
        self._closed = True
        self._refresh_requested.set()

    @property
    def watched(self) -> bool:
        return self._watch is not None

    def request_refresh(self) -> int:
        """Request a read at once; return the value of `refreshes` at which its result is available."""
        self._refresh_requested.set()
        return self.refreshes + 2  # the one in progress may already have read the file

    def _refresh_loop(self) -> None:
        while not self._closed:
            self._refresh_requested.wait(REFRESH_EVERY_S)
            self._refresh_requested.clear()
            self._refresh()
            self.uses.keep({token.id for token in self._tokens})

    def _refresh(self) -> None:
        """Read the files that have changed."""
        with self._refresh_lock:
            stamps = (_stamp(self._path), _stamp(self._token_file))
            if stamps != self._seen or self._problem is not None:
                try:
                    self._kept = kept = self._read_kept()
                    self._tokens = kept + self._read_token_file()
                    self._problem = None
                except StateFolderUnusable as error:
                    self._problem = error
                self._seen = stamps
            if self._key is None:
                with contextlib.suppress(OSError):
                    self._key = self._read_key()
            self.refreshes += 1

    def _read_kept(self) -> tuple[Token, ...]:
        """Read the tokens of the state folder; return the known ones while its disk fails or is missing.

        Raises StateFolderUnusable if they are damaged, or nothing is known yet.
        """
        try:
            tokens = self._read()
            if tokens or not self._kept or not self._is_gone():
                return tokens
        except StateFolderUnusable as error:
            if self._kept is None or not isinstance(error.__cause__, OSError):
                raise
        log.warning("%s cannot be read now; the tokens known so far stay valid until it can.", self._path)
        return self._kept

    def _is_gone(self) -> bool:
        """Whether the whole disk is missing and not only the file, which would mean that all tokens were revoked."""
        try:
            return not self._folder.exists() or self._storage.is_gone()
        except OSError:
            return True

    # --- tokens -----------------------------------------------------------------------------------------------

    def tokens(self) -> tuple[Token, ...]:
        """Return all valid tokens. Raises StateFolderUnusable if they cannot be read: nobody is admitted on a guess."""
        if not self.watched:
            self._refresh()
        if self._problem is not None:
            raise self._problem
        return self._tokens

    def is_known_empty(self) -> bool:
        """Whether it is certain that no token exists."""
        try:
            return not self.tokens()
        except StateFolderUnusable:
            return False

    def create(self, name: str, scope: str = DEFAULT) -> tuple[Token, str]:
        """Create a token; return it and its text, which cannot be retrieved again.

        Raises StateFolderUnusable, DiskBudgetSpent.
        """
        text = secrets.token_urlsafe(_TOKEN_BYTES)
        created = timestamps.now()
        # JSON must be able to represent it: text from the command line may not be valid UTF-8.
        shown = name.encode("utf-8", "replace").decode()
        token = Token(secrets.token_hex(4), shown, _digest(text), created, scope)

        def add(writer: Writer) -> None:
            with self._locked():
                tokens = self._read()
                if len(tokens) >= _MAX_TOKENS:
                    raise StateFolderUnusable(f"There are {len(tokens)} tokens already.", "Revoke some first.")
                self._write(writer, (*tokens, token))

        self._storage.run(add)
        self._refresh()
        return token, text

    def revoke(self, token_id: str) -> bool:
        """Revoke a token and every login made with it. False if the state folder has no token with that id."""

        def remove(writer: Writer) -> bool:
            with self._locked():
                tokens = self._read()
                kept = tuple(token for token in tokens if token.id != token_id)
                if len(kept) == len(tokens):
                    return False
                self._write(writer, kept)
                return True

        removed = self._storage.run(remove)
        self._refresh()
        return removed

    def verify(self, text: str) -> Token | None:
        """Return the token with this text. All stored hashes are compared, each in constant time."""
        digest, found = _digest(text), None
        for token in self.tokens():
            if hmac.compare_digest(token.sha256.encode(), digest.encode()):
                found = token
        return found

    # --- cookie sessions ----------------------------------------------------------------------------------------

    def open_session(self, token: Token, now: float | None = None) -> str:
        """Return a cookie value that represents the token until `SESSION_S` seconds after `now` (Unix seconds).

        The first call creates the key, and waits for the disk. Raises StateFolderUnusable, DiskBudgetSpent.
        """
        return self._signed("session", token, SESSION_S, now)

    def open_link(self, token: Token, for_s: float, now: float | None = None) -> str:
        """Return a text that represents the token in a URL for this many seconds, for pictures only.

        Raises StateFolderUnusable, DiskBudgetSpent, like `open_session`.
        """
        return self._signed("stream", token, for_s, now)

    def session(self, cookie: str, now: float | None = None) -> Token | None:
        """Return the token of a cookie; None if the cookie has expired, is forged, or its token was revoked."""
        return self._verify_signed("session", cookie, now)

    def link(self, text: str, now: float | None = None) -> Token | None:
        """Return the token of a link's text; None in the same cases."""
        return self._verify_signed("stream", text, now)

    def _signed(self, purpose: str, token: Token, for_s: float, now: float | None) -> str:
        expiry = int((time.time() if now is None else now) + for_s)
        return f"{token.id}.{expiry}.{_sign(self._session_key(), purpose, token, expiry)}"

    def _verify_signed(self, purpose: str, text: str, now: float | None) -> Token | None:
        token_id, _, rest = text.partition(".")
        expiry, _, signature = rest.partition(".")
        if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= 12):
            return None
        if int(expiry) <= (time.time() if now is None else now):
            return None
        tokens, key = self.tokens(), self._key
        if key is None:  # then nobody has ever logged in
            return None
        for token in tokens:
            # As bytes: only ASCII texts can be compared in constant time, and a cookie may contain anything.
            signed = _sign(key, purpose, token, int(expiry)).encode()
            if token.id == token_id and hmac.compare_digest(signed, signature.encode("utf-8", "replace")):
                return token
        return None

    def _session_key(self) -> bytes:
        """Return the key, created on first use. It is stored, so that a restart does not end logins."""
        if self._key is None:
            self._key = self._storage.run(self._make_key)
        return self._key

    def _make_key(self, writer: Writer) -> bytes:
        with self._locked():
            key = self._read_key()
            if key is None:
                key = secrets.token_bytes(_TOKEN_BYTES)
                writer.replace(self._folder / _KEY_FILE, key)
            return key

    def _read_key(self) -> bytes | None:
        """Return the stored key; None if there is none yet. Raises OSError."""
        try:
            key = read_regular(self._folder / _KEY_FILE, _MAX_TOKEN_FILE_BYTES)
        except FileNotFoundError:
            return None
        return key if len(key) == _TOKEN_BYTES else None

    # --- files --------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[Token, ...]:
        try:
            entries = json.loads(read_regular(self._path, _MAX_TOKENS_BYTES))["tokens"]
            return tuple(
                Token(str(e["id"]), str(e["name"]), str(e["sha256"]), str(e["created"]), str(e.get("scope", DEFAULT)))
                for e in entries[:_MAX_TOKENS]
            )
        except FileNotFoundError:
            return ()
        except OSError as error:
            if isinstance(error, PermissionError):
                raise _unusable("read", self._path, error.strerror or str(error)) from error
            raise StateFolderUnusable(
                f"{self._path} cannot be read ({error.strerror or error}).",
                "If its disk works, move it away and make new tokens with `lookout token`.",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StateFolderUnusable(
                f"{self._path} is damaged.", "Delete it and make new tokens with `lookout token`."
            ) from error

    def _read_token_file(self) -> tuple[Token, ...]:
        if self._token_file is None:
            return ()
        try:
            text = read_regular(self._token_file, _MAX_TOKEN_FILE_BYTES, follow_links=True).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise StateFolderUnusable(
                f"The token file {self._token_file} cannot be read ({reason}).",
                "Set server.token_file to a readable file with one token in it.",
            ) from error
        if len(text) < _MIN_IN_FILE or len(text.split()) != 1:
            raise StateFolderUnusable(
                f"The token file {self._token_file} contains no token: one word of at least {_MIN_IN_FILE} characters.",
                f"For example: openssl rand -hex 16 > {self._token_file}",
            )
        digest = _digest(text)
        return (Token(f"file-{digest[:8]}", "token file", digest, ""),)

    def _write(self, writer: Writer, tokens: tuple[Token, ...]) -> None:
        document = {"tokens": [asdict(token) for token in tokens]}
        writer.replace(self._path, json.dumps(document, indent=1).encode())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Allow one writer at a time, across processes. Raises OSError."""
        make_folder(self._folder)
        descriptor = os.open(self._folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _sign(key: bytes, purpose: str, token: Token, expiry: int) -> str:
    """Sign the token's hash along with its id, so that new content in a token file ends the old one's logins.

    purpose: a signature for one purpose is invalid for another.
    """
    message = f"lookout-{purpose}.{token.id}.{token.sha256}.{expiry}".encode()
    return base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")).decode().rstrip("=")


def _digest(text: str) -> str:
    """Return the plain SHA-256: a token has 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _stamp(path: Path | None) -> object:
    """Return a value that changes with the file. A failure counts as a change, so that the next read reports why."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_mtime_ns, status.st_size


def _unusable(verb: str, path: object, reason: str) -> StateFolderUnusable:
    return StateFolderUnusable(
        f"{path} cannot be {verb} ({reason}).",
        "Make the service's user the folder's owner, or set state.folder to one it owns.",
    )
