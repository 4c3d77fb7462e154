"""The walk of `home_assistant.sh`: a real Home Assistant in the tree ROOT, a real broker, and Lookout's integration.

python -m tests.integrations.home_assistant ROOT
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lookout.events.event import Event
from lookout.events.feed import News

from tests.integrations.device import Device, device
from tests.integrations.mosquitto import Mosquitto
from tests.support.ports import free_port

PATIENCE_S = 30.0


class Home:
    """Home Assistant, by one question and answer at a time."""

    def __init__(self, root: Path, port: int, log: Path) -> None:
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                ["chroot", root, "/ha/bin/python", "/inside.py", str(port)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True,
            )  # fmt: skip
        self.version = self._read()["version"]

    def ask(self, do: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("@"):
                return json.loads(line[1:])
        raise AssertionError("Home Assistant ended")

    def states(self) -> dict[str, Any]:
        """Each entity's state and attributes."""
        found: dict[str, Any] = self.ask("states")
        return found

    def state(self, entity: str) -> Any:
        return self.states().get(entity, {}).get("state")

    def call(self, domain: str, service: str, entity: str, **data: Any) -> None:
        self.ask("call", domain=domain, service=service, data={"entity_id": entity, **data})

    def until(self, what: str, holds: Callable[[], Any], why: Callable[[], Any] | None = None) -> None:
        """why: what to show when it does not come true."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > PATIENCE_S:
                raise AssertionError((what, (why or self.states)(), self.ask("errors")))
            time.sleep(0.2)
        print(f"ok: {what} ({time.monotonic() - began:.1f} s)")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


# Each entity as people see it before any label changes: its name and its state.
ENTITIES = {
    "sensor.lookout_answer": ("Answer", "cat"),
    "sensor.lookout_probability": ("Probability", "98.4"),
    "binary_sensor.lookout_cat": ("Cat", "on"),
    "binary_sensor.lookout_dog": ("Dog", "off"),
    "event.lookout_seen": ("Seen", "unknown"),
    "image.lookout_picture": ("Last picture", "unknown"),
    "binary_sensor.lookout_camera": ("Camera", "on"),
    "binary_sensor.lookout_power": ("Power supply", "off"),
    "switch.lookout_pause": ("Paused", "off"),
    "select.lookout_model": ("Model", "cat-dog-resnet18"),
    "select.lookout_notices": ("Notices", "on"),
    "number.lookout_enter_cat": ("Threshold: Cat", "0.85"),
}


def walk(home: Home, url: str, folder: Path) -> None:
    with device(folder, url=url, control="true") as lookout:
        home.until("the device is found", lambda: home.state("sensor.lookout_answer") == "cat")
        look(home)
        first = News("begun", Event(7, "seen", 1.8e9, None, label="cat", probability=0.97), b"\xff\xd8")
        lookout.feed.publish(first)
        seen = "event.lookout_seen"
        home.until("an event arrives", lambda: home.states()[seen].get("event_type") == "cat_began")
        home.until("and its picture", lambda: home.state("image.lookout_picture") not in (None, "unknown"))
        lose_the_camera(home, lookout)
        change_labels(home, lookout)
        command(home, lookout)
    home.until("it is gone when it ends", lambda: home.state("sensor.lookout_answer") == "unavailable")
    errors = home.ask("errors")
    assert errors == [], "\n".join(errors)
    print("ok: Home Assistant logged no warning of MQTT, no error and no exception")


def look(home: Home) -> None:
    """Every entity is there under its name and with its state."""

    def differs() -> dict[str, Any]:
        states = home.states()
        wrong = {}
        for entity, (name, state) in ENTITIES.items():
            found = states.get(entity, {})
            if not str(found.get("friendly_name", "")).endswith(name) or found.get("state") != state:
                wrong[entity] = found
        return wrong

    home.until(f"its {len(ENTITIES)} entities have names and states", lambda: not differs(), differs)


def lose_the_camera(home: Home, lookout: Device) -> None:
    lookout.scene.stalled = True
    home.until("without a camera there is no answer", lambda: home.state("sensor.lookout_answer") == "unavailable")
    assert home.state("binary_sensor.lookout_cat") == "unavailable"
    assert home.state("binary_sensor.lookout_camera") == "off"
    lookout.scene.stalled = False
    home.until("the camera is back", lambda: home.state("sensor.lookout_answer") == "cat")


def change_labels(home: Home, lookout: Device) -> None:
    """One comes while it is the answer, and goes while it is the answer."""
    scene = lookout.scene
    scene.labels, scene.label = ("cat", "fox", "neither"), "fox"
    home.until("a new label is the answer", lambda: home.state("sensor.lookout_answer") == "fox")
    home.until("a label that went is gone", lambda: home.state("binary_sensor.lookout_dog") is None)
    home.until("the new one is present", lambda: home.state("binary_sensor.lookout_fox") == "on")
    scene.labels, scene.label = ("cat", "dog", "neither"), "dog"
    home.until("the answer that went is another", lambda: home.state("sensor.lookout_answer") == "dog")
    home.until("its entity is gone", lambda: home.state("binary_sensor.lookout_fox") is None)


def command(home: Home, lookout: Device) -> None:
    home.call("number", "set_value", "number.lookout_enter_cat", value=0.7)
    home.until("a threshold is set", lambda: {"answer": {"enter": {"cat": 0.7}}} in lookout.control.asked)
    home.call("select", "select_option", "select.lookout_notices", option="off for 1 hour")
    home.until("notices are silenced", lambda: home.state("select.lookout_notices") == "off for 1 hour")
    assert lookout.notices.asked == [("all", 3600.0)]
    home.call("switch", "turn_on", "switch.lookout_pause")
    home.until("it is paused", lambda: home.state("switch.lookout_pause") == "on" and lookout.scene.paused)
    home.until("and says so", lambda: home.state("sensor.lookout_answer") == "unavailable")


def main(root: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker, log = Mosquitto(folder, free_port()), folder / "home-assistant.log"
        broker.start()
        try:
            home = Home(root, broker.port, log)
            print(f"Home Assistant {home.version}")
            try:
                walk(home, f"mqtt://127.0.0.1:{broker.port}", folder / "state")
            finally:
                home.stop()
        except BaseException:
            print("".join(log.read_text("utf-8", "replace").splitlines(keepends=True)[-40:]))
            raise
        finally:
            broker.kill()
    print("Home Assistant and Lookout understand each other.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
