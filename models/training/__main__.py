"""Entry point of ``python -m models.training``: what the user can fix is reported as a sentence, not a traceback."""

from __future__ import annotations

import sys

from lookout.errors import LookoutError


def main() -> None:
    """Run one command. Exit status 1, with one sentence, if data, a file, a model or a package is missing."""
    try:
        from models.training.cli import app

        app(prog_name="python -m models.training")
    except ModuleNotFoundError as error:
        sys.exit(f"Training needs the Python package {error.name}: pip install -e '.[train]'. See models/README.md.")
    except FileNotFoundError as error:
        sys.exit(f"There is no {error.filename}." if error.filename else str(error))
    except LookoutError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
