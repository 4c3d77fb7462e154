"""`python -m tests.events 1000`: kill a recording process that many times and report the result."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from tests.events.power import kill_often

if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        kept = kill_often(Path(place), count, random.Random(1))
    took = time.monotonic() - began
    print(f"{count} times killed in {took:.0f} s: {kept} acknowledged events, none lost, no orphan left")
