"""The description of the API against the API itself: no answer that it does not describe, no 5xx by mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import HandCamera, Service, wait_until

# Random cases an operation, beside the systematic ones: few enough for every run; more by hand, with
# LOOKOUT_TESTS_EXAMPLES=500 and LOOKOUT_TESTS_EXAMPLES_S=7200. Without a token nearly all cases are the same refusal.
EXAMPLES = os.environ.get("LOOKOUT_TESTS_EXAMPLES", "8")
REFUSED_EXAMPLES = os.environ.get("LOOKOUT_TESTS_EXAMPLES", "3")
# Several times what a free machine takes, for one that is shared.
LIMIT_S = float(os.environ.get("LOOKOUT_TESTS_EXAMPLES_S", "300"))
# Answers without end have tests of their own, that know when to stop reading.
ENDLESS = ("/api/live.sse", "/api/stream.mjpg")
# What is not a picture, a model or a setting has the described form all the same: refusing it is right.
NOT_CHECKED = "positive_data_acceptance"

# A picture of a paused camera is 503, which is promised and no mistake.
CONFIG = """
[[operations]]
include-path = ["/api/snapshot.jpg", "/api/feature-maps", "/api/feature-maps.png"]
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]
"""

pytestmark = pytest.mark.timeout(LIMIT_S + 30)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[tuple[Service, str]]:
    service = Service({}, tmp_path_factory.mktemp("guarded"), models, HandCamera())
    wait_until(lambda: service.state()["status"] == "ok")
    description = tmp_path_factory.mktemp("described") / "openapi.json"
    with service.client() as client:
        description.write_text(client.get("openapi.json").text)
    _, token = service.tokens.create("test")
    service.description = description  # type: ignore[attr-defined]
    yield service, token
    service.stop()


def run(service: Service, folder: Path, examples: str, *more: str) -> None:
    """Schemathesis as a process of its own, the way anybody would call it."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", str(service.description), "--url", service.url,  # type: ignore[attr-defined]
        "--max-examples", examples, "--seed", "1", "--request-timeout", "10", "--generation-database", "none",
        "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    (folder / "schemathesis.toml").write_text(CONFIG)
    command += [part for path in ENDLESS for part in ("--exclude-path", path)]
    done = subprocess.run([*command, *more], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_with_a_token(guarded: tuple[Service, str], tmp_path: Path) -> None:
    service, token = guarded
    run(
        service,
        tmp_path,
        EXAMPLES,
        "--header",
        f"Authorization: Bearer {token}",
        "--exclude-checks",
        NOT_CHECKED,
        "--phases",
        "examples,coverage,fuzzing",
    )
    with service.client() as client:
        assert client.get("healthz").status_code == 200


def test_without_a_token(guarded: tuple[Service, str], tmp_path: Path) -> None:
    service, _ = guarded
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    run(service, tmp_path, REFUSED_EXAMPLES, "--checks", checks, "--phases", "fuzzing")
    with service.client() as client:
        assert client.get("healthz").status_code == 200
