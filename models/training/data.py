"""Photographs for training, read from tars, folders or a zip archive and decoded into one flat array.

Three layouts are supported, recognised by the folder's content:

* tars named ``train-*.tar`` and ``val-*.tar`` with members ``LABEL/NAME.EXT``;
* folders, either ``train/LABEL/*`` with ``val/LABEL/*``, or just ``LABEL/*``; then one picture in ten, chosen by a hash
  of its name, is used for validation, so that adding pictures moves none from one split to the other;
* a zip archive of ``LABEL/*``, as the lab's "Collect" and the diary's export make them, split in the same way.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from lookout.errors import LookoutError
from lookout.pictures.decode import read_picture
from lookout.pictures.limits import DecodeLimits
from numpy.typing import NDArray

from models.training.files import whole_folder

Split = Literal["train", "val"]
Pixels = NDArray[np.uint8]

REJECT = "neither"
SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"))
SHORT_SIDE = 128  # pixels; crops of half a side are enlarged only 1.5 times to 96, and 37,000 pictures fit in 2.5 GB
HELD_OUT = 10  # one picture in this many is for validation, if a folder has no validation split of its own
MAX_LISTED = 10  # names in one sentence
CHUNK = 512  # pictures decoded at once, which limits how many are in memory both encoded and decoded


class DataError(LookoutError):
    """The data folder cannot be used; the message says what was expected."""

    code = "training_data_unusable"
    title = "These pictures cannot be trained on"


@dataclass(frozen=True)
class Pictures:
    """Decoded RGB pictures of different sizes, end to end in one flat array, which may be a memory-mapped file.

    ``offsets`` [n + 1] are positions in ``pixels``; ``sizes`` [n, 2] are height and width; ``targets`` [n] index
    ``labels``.
    """

    pixels: Pixels
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int32]
    targets: NDArray[np.int64]
    names: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Pixels:
        """Picture [height, width, 3], RGB; a view, not a copy."""
        height, width = self.sizes[index]
        return self.pixels[self.offsets[index] : self.offsets[index + 1]].reshape(height, width, 3)

    def without_animals(self) -> NDArray[np.int64] | None:
        """Indices of the pictures under the reject label; None if there is no such label."""
        if REJECT not in self.labels:
            return None
        return np.flatnonzero(self.targets == self.labels.index(REJECT))

    def identity(self) -> str:
        """A digest of the names with their labels; the same for the same pictures in any place."""
        return hashlib.sha256(_bytes("\n".join(sorted(self.names)))).hexdigest()[:12]

    def origin(self, index: int) -> str:
        """A picture's source, from its name: ``cat/kaggle-square-00012.webp`` is from ``kaggle-square``."""
        return Path(self.names[index]).stem.rsplit("-", 1)[0]

    def part(self, indices: NDArray[np.int64]) -> Pictures:
        """A copy of some of the pictures."""
        lengths = self.offsets[indices + 1] - self.offsets[indices]
        pixels = [self.pixels[self.offsets[i] : self.offsets[i + 1]] for i in indices.tolist()]
        return Pictures(
            np.concatenate([*pixels, np.empty(0, np.uint8)]),
            np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            self.sizes[indices],
            self.targets[indices],
            tuple(self.names[i] for i in indices.tolist()),
            self.labels,
        )

    def save(self, folder: Path) -> None:
        """Save the decoded pictures, so that the next run starts at once."""
        with whole_folder(folder, last="names.json") as fresh:
            np.save(fresh / "pixels.npy", self.pixels)
            np.savez(fresh / "index.npz", offsets=self.offsets, sizes=self.sizes, targets=self.targets)
            (fresh / "names.json").write_text(json.dumps({"labels": self.labels, "names": self.names}))

    @staticmethod
    def open(folder: Path) -> Pictures:
        """Open pictures written by ``save``; the pixels are memory-mapped."""
        index = np.load(folder / "index.npz")
        words = json.loads((folder / "names.json").read_text())
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        return Pictures(
            pixels, index["offsets"], index["sizes"], index["targets"], tuple(words["names"]), tuple(words["labels"])
        )


