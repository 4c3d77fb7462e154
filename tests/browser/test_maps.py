"""The feature maps on the dashboard: current maps or a sentence, usable by keyboard and with reduced motion."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, findings, wait_for_situation
from tests.browser.running import RunningService

TILES = ".maps li"
# The channels of the first layer (of a layer with more, the strongest 64) behind what the network was given.
SHOWN = 33
# While the page has not yet heard that the camera fell silent, it asks once more and gets 503.
FORGIVEN = ("503",)
BLANK = "c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size < 4"


def opened(service: RunningService, open_page: OpenPage, **options: object) -> tuple[Page, Locator]:
    page = open_page(service.url, forgive=FORGIVEN, **options)
    wait_for_situation(page, "live")
    page.get_by_role("tab", name="Inside").click()
    page.get_by_role("button", name="Feature maps").press("Enter")
    dialog = page.get_by_role("dialog", name="Feature maps")
    expect(dialog.locator(TILES)).to_have_count(SHOWN)
    return page, dialog


def is_asked_again(page: Page) -> None:
    """Checked twice: the first request may already have been on its way."""
    for _ in range(2):
        with page.expect_request("**/api/feature-maps*"):
            pass


def asked(page: Page, wait_ms: float) -> int:
    """How often the page requests maps during this time."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "feature-maps" in request.url else None)
    page.wait_for_timeout(wait_ms)
    return len(requests)


def test_each_channel_of_the_layer_chosen_has_a_tile(service: RunningService, open_page: OpenPage) -> None:
    _, dialog = opened(service, open_page)
    tiles = dialog.locator(TILES)
    expect(tiles.first).to_have_text("Input")
    assert tiles.nth(0).locator("canvas").evaluate("c => c.width") == 128
    assert tiles.nth(1).locator("canvas").evaluate("c => c.width") == 64
    assert not tiles.nth(2).locator("canvas").evaluate(BLANK)
    dialog.get_by_label("Layer").select_option("_relu1")
    expect(dialog.locator(".note")).to_contain_text("64 of 1280 channels")
    assert tiles.nth(1).locator("canvas").evaluate("c => c.width") == 4


def test_they_follow_the_picture_until_the_dialog_is_closed(service: RunningService, open_page: OpenPage) -> None:
    page, dialog = opened(service, open_page)
    is_asked_again(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Feature maps")).to_be_focused()
    page.wait_for_timeout(500)  # one may be on its way
    assert asked(page, 2000) == 0


@pytest.mark.parametrize(("order", "words"), [("silent", "No new picture"), ("absent", "No camera")])
def test_a_picture_that_is_not_of_now_has_no_maps_but_words(
    service: RunningService, open_page: OpenPage, order: str, words: str
) -> None:
    _, dialog = opened(service, open_page)
    service.order(order)
    expect(dialog.locator(TILES)).to_have_count(0)
    expect(dialog.get_by_role("status")).to_contain_text(words, ignore_case=True)
    service.order("live")
    expect(dialog.locator(TILES)).to_have_count(SHOWN)
    expect(dialog.get_by_role("status")).to_have_count(0)


def test_a_pause_takes_the_maps_away(service: RunningService, open_page: OpenPage) -> None:
    page, dialog = opened(service, open_page)
    page.request.put(f"{service.url}api/paused", data="true", headers={"Content-Type": "application/json"})
    expect(dialog.locator(TILES)).to_have_count(0)
    expect(dialog.get_by_role("status")).to_contain_text("Paused")
    page.request.put(f"{service.url}api/paused", data="false", headers={"Content-Type": "application/json"})
    expect(dialog.locator(TILES)).to_have_count(SHOWN)


def test_without_motion_the_maps_are_renewed_by_hand(service: RunningService, open_page: OpenPage) -> None:
    page, dialog = opened(service, open_page, reduced_motion="reduce")
    expect(dialog.get_by_label("Follow the picture")).not_to_be_checked()
    assert asked(page, 2500) == 0
    with page.expect_response("**/api/feature-maps*"):
        dialog.get_by_role("button", name="Refresh").click()
    dialog.get_by_label("Follow the picture").check()
    expect(dialog.get_by_role("button", name="Refresh")).to_be_hidden()
    is_asked_again(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(service: RunningService, open_page: OpenPage, axe: str, theme: str) -> None:
    page, _ = opened(service, open_page, color_scheme=theme, reduced_motion="reduce")
    assert findings(page, axe) == []


def test_the_smallest_phone_scrolls_one_way_only(service: RunningService, open_page: OpenPage) -> None:
    _, dialog = opened(service, open_page, viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    assert dialog.evaluate("d => d.scrollWidth <= d.clientWidth")
    assert dialog.locator(".table-scroll").evaluate("d => d.scrollWidth <= d.clientWidth")
