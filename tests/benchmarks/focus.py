"""Focus on films of fixed rooms: pets that come, sit and go, others that are not pets, and light that changes.

Rooms and cut-outs are photographs that are not shipped: `LOOKOUT_DATA` names the folder with `rooms3.tar` and
`cutouts2.tar`; it defaults to `shared/data` beside the checkout. Of these only the fifth appears that training leaves
out (`models.training.datasets.held_out`). Each film is played to the real engine, whose clock is the film's own. The
same seed gives the same films.
"""

from __future__ import annotations

import logging
import os
import statistics
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from lookout.registry.catalogue import Catalogue
from lookout.resources import DEFAULT_MODEL
from lookout.settings.schema import Settings
from lookout.state.state import State

from models.training.datasets import NOT_ANIMALS, held_out
from tests.benchmarks import films
from tests.benchmarks.common import table
from tests.benchmarks.films import FPS, CutOut, Disturbance, Film, Pixels, Visit
from tests.support import player

DATA = Path(os.environ.get("LOOKOUT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
WIDTH, HEIGHT = 640, 480
PETS, OTHERS = ("cat", "dog"), ("neither",)
EVERYBODY = (*PETS, *OTHERS)
_PLAYED_WITHIN_S = 900.0
GOALS = (
    "goals, focus on: pets of 22 to 50 %: right 85 %, wrong 3 %, alarms 1 %, others called a pet 10 %, "
    "never named 1 in 20, median 2 s; of 15 to 22 %: right 60 %; asleep at the start: found within 15 s in 80 %"
)


@dataclass(slots=True)
class Score:
    """Frames by what was there and what was said. delays: seconds until right, one a visit of a pet, None for never."""

    pets: int = 0
    right: int = 0
    wrong: int = 0
    empty: int = 0
    alarms: int = 0
    others: int = 0
    called_pet: int = 0
    delays: list[float | None] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        named = [delay for delay in self.delays if delay is not None]
        return (
            f"{_share(self.right, self.pets)} · {_share(self.wrong, self.pets)}",
            _share(self.alarms, self.empty),
            _share(self.called_pet, self.others),
            f"{len(self.delays) - len(named)} of {len(self.delays)}",
            f"{statistics.median(named):.1f} s" if named else "–",
        )


def play(film: Film, model: str, precision: str, focus: str) -> list[str | None]:
    """The answer of each frame of the film."""
    labels: dict[int, str | None] = {}

    def note(state: State) -> None:
        if state.frame is not None:
            labels[state.frame.sequence] = state.answer.label

    settings = Settings.model_validate(
        {
            "camera": {"source": "file:film"},
            "model": {"name": model, "precision": precision, "threads": 1},
            "answer": {"focus": focus, "max_rate": 0},
        }
    )
    player.play(settings, player.PictureCamera(film.frames(), WIDTH, HEIGHT, FPS), note, _PLAYED_WITHIN_S)
    return [labels.get(number) for number in range(round(film.seconds * film.fps))]


def score(film: Film, answers: Sequence[str | None], into: Score) -> None:
    """Add what was right and wrong of one film."""
    for number, answer in enumerate(answers):
        at = number / film.fps
        who = film.there(at)
        if film.empty(at):
            into.empty += 1
            into.alarms += answer is not None
        elif who is not None and who.who.label in PETS:
            into.pets += 1
            into.right += answer == who.who.label
            into.wrong += answer not in (None, who.who.label)
        elif who is not None:
            into.others += 1
            into.called_pet += answer is not None
    for visit in film.visits:
        if visit.who.label in PETS:
            sat = [n / film.fps for n in range(len(answers)) if visit.sits(n / film.fps)]
            right = next((at for at in sat if answers[round(at * film.fps)] == visit.who.label), None)
            into.delays.append(None if right is None or not sat else right - sat[0])


# --- the films --------------------------------------------------------------------------------------------------------


class Studio:
    """Makes films of the rooms and cut-outs in `DATA`."""

    def __init__(self) -> None:
        self.rooms = [_filling(picture) for _, picture in _pictures("rooms3.tar", cv2.IMREAD_COLOR)]
        self._cast: dict[str, list[CutOut]] = {}
        for name, picture in _pictures("cutouts2.tar", cv2.IMREAD_UNCHANGED):
            label, alpha = name.split("/")[0], picture[:, :, 3].astype(np.float32) / 255.0
            one = CutOut(label, name, picture[:, :, :3].astype(np.float32), alpha, "-cut" in name)
            self._cast.setdefault(label, []).append(one)

    def visits(self, seed: int, low: float, high: float, kinds: Sequence[str] = PETS, *, disturbance: str = "") -> Film:
        """100 seconds of which the first ten are empty; then one of `kinds` after the other comes for 13 seconds."""
        dice = np.random.default_rng(seed)
        room = self._room(dice, soft=seed % 4 == 3)
        visits, at = [], 10.0
        while at + 14 < 100:
            kind = kinds[(seed + len(visits)) % len(kinds)]
            visits.append(self._visit(dice, kind, at, at + 13, low, high))
            at += 13 + float(dice.uniform(5, 11))
        changes = (DISTURBANCES[disturbance](self.rooms),) if disturbance else ()
        # Nobody hides behind what is part of the room; in front of it, the moved chair hid half of the visits.
        behind, before = (changes, ()) if disturbance in PART_OF_THE_ROOM else ((), changes)
        return Film(disturbance or f"visits {seed}", room, visits, 100, before, seed=seed, behind=behind)

    def asleep(self, seed: int, low: float, high: float) -> Film:
        """Somebody lies there from the first frame on."""
        dice = np.random.default_rng(seed)
        visit = self._visit(dice, PETS[seed % 2], 0, 60, low, high, still=True)
        return Film(f"asleep {seed}", self._room(dice, soft=seed % 4 == 3), [visit], 30, seed=seed)

    def two(self, seed: int) -> Film:
        """Two of them at once."""
        dice = np.random.default_rng(seed)
        cast = [self._visit(dice, kind, at, at + 25, 0.25, 0.45) for kind, at in (("cat", 10.0), ("cat", 16.0))]
        return Film(f"two {seed}", self._room(dice, soft=False), cast, 50, seed=seed)

    def empty(self, seed: int) -> Film:
        dice = np.random.default_rng(seed)
        return Film(f"empty {seed}", self._room(dice, soft=seed % 2 == 1), (), 60, seed=seed)

    def _room(self, dice: np.random.Generator, *, soft: bool) -> Pixels:
        room = self.rooms[int(dice.integers(len(self.rooms)))]
        return np.asarray(cv2.GaussianBlur(room, (0, 0), 1.6), np.uint8) if soft else room

    def _visit(
        self, dice: np.random.Generator, kind: str, begins: float, ends: float, low: float, high: float, **more: bool
    ) -> Visit:
        cast = self._cast[kind]
        size, x, floor = (
            float(dice.uniform(low, high)),
            float(dice.uniform(0.12, 0.88)),
            float(dice.uniform(0.65, 0.97)),
        )
        return Visit(cast[int(dice.integers(len(cast)))], begins, ends, size, x, floor, **more)


DISTURBANCES: dict[str, Callable[[list[Pixels]], Disturbance]] = {
    "lamp": lambda _: films.lamp(20, 60),
    "dusk": lambda _: films.dusk(5, 90, 0.25),
    "shadow": lambda _: films.shadow(30, 34),
    "night vision": lambda _: films.night_vision(40),
    "exposure hunts": lambda _: films.exposure(6, 0.25),
    "jolt": lambda _: films.jolt(35, 0.022),
    "leaves": lambda _: films.leaves(0.1, 0.1, 0.35),
    "television": lambda rooms: films.television(0.6, 0.15, 0.3, rooms[:8]),
    "moved chair": lambda _: films.moved_chair(30, 0.6, 0.5, 0.35),
}

PART_OF_THE_ROOM = ("leaves", "television", "moved chair")


def _pictures(tar: str, flags: int) -> Iterator[tuple[str, Pixels]]:
    with tarfile.open(DATA / tar) as archive:
        for member in sorted(archive.getmembers(), key=lambda each: each.name):
            wanted = member.isfile() and held_out(member.name) and member.name not in NOT_ANIMALS
            stream = archive.extractfile(member) if wanted else None
            picture = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), flags) if stream else None
            if picture is not None:
                yield member.name, np.asarray(picture, np.uint8)


