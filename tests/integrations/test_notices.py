"""Notices: never a flood, never muted by mistake, each delivered once. The clock is passed in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from lookout.errors import SettingInvalid
from lookout.events.event import Doubt, Event
from lookout.events.feed import News
from lookout.integrations.interface import Parts
from lookout.integrations.notify import targets
from lookout.integrations.notify.delivery import MAX_KEPT, Delivery
from lookout.integrations.notify.notice import Notice, trial
from lookout.integrations.notify.rules import Moment, Rules
from lookout.integrations.notify.targets import Apprise, NotDelivered, Program, Webhook
from lookout.integrations.packages import Package
from lookout.settings.integrations import NotifyRule
from lookout.settings.sources import load
from lookout.state.view import StateView
from lookout.storage import Storage

from tests.api.conftest import StartService, wait_until
from tests.requires import requires
from tests.support.ports import free_port

# A Wednesday at noon, UTC.
WALL = 1_780_488_000.0
ADDRESS = "http://lookout.local:8642/"
WELL = cast(
    "StateView",
    {
        "status": "ok",
        "camera": {"reason": None, "remedy": None},
        "fault": None,
        "system": {"disk": None, "throttled": []},
    },
)


class Sent:
    """What rules sent, and the rules themselves, at moments that the test chooses."""

    def __init__(self, *rules: NotifyRule, device: str = "") -> None:
        self.notices: list[Notice] = []
        self.rules = Rules(list(rules), ADDRESS, lambda notice, _: self.notices.append(notice), device=device)
        self._number = 0

    def begin(self, now: float, label: str = "cat", *, wall: float | None = None, probability: float = 0.97) -> Event:
        at = Moment(now, WALL + now if wall is None else wall)
        self._number += 1
        event = Event(self._number, "seen", at.wall, None, label=label, probability=probability)
        self.rules.take(News("begun", event, b"picture"), at)
        return event

    def end(self, now: float, event: Event, doubt: Doubt | None = None) -> None:
        at = Moment(now, WALL + now)
        ended = Event(event.id, "seen", event.started, at.wall, label=event.label, probability=0.97, doubt=doubt)
        self.rules.take(News("ended", ended), at)

    def tick(self, now: float, view: StateView = WELL) -> None:
        self.rules.tick(view, Moment(now, WALL + now))


def rule(**settings: Any) -> NotifyRule:
    return NotifyRule.model_validate({"name": "cat", "to": ["phone"]} | settings)


# --- how often --------------------------------------------------------------------------------------------------------


def test_ten_thousand_flapping_answers_are_six_notices_an_hour() -> None:
    """BirdNET-Pi#228 (4,000 a day), blakeblackshear/frigate#15255."""
    sent = Sent(rule(cooldown_s=0))
    for number in range(10_000):
        sent.end(number * 0.36 + 0.1, sent.begin(number * 0.36))
    assert len(sent.notices) == 6
    assert sent.rules.throttles["cat"].held == 9_994
    sent.begin(3_601.0)
    assert sent.notices[-1].held == 9_994
    assert "(and 9994 more" in sent.notices[-1].text


def test_of_several_devices_a_notice_names_its_own() -> None:
    sent = Sent(rule(), device="Kitchen")
    sent.begin(0.0)
    assert sent.notices[0].title == "Kitchen: cat"


def test_the_cooldown_counts_from_what_was_sent() -> None:
    """SgtBatten/HA_blueprints#117, #113, #219: one that was held back began the cooldown anew."""
    sent = Sent(rule(cooldown_s=300))
    for now in range(0, 1201, 100):
        sent.begin(now)
    assert [notice.time[14:19] for notice in sent.notices] == ["00:00", "05:00", "10:00", "15:00", "20:00"]


@pytest.mark.parametrize("jump", [-365 * 86400.0, 365 * 86400.0])
def test_a_clock_that_jumps_neither_mutes_nor_floods(jump: float) -> None:
    sent = Sent(rule(cooldown_s=300))
    sent.begin(0.0)
    for now in range(1, 300):
        sent.begin(float(now), wall=WALL + jump + now)
    assert len(sent.notices) == 1
    sent.begin(301.0, wall=WALL + jump + 301)
    assert len(sent.notices) == 2