def decode(data: bytes, short_side: int = SHORT_SIDE) -> Pixels | None:
    """Decode a picture to upright RGB with a short side of at most ``short_side``; None if it cannot be read.

    It is read as the service reads an upload, with transparency on white.
    """
    try:
        bgr = read_picture(data, DecodeLimits(min_side=2 * short_side)).pixels
    except LookoutError:
        return None
    height, width = bgr.shape[:2]
    scale = short_side / min(height, width)
    if scale < 1:
        size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
        bgr = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def load(folder: Path, split: Split, cache: Path | None = None) -> Pictures:
    """Load all pictures of one split. With a ``cache`` folder, they are decoded only once.

    Raises DataError if there are none, or if a picture of a separate validation set cannot be read.
    """
    kept = cache / f"{split}-{_identity(folder)}" if cache else None
    if kept and (kept / "names.json").exists():
        return Pictures.open(kept)
    pictures = _decoded(list(_entries(folder, split)), folder, split)
    if kept:
        pictures.save(kept)
        return Pictures.open(kept)
    return pictures


def load_both(folder: Path, cache: Path | None = None) -> tuple[Pictures, Pictures]:
    """Load the pictures for training and for validation.

    Raises DataError as `load` does, if a split lacks a label, or if there is only one label.
    """
    train, val = load(folder, "train", cache), load(folder, "val", cache)
    if odd := sorted(set(train.labels) ^ set(val.labels)):
        lacking = "validation" if odd[0] in train.labels else "training"
        raise DataError(f"{folder} has no pictures of {odd[0]} for {lacking}.", "Add some.")
    if len(train.labels) < 2:
        raise DataError(
            f"{folder} has pictures of one label, {train.labels[0]}.",
            "A network needs at least two labels: add a second one, for example pictures of neither.",
        )
    return train, val


def listed(names: Sequence[str]) -> str:
    """The first names as one string, and how many more there are."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def left_out(folder: Path, used: Collection[str] | None = None) -> dict[str, list[str]]:
    """Return the files in a folder of photographs that are not used, by reason; empty for archives.

    ``used`` are the names that were loaded. Without them, every picture is decoded, which takes as long as loading.
    """
    found: dict[str, list[str]] = {}
    if folder.is_file() or any(folder.glob("*.tar")):
        return found
    root_parts = [folder / split for split in ("train", "val") if (folder / split).is_dir()] or [folder]
    for root in root_parts:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = path.relative_to(root).as_posix()
            if reason := _reason_against(path, name, used):
                found.setdefault(reason, []).append(name)
        for label in sorted(path for path in root.iterdir() if path.is_dir()):
            if not any(path.suffix.lower() in SUFFIXES for path in label.iterdir()):
                found.setdefault("a label without a picture", []).append(label.name)
    return found


def _reason_against(path: Path, name: str, used: Collection[str] | None) -> str | None:
    """The reason why a file is not used; None if it is used."""
    depth = len(Path(name).parts)
    if path.suffix.lower() in (".heic", ".heif", ".avif"):
        return f"{path.suffix.lower()[1:].upper()} is not read here: convert it to JPEG"
    if path.suffix.lower() not in SUFFIXES:
        return "no picture by its name"
    if depth == 1:
        return "in no label's folder"
    if depth > 2:
        return "too deep: pictures lie directly in their label's folder"
    readable = name in used if used is not None else decode(path.read_bytes()) is not None
    return None if readable else "cannot be read as a picture"


def labels_of(names: Sequence[str]) -> tuple[str, ...]:
    """The labels, which are the folders' names, in alphabetical order with the reject label last."""
    found = sorted({name.split("/", 1)[0] for name in names})
    return tuple(sorted(found, key=lambda label: (label == REJECT, label)))


