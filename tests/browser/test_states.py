"""The page states the truth at once and in words (live, frozen, absent, paused, ended, lost) and recovers by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, situations, wait_for_situation
from tests.browser.running import RunningService

# A page looks four times a second and the test takes its own time on a busy machine.
SLACK_S = 0.7
LOST = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "WebSocket connection", "ERR_NETWORK")


def seconds_until(condition: Callable[[], object]) -> float:
    began = time.monotonic()
    condition()
    return time.monotonic() - began


def fingerprint(page: Page) -> str:
    """A value that changes whenever the picture on the canvas changes."""
    text: str = page.evaluate("document.getElementById('picture').toDataURL('image/jpeg', 0.9).slice(-400)")
    return text


def test_a_live_camera_is_shown_moving_with_its_answer(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    expect(page.locator("#chip")).to_have_text("Live")
    expect(page.locator("#cover")).to_be_hidden()
    first = fingerprint(page)
    page.wait_for_function(
        "first => document.getElementById('picture').toDataURL('image/jpeg', 0.9).slice(-400) !== first", arg=first
    )
    answer = service.state()["answer"]
    assert isinstance(answer, dict)
    expect(page.locator("#word")).to_have_text(str(answer["title"]))
    expect(page.locator("#since")).to_contain_text("for ")
    expect(page.locator("#bars li")).to_have_count(3)


def test_the_part_the_network_sees_is_drawn_where_the_service_says(
    service: RunningService, open_page: OpenPage
) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    region = service.state()["region"]
    assert isinstance(region, dict)
    frame, seen = page.locator("#frame").bounding_box(), page.locator("#seen").bounding_box()
    assert frame is not None
    assert seen is not None
    assert (seen["x"] - frame["x"]) / frame["width"] == pytest.approx(region["seen"]["x"], abs=0.01)
    assert seen["width"] / frame["width"] == pytest.approx(region["seen"]["width"], abs=0.01)


def test_frames_that_stop_are_covered_by_words_in_time_and_heal(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    stale_after = float(str(service.state()["stale_after_s"]))
    service.order("silent")
    took = seconds_until(lambda: wait_for_situation(page, "stale"))
    assert took <= stale_after + 1.0 + SLACK_S
    expect(page.locator("#cover")).to_contain_text("No new picture for")
    expect(page.locator("#plate")).to_have_attribute("data-tone", "old")
    expect(page.locator("#seen")).to_be_hidden()
    expect(page.locator("#bars")).not_to_be_visible()
    service.order("live")
    assert "late" not in situations(page, 4.0), "a picture from before does not mean a slow network"
    wait_for_situation(page, "live", timeout_ms=15_000)
    expect(page.locator("#cover")).to_be_hidden()


@pytest.mark.parametrize(
    ("order", "headline"), [("absent", "No camera found"), ("busy", "Another program is using the camera")]
)
def test_no_camera_is_a_page_with_a_reason_and_a_remedy(
    own_service: RunningService, open_page: OpenPage, order: str, headline: str
) -> None:
    own_service.order(order)
    own_service.start()
    page = open_page(own_service.url)
    wait_for_situation(page, "absent")
    cover = page.locator("#cover")
    expect(cover).to_contain_text(headline)
    expect(cover.locator("code")).to_have_count(1)
    expect(cover).to_contain_text("Trying again")
    # Said over the picture, and not once more beside it and below.
    expect(page.locator("#plate")).to_be_hidden()
    expect(page.locator("#camera .reason").first).to_be_hidden()
    cover.get_by_role("button", name="Classify a photo instead").click()
    expect(page.locator("#photo-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    own_service.order("live")
    wait_for_situation(page, "live", timeout_ms=25_000)


def test_the_cameras_that_are_there_are_offered_instead(own_service: RunningService, open_page: OpenPage) -> None:
    config = own_service.folder / "lookout.toml"
    config.write_text('[camera]\nsource = "usb:/dev/video99"\n')
    own_service.flags = ["--config", str(config)]
    own_service.start()
    page = open_page(f"{own_service.url}login")
    found = {"kind": "usb", "address": "demo", "name": "Desk camera", "note": ""}
    page.route("**/api/cameras", lambda route: route.fulfill(json={"cameras": [found], "reasons": []}))
    page.goto(own_service.url)
    page.get_by_role("button", name="Desk camera (demo)").click()
    wait_for_situation(page, "live", timeout_ms=25_000)


def test_paused_wipes_the_picture_and_resumes(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    page.get_by_role("tab", name="Inside").click()
    page.get_by_role("button", name="What does it see?").click()
    expect(page.locator("#look-inside")).to_contain_text("Bright where")
    page.get_by_role("button", name="Pause").click()
    wait_for_situation(page, "paused")
    expect(page.locator("#cover")).to_contain_text("The camera is closed")
    expect(page.locator("#speed")).to_contain_text("Time for one answer: – ms")
    blank = page.evaluate(
        """['#picture', '.thumbnail', '#heat'].map(one => {
            const c = document.querySelector(one);
            const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            return pixels.every((value, i) => i % 4 === 3 || value === 0);
        })"""
    )
    assert blank == [True, True, True]
    page.locator("#resume").click()
    expect(page.locator("#pause")).to_be_focused()
    wait_for_situation(page, "live", timeout_ms=15_000)


def test_a_film_that_is_over_is_called_so(own_service: RunningService, open_page: OpenPage) -> None:
    own_service.start()
    page = open_page(own_service.url)
    wait_for_situation(page, "live")
    own_service.order("end")
    wait_for_situation(page, "ended")
    expect(page.locator("#cover")).to_contain_text("The video has ended")


def test_a_lost_connection_is_reported_within_three_seconds_and_heals(
    own_service: RunningService, open_page: OpenPage
) -> None:
    own_service.start()
    page = open_page(own_service.url, forgive=LOST)
    wait_for_situation(page, "live")
    expect(page.locator("#camera .headline")).to_be_visible()

    own_service.signal(signal.SIGSTOP)
    took = seconds_until(lambda: wait_for_situation(page, "lost"))
    assert took <= 3.0 + SLACK_S
    expect(page.locator("#cover")).to_contain_text("No connection for")
    expect(page.locator("#plate")).to_have_attribute("data-tone", "old")
    # What is not known any more is not shown as if it were.
    expect(page.locator("#camera .headline")).to_have_text("No connection")
    expect(page.locator("#machine dd").filter(has_text="MB")).to_have_count(0)
    own_service.signal(signal.SIGCONT)
    wait_for_situation(page, "live", timeout_ms=20_000)

    own_service.kill()
    assert seconds_until(lambda: wait_for_situation(page, "lost")) <= 3.0 + SLACK_S
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    own_service.start()
    wait_for_situation(page, "live", timeout_ms=30_000)


def test_a_hidden_page_lets_go_of_the_connection_and_comes_back(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', {configurable: true, value: hidden});
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    with page.expect_websocket() as again:
        page.evaluate(hide, True)
        wait_for_situation(page, "connecting")
        assert page.title() == "Lookout"  # it asks for nothing and knows nothing
        page.evaluate(hide, False)
    assert "api/live" in again.value.url
    wait_for_situation(page, "live")


def test_trouble_with_the_disk_is_reported_where_the_machine_is(
    own_service: RunningService, open_page: OpenPage
) -> None:
    kept = own_service.folder / "state" / "lookout"
    kept.mkdir(parents=True)
    (kept / "old").write_bytes(bytes(2**20))
    own_service.flags += ["--state.max_bytes", str(2**20)]
    own_service.start()
    page = open_page(own_service.url)
    row = page.locator("#machine dd[data-bad=true]")
    row.wait_for()
    assert "state.max_bytes" in row.inner_text()
    (kept / "old").unlink()
    row.wait_for(state="hidden")
