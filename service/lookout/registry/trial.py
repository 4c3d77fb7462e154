"""Tries a user's graph in a separate process before the service loads it.

Loading a graph executes what its author wrote: it may loop forever, use all memory or crash onnxruntime. In a process
with limits, only the model fails, not the service. A graph that has passed on this machine is not tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from lookout.errors import ModelRejected
from lookout.pipeline.card import Card, load_card
from lookout.pipeline.classifier import Classifier
from lookout.storage import CACHE_DEADLINE_S, Storage, Writer, with_timeout
from lookout.system import memory
from lookout.system.available_memory import available_memory

log = logging.getLogger(__name__)

# Starting Python and loading a large network from an SD card takes a Pi about ten seconds.
TRIAL_S = 30.0
# A graph that failed is not tried again within this time, although the service tries to load it every half minute.
REMEMBERED_S = 600.0
# Python, NumPy, OpenCV and onnxruntime alone take a few hundred megabytes.
_MIN_BYTES = 384 * 2**20
_KEPT_MARKS = 64
_KILLED_WITHIN_S = 2.0
_REMEDY = "Choose another model, or export it again and add it with `lookout models add`."


@dataclass(frozen=True, slots=True)
class _Failure:
    error: ModelRejected
    until: float


class Trials:
    """Tries graphs. Remembers those that passed, in `folder`, and for REMEMBERED_S those that failed."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self._folder = folder
        self._storage = storage
        self._failures: dict[str, _Failure] = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def check(self, card: Card, precision: str) -> None:
        """Raise ModelRejected with the reason if the card's graph cannot be loaded. Takes about TRIAL_S at most."""
        mark = self._folder / f"tried-{_key(card, precision)}"
        with self._lock:  # two trials at once would need twice the memory
            failure = self._failures.get(mark.name)
            if failure is not None and time.monotonic() < failure.until:
                raise failure.error
            if self._has(mark):
                return
            try:
                self._try(card.folder, precision)
            except ModelRejected as error:
                self._failures = {mark.name: _Failure(error, time.monotonic() + REMEMBERED_S)}
                raise
        self._storage.later(lambda writer: self._keep(writer, mark), "The note that a model was tried")

    def stop(self) -> None:
        """End a trial in progress, and start no more. Never blocks."""
        self._stopped = True
        if (process := self._process) is not None:
            process.kill()

    def _try(self, folder: Path, precision: str) -> None:
        self._process = start_trial(folder, precision)
        try:
            if self._stopped:
                self._process.kill()
            finish_trial(self._process, folder)
        finally:
            self._process = None

    def _has(self, mark: Path) -> bool:
        try:
            return with_timeout(self._folder, mark.is_file, CACHE_DEADLINE_S)
        except OSError:
            return False

    def _keep(self, writer: Writer, mark: Path) -> None:
        writer.trim(self._folder, "tried-*", _KEPT_MARKS - 1)
        writer.replace(mark, b"")


def _key(card: Card, precision: str) -> str:
    parts = (card.files[precision].sha256, card.model_dump_json(), ort.__version__)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


def start_trial(folder: Path, precision: str, seconds: float = TRIAL_S) -> subprocess.Popen[bytes]:
    """Start loading the card's graph in another process."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder), precision, str(seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish_trial(process: subprocess.Popen[bytes], folder: Path, seconds: float = TRIAL_S) -> None:
    """Wait for the trial, and kill it when time is up. Raises ModelRejected with the reason if it failed."""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise _failed(folder, f"it did not load within {seconds:g} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # a process that waits for a disk cannot be ended
                process.wait(_KILLED_WITHIN_S)
        if process.stdout is not None:
            process.stdout.close()
    if process.returncode == 0:
        return
    with contextlib.suppress(ValueError, KeyError, TypeError):
        said = json.loads(output)
        raise ModelRejected(str(said["detail"]), str(said["remedy"]))
    raise _failed(folder, _ending(process.returncode))


def _ending(status: int) -> str:
    if -status in (signal.SIGKILL, signal.SIGABRT):
        return "it takes more memory than there is"
    if -status in (signal.SIGXCPU, signal.SIGALRM):
        return "it did not load in time"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"status {status}"
    return f"onnxruntime ended with {name}"


def _failed(folder: Path, reason: str) -> ModelRejected:
    return ModelRejected(f'The model "{folder.name}" cannot be loaded: {reason}.', _REMEDY)


def main(folder: str, precision: str, seconds: str) -> int:
    """The trial process. Prints {"detail", "remedy"} as JSON if the model is rejected; the exit status is 1 then."""
    signal.alarm(int(float(seconds)) + 1)  # ends this process even if its parent has gone
    memory.prefer_as_oom_victim()
    limit = max(_MIN_BYTES, available_memory())
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path = Path(folder)
    try:
        Classifier.load(load_card(path), precision)
    except ModelRejected as error:
        print(json.dumps({"detail": error.detail, "remedy": error.remedy}))
        return 1
    except MemoryError:
        short = _failed(path, "it takes more memory than there is")
        print(json.dumps({"detail": short.detail, "remedy": short.remedy}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
