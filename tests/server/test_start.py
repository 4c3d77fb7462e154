"""What a start waits for: on a Pi, importing the endpoints takes longer than opening the camera."""

from __future__ import annotations

import subprocess
import sys


def test_camera_and_model_start_before_the_endpoints_are_imported() -> None:
    code = "import sys, lookout.cli, lookout.server.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {"fastapi", "uvicorn", "lookout.api.app"}.isdisjoint(done.stdout.split())
