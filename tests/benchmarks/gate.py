"""The change gate (`answer.unchanged_rate`) on recorded sequences: what it saves, and what it makes late.

Each sequence is played to the real engine twice, without the gate and with it. The engine's clock is the sequence's
own, so that pictures are due at the same moments in both, however busy the machine is.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookout.camera.interface import CameraOptions
from lookout.camera.sources.files import VideoCamera
from lookout.deadline import Deadline
from lookout.frame import Frame
from lookout.settings.schema import Settings
from lookout.state.state import State

from tests.benchmarks.common import table
from tests.benchmarks.gate_scenes import FPS, REST_S, Scene, scenes
from tests.support import player

# Classifications a second while nothing changes.
KEEP_ALIVE = 1.0
MAX_SHARE, MAX_LATE_S = 0.2, 0.5
# The gate has come to rest by then, and nothing has happened yet.
AT_REST_S = (5.0, REST_S - 0.5)
_PLAYED_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Change:
    """Another answer, at seconds of the sequence."""

    at: float
    label: str | None


class Tape(VideoCamera):
    """Plays a video as fast as it is read, and is the clock meanwhile; notes what reading it takes."""

    def __init__(self, video: Path) -> None:
        super().__init__(str(video), CameraOptions(pace=False))
        self._now = time.monotonic()
        self.reading_s = 0.0  # of the processor

    def monotonic(self) -> float:
        """The moment of the newest picture."""
        return self._now

    def read(self, deadline: Deadline) -> Frame:
        began = time.thread_time()
        try:
            frame = super().read(deadline)
        finally:
            self.reading_s += time.thread_time() - began
        self._now = frame.captured_at
        return frame


class Recorder:
    """Notes what the worker publishes, on the worker's thread."""

    def __init__(self, tape: Tape) -> None:
        self.changes: list[Change] = []
        self._tape = tape
        self._busy: list[tuple[float, float]] = []  # the sequence's time, processor seconds of the worker
        self._label: str | None = None

    def note(self, state: State) -> None:
        """Called for each frame that was classified."""
        assert state.frame is not None
        at = state.frame.sequence / FPS
        self._busy.append((at, time.thread_time() - self._tape.reading_s))
        if state.answer.label != self._label:
            self._label = state.answer.label
            self.changes.append(Change(at, self._label))

    def share(self, since: float, until: float) -> float:
        """Of one core, for all that the worker does but reading, between two moments of the sequence."""
        within = [entry for entry in self._busy if since <= entry[0] <= until]
        return (within[-1][1] - within[0][1]) / (within[-1][0] - within[0][0])


def play(video: Path, precision: str, unchanged_rate: float) -> Recorder:
    """Play one sequence to one engine."""
    settings = Settings.model_validate(
        {
            "camera": {"source": f"file:{video}"},
            "model": {"name": "cat-dog-resnet18", "precision": precision, "threads": 1},
            "answer": {"unchanged_rate": unchanged_rate},
        }
    )
    tape = Tape(video)
    recorder = Recorder(tape)
    player.play(settings, tape, recorder.note, _PLAYED_WITHIN_S)
    return recorder


def delays(before: Sequence[Change], after: Sequence[Change]) -> list[float | None]:
    """For each change of one run how much later the other has it, in seconds; None where it never does.

    Each is looked for among those that follow the last one found, so that order counts.
    """
    found: list[float | None] = []
    place = 0
    for change in before:
        match = next((p for p in range(place, len(after)) if after[p].label == change.label), None)
        found.append(None if match is None else after[match].at - change.at)
        place = place if match is None else match + 1
    return found


def run(*, quick: bool) -> None:
    """Run the comparison and print its tables."""
    logging.getLogger("lookout").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        recorded = [(scene, scene.record(Path(folder))) for scene in scenes()[:: 3 if quick else 1]]
        for precision in ("fp32", "int8"):
            table(
                f"The change gate on recorded sequences, {precision}, unchanged_rate = {KEEP_ALIVE:g}; "
                f"goals: {MAX_SHARE:g} of the processor time, nothing missed or later than {MAX_LATE_S:g} s",
                [
                    ("sequence", "core at rest, without", "with", "share", "answers without", "with it later by"),
                    *(_row(scene, video, precision) for scene, video in recorded),
                ],
            )


def _row(scene: Scene, video: Path, precision: str) -> tuple[str, ...]:
    ungated, gated = (play(video, precision, rate) for rate in (0.0, KEEP_ALIVE))
    without, with_it = (hub.share(*AT_REST_S) for hub in (ungated, gated))
    late = delays(ungated.changes, gated.changes)
    return (
        scene.name,
        f"{without:.2%}",
        f"{with_it:.2%}",
        f"{with_it / without:.2f}",
        ", ".join(f"{change.label or 'none'} at {change.at:.1f} s" for change in ungated.changes) or "none",
        ", ".join("missed" if one is None else f"{one:+.2f} s" for one in late) or "–",
    )
