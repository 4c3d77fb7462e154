"""The focus: which square to classify besides the whole picture, and the conclusion from both.

At most one square is classified per frame. A pet that was found stays the focus until the network no longer sees it
there, or until another one comes while it lies still; when that one has gone, the first one's place is classified
again. Otherwise the changed parts are classified in turn, the largest first. A scan, one tile at a time, finds animals
that have been there since before the background was learnt.

If the card allows it, every other look at a square is at its mirror image, and the last two looks count together. That
costs nothing, since there is one look in every frame anyway. A network that takes a fox for a cat is often less certain
of its mirror image, while a pet stays a pet: see models/README.md for the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lookout.focus.background import Background, Part
from lookout.focus.tiles import covered, overlap, scan_tiles, square_around
from lookout.frame import Pixels
from lookout.geometry import Rect

Probabilities = tuple[float, ...]
# Why a square was chosen: it differs from the background, or the scan found an animal in it.
Why = Literal["changed", "found"]

# The margin around a changed part, as a factor, and the smallest square.
MARGIN = 1.2
MIN_SQUARE_PX = 64.0
# The number of results for a square that are averaged, and the maximum age of one in seconds.
LOOKS, LOOK_S = 2, 1.5
# A square of at least this share of the shorter side shows much the same as the whole picture; both are averaged.
LARGE = 0.8
# A changed square contains a pet from probability `FOUND` on; the pet has gone after `LOST_S` seconds below `LOST`.
FOUND, LOST, LOST_S = 0.6, 0.4, 1.5
# A pet that was found because it moved has gone if nothing has differed for this long, whatever the network reports.
VANISHED_S = 1.5
# A changed square that has less than this share in common with the square of a pet that lies still shows another one
# from this probability on.
ELSEWHERE, NEWCOMER = 0.5, 0.8
# The newcomer has gone after this many seconds below `LOST`: there is another answer to return to.
RETURN_S = 0.5
# A tile of the scan, where nothing differs, must reach `SCAN_FOUND`, and then, with more around it, the probabilities
# of `FURTHER_LOOKS` (margin, probability), on average with its mirror image: a coat that passes for a dog at one size
# rarely does at three. What the scan finds never moves, so that a false find is a false alarm all day, and each tile is
# asked again and again: the bar is as high as costs the default network hardly any pet (docs/benchmarks.md).
SCAN_FOUND = 0.97
FURTHER_LOOKS = ((1.3, 0.93), (1.6, 0.85))
# After a new background, the scan passes over the picture this many times, one tile per frame; then it classifies one
# tile in this many seconds.
PASSES, IDLE_S = 2, 1.0
# The number of changed parts classified in turn; and every how many turns the scan gets one meanwhile.
PARTS, SCAN_EVERY = 3, 4
# Seconds for which the result for a part is valid.
FRESH_S = 1.0


@dataclass(slots=True)
class _Target:
    """A square to classify. said: the mean of `heard`, its latest results. looks: the number of results so far."""

    square: Rect
    box: Rect
    why: Why = "changed"
    said: Probabilities | None = None
    said_at: float = float("-inf")
    heard: list[tuple[float, Probabilities]] = field(default_factory=list)
    looks: int = 0
    differed_at: float = float("-inf")
    sure_at: float = float("-inf")
    further: int = 0  # which of the further looks at a find of the scan this is

    def hear(self, said: Probabilities, now: float, count: int, oldest_s: float) -> None:
        """Add a result, and average the last `count` results that are at most `oldest_s` old."""
        recent = [look for look in self.heard if now - look[0] <= oldest_s]
        self.heard = [*recent, (now, said)][-count:]
        self.said = tuple(sum(each) / len(self.heard) for each in zip(*(look for _, look in self.heard), strict=True))
        self.said_at = now
        self.looks += 1


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The result for the frame. square, why: the part that decided and why it was chosen; None: the whole picture."""

    probabilities: Probabilities
    square: Rect | None = None
    why: Why | None = None