@pytest.mark.parametrize(("away_s", "clock_s", "count"), [(10.0, 10.0, 0), (400.0, 400.0, 1), (10.0, -86400.0, 0)])
def test_a_restart_forgets_neither_cooldown_nor_snooze(away_s: float, clock_s: float, count: int) -> None:
    """away_s: how long it was away; clock_s: how long the clock says that it was."""
    sent = Sent(rule(cooldown_s=300), rule(name="dog", labels=["dog"]))
    sent.begin(0.0)
    sent.rules.snooze("dog", 600, Moment(0.0, WALL))
    kept = json.loads(json.dumps(sent.rules.kept(Moment(50.0, WALL + 50))))
    again = Sent(rule(cooldown_s=300), rule(name="dog", labels=["dog"], cooldown_s=0))
    again.rules.restore(kept, Moment(7.0, WALL + 50 + clock_s))
    again.begin(7.0, wall=WALL + 50 + away_s)
    assert len(again.notices) == count
    again.begin(8.0, "dog")
    assert [notice.rule for notice in again.notices].count("dog") == 0
    again.begin(320.0)
    again.begin(600.0, "dog")
    assert len(again.notices) == count + 2, "and neither lasts longer"


def test_a_snooze_ends_by_itself_and_says_what_was_held_back() -> None:
    sent = Sent(rule(cooldown_s=0))
    sent.rules.snooze("all", 3600, Moment(0.0, WALL))
    sent.begin(1.0)
    sent.begin(3_599.0)
    assert sent.notices == []
    sent.begin(3_601.0)
    assert sent.notices[0].held == 2


def test_quiet_hours_go_over_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    sent = Sent(rule(quiet="22:00-07:00", cooldown_s=0))
    for hours in (9.9, 10.1, 18.9, 19.1):  # after noon
        sent.begin(hours * 3600)
    assert [notice.time[11:16] for notice in sent.notices] == ["21:54", "07:06"]
    monkeypatch.undo()
    time.tzset()


# --- what ----------------------------------------------------------------------------------------------------------


def test_a_visit_that_lasts_is_reported_once_it_has() -> None:
    sent = Sent(rule(after_s=10))
    event = sent.begin(0.0)
    sent.tick(9.0)
    sent.end(9.5, event)
    sent.tick(20.0)
    assert sent.notices == []
    sent.begin(30.0)
    sent.tick(40.0)
    assert [notice.event for notice in sent.notices] == [2]


@pytest.mark.parametrize(
    ("settings", "events"),
    [
        ({"labels": ["dog"]}, [2]),
        ({"min_probability": 0.9}, [1]),
        ({"when": "ends"}, [1, 2, 3]),
        ({"when": "first_today"}, [1, 2]),
        ({"when": "after_absence", "absence_h": 1}, [1, 2]),
        ({"when": "rare", "rare_visits": 1}, [1, 2]),
        ({"when": "unsure"}, [3]),
        ({"when": "health"}, []),
        ({"view": "garden"}, []),
    ],
)
def test_rules_choose(settings: dict[str, Any], events: list[int]) -> None:
    sent = Sent(rule(cooldown_s=0, **settings))
    sent.end(1.0, sent.begin(0.0))
    sent.end(11.0, sent.begin(10.0, "dog", probability=0.8))
    sent.end(21.0, sent.begin(20.0, "cat", probability=0.7), "unsure")
    assert [notice.event for notice in sent.notices] == events


def test_a_fault_is_reported_once_until_it_clears() -> None:
    sent = Sent(rule(when="health", cooldown_s=0))
    lost = cast("StateView", WELL | {"status": "absent", "camera": {"reason": "No camera.", "remedy": "Plug it in."}})
    for now in range(100):
        sent.tick(float(now), lost)
    assert [notice.text for notice in sent.notices] == ["No pictures arrive: No camera. Plug it in."]
    sent.tick(100.0)
    for now in range(101, 200):
        sent.tick(float(now), lost)
    assert len(sent.notices) == 2
    for now in range(200, 300):  # one that blinks is none
        sent.tick(float(now), lost if now % 20 else WELL)
    assert len(sent.notices) == 2


# --- whither -------------------------------------------------------------------------------------------------------


