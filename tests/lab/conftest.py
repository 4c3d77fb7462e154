"""The lab's modules without a browser, run by the node that Playwright brings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright (pip install playwright), which brings node")

from playwright._impl._driver import compute_driver_executable

CALLS = Path(__file__).with_name("calls.mjs")

Call = Callable[..., Any]


@pytest.fixture(scope="session")
def node() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [compute_driver_executable()[0], str(CALLS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="session")
def call(node: subprocess.Popen[str]) -> Call:
    """Calls `name` of static/lab/`module`.js; of a value that is not a function, returns it."""

    def call(module: str, name: str, *args: object) -> Any:
        assert node.stdin is not None
        assert node.stdout is not None
        node.stdin.write(json.dumps({"module": module, "name": name, "args": args}) + "\n")
        node.stdin.flush()
        line = node.stdout.readline()
        assert line, f"{module}.{name} failed"
        return json.loads(line)

    return call
