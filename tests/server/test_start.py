"""What a start waits for: on a Pi, importing the endpoints takes longer than opening the camera."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any, cast

import pytest
from lookout.errors import StateFolderUnusable
from lookout.server import serve


def test_camera_and_model_start_before_the_endpoints_are_imported() -> None:
    code = "import sys, lookout.cli, lookout.server.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {"fastapi", "uvicorn", "lookout.api.app"}.isdisjoint(done.stdout.split())


class Blocked:
    """A start that ends when the web server is imported, as both take place at the same time."""

    def __init__(self) -> None:
        self.imported = threading.Event()
        self.ended = False

    def start(self, *, folder_answers: bool) -> None:
        assert folder_answers
        assert self.imported.wait(10), "the web server waits for the model"
        self.ended = True


def test_the_web_server_is_imported_while_the_model_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Blocked()
    monkeypatch.setattr(serve, "_web_server", lambda *_: parts.imported.set() or "server")
    assert serve._start(cast("Any", parts), cast("Any", None), folder_answers=True) == "server"
    assert parts.ended, "it would answer before it is ready"


def test_a_start_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def start(self, *, folder_answers: bool) -> None:
            raise StateFolderUnusable(f"broken {folder_answers}")

    monkeypatch.setattr(serve, "_web_server", lambda *_: "server")
    with pytest.raises(StateFolderUnusable, match="broken True"):
        serve._start(cast("Any", Failing()), cast("Any", None), folder_answers=True)
