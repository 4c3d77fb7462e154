"""`python -m service` and the command `lookout`."""

from __future__ import annotations

import io
import os
import sys

from service.errors import LookoutError

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def _fill_standard_descriptors() -> None:
    """Who starts us may have closed 0, 1 or 2: a socket would take that number, and libraries' words go into it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def main() -> None:
    """Run the command line. Ends the process: 0 done, 1 failed, 2 usage, 3 settings or model, 4 no camera, 5 port."""
    _fill_standard_descriptors()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may be no UTF-8, and is then told as Python and JSON spell such signs: caf\udce9.jpg.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        from service.cli import app

        app(prog_name="lookout")
    except LookoutError as error:
        from service.cli.words import tell

        tell(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)


if __name__ == "__main__":
    main()
