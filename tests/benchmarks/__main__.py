"""`python -m tests.benchmarks NAME...`: runs the named comparisons, or all of them."""

from __future__ import annotations

import argparse
import importlib
import sys

NAMES = {
    "uploads": "POST /api/classify against a bare thread and against FastAPI + Pillow + PyTorch",
    "viewers": "what viewers cost, and the live picture against Motion and picamera2's example",
    "jpeg12mp": "a 12-megapixel JPEG: reduced decoding against full decoding",
    "gate": "the change gate on recorded sequences: what it saves, and what it makes late",
    "events": "half a million events: lists, a day, counts, deletion, against plain sqlite3",
    "integrations": "what MQTT, notices, metrics and the inference API cost, all switched on",
    "lab": "what the lab costs while somebody has it open",
    "focus": "films of fixed rooms: pets found, alarms, others called a pet, with focus on and off",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="; ".join(f"{k}: {v}" for k, v in NAMES.items()))
    parser.add_argument("--quick", action="store_true", help="a third of the rounds, less certain figures")
    asked = parser.parse_args()
    for name in asked.names or NAMES:
        importlib.import_module(f"tests.benchmarks.{name}").run(quick=asked.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
