"""Who may read /metrics, and what is said where there are none."""

from __future__ import annotations

import pytest

from tests.api.conftest import StartService


@pytest.mark.parametrize("public", ["true", "false"])
def test_a_token_or_the_machine_itself(start: StartService, public: str) -> None:
    service = start({"metrics.enabled": "true", "metrics.public_on_loopback": public})
    service.start_integrations()
    _, text = service.tokens.create("prometheus", "metrics")
    with service.client() as client:
        scraped = client.get("metrics", headers={"Authorization": f"Bearer {text}"})
        assert scraped.status_code == 200
        assert scraped.headers["content-type"].startswith("text/plain")
        assert "lookout_camera_up" in scraped.text
        wanted = {"Authorization": f"Bearer {text}", "Accept": "application/openmetrics-text"}
        assert client.get("metrics", headers=wanted).text.endswith("# EOF\n")
        assert client.get("metrics").status_code == (200 if public == "true" else 401)
        assert client.get("metrics", headers={"X-Forwarded-For": "10.0.0.9"}).status_code == 401
        assert client.get("api/state").status_code == 401


def test_where_there_are_none_the_setting_is_named(start: StartService) -> None:
    with start().client() as client:
        refused = client.get("metrics").json()
        assert refused["code"] == "not_found"
        assert "metrics.enabled" in refused["remedy"]
