"""A scripted camera steered from outside: the file named by FAULTS_CONTROL says what it does, frame by frame.

ok: a new picture each time. hang: sleeps in native code, again and again; hang_once: once. silent: delivers nothing.
repeat: the same picture for ever. corrupt: a frame of impossible shape; corrupt_once: one of them. crash: aborts,
whenever it is started; crash_once. absent: there is no camera.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lookout.camera.sources.scripted import Call, Fail, Hang, Show, Step, Wait
from lookout.errors import CameraAbsent

HEIGHT, WIDTH = 240, 320


def controlled() -> Iterator[Step]:
    control = Path(os.environ["FAULTS_CONTROL"])
    noise = np.random.default_rng()
    picture = noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    while True:
        mode = control.read_text()
        if mode.endswith("_once"):
            _replace(control, "ok")
        match mode.removesuffix("_once"):
            case "hang":
                yield Hang()
            case "silent":
                yield Wait(0.05)
            case "repeat":
                yield Show(picture)
            case "corrupt":
                yield Show(np.zeros((HEIGHT, WIDTH, 7), np.uint8))
            case "crash":
                yield Call(os.abort)
            case "absent":
                yield Fail(CameraAbsent("There is no camera.", "Plug one in."))
            case _:
                picture = noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
                yield Show(picture)


def _replace(control: Path, mode: str) -> None:
    """In one step: the test may be writing too."""
    temporary = control.with_suffix(".script")
    temporary.write_text(mode)
    temporary.replace(control)
