"""Entry point of ``python -m models.training``: errors that the user can fix are one sentence, not a traceback."""

from __future__ import annotations

import errno
import os
import sys

from lookout.errors import LookoutError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def main() -> None:
    """Run one command. Exit with status 1 and one sentence if data, a file, a model, a package or space is missing."""
    try:
        from models.training.cli import app

        app(prog_name="python -m models.training")
    except ModuleNotFoundError as error:
        sys.exit(f"Training needs the Python package {error.name}: pip install -e '.[train]'. See models/README.md.")
    except FileNotFoundError as error:
        sys.exit(f"There is no {error.filename}." if error.filename else str(error))
    except LookoutError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(_of_disk(error))


def _of_disk(error: OSError) -> str:
    where = error.filename or "what was being written"
    if error.errno in _FULL:
        return f"The disk is full: {where} could not be written. Free some space, then give the same command again."
    return f"{os.strerror(error.errno) if error.errno else error}: {where}"


if __name__ == "__main__":
    main()
