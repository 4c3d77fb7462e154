"""The login page: a token in, a cookie back, and the token is nowhere to be seen afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, findings, wait_for_situation
from tests.browser.running import RunningService

REFUSED = ("401", "Unauthorized")
TOKEN = "t" * 43


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


def test_a_stranger_is_shown_the_door_and_a_token_opens_it(guarded: RunningService, open_page: OpenPage) -> None:
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
