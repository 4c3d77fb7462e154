"""A process that records events until it is killed: each one it says is kept must be there afterwards.

`python -m tests.events.power 1000` kills a thousand; the suite kills a few.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from lookout.events.queries import Filter
from lookout.events.sweep import sweep

from tests.events.rows import store_at

_RECORD = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from tests.events.rows import store_at
from tests.events.scenes import CAT, DOG, NOBODY, Scene
scene = Scene(store_at(Path(sys.argv[1])), {{"merge_s": 0.2, "min_s": 0.2}}, boot=sys.argv[2])
subscription = scene.feed.subscribe()
print("ready", flush=True)
while True:
    for seen in (CAT, NOBODY, DOG, NOBODY):
        scene.show(seen, 0.6)
        scene.recorder.journal.flush()
        for news in subscription.take():
            print(news.what, news.event.id, flush=True)
"""


class Recording:
    """One process, and what it has acknowledged. after: begun and ended, by number."""

    def __init__(self, folder: Path, boot: str) -> None:
        code = _RECORD.format(path=[str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "service")])
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder), boot], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill_after(self, lines: int) -> tuple[set[int], set[int]]:
        """kill -9 when it has acknowledged so many; returns the numbers it said have begun, and have ended."""
        assert self._process.stdout is not None
        said = [self._process.stdout.readline() for _ in range(lines)]
        self._process.send_signal(signal.SIGKILL)
        said += self._process.stdout.read().splitlines()
        self._process.wait()
        self._process.stdout.close()
        told = [line.split() for line in said if line.count(" ") == 1 and line.strip()]
        begun = {int(number) for what, number in told if what == "begun"}
        return begun, {int(number) for what, number in told if what == "ended"}


def check(folder: Path, begun: set[int], ended: set[int]) -> None:
    """After a restart: what was acknowledged is there, nothing is in progress, no picture is without its row."""
    store = store_at(folder)
    try:
        store.database.write(lambda c: c.execute("UPDATE events SET open = 0, cut = 1 WHERE open = 1").rowcount)
        sweep(store, 90, now=4e9)
        events = {}
        before: int | None = None
        while True:
            page, before = store.page(Filter(), before, 200)
            events |= {event.id: event for event in page}
            if before is None:
                break
        lost = (begun | ended) - events.keys()
        assert not lost, f"lost: {sorted(lost)}"
        assert all(not events[number].cut for number in ended), "an end that was acknowledged is kept"
        with_picture = {number for number, event in events.items() if event.picture}
        files = {int(path.stem) for path in store.folder.glob("????-??/*.jpg")}
        assert files == with_picture, (sorted(files - with_picture), sorted(with_picture - files))
        assert store.database.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    finally:
        store.close()


def kill_often(folder: Path, times: int, rng: random.Random, *, lines: int = 12) -> int:
    """Returns how many events were acknowledged."""
    begun: set[int] = set()
    ended: set[int] = set()
    for time in range(times):
        more_begun, more_ended = Recording(folder, f"boot-{time}").kill_after(rng.randint(1, lines))
        begun |= more_begun
        ended |= more_ended
        check(folder, begun, ended)
    return len(begun | ended)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as place:
        kept = kill_often(Path(place), count, random.Random(1))
    print(f"{count} times killed: {kept} acknowledged events, none lost, no orphan left")
