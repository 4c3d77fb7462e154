"""Batches from a mixture of collections, drawn by label and then by kind, independent of how many pictures there are.

Some kinds are thousands of similar portraits and others are twenty cats on a real kitchen floor, so each kind has a
share of its own. A batch is a pure function of seed and step, as in `models.training.batches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.training.augment import Box, CameraPolicy, CropPolicy, camera, cut, draw_box, far_away, night
from models.training.data import REJECT, Pictures, Pixels
from models.training.datasets import Boxed, dataset_of, origin, read_boxes, read_cutouts, read_rooms
from models.training.pasting import CutOut, paste
from models.training.rooms import Rooms

ANY = frozenset[str]()  # every origin


@dataclass(frozen=True)
class Kind:
    """Pictures of one label, selected by dataset and origin, and their share relative to the label's other kinds."""

    label: str
    share: float
    dataset: str
    origins: frozenset[str] = ANY
    without: frozenset[str] = ANY

    def holds(self, name: str) -> bool:
        own = origin(name)
        return (
            dataset_of(name) == self.dataset and (not self.origins or own in self.origins) and own not in self.without
        )


def _of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Origins of animals that look like pets but are not; they caused half of the false detections.
HARD = _of("bears openpets webpets raccoon kangaroo camouflage lions coco threesets imagenet")
KINDS = (
    Kind("cat", 0.32, "train"),
    Kind("cat", 0.42, "train2", without=_of("pasted roompets")),
    Kind("cat", 0.03, "train2", _of("roompets")),
    Kind("cat", 0.08, "train2", _of("pasted")),
    Kind("dog", 0.32, "train"),
    Kind("dog", 0.25, "train2", _of("openpets webpets oxford googlepets imagenet tenanimals")),
    Kind("dog", 0.12, "train2", _of("springer")),
    Kind("dog", 0.09, "train2", _of("flickr8k")),
    Kind("dog", 0.03, "train2", _of("roompets")),
    Kind("dog", 0.06, "train2", _of("pasted")),
    Kind(REJECT, 0.26, "train"),
    Kind(REJECT, 0.10, "train2", _of("rooms2 objects2 fruit")),
    Kind(REJECT, 0.06, "train2", _of("flickr8k")),
    Kind(REJECT, 0.19, "train2", HARD),
    Kind(REJECT, 0.17, "train3"),
    Kind(REJECT, 0.04, "train2", _of("pasted")),
)
LABELS = {"cat": 0.30, "dog": 0.28, REJECT: 0.42}
PASTED = {"cat": 0.12, "dog": 0.13, REJECT: 0.14}  # shares of cut-outs pasted into rooms, in addition to the kinds
PIECES = 0.12  # share of empty pieces of rooms, for the reject label
ROOMS = _of("rooms rooms2")
# Origins whose reject pictures show an animal, so that their crops must not be too small.
ANIMALS = HARD | _of("animals popular caltech monkeys capybara")
MIN_AREA, MIN_AREA_WITHOUT = 0.3, 0.12
NIGHT, FAR, DEFECTS, AROUND = 0.07, 0.10, 0.65, 0.6  # probabilities
CAMERA = CameraPolicy(strength=0.65, gray=0.07, hidden=0.1)

Maker = Callable[[Generator, int], tuple[Pixels, bool]]


@dataclass(frozen=True)
class Mixed:
    """``pixels`` [n, s, s, 3], ``targets`` [n]; ``old`` [n]: from the first dataset, which the old network has seen."""

    pixels: Pixels
    targets: NDArray[np.int64]
    old: NDArray[np.bool_]


