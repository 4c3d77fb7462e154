"""The login page: a token in, a cookie back, and the token is nowhere to be seen afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, findings, wait_for_situation
from tests.browser.running import RunningService

REFUSED = ("401", "Unauthorized")
TOKEN = "t" * 43
# What has the focus without a line around it, or lies outside the window; "" where all is well.
SHOWS_ITS_FOCUS = """() => {
    const node = document.activeElement;
    if (node === document.body) return '';
    const lines = [node, node.parentElement].map(one => getComputedStyle(one));
    const box = node.getBoundingClientRect();
    const seen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return seen && lines.some(line => line.outlineStyle !== 'none') ? '' : node.outerHTML.slice(0, 200);
}"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("guarded")
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    service = RunningService(folder / "run", "--server.token_file", str(token))
    service.start()
    yield service
    service.stop()


def test_a_stranger_gets_the_login_page_and_a_token_opens_it(guarded: RunningService, open_page: OpenPage) -> None:
    page = open_page(guarded.url, forgive=REFUSED)
    expect(page.get_by_role("heading", level=1)).to_have_text("Who is there?")
    expect(page.locator("#command")).to_contain_text("-m lookout token")  # of this installation: tests start it so
    page.get_by_label("Token").fill("not this one")
    page.get_by_role("button", name="Come in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Come in").click()
    wait_for_situation(page, "live")


def test_a_link_with_a_token_lets_in_and_loses_the_token(guarded: RunningService, open_page: OpenPage) -> None:
    page = open_page(f"{guarded.url}#token={TOKEN}", forgive=REFUSED)
    wait_for_situation(page, "live")
    assert TOKEN not in page.url
    assert page.evaluate("window.location.hash") == ""
    page.go_back()
    assert TOKEN not in page.url


def test_a_wall_display_is_one_again_behind_the_door(guarded: RunningService, open_page: OpenPage) -> None:
    page = open_page(f"{guarded.url}?kiosk", forgive=REFUSED)
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Come in").click()
    wait_for_situation(page, "live")
    expect(page.locator(".bar")).to_be_hidden()
    page.context.clear_cookies()
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.url.endswith("?kiosk")


def test_one_can_sign_out_again(guarded: RunningService, open_page: OpenPage) -> None:
    page = open_page(f"{guarded.url}#token={TOKEN}", forgive=REFUSED)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.goto(guarded.url)
    expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_at_the_door(guarded: RunningService, open_page: OpenPage, axe: str, theme: str) -> None:
    page = open_page(guarded.url, forgive=REFUSED, color_scheme=theme)
    expect(page.get_by_label("Token")).to_be_focused()
    assert findings(page, axe) == []


WORDS = {
    "en": ("Token", "Settings", "Keep a diary", "Days kept", "Cat: becomes the answer at", "Saved.", "Sign out"),
    "zh": ("權杖", "設定", "寫日記", "保留天數", "貓：成為結果的門檻", "已儲存。", "登出"),
}


@pytest.mark.parametrize("lang", WORDS)
def test_settings_and_the_way_out_need_no_mouse(guarded: RunningService, open_page: OpenPage, lang: str) -> None:
    token, settings, diary, days, enter, saved, leave = WORDS[lang]
    page = open_page(f"{guarded.url}?lang={lang}", forgive=REFUSED, reduced_motion="reduce")
    tab_to(page, page.get_by_label(token, exact=True))
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    wait_for_situation(page, "live")
    tab_to(page, page.get_by_role("tab").first)
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name=settings)).to_be_focused()
    slider = page.get_by_role("slider", name=enter)
    tab_to(page, slider)
    before = int(slider.get_attribute("aria-valuenow") or 0)
    page.keyboard.press("ArrowDown")
    expect(slider).to_have_attribute("aria-valuenow", str(before - 1))
    expect(page.locator("#set-thresholds").get_by_role("status")).to_have_text(saved)
    tab_to(page, page.get_by_label(diary))
    page.keyboard.press(" ")
    expect(page.locator(".setting", has=page.get_by_label(diary)).get_by_role("status")).to_have_text(saved)
    field = page.get_by_label(days)
    tab_to(page, field)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("31" if lang == "en" else "32")
    page.keyboard.press("Enter")
    expect(page.locator(".setting", has=field).get_by_role("status")).to_have_text(saved)
    tab_to(page, page.locator("#settings").get_by_role("button", name=leave))
    page.keyboard.press("Enter")
    expect(page.get_by_label(token, exact=True)).to_be_visible()


def tab_to(page: Page, wanted: Locator, most: int = 90) -> None:
    """Press Tab until it has the focus. Everything focused on the way shows its focus and is on the screen."""
    expect(wanted).to_be_attached()
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("node => node === document.activeElement"):
            return
        assert page.evaluate(SHOWS_ITS_FOCUS) == "", "has the focus, and nobody can see it"
    raise AssertionError(f"Tab does not lead to {wanted}.")
