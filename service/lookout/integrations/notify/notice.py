"""A notice: texts for people, and the same as data for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Notice:
    """id: unique, the same at every attempt. time: RFC 3339. held: earlier notices of the rule that were held back.

    url, picture_url: for a browser, each signed and valid for a day (see `links`); empty if there is none.
    picture: a JPEG for targets that can show one; it is not stored for a later attempt.
    """

    id: str
    rule: str
    title: str
    text: str
    time: str
    label: str | None = None
    event: int | None = None
    probability: float | None = None
    held: int = 0
    url: str = ""
    picture_url: str = ""
    picture: bytes | None = None

    def data(self) -> dict[str, Any]:
        """Return the notice as JSON data, without the picture."""
        return {key: value for key, value in asdict(self).items() if key != "picture"}


def trial(number: str, moment: str, url: str) -> Notice:
    """Return the notice that `lookout notify test` sends."""
    return Notice(number, "test", "Lookout", "This is a test: notices arrive here.", moment, url=url)
