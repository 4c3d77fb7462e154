"""`python -m lookout` and the command `lookout`."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import NoReturn

from lookout.errors import LookoutError
from lookout.system import memory

# Errors of a disk, not of this program, when standard output is written.
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG})
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def _fill_standard_descriptors() -> None:
    """Open fds 0 to 2 if the parent closed them; otherwise a socket would reuse one and get what libraries print."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def main() -> None:
    """Run the command line. Ends the process: 0 done, 1 failed, 2 usage, 3 settings or model, 4 no camera,
    5 port or state folder in use.
    """
    _fill_standard_descriptors()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name need not be UTF-8; such bytes are then escaped as Python and JSON do: caf\udce9.jpg.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with memory.without_collection():
            from lookout.cli import app

        app(prog_name="lookout")
    except LookoutError as error:
        _fail(error)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "lookout":
            raise
        _fail(LookoutError(f"A package that Lookout needs cannot be loaded: {error}.", "`lookout doctor` says which."))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        from lookout.cli.app import leave_output

        leave_output()
        _fail(LookoutError(f"The output cannot be written: {error.strerror}.", "Write it somewhere else."))


def _fail(error: LookoutError) -> NoReturn:
    from lookout.terminal import print_error

    print_error(error)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