class Focus:
    """Called for each frame that is classified, in order. Coordinates are relative to the region.

    reject: for each label, in the card's order, whether it means "none of these". mirror: whether a mirror image shows
    the same label.
    """

    def __init__(self, reject: Sequence[bool], *, mirror: bool = False) -> None:
        self._reject = tuple(reject)
        self._mirror = mirror
        self._background = Background()
        self.reset()

    def reset(self) -> None:
        """Forget everything, because the source, the model or the region has changed."""
        self._background.reset()
        self._held: _Target | None = None
        self._resting: _Target | None = None
        self._targets: list[_Target] = []
        self._asked: _Target | None = None
        self._size = 1, 1
        self._confirming: _Target | None = None
        self._find: _Target | None = None  # the first of the further looks at what is being confirmed
        self._scanning: _Target | None = None
        self._turn = self._tile = 0
        self._scan_left = 0
        self._scanned_at = float("-inf")
        self._whole: Probabilities = ()
        self._renewed_at = float("-inf")

    @property
    def searching(self) -> bool:
        """Whether the scan of a new scene is in progress. It waits while a pet is seen."""
        waits = self._held is not None or self._pet(self._whole) >= FOUND
        return self._confirming is not None or (self._scan_left > 0 and not waits)

    @property
    def mirrored(self) -> bool:
        """Whether to classify the mirror image of the square that `look` returned."""
        return self._mirror and self._asked is not None and self._asked.looks % LOOKS == 1

    def look(self, pixels: Pixels, whole: Probabilities, now: float) -> Rect | None:
        """Return the square to classify in this frame besides the whole picture, or None.

        pixels: the region, uint8, height x width x 3. whole: the network's result for it.
        """
        self._whole = whole
        height, width = pixels.shape[:2]
        self._size = width, height
        protected = [target.box for target in self._targets if self._living(target)]
        if self._held is not None:
            protected.append(self._held.square)
        parts = self._background.changed(pixels, now, protected)
        if self._background.renewed_at != self._renewed_at:
            self._renewed_at = self._background.renewed_at
            self._scan_left = PASSES * len(scan_tiles(width, height))
            if self._held is not None:  # it is part of the new background, so that it no longer differs
                self._held.why = "found"
        self._follow(parts, now)
        self._asked = self._choose(now)
        return self._asked.square if self._asked else None

    def conclude(self, close: Probabilities | None, now: float) -> Conclusion:
        """Return the result for the frame. close: the network's result for the square from `look`, if there was one."""
        whole = self._whole
        if close is not None and self._asked is not None:
            self._hear(self._asked, close, now)
        target = self._held or self._surest(now)
        if target is None or target.said is None:
            return Conclusion(whole)
        return Conclusion(_joined(whole, target.said, target.square), target.square, target.why)

    # --- what to look at ----------------------------------------------------------------------------------------

    def _follow(self, parts: Sequence[Part], now: float) -> None:
        """Match each changed part with its previous target, and the held target with the part that it overlaps most."""
        targets = []
        for part in parts[:PARTS]:
            square = square_around(part.box, *self._size, margin=MARGIN, smallest=MIN_SQUARE_PX)
            before = max(self._targets, key=lambda one: overlap(one.square, square), default=None)
            if before is not None and overlap(before.square, square) > 0.3 and before not in targets:
                before.square = _steadied(before.square, square)
                before.box = part.box
                targets.append(before)
            else:
                targets.append(_Target(square, part.box))
        held = self._held
        if held is not None and held not in targets:
            near = max(targets, key=lambda one: overlap(one.square, held.square), default=None)
            if near is not None and overlap(near.square, held.square) > 0.3:
                held.square = _steadied(held.square, near.square)
                targets[targets.index(near)] = held
        for target in targets:
            target.differed_at = now
        if held is not None and held.why == "changed" and now - held.differed_at > VANISHED_S:
            self._release()
        self._targets = targets

    def _choose(self, now: float) -> _Target | None:
        self._turn += 1
        if self._held is not None:
            others = self._newcomers(self._held)
            return min(others, key=lambda one: one.said_at) if others and self._turn % 2 else self._held
        if self._confirming is not None:
            return self._confirming
        if self._targets and (self._scan_left <= 0 or self._turn % SCAN_EVERY):
            return min(self._targets, key=lambda one: one.said_at)
        return self._next_tile(now)

    def _newcomers(self, held: _Target) -> list[_Target]:
        """The changed parts away from a held pet that lies still; none if it moves, since the first one is kept."""
        if held.why != "found":
            return []
        return [one for one in self._targets if one is not held and covered(one.square, held.square) < ELSEWHERE]

    def _next_tile(self, now: float) -> _Target | None:
        idle = self._scan_left <= 0 and now < self._scanned_at + IDLE_S
        found = self._pet(self._whole) >= FOUND  # the whole picture shows a pet already
        if idle or found or self._background.moving:
            return None
        tiles = scan_tiles(*self._size)
        self._tile = (self._tile + 1) % len(tiles)
        self._scan_left -= 1
        self._scanned_at = now
        self._scanning = _Target(tiles[self._tile], tiles[self._tile], "found")
        return self._scanning

    # --- what the network found ---------------------------------------------------------------------------------

    def _hear(self, target: _Target, said: Probabilities, now: float) -> None:
        # Where nothing differs, an older look is as good, and pictures may come seldom.
        oldest_s = float("inf") if target is self._confirming else LOOK_S
        target.hear(said, now, LOOKS if self._mirror else 1, oldest_s)
        pet = self._pet(target.said or said)
        if target is self._held:
            if pet >= LOST:
                target.sure_at = now
            elif now - target.sure_at > (LOST_S if self._resting is None else RETURN_S):
                self._release()
        elif target is self._scanning:
            self._scanning = None
            if pet >= SCAN_FOUND:
                self._confirming = self._wider(target, 0)
        elif target is self._confirming:
            self._confirm(target, pet, now)
        elif pet >= (FOUND if self._held is None else NEWCOMER):
            self._resting = self._held
            self._hold(target, now)

    def _confirm(self, target: _Target, pet: float, now: float) -> None:
        """Take a find of the scan after the last of its further looks; forget it after one that does not confirm it."""
        if target.looks < (LOOKS if self._mirror else 1):
            return  # its mirror image is next
        find, self._find, self._confirming = self._find or target, None, None
        if pet < FURTHER_LOOKS[target.further][1]:
            return
        if target.further + 1 < len(FURTHER_LOOKS):
            self._find, self._confirming = find, self._wider(target, target.further + 1)
        else:
            self._hold(find, now)

    def _wider(self, found: _Target, further: int) -> _Target:
        """The find of the scan with more around it. further: which of the further looks."""
        square = square_around(found.box, *self._size, margin=FURTHER_LOOKS[further][0], smallest=0.0)
        return _Target(square, found.box, "found", further=further)

    def _hold(self, target: _Target, now: float) -> None:
        target.sure_at = now
        self._held = target

    def _release(self) -> None:
        """The held pet has gone; the one that lay still before it came may still be there."""
        if self._held is not None:
            self._held.why = "changed"  # what differs there now is the hole that it left, or who comes next
        self._held = None
        if self._resting is not None:
            self._confirming = _Target(self._resting.square, self._resting.box, "found", further=len(FURTHER_LOOKS) - 1)
            self._resting = None

    def _surest(self, now: float) -> _Target | None:
        """The recently classified changed part that is most likely to contain a pet, if any."""
        fresh = [target for target in self._targets if target.said is not None and now - target.said_at < FRESH_S]
        return max(fresh, key=lambda one: self._pet(one.said or ()), default=None)

    def _living(self, target: _Target) -> bool:
        """Whether the square may contain a pet, so that it must not become background."""
        return target.said is not None and self._pet(target.said) > 0.3

    def _pet(self, said: Probabilities) -> float:
        return max((p for p, reject in zip(said, self._reject, strict=False) if not reject), default=0.0)


def _joined(whole: Probabilities, close: Probabilities, square: Rect) -> Probabilities:
    """The square's result; for a square that is nearly the whole picture, the average with the whole picture's."""
    if min(square.width, square.height) < LARGE and max(square.width, square.height) < LARGE:
        return close
    return tuple((a + b) / 2 for a, b in zip(whole, close, strict=True))


def _steadied(before: Rect, after: Rect) -> Rect:
    """Move a square half-way, so that it does not jitter with the outline; if it has moved on, all the way."""
    if overlap(before, after) < 0.55:
        return after
    return Rect(
        (before.x + after.x) / 2,
        (before.y + after.y) / 2,
        (before.width + after.width) / 2,
        (before.height + after.height) / 2,
    )
