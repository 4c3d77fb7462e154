"""Scripts for the scripted camera, run in its process: healthy, hanging, dying and talkative ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import numpy as np
from lookout.camera.sources.scripted import Call, End, Fail, Hang, Repeat, Show, Step, Wait
from lookout.errors import CameraBusy, CameraDenied

from tests.camera.cards import card, corner

still: list[Step] = [Repeat([Show(card("red"))])]
two_then_hang: list[Step] = [Show(card("red")), Show(card("green")), Hang()]
hang_at_once: list[Step] = [Hang()]
busy_at_once: list[Step] = [Fail(CameraBusy("Another program holds it.", "Stop that program."))]
denied_later: list[Step] = [Show(card("red")), Fail(CameraDenied("Not you.", "Ask the owner."))]
a_bug: list[Step] = [Show(card("red")), Fail(ZeroDivisionError("one by none"))]
three_then_end: list[Step] = [Show(card("red")), Show(card("green")), Show(card("blue")), End()]
corners: list[Step] = [Repeat([Show(corner())])]
growing: list[Step] = [Show(card("red", 64, 48)), Show(card("red", 640, 480))]
one_then_quiet: list[Step] = [Show(card("red")), Wait(3600)]


def counting() -> Iterator[Step]:
    """Pictures that carry their number in their pixels, so that a torn or old one is noticed."""
    number = 0
    while True:
        yield Show(np.full((48, 64, 3), number % 251, dtype=np.uint8))
        number += 1


def _say(text: str) -> Call:
    return Call(lambda: print(text, file=sys.stderr, flush=True))


talkative: list[Step] = [
    Show(card("red")),
    *[_say(f"line {number}") for number in range(300)],
    _say("failed to reach rtsp://admin:hunter22@cam/live"),
    Repeat([Show(card("red"))]),
]
frontend_timeout: list[Step] = [Show(card("red")), _say("ERROR V4L2 Camera frontend has timed out!"), Wait(3600)]
crash: list[Step] = [Show(card("red")), _say("terminate called"), Call(os.abort)]
held: list[Step] = [Show(card("red")), _say("Pipeline handler in use by another process"), Call(lambda: os._exit(1))]


def with_a_grandchild() -> Iterator[Step]:
    """Starts a process of its own, whose number the picture carries."""
    import subprocess

    pid = subprocess.Popen(["sleep", "600"]).pid
    pixels = np.zeros((48, 64, 3), dtype=np.uint8)
    pixels.reshape(-1)[:4] = np.frombuffer(pid.to_bytes(4, "little"), dtype=np.uint8)
    while True:
        yield Show(pixels)
