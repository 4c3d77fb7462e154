"""Whether a decoder that says it succeeded has decoded a picture.

Some have left the whole picture as it was, which may be the one before; others fill what is missing with grey or black,
and that would be classified.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookout.pictures.refusals import broken

# So long a piece of a row is not the same by chance.
_PIECE = 16
_PIECES_PER_ROW = 8
_NOISE = np.frombuffer(os.urandom(2**16), np.uint8)
# What libjpeg and libtiff print when data ends too early, and go on.
_ENDS_TOO_EARLY = re.compile(rb"[Pp]remature end")
_CANNOT_DECODE = re.compile(rb"TIFF_Error[^\n]*(Decode|FillStrip|FillTile|ReadEncoded|[Rr]ead error|[Nn]ot enough)")
# Of the rows, which may be of one colour at the end of a picture that ends too early. Webcams leave out a last block.
_MAX_FLAT = 1 / 16


class Untouched:
    """Noise where a picture is to be decoded to, and whether it still shows."""

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
    """Raise PictureUnreadable where libraries said that data is missing, and much is. stored: in the file's order."""
    if _CANNOT_DECODE.search(printed):
        raise broken("some of its pixels cannot be decoded")
    if _ENDS_TOO_EARLY.search(printed):
        last = stored[-1, -1]
        flat = 0
        while flat < stored.shape[0] and (stored[-1 - flat] == last).all():
            flat += 1
        if flat > stored.shape[0] * _MAX_FLAT:
            raise broken("its data ends too early")
