"""Dates and times in requests, in the one format that the API documents: RFC 3339."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(rf"{_DAY.pattern}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]+)?([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})")


def _spelt(form: re.Pattern[str], example: str) -> Callable[[object], object]:
    """Return a check for one format.

    Pydantic also accepts numbers as seconds or milliseconds since 1970: a year "2026" would become a time in 1970.
    """

    def check(given: object) -> object:
        if isinstance(given, str) and form.fullmatch(given):
            return given
        raise ValueError(f"write it as {example}")

    return check


# 2026-05-01
Day = Annotated[date, BeforeValidator(_spelt(_DAY, "2026-05-01"))]
# 2026-05-01T08:00:00Z, or with an offset
Moment = Annotated[AwareDatetime, BeforeValidator(_spelt(_MOMENT, "2026-05-01T08:00:00Z"))]
