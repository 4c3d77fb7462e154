"""The long run: every decoder by itself, then a running service over HTTP and WebSocket.

python -m tests.fuzz [--cases 10000] [--seed N] [--only WORD]
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults.running import NEVER_STALE, running
from tests.fuzz.decoders import DECODERS
from tests.fuzz.served import served
from tests.fuzz.trying import try_out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # as in the service
    failed = 0
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), environment=NEVER_STALE) as service:
        for decoder in (*DECODERS, *served(service)):
            if chosen.only not in decoder.name:
                continue
            began = time.monotonic()
            try:
                count = try_out(decoder, chosen.cases, chosen.seed)
                reported = f"{count} inputs"
            except Exception:
                traceback.print_exc()
                failed += 1
                reported = "BROKEN"
            print(f"{decoder.name:32} {reported:>14}  {time.monotonic() - began:6.1f} s", flush=True)
        if "Traceback" in service.log():
            print(service.log()[-4000:])
            failed += 1
        service.until_current(30)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
