"""The compose file, as far as it can be checked without a container engine: what it mounts and sets is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from lookout.settings.sources import load

from tests.docs.pages import DOCS
from tests.requires import requires

FOLDER = DOCS / "compose"
# Of the Compose specification, those that are used.
KEYS = {
    *("image", "build", "command", "hostname", "environment", "ports", "volumes", "depends_on", "restart"),
    *("read_only", "tmpfs", "cap_drop", "security_opt", "mem_limit", "devices", "group_add", "secrets"),
}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    return found


def test_it_is_made_of_what_compose_knows(services: dict[str, dict[str, Any]]) -> None:
    taken = []
    for name, service in services.items():
        assert set(service) <= KEYS, name
        assert set(service.get("depends_on", [])) <= set(services), name
        assert "image" in service
        for port in service["ports"]:
            found = re.fullmatch(r"127\.0\.0\.1:(\d+):\d+", port)
            assert found, f"{name} can be reached from other machines, without a token"
            taken.append(found[1])
        for volume in service.get("volumes", []):
            source, target, mode = volume.split(":")
            assert (FOLDER / source).is_file(), source
            assert target.startswith("/")
            assert mode == "ro"
    assert len(set(taken)) == len(taken), "two services have the same port"


def test_the_demos_have_settings_that_are_taken(services: dict[str, dict[str, Any]]) -> None:
    demos = {name: service for name, service in services.items() if service["image"] == "lookout"}
    assert len(demos) == 3
    for name, service in demos.items():
        assert (FOLDER / service["build"] / "Dockerfile").is_file()
        assert service["command"] == ["demo"]
        settings = load({}, environ={**service["environment"], "HOME": "/nowhere"}).settings
        assert settings.server.name == name.capitalize()
        assert settings.metrics.enabled
        assert settings.mqtt.url == "mqtt://mosquitto"
        assert service["hostname"] == name


def test_a_real_camera_needs_the_token_and_keeps_what_it_learnt() -> None:
    """It can be reached from other machines. What the service writes is on volumes, since the rest is read-only."""
    project = yaml.safe_load((FOLDER / "camera.yaml").read_text())
    (service,) = project["services"].values()
    assert set(service) <= KEYS
    assert (FOLDER / service["build"] / "Dockerfile").is_file()
    (secret,) = service["secrets"]
    assert project["secrets"][secret]["file"] == "./token"
    image = dict(re.findall(r"(LOOKOUT_[A-Z_]+)=(\S+)", (DOCS.parent / "Dockerfile").read_text().split("ENV ")[1]))
    environment = {**image, **service["environment"], "HOME": "/nowhere"}
    settings = load({"camera.source": service["command"][2]}, environ=environment).settings
    assert service["command"][:2] == ["serve", "--source"]
    assert settings.camera.source == f"usb:{service['devices'][0]}"
    assert (settings.server.host, settings.server.auth) == ("0.0.0.0", "token")
    assert str(settings.server.token_file) == f"/run/secrets/{secret}"
    kept = dict(volume.split(":") for volume in service["volumes"])
    assert set(kept) == set(project["volumes"])
    assert service["read_only"]
    assert str(settings.state.folder) in kept.values()
    assert f"{image.get('XDG_CACHE_HOME', '/var/cache')}/lookout" in kept.values()


def test_prometheus_asks_all_of_them(services: dict[str, dict[str, Any]]) -> None:
    scrape = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"][0]
    demos = {f"{name}:8642" for name, service in services.items() if service["image"] == "lookout"}
    assert set(scrape["static_configs"][0]["targets"]) == demos
    (source,) = yaml.safe_load((FOLDER / "grafana.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((FOLDER / "dashboards.yml").read_text())["providers"]
    assert any(
        volume.split(":")[1].startswith(provider["options"]["path"]) for volume in services["grafana"]["volumes"]
    )


@requires("promtool")
def test_prometheus_takes_its_file(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "prometheus.yml", tmp_path)
    shutil.copy(DOCS / "prometheus" / "rules.yml", tmp_path)
    command = ["promtool", "check", "config", "prometheus.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
