"""Several datasets in a folder: ``train-*.tar``, ``train2-*.tar`` and so on.

Each picture's name begins with its dataset, ``train2/cat/oxford-00012.webp``, since every dataset counts from 0.
The folder also contains bounding boxes, cut-outs to paste, and rooms to cut pieces from.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.training.data import SHORT_SIDE, DataError, Pictures, Pixels, Split, decode, pictures_of

FIRST_SIDE, LATER_SIDE = SHORT_SIDE, 192  # short side in pixels; later datasets are larger, for crops around boxes
ROOM_SIDE = 480  # short side of the sharp rooms in pixels; the smallest pieces are a fifth of it

# Pictures of the first dataset under ``neither`` that do show a pet, found by inspection.
SHOW_A_CAT = "00032 00781 01374 01936 06738 08658 08790 10532 11945"
SHOW_A_DOG = "04567 07154 07332 07568 08972 10593 11023"
# Cut-outs under ``cat`` and ``dog`` that show a drawing, a figurine and a statue, found by inspection of all of them.
NOT_ANIMALS = frozenset(("cat/openpets-cut-00002.webp", "dog/openpets-00007.webp", "dog/openpets-00009.webp"))
HELD_OUT = 5  # one cut-out and one sharp room in this many is kept for the films that measure
WRONG_LABELS = frozenset(f"train/neither/rooms-{number}.webp" for number in f"{SHOW_A_CAT} {SHOW_A_DOG}".split())


@dataclass(frozen=True)
class Boxed:
    """A bounding box: kind of content, and top left corner and size as shares of the picture's width and height.

    A box whose ``kind`` ends in ``-part`` contains a part of an animal in some pictures and all of it in others.
    """

    kind: str
    x: float
    y: float
    width: float
    height: float

    @property
    def whole(self) -> bool:
        return not self.kind.endswith("-part")


def dataset_of(name: str) -> str:
    """``train2/cat/oxford-00012.webp`` -> ``train2``."""
    return name.split("/", 1)[0]


def origin(name: str) -> str:
    """``train2/cat/oxford-00012.webp`` -> ``oxford``; in a third dataset, without the species that follows it."""
    stem = Path(name).stem.rsplit("-", 1)[0]
    return stem.split("-", 1)[0] if re.fullmatch(r"[a-z]+3", dataset_of(name)) else stem


def held_out(name: str) -> bool:
    """Whether a cut-out or a sharp room is kept from training, for films (``python -m tests.benchmarks focus``).

    ``name`` is the member's name in its tar. Nothing else decides, so that training and measuring agree.
    """
    return zlib.crc32(name.encode()) % HELD_OUT == 0


def has_several(folder: Path) -> bool:
    """Whether a folder contains more than one dataset."""
    return any(folder.glob("train[0-9]*-*.tar")) or any(folder.glob("val[0-9]*-*.tar"))


def load_datasets(folder: Path, split: Split, cache: Path | None = None) -> Pictures:
    """Load all datasets of one split, without the pictures whose label is known to be wrong.

    Raises DataError if there is none, or if a picture of a validation set cannot be read.
    """
    tars = sorted(folder.glob(f"{split}-*.tar")) + sorted(folder.glob(f"{split}[0-9]*-*.tar"))
    if not tars:
        raise DataError(f"{folder} has no {split}-*.tar.", "Give --data the folder with the datasets of photographs.")
    kept = cache / f"{split}-datasets-{_identity(tars)}" if cache else None
    if kept and (kept / "names.json").exists():
        return Pictures.open(kept)
    pictures = pictures_of(_decoded(tars, split))
    if kept:
        pictures.save(kept)
        return Pictures.open(kept)
    return pictures


def _decoded(tars: list[Path], split: Split) -> Iterator[tuple[str, Pixels]]:
    for path in tars:
        which = path.name.split("-", 1)[0]
        for member, data in members(path):
            name = f"{which}/{member}"
            if name in WRONG_LABELS:
                continue
            picture = decode(data, FIRST_SIDE if which == split else LATER_SIDE)
            if picture is not None:
                yield name, picture
            elif split == "val":
                raise DataError(f"{name} in {path} cannot be read as a picture.", "Remove it.")


def _identity(tars: list[Path]) -> str:
    stats = [f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in tars]
    return hashlib.sha256("\n".join([*stats, *sorted(WRONG_LABELS)]).encode()).hexdigest()[:12]


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of a tar's files, in its order."""
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file:
                yield member.name.removeprefix("./"), file.read()


def read_rooms(path: Path) -> list[Pixels]:
    """Sharp RGB pictures of rooms without an animal, but for those held out; empty if the file is missing."""
    if not path.exists():
        return []
    found = (decode(data, ROOM_SIDE) for name, data in members(path) if not held_out(name))
    return [room for room in found if room is not None]


def read_cutouts(path: Path) -> Iterator[tuple[str, Pixels]]:
    """Yield names and pictures [h, w, 4], RGB and opacity, cropped to the visible part.

    Those held out and those that show no animal are left out; none if the file is missing.
    """
    if not path.exists():
        return
    for name, data in members(path):
        if held_out(name) or name in NOT_ANIMALS:
            continue
        bgra = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if bgra is None or bgra.ndim != 3 or bgra.shape[2] != 4:
            continue
        rows, columns = np.nonzero(bgra[:, :, 3] > 40)
        if len(rows):
            seen = bgra[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            yield name, np.ascontiguousarray(seen[:, :, [2, 1, 0, 3]], dtype=np.uint8)


def read_boxes(path: Path) -> dict[str, list[Boxed]]:
    """Boxes by picture, from ``{"train2/cat/oxford-00012.webp": [["cat", x, y, w, h]]}``; empty if there is no file."""
    if not path.exists():
        return {}
    return {name: [Boxed(*entry) for entry in entries] for name, entries in json.loads(path.read_text()).items()}