class Mixture:
    """Draws batches. For each picture: a label; a kind, a cut-out or a piece of a room; a picture of it; a crop."""

    def __init__(
        self,
        pictures: Pictures,
        boxes: Mapping[str, list[Boxed]],
        cutouts: Mapping[str, list[CutOut]],
        rooms: Rooms,
        seed: int = 0,
        kinds: tuple[Kind, ...] = KINDS,
    ) -> None:
        self.pictures, self.cutouts, self.rooms, self.seed = pictures, cutouts, rooms, seed
        self.origins = [origin(name) for name in pictures.names]
        self.old = [dataset_of(name) == "train" for name in pictures.names]
        self.boxes = {i: boxes[name] for i, name in enumerate(pictures.names) if name in boxes}
        shares = np.array([LABELS.get(label, 1 / len(pictures.labels)) for label in pictures.labels])
        self.label_shares = shares / shares.sum()
        self.makers = [self._makers(label, kinds) for label in pictures.labels]

    def _makers(self, label: str, kinds: tuple[Kind, ...]) -> tuple[NDArray[np.float64], list[Maker]]:
        """The functions that make pictures of a label, and their shares, which add up to 1."""
        target = self.pictures.labels.index(label)
        own = np.flatnonzero(self.pictures.targets == target).tolist()
        found: list[tuple[float, Maker]] = []
        for kind in (k for k in kinds if k.label == label):
            indices = np.array([i for i in own if kind.holds(self.pictures.names[i])], np.int64)
            if len(indices):
                found.append((kind.share, self._photograph(indices, label)))
        if self.cutouts.get(label):
            found.append((PASTED[label], self._composite(self.cutouts[label])))
        if label == REJECT:
            found.append((PIECES, lambda rng, size: (self.rooms.piece(rng, size), False)))
        if not found:
            raise ValueError(f"no kind of picture is known for {label}")
        shares = np.array([share for share, _ in found])
        return shares / shares.sum(), [maker for _, maker in found]

    def batch(self, step: int, count: int, size: int) -> Mixed:
        """The batch of ``count`` pictures for a step, ``size`` pixels a side."""
        rng = np.random.default_rng((self.seed, 5, step))
        targets = rng.choice(len(self.label_shares), count, p=self.label_shares)
        pixels, old = [], []
        for target in targets.tolist():
            shares, makers = self.makers[target]
            picture, known = makers[int(rng.choice(len(makers), p=shares))](rng, size)
            pixels.append(self._defects(rng, picture))
            old.append(known)
        return Mixed(np.stack(pixels), targets.astype(np.int64), np.array(old))

    def _defects(self, rng: Generator, picture: Pixels) -> Pixels:
        if rng.random() < NIGHT:
            picture = night(rng, picture)
        return camera(rng, picture, CAMERA) if rng.random() < DEFECTS else picture

    def _photograph(self, indices: NDArray[np.int64], label: str) -> Maker:
        def make(rng: Generator, size: int) -> tuple[Pixels, bool]:
            index = int(rng.choice(indices))
            return self.crop(rng, index, size, label == REJECT), self.old[index]

        return make

    def _composite(self, cutouts: list[CutOut]) -> Maker:
        def make(rng: Generator, size: int) -> tuple[Pixels, bool]:
            scene = self.rooms.piece(rng, size, whole=0.25)
            front = self.rooms.piece(rng, size) if rng.random() < 0.2 else None
            return paste(rng, cutouts[int(rng.integers(len(cutouts)))], scene, front), False

        return make

    def crop(self, rng: Generator, index: int, size: int, reject: bool) -> Pixels:
        """A random crop of a picture, large enough for an animal in it to be recognised."""
        picture = self.pictures[index]
        height, width = picture.shape[:2]
        whole = [box for box in self.boxes.get(index, ()) if box.whole]
        if whole and rng.random() < AROUND:
            return cut(picture, square_around(rng, whole[0], height, width), size)
        least = MIN_AREA_WITHOUT if reject and self.origins[index] not in ANIMALS else MIN_AREA
        seen = cut(picture, draw_box(rng, height, width, CropPolicy(min_area=least, plain=0.25)), size)
        return far_away(rng, seen, self.rooms.piece(rng, size, whole=0.5)) if rng.random() < FAR else seen


@dataclass(frozen=True)
class MixedSource:
    """A mixture in place of a `models.training.batches.BatchSource`; an epoch is as many pictures as there are."""

    mixture: Mixture
    batch_size: int = 64

    @property
    def pictures(self) -> Pictures:
        return self.mixture.pictures

    @property
    def seed(self) -> int:
        return self.mixture.seed

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.pictures) // self.batch_size)

    def batch(self, step: int, size: int) -> Mixed:
        return self.mixture.batch(step, self.batch_size, size)


def mixture_of(folder: Path, pictures: Pictures, seed: int) -> Mixture:
    """The mixture of everything in a folder: its photographs, which are ``pictures``, boxes, cut-outs and rooms."""
    cutouts: dict[str, list[CutOut]] = {}
    for name, pixels in read_cutouts(folder / "cutouts2.tar"):
        cutouts.setdefault(name.split("/", 1)[0], []).append(CutOut(pixels, "-cut-" in name))
    places = [i for i, t in enumerate(pictures.targets.tolist()) if pictures.labels[t] == REJECT]
    rooms = [i for i in places if pictures.origin(i) in ROOMS] or places
    sharp = read_rooms(folder / "rooms3.tar")
    return Mixture(pictures, read_boxes(folder / "boxes2.json"), cutouts, Rooms(sharp, pictures, rooms), seed)


def square_around(rng: Generator, box: Boxed, height: int, width: int) -> Box:
    """A square around a boxed animal, off-centre, within the picture.

    The longer side of the animal's box is 45 to 100 % of the square's side.
    """
    w, h = box.width * width, box.height * height
    side = max(24.0, min(max(w, h) / rng.uniform(0.45, 1.0), max(height, width)))
    x = box.x * width + w / 2 + rng.uniform(-0.18, 0.18) * side - side / 2
    y = box.y * height + h / 2 + rng.uniform(-0.18, 0.18) * side - side / 2
    across, down = min(int(side), width), min(int(side), height)
    x, y = min(max(int(x), 0), width - across), min(max(int(y), 0), height - down)
    degrees = float(rng.uniform(-10, 10)) if rng.random() < 0.2 else 0.0
    return Box(x, y, across, down, degrees, bool(rng.random() < 0.5))
