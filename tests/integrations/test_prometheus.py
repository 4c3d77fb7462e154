"""A real Prometheus with the configuration of the docs, the rules and the dashboard that ship."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.api.conftest import StartService
from tests.requires import requires
from tests.support.ports import free_port
from tests.support.waiting import until

DOCS = Path(__file__).parents[2] / "docs"
SHIPPED = DOCS / "prometheus"
# What a camera that is well has no figure of: it did not restart, nothing ended yet, and not every machine is a Pi.
MAY_BE_EMPTY = ("lookout_events_total", "lookout_temperature_celsius")
START_S = 30.0
# Each alert: the series that raise it, a sample a minute; the last minute without it, the first with it, what it says.
ALERTS: dict[str, tuple[dict[str, str], int, int, dict[str, str], str]] = {
    "LookoutIsDown": ({'up{job="lookout"}': "1 0x20"}, 2, 3, {"job": "lookout"}, "Lookout on pi does not answer."),
    "LookoutSeesNothing": (
        {'lookout_camera_up{view="main"}': "1 0x20"}, 5, 6, {"view": "main"},
        "The camera of pi delivers nothing of now.",
    ),
    "LookoutCameraRestarts": (
        {'lookout_camera_restarts_total{code="camera_silent"}': "0+1x20"}, 3, 4, {"code": "camera_silent"},
        "The camera of pi was reopened 4 times in an hour (camera_silent).",
    ),
    "LookoutAnswersLate": (
        {
            'lookout_answer_age_seconds_bucket{le="1"}': "0x30",
            'lookout_answer_age_seconds_bucket{le="2"}': "0+60x30",
            'lookout_answer_age_seconds_bucket{le="+Inf"}': "0+60x30",
        },
        10, 12, {}, "Answers of pi come 1.95s after the frame.",
    ),
    "LookoutIsHot": (
        {"lookout_temperature_celsius": "60 85x20"}, 10, 11, {}, "pi is at 85 °C and will slow down."
    ),
}  # fmt: skip

Query = Callable[[str], list[dict[str, Any]]]


def configuration(target: str) -> str:
    """The docs' prometheus.yml, which asks this target each half second."""
    block = (DOCS / "integrations.md").read_text("utf-8").split("```yaml\n# prometheus.yml\n", 1)[1].split("```", 1)[0]
    return "global: {scrape_interval: 500ms, evaluation_interval: 500ms}\n" + block.replace(
        "lookout.local:8642", target
    )


@contextlib.contextmanager
def prometheus(folder: Path, target: str, token: str) -> Iterator[httpx.Client]:
    (folder / "prometheus.yml").write_text(configuration(target))
    (folder / "lookout.token").write_text(f"{token}\n")
    # As shipped, but for the minutes that pass before an alert counts.
    rules = (SHIPPED / "rules.yml").read_text("utf-8")
    (folder / "rules.yml").write_text(re.sub(r"for: \d+m", "for: 1s", rules))
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/", timeout=10) as client:
            until(lambda: _is_ready(client, process), START_S)
            yield client
    finally:
        process.terminate()
        process.wait(10)


def _is_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Prometheus has ended"
    with contextlib.suppress(httpx.HTTPError):
        return client.get("-/ready").status_code == 200
    return False


def asking(client: httpx.Client) -> Query:
    def ask(expression: str) -> list[dict[str, Any]]:
        answer = client.get("api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    return ask


def health_of_rules(client: httpx.Client) -> list[str]:
    return [rule["health"] for group in client.get("api/v1/rules").json()["data"]["groups"] for rule in group["rules"]]


def panels(dashboard: dict[str, Any]) -> list[str]:
    """Every expression of a dashboard, asked for all devices."""
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return [expression.replace("$instance", ".*") for expression in found]


@requires("promtool")
def test_prometheus_scrapes_with_the_token_and_answers_the_dashboard(start: StartService, tmp_path: Path) -> None:
    service = start({"metrics.enabled": "true", "server.auth": "token"})
    service.start_integrations()
    _, token = service.tokens.create("prometheus", "metrics")
    dashboard = json.loads((SHIPPED / "grafana.json").read_text("utf-8"))
    target = f"127.0.0.1:{service.port}"
    with prometheus(tmp_path, target, token) as client:
        ask = asking(client)
        until(lambda: ask("lookout_camera_up == 1"), START_S)
        assert [one["value"][1] for one in ask('up{job="lookout"}')] == ["1"]
        until(lambda: ask("rate(lookout_frames_total[5m]) > 0"))
        expressions = panels(dashboard)
        assert len(expressions) >= 8
        for expression in expressions:
            found = ask(expression)
            assert found or any(name in expression for name in MAY_BE_EMPTY), expression
            assert "NaN" not in [one["value"][1] for one in found], expression
        values = client.get("api/v1/label/instance/values", params={"match[]": "lookout_camera_up"}).json()["data"]
        assert values == [target]  # what the dashboard's list of devices asks for
        until(lambda: health_of_rules(client) == ["ok"] * len(ALERTS))
        assert ask("ALERTS") == []
        service.camera.absent.set()
        service.camera.stall.set()
        until(lambda: ask('ALERTS{alertname="LookoutSeesNothing", alertstate="firing"}'), START_S)
        alerts = {
            alert["labels"]["alertname"]: alert["annotations"]["summary"]
            for alert in client.get("api/v1/alerts").json()["data"]["alerts"]
        }
        assert alerts == {"LookoutSeesNothing": f"The camera of {target} delivers nothing of now."}


@requires("promtool")
def test_each_alert_fires_in_its_minute_and_says_what_is_wrong(tmp_path: Path) -> None:
    rules = (SHIPPED / "rules.yml").read_text("utf-8")
    (tmp_path / "rules.yml").write_text(rules)
    assert re.findall(r"- alert: (\w+)", rules) == list(ALERTS)
    trials = [trial(name, *ALERTS[name]) for name in ALERTS]
    (tmp_path / "trials.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "tests": trials}, ensure_ascii=False))
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "trials.yml"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def trial(
    name: str, series: dict[str, str], last_without: int, first_with: int, labels: dict[str, str], summary: str
) -> dict[str, Any]:
    """One of promtool's, of a device called pi."""
    fires = {"exp_labels": labels | {"instance": "pi"}, "exp_annotations": {"summary": summary}}
    return {
        "interval": "1m",
        "input_series": [
            {
                "series": text[:-1] + ', instance="pi"}' if text.endswith("}") else text + '{instance="pi"}',
                "values": values,
            }
            for text, values in series.items()
        ],
        "alert_rule_test": [
            {"eval_time": f"{last_without}m", "alertname": name, "exp_alerts": []},
            {"eval_time": f"{first_with}m", "alertname": name, "exp_alerts": [fires]},
        ],
    }
