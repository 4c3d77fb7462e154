"""The login: what its page shows, in frames of other sites, and whose pages may show the picture."""

from __future__ import annotations

import subprocess

import httpx
import pytest

from tests.api.conftest import HandCamera, StartService, wait_until

SITE = {"server.allowed_frames": "https://home.example"}
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}


def test_the_page_shows_how_to_get_a_token_and_whether_the_login_holds(start: StartService) -> None:
    service = start()
    with service.client() as client:
        door = client.get("api/login", headers={"X-Forwarded-For": "203.0.113.9"})
        assert (door.status_code, door.headers["cache-control"]) == (200, "no-store")
        assert door.json()["token_exists"] is door.json()["logged_in"] is False
        _, token = service.tokens.create("test")
        reported = client.get("api/login").json()
        assert (reported["token_exists"], reported["logged_in"]) == (True, False)
        # As this service was started: its state folder is set by a flag, which another command does not know.
        assert f"LOOKOUT_STATE__FOLDER={service.folder}" in reported["command"]
        assert f"token --config {service.folder}/lookout.toml" in reported["command"]
        assert reported["command"] in client.post("api/login", json={"token": "wrong"}).json()["remedy"]
        client.post("api/login", json={"token": token})
        assert client.get("api/login").json()["logged_in"] is True


def test_the_command_in_the_login_pages_words_makes_a_token_that_counts(start: StartService) -> None:
    service = start()
    with service.client() as client:
        command = client.get("api/login").json()["command"]
    made = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    token = made.stdout.strip().partition("#token=")[2]
    with service.client() as client:
        assert client.post("api/login", json={"token": token}).status_code == 200


def _cookies(client: httpx.Client, token: str, **headers: str) -> tuple[str, str]:
    set_by = client.post("api/login", json={"token": token}, headers=headers).headers["set-cookie"]
    return set_by, client.post("api/logout", headers=headers).headers["set-cookie"]


def test_over_https_a_login_holds_in_a_frame_of_a_listed_site(start: StartService) -> None:
    service = start(SITE)
    _, token = service.tokens.create("test")
    with service.client(headers={"Authorization": f"Bearer {token}"}) as client:
        for cookie in _cookies(client, token, **HTTPS):
            for word in ("SameSite=None", "Secure", "Partitioned", "HttpOnly"):
                assert f"; {word}" in cookie
        for cookie in _cookies(client, token):  # over plain HTTP no browser takes such a cookie
            assert "SameSite=lax" in cookie
            assert "Partitioned" not in cookie


def test_without_listed_sites_a_login_stays_out_of_frames(start: StartService) -> None:
    service = start()
    _, token = service.tokens.create("test")
    with service.client(headers={"Authorization": f"Bearer {token}"}) as client:
        for cookie in _cookies(client, token, **HTTPS):
            assert "SameSite=lax" in cookie


@pytest.mark.parametrize("whose", ["same-origin", "same-site", "cross-origin"])
def test_whose_pages_may_show_the_picture_is_a_setting(start: StartService, whose: str) -> None:
    """OctoPrint/OctoPrint#4107: the stream as an image in a page of another origin."""
    service = start({"server.allowed_images": whose})
    wait_until(lambda: service.hub.latest().frame is not None)
    with service.client() as client:
        assert client.get("api/snapshot.jpg").headers["cross-origin-resource-policy"] == whose
        with client.stream("GET", "api/stream.mjpg") as stream:
            assert stream.headers["cross-origin-resource-policy"] == whose
        for path in ("api/state", "api/settings", "", "static/main.js"):
            assert client.get(path).headers["cross-origin-resource-policy"] == "same-origin"


def test_an_uptime_checker_hears_of_a_dead_camera_and_a_watchdog_does_not(start: StartService) -> None:
    camera = HandCamera()
    service = start({"camera.stale_after_s": "1"}, camera=camera)
    service.tokens.create("test")
    with service.client() as client:

        def status() -> int:
            return client.get("healthz/camera").status_code

        wait_until(lambda: status() == 200)
        assert client.get("healthz/camera").json() == {"status": "ok"}
        camera.stall.set()
        wait_until(lambda: status() == 503)
        problem = client.get("healthz/camera").json()
        assert (problem["code"], problem["detail"]) == ("not_ready", "The newest picture is too old.")
        assert client.head("healthz/camera").status_code == 503
        assert client.get("healthz").status_code == client.get("readyz").status_code == 200
        camera.stall.clear()
        wait_until(lambda: status() == 200)
        service.services.control.pause(True)
        wait_until(lambda: client.get("healthz/camera").json() == {"status": "paused"})
