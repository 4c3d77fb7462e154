"""These tests need the environment of `setup.sh`: `tests/pi/run.sh` runs them there, elsewhere none is collected."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("LOOKOUT_PI_TESTS") else ["test_*.py"]
