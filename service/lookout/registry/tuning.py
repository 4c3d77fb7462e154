"""Measures once, in a separate process, which precision and thread count are fastest on this machine, and stores it.

int8 is slower than float32 on processors without the right instructions, so it is never assumed to be faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime as ort

from lookout.errors import DiskSlow
from lookout.pipeline.card import Card, load_card
from lookout.pipeline.classifier import Classifier
from lookout.storage import CACHE_DEADLINE_S, Storage, Writer, with_timeout
from lookout.system import memory
from lookout.system.available_memory import available_memory
from lookout.system.regular_files import read_regular

log = logging.getLogger(__name__)

# Runs of each candidate, spread over this many turns, so that a short load affects more than one candidate.
ROUNDS = 40
TURNS = 2
# More threads must be faster by this factor, since each one takes a core from the camera and the API.
THREADS_EARN = 1.4
# Forty runs of four candidates take seconds on the slowest Pi; a measurement that takes longer is meaningless.
DEADLINE_S = 120.0
_NICENESS = 10
# Memory of the measuring process: Python with its libraries, and the largest graph as onnxruntime holds it while it
# optimises it: measured on x86-64, 7.4 and 7.9 times the file of a ResNet-18 and of the default network.
_PROCESS_BYTES = 110 * 2**20
_TIMES_GRAPH = 8
# Stored choices, one for each model, version of onnxruntime and thread setting; the oldest are removed.
_MAX_CHOICES = 16
_MAX_CHOICE_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Candidate:
    precision: str
    threads: int


@dataclass(frozen=True, slots=True)
class TuningCache:
    """The choices for each model and requested number of threads, on this kind of machine; in the cache folder."""

    folder: Path
    machine: str
    storage: Storage

    def get(self, card: Card, threads: int) -> Candidate | None:
        """Return the choice; None if there is none, or if the stored one no longer fits.

        threads: the requested number, 0 to choose it, too. Each number has a measurement of its own.
        """
        try:
            path = self._path(card, threads)
            kept = json.loads(
                with_timeout(self.folder, lambda: read_regular(path, _MAX_CHOICE_BYTES), CACHE_DEADLINE_S)
            )
            choice = Candidate(str(kept["precision"]), int(kept["threads"]))
        except (OSError, DiskSlow, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        return choice if choice.precision in card.files and choice.threads > 0 else None

    def put(self, card: Card, threads: int, choice: Candidate, milliseconds: Mapping[Candidate, float]) -> None:
        """Store the choice later, on the writer's thread. If that fails, the next start measures again."""
        measured = [asdict(candidate) | {"ms": round(ms, 3)} for candidate, ms in milliseconds.items()]
        content = json.dumps(asdict(choice) | {"measured": measured}, indent=1).encode()

        def keep(writer: Writer) -> None:
            # Trim before writing; if the clock was set back, the new choice would count as the oldest.
            writer.trim(self.folder, "choice-*.json", _MAX_CHOICES - 1)
            writer.replace(self._path(card, threads), content)

        self.storage.later(keep, "What was measured")

    def _path(self, card: Card, threads: int) -> Path:
        hashes = [file.sha256 for file in card.files.values()]
        asked = "|".join((*hashes, ort.__version__, self.machine, str(threads)))
        key = hashlib.sha256(asked.encode()).hexdigest()[:32]
        return self.folder / f"choice-{key}.json"


def candidates(card: Card, threads: int = 0) -> list[Candidate]:
    """The candidates to measure: each precision, with one thread and with half the cores (at most four)."""
    half = max(1, min(4, (os.cpu_count() or 1) // 2))
    counts = (threads,) if threads else tuple(sorted({1, half}))
    return [Candidate(precision, count) for precision, count in product(card.precisions, counts)]


def measure(card: Card, which: Sequence[Candidate], rounds: int = ROUNDS) -> dict[Candidate, float]:
    """Measure each candidate in turns; return the median milliseconds of one inference.

    Only one network is loaded at a time, because four of them took 370 MB, which the smallest Pi does not have.
    """
    picture = np.random.default_rng(1).integers(0, 256, (card.input.height, card.input.width, 3), np.uint8)
    times: dict[Candidate, list[float]] = {one: [] for one in which}
    for _ in range(TURNS):
        for one in which:
            classifier = Classifier.load(card, one.precision, one.threads)
            runs = (classifier.classify(picture) for _ in range(rounds // TURNS))
            times[one].extend(run.timing.inference_ms for run in runs)
            del classifier, runs
            memory.release_free_memory()
    return {one: statistics.median(values) for one, values in times.items()}


def choose(milliseconds: Mapping[Candidate, float]) -> Candidate:
    """Choose the fastest candidate; more threads only if they are faster by THREADS_EARN."""
    by_threads = sorted({one.threads for one in milliseconds})

    def fastest(threads: int) -> Candidate:
        return min((one for one in milliseconds if one.threads == threads), key=milliseconds.__getitem__)

    best = fastest(by_threads[0])
    for threads in by_threads[1:]:
        more = fastest(threads)
        if milliseconds[best] >= THREADS_EARN * milliseconds[more]:
            best = more
    return best


def memory_needed(card: Card) -> int:
    """The peak memory of measuring, in bytes."""
    sizes = [card.path(precision).stat().st_size for precision in card.files]
    return _PROCESS_BYTES + _TIMES_GRAPH * max(sizes)


async def measure_apart(card: Card, threads: int) -> dict[Candidate, float]:
    """Run `measure` in a separate process at low priority, where a crash or a leak does no harm.

    Returns {} if that failed, or if there is not enough free memory.
    """
    free, needed = available_memory(), memory_needed(card)
    if free < needed:
        log.info(
            "Precision and threads are not measured: that takes %d MB of memory, and %d MB are free.",
            needed // 10**6,
            free // 10**6,
        )
        return {}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lookout.registry.tuning",
        str(card.folder),
        str(threads),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_S)
        return {Candidate(p, t): ms for p, t, ms in json.loads(output)}
    except (TimeoutError, ValueError, TypeError) as error:
        log.warning("Precision and threads could not be measured (%s); they stay as they are.", type(error).__name__)
        return {}
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def main(folder: str, threads: str) -> None:
    """The measuring process. Prints [[precision, threads, milliseconds], ...] as JSON."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    memory.prefer_as_oom_victim()
    memory.limit_arenas()
    card = load_card(Path(folder))
    started = time.monotonic()
    found = measure(card, candidates(card, int(threads)))
    log.debug("Measured in %.1f s.", time.monotonic() - started)
    print(json.dumps([[one.precision, one.threads, ms] for one, ms in found.items()]))


if __name__ == "__main__":
    main(*sys.argv[1:])
