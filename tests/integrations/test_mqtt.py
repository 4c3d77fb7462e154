"""MQTT against a real mosquitto: what is retained, in which order, and what happens when the other side fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lookout.cli import app
from lookout.events.event import Event
from lookout.events.feed import News
from lookout.integrations.identity import device_id
from lookout.integrations.mqtt import integration, quiet
from lookout.integrations.mqtt.outbox import MAX_EVENTS, Outbox
from lookout.storage import Storage
from typer.testing import CliRunner

from tests.integrations.device import CONFIG, Device, device, until
from tests.integrations.mosquitto import Listener, Mosquitto, listening, make_certificates
from tests.requires import requires
from tests.support.ports import free_port

pytestmark = requires("mosquitto")

StartBroker = Callable[..., Mosquitto]


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[StartBroker]:
    """Starts a broker with these lines of mosquitto.conf."""
    running: list[Mosquitto] = []

    def begin(*lines: str) -> Mosquitto:
        running.append(Mosquitto(tmp_path, free_port(), lines))
        running[-1].start()
        return running[-1]

    yield begin
    for each in running:
        each.kill()


@pytest.fixture
def broker(start_broker: StartBroker) -> Mosquitto:
    return start_broker()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with listening(broker.port) as one:
        yield one


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "MAX_PAUSE_S", 1.0)


def connect(tmp_path: Path, broker: Mosquitto, **settings: Any) -> Any:
    return device(tmp_path / "state", url=f"mqtt://127.0.0.1:{broker.port}", **settings)


def event(number: int, label: str = "cat", ended: float | None = None) -> Event:
    return Event(number, "seen", 1.8e9, ended, label=label, probability=0.97)


def test_the_topics_say_what_the_camera_sees(tmp_path: Path, broker: Mosquitto, listener: Listener) -> None:
    with connect(tmp_path, broker) as lookout:
        listener.until(lambda: listener.text(lookout("status")) == "online")
        listener.until(lambda: listener.json(lookout("answer")))
        answer = listener.json(lookout("answer"))
        assert (answer["state"], answer["label"], answer["probability"]) == ("cat", "cat", 98.4)
        listener.until(lambda: lookout("health") in listener.newest)
        assert listener.text(lookout("camera")) == "online"
        assert listener.text(lookout("paused")) == "OFF"
        assert listener.text(lookout("model")) == "cat-dog-resnet18"
        assert listener.text(lookout("enter", "cat")) == "0.85"
        assert lookout("enter", "neither") not in listener.newest
        assert listener.json(lookout("health"))["power"] == "OFF"
        said = listener.json(CONFIG)
        assert said["components"]["answer"]["options"] == ["cat", "dog", "nobody", "unsure"]
        assert "pause" not in said["components"], "nobody may control it"
        assert lookout.mqtt.status().status == "ok"

        lookout.scene.label, lookout.scene.reason = None, "reject"
        listener.until(lambda: listener.json(lookout("answer"))["state"] == "nobody")
        base = lookout.base
    listener.until(lambda: listener.text(f"{base}/status") == "offline")
    assert lookout.trouble == [], "nothing is left on the loop"
    with listening(broker.port) as later:  # what is retained is for clients that come later
        later.until(lambda: later.text(f"{base}/status") == "offline" and later.json(f"{base}/answer"))
        assert all(retained for _, _, retained in later.messages)


def test_the_id_is_random_and_kept(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    first = device_id(tmp_path, storage)
    assert device_id(tmp_path, storage) == first
    assert device_id(tmp_path / "other", Storage(tmp_path / "other")) != first


def test_what_does_not_change_is_not_sent_again(tmp_path: Path, broker: Mosquitto, listener: Listener) -> None:
    with connect(tmp_path, broker) as lookout:
        listener.until(lambda: listener.json(lookout("answer")))
        for step in range(20):  # a probability that trembles
            lookout.scene.probability = 0.95 + 0.002 * (step % 5)
            time.sleep(0.05)
        assert len([topic for topic, _, _ in listener.messages if topic == lookout("answer")]) == 1


def test_a_camera_that_stalls_takes_its_answer_along(tmp_path: Path, broker: Mosquitto, listener: Listener) -> None:
    with connect(tmp_path, broker) as lookout:
        listener.until(lambda: listener.json(lookout("answer")))
        lookout.scene.stalled = True
        listener.until(lambda: listener.json(lookout("answer"))["state"] == "unsure")
        order = [topic for topic, _, _ in listener.messages if topic in (lookout("camera"), lookout("answer"))]
        assert order[-2:] == [lookout("camera"), lookout("answer")], "unavailable first, then unsure"
        assert listener.text(lookout("camera")) == "offline"
        lookout.scene.stalled = False
        listener.until(lambda: listener.text(lookout("camera")) == "online")
        assert listener.json(lookout("answer"))["state"] == "cat"


def test_events_are_sent_once_and_not_retained(tmp_path: Path, broker: Mosquitto, listener: Listener) -> None:
    with connect(tmp_path, broker) as lookout:
        listener.until(lambda: listener.text(lookout("status")) == "online")
        lookout.feed.publish(News("begun", event(7), b"\xff\xd8picture"))
        lookout.feed.publish(News("ended", event(7, ended=1.8e9 + 9)))
        lookout.feed.publish(News("begun", Event(8, "camera_lost", 1.8e9, None)))
        listener.until(lambda: listener.json(lookout("event") or "{}") and _types(listener, lookout)[-1] == "cat_ended")
        assert _types(listener, lookout) == ["cat_began", "cat_ended"]
        first = next(json.loads(payload) for topic, payload, _ in listener.messages if topic == lookout("event"))
        assert (first["id"], first["probability"]) == (7, 97.0)
        assert first["url"] == "http://127.0.0.1:8642/api/events/7/snapshot.jpg"
        listener.until(lambda: listener.newest.get(lookout("picture")) == b"\xff\xd8picture")
        with listening(broker.port) as later:
            later.until(lambda: later.newest.get(lookout("picture")))
            assert lookout("event") not in later.newest


def _types(listener: Listener, lookout: Device) -> list[str]:
    return [json.loads(payload)["event_type"] for topic, payload, _ in listener.messages if topic == lookout("event")]


def test_values_and_events_that_wait_are_bounded() -> None:
    outbox = Outbox()
    for number in range(1000):
        outbox.put("answer", str(number).encode())
        outbox.put_event("event", str(number).encode())
    sent = []
    while (message := outbox.next()) is not None:
        sent.append((message.topic, message.payload))
    assert sent[0] == ("answer", b"999"), "only the newest value"
    assert sent[1:] == [("event", str(number).encode()) for number in range(1000 - MAX_EVENTS, 1000)]
    assert outbox.lost == 1000 - MAX_EVENTS


def test_a_label_that_comes_is_announced_before_it_is_the_answer(
    tmp_path: Path, broker: Mosquitto, listener: Listener
) -> None:
    with connect(tmp_path, broker) as lookout:
        listener.until(lambda: listener.json(lookout("answer")))
        count = len(listener.messages)
        lookout.scene.labels, lookout.scene.model = ("cat", "fox", "neither"), "garden"
        lookout.scene.label = "fox"
        listener.until(lambda: listener.json(lookout("answer"))["state"] == "fox")
        topics = [topic for topic, _, _ in listener.messages[count:] if topic in (CONFIG, lookout("answer"))]
        assert topics == [lookout("answer"), CONFIG, lookout("answer")]
        assert json.loads(_payloads(listener, lookout("answer"))[-2])["state"] == "unsure", "a label goes as well"
        components = listener.json(CONFIG)["components"]
        assert components["present_dog"] == {"platform": "binary_sensor"}, "which is how it is removed"
        assert components["present_fox"]["name"] == "Fox"
        listener.until(lambda: listener.newest.get(lookout("enter", "dog")) == b"")

        listener.newest.clear()
        lookout.scene.labels, lookout.scene.label = ("cat", "dog", "neither"), "dog"
        listener.until(lambda: listener.json(lookout("answer")) and listener.json(lookout("answer"))["state"] == "dog")
        assert listener.json(CONFIG)["components"]["present_fox"] == {"platform": "binary_sensor"}


def _payloads(listener: Listener, topic: str) -> list[bytes]:
    return [payload for each, payload, _ in listener.messages if each == topic]


def test_what_an_earlier_run_announced_is_taken_back(tmp_path: Path, broker: Mosquitto, listener: Listener) -> None:
    with connect(tmp_path, broker, control="true"):
        listener.until(lambda: listener.json(CONFIG))
        assert "pause" in listener.json(CONFIG)["components"]
    listener.newest.pop(CONFIG)
    with connect(tmp_path, broker):
        listener.until(lambda: listener.json(CONFIG))
        assert listener.json(CONFIG)["components"]["pause"] == {"platform": "switch"}


def test_home_assistant_that_starts_is_answered(
    tmp_path: Path, broker: Mosquitto, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookout.integrations.mqtt.session._MAX_BIRTH_PAUSE_S", 0.1)
    with connect(tmp_path, broker) as lookout:
        listener.until(lambda: listener.json(lookout("answer")))
        listener.newest.clear()
        listener.send("homeassistant/status", "online")
        listener.until(lambda: listener.json(CONFIG) and listener.json(lookout("answer")))
        listener.until(lambda: listener.text(lookout("status")) == "online")


def test_commands_are_carried_out_where_they_are_allowed(tmp_path: Path, broker: Mosquitto, listener: Listener) -> None:
    with connect(tmp_path, broker, control="true") as lookout:
        listener.until(lambda: listener.json(lookout("answer")))
        listener.send(lookout("paused", "set"), "ON")
        listener.until(lambda: listener.text(lookout("paused")) == "ON")
        listener.send(lookout("model", "set"), "my-home")
        listener.send(lookout("enter", "cat", "set"), "0.9")
        until(lambda: len(lookout.control.asked) == 3)
        assert sorted(map(str, lookout.control.asked)) == sorted(
            map(str, [True, {"model": {"name": "my-home"}}, {"answer": {"enter": {"cat": 0.9}}}])
        )
        listener.newest.pop(lookout("enter", "dog"))
        listener.send(lookout("enter", "dog", "set"), "warm")  # refused, and what holds is said again
        listener.until(lambda: listener.text(lookout("enter", "dog")) == "0.85")
        assert len(lookout.control.asked) == 3


@pytest.mark.parametrize("control", ["true", "false"])
def test_a_retained_command_or_one_that_is_not_allowed_is_ignored(
    tmp_path: Path, broker: Mosquitto, listener: Listener, control: str
) -> None:
    with connect(tmp_path, broker, control=control) as lookout:
        listener.until(lambda: listener.json(lookout("answer")))
    listener.send(lookout("paused", "set"), "ON", retain=True)
    with connect(tmp_path, broker, control=control) as lookout:
        listener.until(lambda: listener.text(lookout("status")) == "online")
        if control == "false":
            listener.send(lookout("paused", "set"), "ON")
        listener.send(lookout("paused", "set"), "x" * 100_000)
        time.sleep(0.3)
        assert lookout.control.asked == []


# --- the other side fails -----------------------------------------------------------------------------------------


def test_a_broker_that_is_not_there_costs_nothing_and_is_found_when_it_comes(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, free_port())
    with connect(tmp_path, broker) as lookout:
        until(lambda: lookout.mqtt.status().status == "failed")
        assert lookout.mqtt.status().detail == f"Nothing listens on 127.0.0.1:{broker.port}."
        assert lookout.mqtt.status().code == "broker_unreachable"
        broker.start()
        try:
            until(lambda: lookout.mqtt.status().status == "ok")
        finally:
            broker.kill()


def test_a_broker_that_is_started_again_hears_everything_again(tmp_path: Path, broker: Mosquitto) -> None:
    with connect(tmp_path, broker) as lookout:
        with listening(broker.port) as listener:
            listener.until(lambda: listener.json(lookout("answer")))
        broker.kill()
        until(lambda: lookout.mqtt.status().status == "failed")
        broker.start()
        with listening(broker.port) as listener:
            listener.until(lambda: listener.json(lookout("answer")) and listener.text(lookout("status")) == "online")
            listener.until(lambda: listener.json(CONFIG))
    assert lookout.trouble == []


def test_a_broker_that_hangs_holds_nobody_up(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookout.integrations.mqtt.connection.ACKNOWLEDGE_S", 0.5)
    with connect(tmp_path, broker) as lookout:
        until(lambda: lookout.mqtt.status().status == "ok")
        broker.pause()
        try:
            lookout.scene.label = "dog"
            until(lambda: lookout.mqtt.status().status == "failed")
            assert lookout.mqtt.status().detail.endswith("does not answer.")
            assert lookout.mqtt.status().code == "broker_unreachable"
            assert lookout.longest_s < 1.0, "the event loop went on"
        finally:
            broker.resume()
        until(lambda: lookout.mqtt.status().status == "ok")


def test_the_will_says_offline_for_a_device_that_cannot(tmp_path: Path, broker: Mosquitto, listener: Listener) -> None:
    command = [sys.executable, "-m", "tests.integrations.device", str(tmp_path / "state")]
    arguments = [f"url=mqtt://127.0.0.1:{broker.port}", "keepalive_s=2"]
    with subprocess.Popen([*command, *arguments], cwd=Path(__file__).parents[2]) as process:
        try:
            listener.until(lambda: "online" in _statuses(listener), 60)
            process.send_signal(signal.SIGSTOP)
            listener.until(lambda: "offline" in _statuses(listener), 20)
            process.send_signal(signal.SIGCONT)
            listener.until(lambda: "online" in _statuses(listener), 30)
            began = time.monotonic()
            process.kill()
            listener.until(lambda: "offline" in _statuses(listener))
            assert time.monotonic() - began < 2.0
        finally:
            process.kill()


def _statuses(listener: Listener) -> list[str]:
    return [text.decode() for topic, text in listener.newest.items() if topic.endswith("/status")]


# --- who gets in --------------------------------------------------------------------------------------------------


def test_a_password_comes_from_its_file_and_a_wrong_one_is_a_sentence(
    tmp_path: Path, start_broker: StartBroker
) -> None:
    users = tmp_path / "users"
    subprocess.run(["mosquitto_passwd", "-b", "-c", users, "pi", "right"], check=True, timeout=60)
    users.chmod(0o644)
    broker = start_broker(f"password_file {users}", "allow_anonymous false")
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    url = f"mqtt://pi@127.0.0.1:{broker.port}"
    with device(tmp_path / "state", url=url, password_file=secret) as lookout:
        until(lambda: lookout.mqtt.status().status == "failed")
        assert "does not let Lookout in: Not authorized." in lookout.mqtt.status().detail
        assert "mqtt.password_file" in lookout.mqtt.status().remedy
        assert lookout.mqtt.status().code == "broker_denied"
        secret.write_text("right\n")
        until(lambda: lookout.mqtt.status().status == "ok")


@requires("openssl")
def test_tls_with_an_authority_and_a_certificate_of_the_client(tmp_path: Path, start_broker: StartBroker) -> None:
    make_certificates(tmp_path)
    for path in tmp_path.glob("*.key"):
        path.chmod(0o644)
    keys = ("ca", "certificate", "key")
    own = dict(zip(keys, (tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "server.key"), strict=True))
    broker = start_broker(
        f"cafile {own['ca']}", f"certfile {own['certificate']}", f"keyfile {own['key']}",
        "require_certificate true", "allow_anonymous true",
    )  # fmt: skip
    url = f"mqtts://127.0.0.1:{broker.port}"
    mine = {"client_certificate": tmp_path / "client.pem", "client_key": tmp_path / "client.key"}
    with device(tmp_path / "one", url=url, ca=tmp_path / "other.pem", **mine) as stranger:
        until(lambda: stranger.mqtt.status().status == "failed")
        assert "cannot be trusted" in stranger.mqtt.status().detail
        assert "mqtt.ca" in stranger.mqtt.status().remedy
        assert stranger.mqtt.status().code == "broker_untrusted"
    with device(tmp_path / "two", url=url, ca=own["ca"]) as nameless:
        until(lambda: nameless.mqtt.status().status == "failed")
    with device(tmp_path / "three", url=url, ca=own["ca"], **mine) as lookout:
        until(lambda: lookout.mqtt.status().status == "ok")


def test_notices_are_silenced_over_mqtt(tmp_path: Path, broker: Mosquitto, listener: Listener) -> None:
    with connect(tmp_path, broker, control="true", heartbeat_s=1) as lookout:
        listener.until(lambda: listener.text(lookout("notify")) == "on")
        listener.until(lambda: (listener.json(lookout("health")) or {}).get("disk_left_days") == 41.5)
        listener.send(lookout("notify", "set"), "never again")
        listener.send(lookout("notify", "set"), "off for 1 hour")
        listener.until(lambda: listener.text(lookout("notify")) == "off for 1 hour")
        assert lookout.notices.asked == [("all", 3600.0)]


@pytest.mark.parametrize("option", quiet.OPTIONS)
def test_each_word_for_quiet_is_shown_as_itself(option: str) -> None:
    wall = 1_780_488_000.0
    for_s = quiet.seconds(option, wall)
    assert for_s is not None
    assert quiet.word(for_s, wall) == option
    assert quiet.word(for_s - 30, wall + 30) == option


def test_an_orderly_end_is_not_a_failure(tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    with connect(tmp_path, broker) as lookout:
        until(lambda: lookout.mqtt.status().status == "ok")
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []
    assert lookout.mqtt.status().status == "ok"


def test_it_ends_at_once_even_while_it_connects(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        lookout = Device(tmp_path / "state", url=f"mqtt://127.0.0.1:{silent.getsockname()[1]}")
        lookout.start()
        time.sleep(0.5)
        assert lookout.stop() < 3


# --- the command line ---------------------------------------------------------------------------------------------


def test_the_command_line_tries_the_broker_and_clears_the_device(
    tmp_path: Path, broker: Mosquitto, listener: Listener
) -> None:
    with connect(tmp_path, broker) as lookout:
        listener.until(lambda: listener.json(lookout("answer")) and listener.json(CONFIG))
    url = f"mqtt://127.0.0.1:{broker.port}"
    config = tmp_path / "own.toml"
    config.write_text(f'[mqtt]\nurl = "{url}"\n[state]\nfolder = "{tmp_path / "state"}"\n')
    tried = CliRunner().invoke(app, ["mqtt", "test", "--config", str(config)])
    assert tried.exit_code == 0, tried.output
    assert f"127.0.0.1:{broker.port} accepts Lookout" in tried.output
    cleared = CliRunner().invoke(app, ["mqtt", "clear", "--config", str(config)])
    assert cleared.exit_code == 0, cleared.output
    with listening(broker.port) as later:
        time.sleep(0.3)
        assert later.newest == {}
