"""What the page says and shows on a network that is slow, becomes slow, or blocks WebSockets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.browser.conftest import OpenPage, situations, wait_for_situation
from tests.browser.running import RunningService
from tests.browser.slow_network import SlowNetwork

SLOW = 20_000  # bytes a second: a village's DSL, a phone at the edge of its cell
LIVE_S = 6.0
# The page looks four times a second, and the machine that runs the tests may be busy.
SLACK_S = 2.0
# The handshakes that a proxy refuses are in the console, whatever the page does.
FORGIVEN = ("WebSocket connection", "ERR_CONNECTION", "ERR_INCOMPLETE", "400 (Bad Request)")

StartNetwork = Callable[..., SlowNetwork]


@pytest.fixture
def network(service: RunningService) -> Iterator[StartNetwork]:
    """Puts a network between the browser and the service."""
    started: list[SlowNetwork] = []

    def start(bytes_per_s: float) -> SlowNetwork:
        started.append(SlowNetwork(service.port, bytes_per_s))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_a_slow_network_has_smaller_pictures_and_stays_live(network: StartNetwork, open_page: OpenPage) -> None:
    """A picture that took longer than 2.5 s counted as a lost connection, and the next one began with another."""
    slow = network(SLOW)
    page = open_page(slow.url)
    wait_for_situation(page, "live", timeout_ms=30_000)
    # What the network had to carry until then; the time itself is that of a machine busy with tests.
    assert slow.carried / SLOW < LIVE_S - 2.0
    expect(page.locator("#network")).to_have_text("Slow network: smaller, fewer pictures")
    expect(page.locator("#model form")).to_be_visible()
    assert situations(page, 6.0) == {"live"}
    assert page.evaluate("document.getElementById('picture').width") < 640


def test_a_network_that_recovers_has_full_pictures_again(network: StartNetwork, open_page: OpenPage) -> None:
    changing = network(SLOW)
    page = open_page(changing.url)
    wait_for_situation(page, "live")
    changing.bytes_per_s = 10e6
    page.wait_for_function("() => document.getElementById('picture').width === 640")
    expect(page.locator("#network")).to_be_hidden()


def test_without_pictures_the_answer_is_live_and_the_reason_is_shown(
    service: RunningService, open_page: OpenPage
) -> None:
    """The service finds the network too slow for any (tests/api/test_state_and_live.py)."""
    page = open_page(f"{service.url}login")
    slow = True

    def between(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            if slow and (isinstance(message, bytes) or json.loads(message)["type"] == "picture"):
                message = json.dumps({"type": "picture", "bytes": 0, "network": "too_slow"})
            socket.send(message)

        server.on_message(pass_on)

    page.route_web_socket("**/api/live*", between)
    page.goto(service.url)
    expect(page.locator(".cover-headline")).to_have_text("The network is too slow for pictures")
    expect(page.locator("#plate")).not_to_have_attribute("data-tone", "old")
    expect(page.locator("#word")).to_have_text("Cat")
    slow = False
    page.reload()
    wait_for_situation(page, "live")


def test_a_network_that_no_longer_carries_anything_is_reported_soon(network: StartNetwork, open_page: OpenPage) -> None:
    """While a picture is on its way the connection is kept, but nothing is called live."""
    changing = network(10e6)
    page = open_page(changing.url, forgive=FORGIVEN)
    wait_for_situation(page, "live")
    expect(page.locator("#model form")).to_be_visible()  # nothing else is on its way
    changing.bytes_per_s = 50
    began = time.monotonic()
    wait_for_situation(page, "lost")
    assert time.monotonic() - began < 3.0 + SLACK_S
    expect(page.locator("#plate")).to_have_attribute("data-tone", "old")
    changing.bytes_per_s = 10e6
    wait_for_situation(page, "live", timeout_ms=20_000)


@pytest.mark.parametrize("events", [True, False], ids=["events", "events kept back"])
def test_without_websockets_states_and_pictures_come_otherwise_and_it_is_reported(
    network: StartNetwork, open_page: OpenPage, events: bool
) -> None:
    """Behind a proxy that drops the upgrade, the page used to say "does not answer" for ever."""
    proxy = network(10e6)
    proxy.upgrades, proxy.events = False, events
    page = open_page(proxy.url, forgive=FORGIVEN)
    wait_for_situation(page, "live", timeout_ms=20_000)
    expect(page.locator("#network")).to_have_text("No WebSocket: fewer pictures")
    expect(page.locator("#camera")).to_contain_text("a proxy in between does not forward Upgrade")
    assert situations(page, 4.0) == {"live"}