def _identity(folder: Path) -> str:
    """The key of the cache: it changes when a file of the folder is added, removed or rewritten."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    lines = [
        f"{path.relative_to(folder)} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in files
        if path.is_file()
    ]
    return hashlib.sha256(_bytes("\n".join(lines))).hexdigest()[:12]


def _entries(folder: Path, split: Split) -> Iterator[tuple[str, bytes]]:
    if folder.is_file():
        yield from _of_archive(folder, split)
        return
    tars = sorted(folder.glob(f"{split}-*.tar"))
    if tars:
        for path in tars:
            with tarfile.open(path) as tar:
                for member in tar:
                    file = tar.extractfile(member) if member.isfile() else None
                    if file and Path(member.name).suffix.lower() in SUFFIXES:
                        yield member.name.removeprefix("./"), file.read()
        return
    own_split = not _splits_here(folder)
    root = folder / split if own_split else folder
    for path in sorted(root.glob("*/*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            name = path.relative_to(root).as_posix()
            if own_split or _held_out(name) == (split == "val"):
                yield name, path.read_bytes()


def _of_archive(path: Path, split: Split) -> Iterator[tuple[str, bytes]]:
    """Yield the pictures of a zip, LABEL/NAME or FOLDER/LABEL/NAME, split like a folder of labels."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is neither a folder nor a zip archive.", "Give --data one of these.")
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.namelist()):
            parts = Path(member).parts
            name = "/".join(parts[-2:])
            if member.endswith("/") or parts[0] == "__MACOSX":  # macOS stores resource forks there
                continue
            is_picture = 2 <= len(parts) <= 3 and Path(name).suffix.lower() in SUFFIXES
            if is_picture and _held_out(name) == (split == "val"):
                yield name, archive.read(member)


def _splits_here(folder: Path) -> bool:
    """Whether this module splits the pictures itself, because the folder has no splits."""
    return not (any(folder.glob("*.tar")) or any((folder / split).is_dir() for split in ("train", "val")))


def _held_out(name: str) -> bool:
    return hashlib.sha256(_bytes(name)).digest()[0] % HELD_OUT == 0


def _bytes(name: str) -> bytes:
    """The name's bytes as stored on disk, which may not be UTF-8."""
    return name.encode("utf-8", "surrogateescape")


def _decoded(entries: list[tuple[str, bytes]], folder: Path, split: Split) -> Pictures:
    if not entries:
        raise DataError(
            f"{folder} has no pictures for {split}: "
            f"expected {split}-*.tar, {split}/LABEL/* or LABEL/* with pictures in it.",
            f"Of LABEL/*, one picture in {HELD_OUT} is for val: a few dozen of each label are the least.",
        )
    found: list[tuple[str, Pixels]] = []
    broken: list[str] = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(entries), CHUNK):
            chunk = entries[start : start + CHUNK]
            for (name, _), picture in zip(chunk, pool.map(decode, (data for _, data in chunk)), strict=True):
                if picture is not None:
                    found.append((name, picture))
                else:
                    broken.append(name)
    # A validation set that the user provides must be complete, or its figures would not be comparable. In a folder that
    # is split here, unreadable pictures are simply left out.
    if broken and split == "val" and not _splits_here(folder):
        verb = "cannot be read as a picture" if len(broken) == 1 else "cannot be read as pictures"
        raise DataError(f"{listed(broken)} in {folder} {verb}.", "Remove what cannot be read.")
    if not found:
        raise DataError(f"{folder} has no pictures for {split} that can be read.")
    return pictures_of(found)


def pictures_of(found: Iterable[tuple[str, Pixels]]) -> Pictures:
    """Collect names and RGB pictures [h, w, 3]. A picture's label is the name of its folder."""
    names: list[str] = []
    flat: list[Pixels] = []
    sizes: list[tuple[int, int]] = []
    for name, picture in found:
        names.append(name)
        sizes.append((picture.shape[0], picture.shape[1]))
        flat.append(picture.reshape(-1))
    shown = [name.split("/")[-2] for name in names]
    labels = labels_of(shown)
    targets = np.array([labels.index(label) for label in shown], np.int64)
    offsets = np.concatenate(([0], np.cumsum([len(picture) for picture in flat])))
    return Pictures(
        np.concatenate(flat), offsets.astype(np.int64), np.array(sizes, np.int32), targets, tuple(names), labels
    )
