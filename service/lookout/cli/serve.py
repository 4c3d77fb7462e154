"""`lookout serve` and `lookout demo`: run the service until it is stopped."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from lookout.cli.settings_flags import with_setting_flags
from lookout.settings.sources import load
from lookout.system import memory


def _serve(flags: dict[str, str], config: Path | None) -> None:
    """Watch the camera and serve the answer to browsers, over WebSocket and REST, until stopped with Ctrl+C.

    Each setting is a flag; `lookout config --template` shows the same as a file.
    """
    run(flags, config, "Lookout is running. Open {address} in a browser. Ctrl+C stops it.")


def _demo(flags: dict[str, str], config: Path | None) -> None:
    """Try Lookout without a camera: the same service, with the pictures that come with it.

    It takes the flags of `lookout serve`.
    """
    flags.setdefault("camera.source", "demo")
    run(flags, config, "The demo is running. Open {address} in a browser. Ctrl+C stops it.")


def run(flags: dict[str, str], config: Path | None, sentence: str) -> NoReturn:
    """Read the settings, serve, and end the process. Raises LookoutError before anything has started."""
    from lookout.cli.logs import set_up_logs

    log = set_up_logs()
    memory.limit_arenas()
    loaded = load(flags, config)

    with memory.without_collection():
        from lookout.server.serve import serve as serve_settings

    status = 0
    try:
        serve_settings(
            loaded,
            reload=lambda: load(flags, config),
            announce=lambda address: log.write(sentence.format(address=address)),
        )
    except KeyboardInterrupt:  # Ctrl+C
        status = 128 + signal.SIGINT
    log.flush()
    _leave(status)


def _leave(status: int) -> NoReturn:
    """End the process now that everything is closed.

    Python would first take apart every module and wait for every thread, which takes a busy machine longer than the
    stop itself, and for ever where a thread waits for a disk that does not answer.
    """
    sys.stdout.flush()
    os._exit(status)


serve = with_setting_flags(_serve)
demo = with_setting_flags(_demo)
