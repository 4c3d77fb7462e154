"""Signed addresses in notices: for a day, each shows its event's picture and takes one answer, without a login.

Only those who have the notice have the address: it opens this one event, and nothing else of the device.
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
# Answers are remembered until their links have expired; more than this come from no household.
_MAX_USED = 1000


class LinkExpired(LookoutError):
    """A link that is not ours, or whose time is over."""

    code = "link_expired"
    title = "The link has expired"
    status = 410


class LinkUsed(LookoutError):
    """A link with which this was done before."""

    code = "link_used"
    title = "That was done already"
    status = 409


@dataclass(frozen=True, slots=True)
class Link:
    """What a link stands for. notice: its id. event: None for notices of the device. expires: Unix seconds."""

    notice: str
    rule: str
    event: int | None
    expires: int


class Links:
    """Makes and reads them. Thread-safe but for `restore`, which comes first."""

    def __init__(self, address: str, lasts_s: float) -> None:
        """address: of the dashboard, ending in a slash. lasts_s: 0 makes none."""
        self._address, self._lasts_s = address, lasts_s
        self._key = secrets.token_bytes(_KEY_BYTES)  # until there is one that is kept
        self._used: dict[str, float] = {}  # Unix seconds at which the link expires, by its answer

    def load_key(self, folder: Path, storage: Storage) -> None:
        """The kept key, or a new one that is kept: links must outlive a restart. May wait for the disk."""
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
        """The notice's address for a browser; empty where there are no links. wall: Unix seconds."""
        return f"{self._address}notice?link={self._text(notice, wall)}" if self._lasts_s > 0 else ""

    def picture(self, notice: Notice, wall: float) -> str:
        """The address of its event's picture; empty where there is none."""
        if self._lasts_s <= 0 or notice.event is None:
            return ""
        return f"{self._address}notice/picture.jpg?link={self._text(notice, wall)}"

    def read(self, text: str, wall: float) -> Link:
        """Raises LinkExpired."""
        packed, _, signature = text.partition(".")
        try:
            if len(text) > _MAX_TEXT or not hmac.compare_digest(self._sign(packed), signature.encode()):
                raise ValueError
            notice, rule, event, expires = json.loads(_unpacked(packed))
        except (ValueError, binascii.Error):
            raise LinkExpired("This link is none of this Lookout's.", "Open the newest notice.") from None
        if wall >= expires:
            raise LinkExpired("This link has expired.", "Open the event on the dashboard.")
        return Link(notice, rule, event, expires)

    def use(self, link: Link, what: str, wall: float) -> None:
        """Note that this is done now. Raises LinkUsed the second time."""
        self._used = {key: until for key, until in self._used.items() if until > wall}
        key = f"{link.notice} {what}"
        if key in self._used or len(self._used) >= _MAX_USED:
            raise LinkUsed("This was done with this link already.", "The dashboard does it again.")
        self._used[key] = link.expires

    def forget(self, link: Link, what: str) -> None:
        """It did not work after all."""
        self._used.pop(f"{link.notice} {what}", None)

    def kept(self) -> dict[str, float]:
        return dict(self._used)

    def restore(self, kept: dict[str, float]) -> None:
        """Raises ValueError, TypeError, AttributeError for what is none of ours."""
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
