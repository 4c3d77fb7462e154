"""Checks whether a decoder that reports success has really decoded a picture.

Some leave the target untouched, perhaps with the previous picture in it; others fill missing parts with grey or black,
which would then be classified.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookout.pictures.refusals import broken

# Pieces of this many bytes of a row are compared, long enough not to match by chance.
_PIECE = 16
_PIECES_PER_ROW = 8
_NOISE = np.frombuffer(os.urandom(2**16), np.uint8)
# The messages of libjpeg and libtiff if data ends too early and they continue.
_ENDS_TOO_EARLY = re.compile(rb"[Pp]remature end")
_CANNOT_DECODE = re.compile(rb"TIFF_Error[^\n]*(Decode|FillStrip|FillTile|ReadEncoded|[Rr]ead error|[Nn]ot enough)")
# Share of rows of a single colour that is allowed at the end of a truncated picture, since webcams omit a last block.
_MAX_FLAT = 1 / 16


class Untouched:
    """Fills the target of a decoder with noise, to find out afterwards whether parts of it were not written."""

    def __init__(self, place: NDArray[Any]) -> None:
        """place: height x width, or with channels; rows are contiguous."""
        self._rows = place.reshape(place.shape[0], -1).view(np.uint8)
        self._noise = np.resize(_NOISE, self._rows.shape[1])
        self._rows[:] = self._noise

    def shows(self) -> bool:
        length = self._rows.shape[1]
        if length < _PIECE:
            return bool((self._rows == self._noise).all())
        starts = np.linspace(0, length - _PIECE, _PIECES_PER_ROW).astype(int)
        return any(bool(self._shows_at(start)) for start in set(starts.tolist()))

    def _shows_at(self, start: int) -> bool:
        piece = slice(start, start + _PIECE)
        return bool((self._rows[:, piece] == self._noise[piece]).all(axis=1).any())


def check_complaints(printed: bytes, stored: NDArray[np.uint8]) -> None:
    """Raise PictureUnreadable if libraries reported missing data and much of it is missing. stored: as in the file."""
    if _CANNOT_DECODE.search(printed):
        raise broken("some of its pixels cannot be decoded")
    if _ENDS_TOO_EARLY.search(printed):
        last = stored[-1, -1]
        flat = 0
        while flat < stored.shape[0] and (stored[-1 - flat] == last).all():
            flat += 1
        if flat > stored.shape[0] * _MAX_FLAT:
            raise broken("its data ends too early")
