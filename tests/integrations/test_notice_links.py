"""The address in a notice: it opens one visit for a day, does a thing once, and nothing by being fetched."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from lookout.integrations.interface import Parts
from lookout.integrations.notify.integration import Notify
from lookout.integrations.notify.links import LinkExpired, Links, LinkUsed
from lookout.integrations.notify.notice import trial
from lookout.storage import Storage

from tests.api.conftest import Service, StartService, wait_until
from tests.integrations.test_notices import WALL, Sent, rule

ADDRESS = "http://lookout.local:8642/"
NOTICE = replace(trial("id-1", "2026-05-01T07:14:11.020Z", ADDRESS), rule="visits", event=7)


def links(folder: Path, lasts_s: float = 86_400.0) -> Links:
    made = Links(ADDRESS, lasts_s)
    made.load_key(folder, Storage(folder))
    return made


def text_of(address: str) -> str:
    return urlsplit(address).query.removeprefix("link=")


def test_a_link_opens_its_event_for_a_day_and_after_a_restart(tmp_path: Path) -> None:
    text = text_of(links(tmp_path).page(NOTICE, WALL))
    again = links(tmp_path)
    found = again.read(text, WALL + 86_399)
    assert (found.notice, found.rule, found.event) == ("id-1", "visits", 7)
    with pytest.raises(LinkExpired):
        again.read(text, WALL + 86_401)


def test_a_link_of_somebody_else_or_a_changed_one_opens_nothing(tmp_path: Path) -> None:
    ours, text = links(tmp_path / "a"), text_of(links(tmp_path / "a").page(NOTICE, WALL))
    theirs = text_of(links(tmp_path / "b").page(NOTICE, WALL))
    packed, _, signature = text.partition(".")
    forged = text_of(links(tmp_path / "b").page(replace(NOTICE, event=8), WALL)).partition(".")[0]
    for wrong in (theirs, f"{forged}.{signature}", f"{packed}.", packed, "", ".", "é.ü", "\udc80", "x" * 100_000):
        with pytest.raises(LinkExpired):
            ours.read(wrong, WALL)


def test_what_was_done_with_a_link_is_not_done_again_whatever_restarts(tmp_path: Path) -> None:
    first = links(tmp_path)
    link = first.read(text_of(first.page(NOTICE, WALL)), WALL)
    first.use(link, "quiet", WALL)
    second = links(tmp_path)
    second.restore(json.loads(json.dumps(first.kept())))
    with pytest.raises(LinkUsed):
        second.use(link, "quiet", WALL + 1)
    second.use(link, "right", WALL + 1)
    second.use(replace(link, notice="id-2"), "quiet", WALL + 90_000)
    assert len(second.kept()) == 1  # those that expired are not remembered


def test_notices_of_visits_carry_links_and_none_where_they_are_off(tmp_path: Path) -> None:
    sent = Sent(rule(cooldown_s=0))
    sent.begin(0.0)
    assert sent.notices[0].url.endswith("/api/events/1/snapshot.jpg")
    sent.rules._links = links(tmp_path)
    sent.begin(1.0)
    assert sent.notices[1].url.startswith(f"{ADDRESS}notice?link=")
    assert sent.notices[1].picture_url.startswith(f"{ADDRESS}notice/picture.jpg?link=")


@dataclass
class Opened:
    service: Service
    notify: Notify
    event: int

    @property
    def path(self) -> str:
        """The path of a new notice's page."""
        notice = replace(NOTICE, event=self.event)
        return self.notify._links.page(notice, time.time()).removeprefix(ADDRESS)


@pytest.fixture
def opened(start: StartService) -> Iterator[Opened]:
    """A service with a token, a visit in its diary, and a notice of it."""
    hook = {"bell": {"exec": ["/bin/true"]}}
    rules = [{"name": "visits", "to": ["bell"]}]
    flags = {"notify.rules": json.dumps(rules), "notify.targets": json.dumps(hook), "events.enabled": "true"}
    service = start(flags)
    wait_until(lambda: service.hub.latest().frame is not None)
    service.tokens.create("somebody")
    storage = service.services.control._storage
    parts = Parts(service.hub, service.services.control, storage, service.history.feed, ADDRESS)
    integrations = service.services.integrations
    asyncio.run_coroutine_threadsafe(integrations.start(parts), service._loop).result(15)
    notify = integrations.find("notify")
    assert isinstance(notify, Notify)
    yield Opened(service, notify, service.history.miss("cat").id)
    asyncio.run_coroutine_threadsafe(integrations.stop(), service._loop).result(15)


def form(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    origin = {"Origin": str(client.base_url).rstrip("/")}
    return client.post("notice", data={"link": text_of(path), **fields}, headers=origin)


def test_who_has_the_notice_needs_no_token(opened: Opened) -> None:
    path = opened.path
    with opened.service.client() as client:
        assert client.get("api/notify").status_code == 401
        for _ in range(2):  # a messenger looks first
            page = client.get(path)
            assert page.status_code == 200
            assert "What was it?" in page.text
        shown = client.get(path.replace("notice?", "notice/picture.jpg?"))
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
        assert opened.notify.describe()["rules"][0]["snoozed_for_s"] == 0
        done = form(client, path, quiet="1")
        assert done.status_code == 200
        assert "no notices" in done.text
        assert opened.notify.describe()["rules"][0]["snoozed_for_s"] > 3000
        assert form(client, path, quiet="1").status_code == 409
        labels = opened.service.hub.latest().model.labels  # type: ignore[union-attr]
        assert form(client, path, right="no such label").status_code == 422
        assert form(client, path, right=labels[1]).status_code == 200
        assert opened.service.history.store.get(opened.event).right == labels[1]
        assert form(client, path, right=labels[0]).status_code == 409


def test_without_a_valid_link_there_is_a_sentence_and_nothing_else(opened: Opened) -> None:
    with opened.service.client() as client:
        for query in ("", "?link=", "?link=x.y", "?link=%ff%00"):
            answer = client.get(f"notice{query}", headers={"Accept-Language": "zh-TW"})
            assert answer.status_code == 410
            assert "連結已失效" in answer.text
            assert client.get(f"notice/picture.jpg{query}").status_code == 410
        assert client.post("notice", content=b"\xff&&&=&" * 100).status_code in (410, 422)
        other = client.post(
            "notice", data={"link": text_of(opened.path)}, headers={"Origin": "http://elsewhere.example"}
        )
        assert other.status_code == 403
