"""The settings as people change them: tabs by keyboard, fields and refusals, thresholds in the chart, the camera."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, findings, wait_for_situation
from tests.browser.running import RunningService
from tests.support.waiting import until

PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}
CHANGED = {
    "camera": {"rotate": None, "flip": None, "fps": None},
    "answer": {"enter": None, "leave": None, "hold_s": None},
}


@pytest.fixture
def settings_page(service: RunningService, open_page: OpenPage) -> Iterator[Page]:
    """Accepts the 422 that the browser logs when a test causes a refusal, and restores all settings."""
    page = open_page(f"{service.url}#/settings", forgive=("422",), reduced_motion="reduce")
    wait_for_situation(page, "live")
    yield page
    httpx.patch(f"{service.url}api/settings", json=CHANGED, trust_env=False).raise_for_status()


def values(service: RunningService) -> dict[str, Any]:
    reported = httpx.get(f"{service.url}api/settings", trust_env=False).raise_for_status().json()
    return {name: key["value"] for name, key in reported["keys"].items()}


def test_tabs_go_by_keyboard_address_and_back(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    page.get_by_role("tab", name="Now").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Settings")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Settings").get_by_label("Frames per second")).to_have_count(1)
    assert page.url.endswith("#/settings")
    expect(page.locator("#settings #picture")).to_be_visible()  # the one live picture goes along
    page.go_back()
    expect(page.locator("#now #picture")).to_be_visible()
    expect(page.get_by_role("tab", name="Now")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowLeft")


def test_a_field_is_kept_refused_in_its_place_and_taken_back(service: RunningService, settings_page: Page) -> None:
    page = settings_page
    page.locator("#settings summary", has_text="More").first.press("Enter")
    row = page.locator(".setting", has=page.get_by_label("Frames per second"))
    field = page.get_by_label("Frames per second")
    field.fill("12")
    field.press("Enter")
    expect(row.get_by_role("status")).to_have_text("Saved.")
    assert values(service)["camera.fps"] == 12
    field.fill("0.2")
    field.press("Enter")
    expect(row).to_have_attribute("data-refused", "true")
    expect(row.get_by_role("status")).to_contain_text("stale_after_s")
    expect(field).to_have_value("0.2")  # what was typed stays to be mended
    field.fill("")
    field.press("Tab")
    expect(row.get_by_role("status")).to_contain_text("240")
    row.get_by_role("button", name="Undo this change").click()
    expect(field).to_have_value("15")
    assert values(service)["camera.fps"] == 15


def test_thresholds_are_dragged_in_the_chart_or_moved_by_key(service: RunningService, settings_page: Page) -> None:
    page = settings_page
    enter = page.get_by_role("slider", name="Cat: becomes the answer at")
    leave = page.get_by_role("slider", name="Cat: stops being the answer below")
    before = int(enter.get_attribute("aria-valuenow") or 0)
    enter.press("ArrowUp")
    enter.press("ArrowUp")
    expect(enter).to_have_attribute("aria-valuenow", str(before + 2))
    expect(page.locator("#set-thresholds").get_by_role("status")).to_have_text("Saved.")
    assert values(service)["answer.enter"]["cat"] == pytest.approx((before + 2) / 100)
    enter.scroll_into_view_if_needed()
    box, strip = enter.bounding_box(), page.locator("#settings .strip").first.bounding_box()
    assert box is not None
    assert strip is not None
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(middle, strip["y"] + 0.75 * strip["height"], steps=4)
    page.mouse.up()
    expect(enter).not_to_have_attribute("aria-valuenow", str(before + 2))
    dragged = int(enter.get_attribute("aria-valuenow") or 0)
    assert dragged < 40
    expect(leave).to_have_attribute("aria-valuenow", str(dragged))  # it may not lie above, so it goes along
    page.wait_for_function("() => document.querySelector('#set-thresholds .outcome').textContent === 'Saved.'")
    page.get_by_role("button", name="Reset to the model's own lines").click()
    expect(enter).to_have_attribute("aria-valuenow", str(before))


def test_the_picture_is_turned_and_the_camera_chosen(service: RunningService, settings_page: Page) -> None:
    page = settings_page
    page.get_by_role("button", name="Rotate").click()
    until(lambda: values(service)["camera.rotate"] == 90)  # scripted pictures come as they are, turned or not
    mirror = page.get_by_role("button", name="Mirror left to right")
    mirror.click()
    expect(mirror).to_have_attribute("aria-pressed", "true")
    assert values(service)["camera.flip"] == "horizontal"


def test_settings_speak_both_languages_on_a_phone_and_axe_finds_nothing(
    service: RunningService, open_page: OpenPage, axe: str
) -> None:
    page = open_page(f"{service.url}#/settings", reduced_motion="reduce", color_scheme="dark", **PHONE)
    wait_for_situation(page, "live")
    expect(page.get_by_role("slider").first).to_be_attached()
    for details in page.locator("#settings summary").all():
        details.click()
    assert findings(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.locator("#language").click()
    expect(page.get_by_label("每秒影格數")).to_be_visible()
    expect(page.locator("#settings")).not_to_contain_text(re.compile(r"\bset\.[a-z]|\[object"))


def test_other_programs_show_how_they_are_and_are_tried(tmp_path: Path, open_page: OpenPage, axe: str) -> None:
    bell = tmp_path / "bell"
    bell.write_text('#!/bin/sh\ncat > "$(dirname "$0")/rung"\n')
    bell.chmod(0o755)
    service = RunningService(tmp_path)
    settings = tmp_path / "config" / "lookout" / "lookout.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        '[mqtt]\nurl = "mqtt://127.0.0.1:9"\n[[notify.rules]]\nname = "visits"\nto = ["bell"]\n'
        f'[notify.targets.bell]\nexec = ["{bell}"]\n'
    )
    service.start()
    try:
        page = open_page(f"{service.url}#/settings", reduced_motion="reduce")
        wait_for_situation(page, "live")
        card = page.get_by_role("region", name="Other programs")
        expect(card).to_contain_text("not working since", timeout=30_000)
        expect(card).to_contain_text("Nothing listens on 127.0.0.1:9")
        expect(card).to_contain_text("off (metrics.enabled enables it)")
        card.get_by_role("button", name="Send bell a test notice").click()
        expect(page.get_by_text("A test notice is on its way to bell.")).to_be_visible()
        rung = tmp_path / "rung"
        until(lambda: rung.exists() and "test" in rung.read_text())
        assert findings(page, axe) == []
        page.locator("#language").click()
        card = page.get_by_role("region", name="其他程式")
        expect(card).to_contain_text("連不到 MQTT 伺服器。")
        expect(card).to_contain_text("（原始訊息：Nothing listens on 127.0.0.1:9.")
        page.close()
    finally:
        service.stop()