class Receiver(http.server.BaseHTTPRequestHandler):
    status: ClassVar[int] = 204
    got: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if 200 <= self.status < 300:
            self.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
        self.send_response(self.status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


StartReceiver = Callable[[int], None]


@pytest.fixture
def start_receiver() -> Iterator[StartReceiver]:
    running: list[http.server.ThreadingHTTPServer] = []
    Receiver.status, Receiver.got = 204, []

    def begin(port: int) -> None:
        running.append(http.server.ThreadingHTTPServer(("127.0.0.1", port), Receiver))
        threading.Thread(target=running[-1].serve_forever, args=(0.01,), daemon=True).start()

    yield begin
    for each in running:
        each.shutdown()
        each.server_close()


def notice(number: int) -> Notice:
    return trial(f"id-{number}", "2026-05-01T07:14:11.020Z", ADDRESS)


def ids() -> list[str]:
    return [json.loads(body)["id"] for _, body in Receiver.got]


def test_a_receiver_that_is_down_for_an_hour_gets_each_once(tmp_path: Path, start_receiver: StartReceiver) -> None:
    port, storage = free_port(), Storage(tmp_path)
    hook = {"hook": Webhook(f"http://127.0.0.1:{port}/x?y=1", None, ADDRESS)}
    delivery = Delivery(hook, tmp_path / "outbox", storage)
    for now in range(0, 3600, 600):
        delivery.add(notice(now), ["hook"], float(now))
        for second in range(now, now + 600, 5):
            delivery.step(float(second))
    assert Receiver.got == []
    delivery = Delivery(hook, tmp_path / "outbox", storage)  # a restart in between
    delivery.load(0.0)
    start_receiver(port)
    due = delivery.step(0.0)
    assert due == float("inf")
    assert sorted(ids()) == sorted(f"id-{now}" for now in range(0, 3600, 600))
    assert list((tmp_path / "outbox").glob("*")) == []


def test_pauses_between_attempts_grow_and_a_day_is_enough(tmp_path: Path) -> None:
    hook = Webhook(f"http://127.0.0.1:{free_port()}/", None, ADDRESS)
    delivery = Delivery({"hook": hook}, tmp_path, Storage(tmp_path))
    delivery.add(notice(1), ["hook"], 0.0)
    moments, now = [], 0.0
    while now != float("inf"):
        moments.append(now)
        now = delivery.step(now)
    pauses = [later - sooner for sooner, later in pairwise(moments)]
    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert max(pauses) == 3600
    assert 86_400 <= moments[-1] <= 90_000
    assert delivery.queues["hook"].lost == 1


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = Delivery({"hook": Webhook("http://127.0.0.1:9/", None, ADDRESS)}, tmp_path, Storage(tmp_path))
    monkeypatch.setattr(delivery, "_keep", lambda *_: None)
    for number in range(MAX_KEPT + 50):
        delivery.add(notice(number), ["hook"], 0.0)
    assert len(delivery.queues["hook"].waiting) == MAX_KEPT
    assert delivery.queues["hook"].lost == 50


def test_a_webhook_is_a_signed_cloud_event(tmp_path: Path, start_receiver: StartReceiver) -> None:
    start_receiver(port := free_port())
    (tmp_path / "secret").write_text("hush\n")
    Webhook(f"http://127.0.0.1:{port}/", tmp_path / "secret", ADDRESS).send(notice(1))
    headers, body = Receiver.got[0]
    moment, _, digest = headers["lookout-signature"].partition(",v1=")
    assert digest == hmac.new(b"hush", moment[2:].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["content-type"].startswith("application/cloudevents+json")
    said = json.loads(body)
    assert {key: said[key] for key in ("specversion", "id", "source", "type", "subject")} == {
        "specversion": "1.0",
        "id": "id-1",
        "source": ADDRESS,
        "type": "lookout.notice",
        "subject": "test",
    }
    assert said["data"]["text"]


@pytest.mark.parametrize(("status", "gone"), [(301, False), (410, True), (500, False)])
def test_a_refusal_is_a_sentence_and_redirects_are_not_followed(
    start_receiver: StartReceiver, status: int, gone: bool
) -> None:
    start_receiver(port := free_port())
    Receiver.status = status
    with pytest.raises(NotDelivered, match=str(status)) as caught:
        Webhook(f"http://127.0.0.1:{port}/", None, ADDRESS).send(notice(1))
    assert caught.value.code == ("receiver_gone" if gone else "notice_not_delivered")


def test_a_public_name_that_means_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(2, 1, 6, "", ("127.0.0.1", 80))]
    monkeypatch.setattr(targets.socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(NotDelivered, match="private address"):
        Webhook("http://rebound.example.com/", None, ADDRESS).send(notice(1))


def test_a_program_gets_json_and_no_environment_and_no_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKOUT_SECRET", "hush")
    out = tmp_path / "out file; touch x"
    code = f"import json, os, sys; json.dump([json.load(sys.stdin), dict(os.environ)], open({str(out)!r}, 'w'))"
    Program([sys.executable, "-I", "-c", code, "; touch x"]).send(notice(1))
    said, environment = json.loads(out.read_text())
    assert said["id"] == "id-1"
    assert "LOOKOUT_SECRET" not in environment
    with pytest.raises(NotDelivered, match="status 3"):
        Program([sys.executable, "-I", "-c", "raise SystemExit(3)"]).send(notice(1))
    with pytest.raises(NotDelivered, match="cannot be started"):
        Program(["/nowhere"]).send(notice(1))
    monkeypatch.setattr(targets, "TIMEOUT_S", 0.3)
    with pytest.raises(NotDelivered, match="was ended"):
        Program([sys.executable, "-I", "-c", "import time; time.sleep(60)"]).send(notice(1))


@requires("apprise")
def test_apprise_sends_from_a_process_of_its_own(tmp_path: Path, start_receiver: StartReceiver) -> None:
    start_receiver(port := free_port())
    (tmp_path / "url").write_text(f"json://127.0.0.1:{port}/\n")
    sender = Apprise(tmp_path / "url")
    try:
        sender.send(notice(1))
        assert json.loads(Receiver.got[0][1])["title"] == "Lookout"
        assert "apprise" not in sys.modules
        Receiver.status = 500
        with pytest.raises(NotDelivered, match="did not take it"):
            sender.send(notice(2))
    finally:
        sender.close()


def test_apprise_that_is_not_installed_is_reported_before_the_first_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Package, "is_there", lambda _: False)
    delivery = Delivery({"phone": Apprise(tmp_path / "url")}, tmp_path, Storage(tmp_path))
    delivery.add(notice(1), ["phone"], 0.0)
    for trouble in (delivery.queues["phone"].trouble, delivery.step(0.0) and delivery.queues["phone"].trouble):
        assert trouble
        assert trouble.detail == "The Python package apprise is not installed."
        assert "pip install 'apprise" in trouble.remedy
        assert trouble.code == "package_missing"


def test_a_receiver_can_check_the_signature_as_the_docs_say() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notices.md").read_text("utf-8")
    code = page.split("```python\n", 1)[1].split("```", 1)[0]
    body, names = b'{"id": "x"}', {}
    exec(code, names)
    header = targets.signature(b"hush", int(time.time()), body)
    assert names["is_from_lookout"](header, body, b"hush")
    assert not names["is_from_lookout"](header, body + b" ", b"hush")
    assert not names["is_from_lookout"](targets.signature(b"hush", 1_000_000, body), body, b"hush")


def test_the_settings_of_the_docs_are_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "notices.md").read_text("utf-8")
    (tmp_path / "lookout.toml").write_text(page.split("```toml\n", 1)[1].split("```", 1)[0])
    notify = load({}, tmp_path / "lookout.toml", {}).settings.notify
    assert len(notify.rules) == 3
    assert len(notify.targets) == 3