def _filling(picture: Pixels) -> Pixels:
    """Cut and enlarged to the size of the films."""
    height, width = picture.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    size = round(width * scale + 0.5), round(height * scale + 0.5)
    enlarged = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (size[1] - HEIGHT) // 2, (size[0] - WIDTH) // 2
    return np.ascontiguousarray(enlarged[top : top + HEIGHT, left : left + WIDTH], np.uint8)


def sets(studio: Studio, *, quick: bool) -> dict[str, list[Film]]:
    count = 4 if quick else 12
    return {
        "22 to 50 % of the height": [studio.visits(n, 0.22, 0.50, EVERYBODY) for n in range(count)],
        "others only, 22 to 50 %": [studio.visits(700 + n, 0.22, 0.50, OTHERS) for n in range(count)],
        "15 to 22 %": [studio.visits(100 + n, 0.15, 0.22) for n in range(count // 2)],
        "50 to 60 %": [studio.visits(200 + n, 0.50, 0.60, EVERYBODY) for n in range(count // 4)],
        "asleep at the start": [studio.asleep(300 + n, 0.22, 0.50) for n in range(count)],
        "two at once": [studio.two(400 + n) for n in range(count // 4)],
        "empty rooms": [studio.empty(500 + n) for n in range(count // 2)],
        **{
            f"with {name}": [studio.visits(600 + n, 0.22, 0.50, disturbance=name)]
            for n, name in enumerate(DISTURBANCES)
            if not quick or n % 3 == 0
        },
    }


def run(*, quick: bool) -> None:
    """Play all films to both networks, with focus on and off (quick: the default one, on), and print the tables."""
    logging.getLogger("lookout").setLevel(logging.ERROR)
    if not (DATA / "rooms3.tar").exists():
        print(
            f"focus: there are no rooms and cut-outs in {DATA}, so nothing was measured; LOOKOUT_DATA names the folder"
        )
        return
    studio = Studio()
    for model, precision, focus in _played(quick=quick):
        rows = [
            ("films", "pets' time right · wrong", "alarms when empty", "others called a pet", "never named", "median")
        ]
        for name, shown in sets(studio, quick=quick).items():
            total = Score()
            for film in shown:
                score(film, play(film, model, precision, focus), total)
            rows.append((f"{name} ({len(shown)})", *total.row()))
        table(f"Films of fixed rooms, {model}, {precision}, focus {focus}; {GOALS}", rows)


def _played(*, quick: bool) -> list[tuple[str, str, str]]:
    """Which model, precision and focus."""
    catalogue = Catalogue.of(Settings())
    if quick:
        return [(DEFAULT_MODEL, catalogue.card(DEFAULT_MODEL).precisions[-1], "auto")]
    return [
        (model, precision, focus)
        for model in (DEFAULT_MODEL, "cat-dog-resnet18")
        for focus in ("auto", "off")
        for precision in catalogue.card(model).precisions
    ]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"
