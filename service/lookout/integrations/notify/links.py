"""Signed URLs in notices: for a day, each shows its event's picture and accepts one answer, without a login.

Only those who received the notice know its URL, and it gives access to this one event only.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from lookout.errors import LookoutError
from lookout.integrations.notify.notice import Notice
from lookout.storage import Storage
from lookout.system.regular_files import read_regular

KEY_FILE = "link.key"
_KEY_BYTES = 32
_SIGNATURE_BYTES = 16
_MAX_TEXT = 1000
# Answers are remembered until their links expire; a household does not give more than this.
_MAX_USED = 1000


class LinkExpired(LookoutError):
    """The link was not made by this device, or it has expired."""

    code = "link_expired"
    title = "The link has expired"
    status = 410


class LinkUsed(LookoutError):
    """The link was already used for this action."""

    code = "link_used"
    title = "That was done already"
    status = 409


@dataclass(frozen=True, slots=True)
class Link:
    """What a link refers to. notice: its id. event: None for notices about the device. expires: Unix seconds."""

    notice: str
    rule: str
    event: int | None
    expires: int


class Links:
    """Makes and reads links. Thread-safe except for `restore`, which must be called first."""

    def __init__(self, address: str, lasts_s: float) -> None:
        """address: the dashboard's URL, ending in a slash. lasts_s: validity in seconds; 0 disables links."""
        self._address, self._lasts_s = address, lasts_s
        self._key = secrets.token_bytes(_KEY_BYTES)  # until the stored key is loaded
        self._used: dict[str, float] = {}  # time of expiry in Unix seconds, by notice and action

    def load_key(self, folder: Path, storage: Storage) -> None:
        """Load the stored key, or store a new one, so that links survive a restart. May wait for the disk."""
        path = folder / KEY_FILE
        try:
            key = read_regular(path, _KEY_BYTES)
        except OSError:
            key = b""
        if len(key) == _KEY_BYTES:
            self._key = key
        else:
            kept = self._key
            storage.later(lambda writer: writer.replace(path, kept), "what signs the links in notices")

    def page(self, notice: Notice, wall: float) -> str:
        """Return the notice's URL for a browser; empty if links are disabled. wall: Unix seconds."""
        return f"{self._address}notice?link={self._text(notice, wall)}" if self._lasts_s > 0 else ""

    def picture(self, notice: Notice, wall: float) -> str:
        """Return the URL of the event's picture; empty if there is none."""
        if self._lasts_s <= 0 or notice.event is None:
            return ""
        return f"{self._address}notice/picture.jpg?link={self._text(notice, wall)}"

    def read(self, text: str, wall: float) -> Link:
        """Return what a link refers to. Raises LinkExpired."""
        packed, _, signature = text.partition(".")
        try:
            if len(text) > _MAX_TEXT or not hmac.compare_digest(self._sign(packed), signature.encode()):
                raise ValueError
            notice, rule, event, expires = json.loads(_unpacked(packed))
        except (ValueError, binascii.Error):
            raise LinkExpired("This Lookout did not make this link.", "Open the newest notice.") from None
        if wall >= expires:
            raise LinkExpired("This link has expired.", "Open the event on the dashboard.")
        return Link(notice, rule, event, expires)

    def use(self, link: Link, what: str, wall: float) -> None:
        """Record that the action is done. Raises LinkUsed the second time."""
        self._used = {key: until for key, until in self._used.items() if until > wall}
        key = f"{link.notice} {what}"
        if key in self._used or len(self._used) >= _MAX_USED:
            raise LinkUsed("This was done with this link already.", "The dashboard does it again.")
        self._used[key] = link.expires

    def forget(self, link: Link, what: str) -> None:
        """Allow the action again, because it failed."""
        self._used.pop(f"{link.notice} {what}", None)

    def kept(self) -> dict[str, float]:
        return dict(self._used)

    def restore(self, kept: dict[str, float]) -> None:
        """Raises ValueError, TypeError or AttributeError if the data was not written by Lookout."""
        self._used = {str(key): float(until) for key, until in list(kept.items())[:_MAX_USED]}

    def _text(self, notice: Notice, wall: float) -> str:
        content = [notice.id, notice.rule, notice.event, int(wall + self._lasts_s)]
        packed = base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")
        return f"{packed}.{self._sign(packed).decode()}"

    def _sign(self, packed: str) -> bytes:
        digest = hmac.digest(self._key, f"lookout-notice.{packed}".encode(), "sha256")[:_SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=")


def _unpacked(packed: str) -> bytes:
    return base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