# --- settings, API -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('to = ["hook"]', 'names a target "hook" that does not exist'),
        ('to = ["hook"]\ncolour = 1', "notify.rules.0.colour"),
        ('to = ["hook"]\n[notify.targets.hook]\nexec = ["ring"]', "whole path of a program"),
        ('to = ["hook"]\n[notify.targets.hook]\nwebhook = "ftp://secret"', "write it as https://host/path"),
    ],
)
def test_a_mistake_in_the_rules_is_a_sentence_without_secrets(tmp_path: Path, change: str, said: str) -> None:
    (tmp_path / "lookout.toml").write_text(f'[[notify.rules]]\nname = "visits"\n{change}\n')
    with pytest.raises(SettingInvalid) as caught:
        load({}, tmp_path / "lookout.toml", {})
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_api_names_rules_and_targets_and_no_address(
    start: StartService, tmp_path: Path, start_receiver: StartReceiver
) -> None:
    start_receiver(port := free_port())
    hook = {"hook": {"webhook": f"http://127.0.0.1:{port}/secret-path"}}
    rules = [{"name": "visits", "to": ["hook"]}]
    service = start({"notify.rules": json.dumps(rules), "notify.targets": json.dumps(hook)})
    storage = Storage(service.folder)
    parts = Parts(service.hub, service.services.control, storage, service.history.feed, ADDRESS)
    integrations = service.services.integrations
    asyncio.run_coroutine_threadsafe(integrations.start(parts), service._loop).result(15)
    with service.client() as client:
        assert "secret-path" not in client.get("api/settings").text
        assert client.put("api/notify/snooze", json={"rule": "visits", "for_s": 3600}).status_code == 200
        assert client.put("api/notify/snooze", json={"rule": "none", "for_s": 1}).status_code == 422
        assert client.patch("api/settings", json={"notify": {"rules": []}}).status_code == 409
        assert client.post("api/notify/test", json={"target": "hook"}).status_code == 202
        wait_until(lambda: len(Receiver.got) == 1)
        wait_until(lambda: client.get("api/notify").json()["targets"][0]["delivered"] == 1)
        described = client.get("api/notify").json()
        assert described["rules"][0]["snoozed_for_s"] > 3000
        assert "secret-path" not in json.dumps(described)
        assert [one["rule"] for one in client.get("api/notify/log").json()["notices"]] == ["test"]
        statuses = {one["name"]: one["status"] for one in client.get("api/integrations").json()["integrations"]}
        assert statuses["notify"] == "ok"
    asyncio.run_coroutine_threadsafe(integrations.stop(), service._loop).result(15)
    assert json.loads((tmp_path / "state" / "notify" / "rules.json").read_text())["rules"]["visits"]["snoozed"] > 3000
