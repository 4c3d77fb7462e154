"""How the page behaves: weight, first paint, accessibility, languages, sizes, wall display, first start."""

from __future__ import annotations

import importlib
import re
from typing import Any

import httpx
import pytest
from lookout.api.assets import Assets
from lookout.errors import LookoutError
from lookout.resources import static_folder
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, findings, wait_for_situation
from tests.browser.running import RunningService
from tests.support.languages import LANGUAGES, TRANSLATED

MAX_BYTES = 80_000
# Of commands, of a service that does not start, and of other programs' protocols: no page can meet them.
NOT_ON_A_PAGE = {"results_unusable", "cluster_unusable", "address_in_use", "state_folder_in_use"}
NOT_ON_A_PAGE |= {"inference_invalid", "websocket_needed", "request_malformed", "unknown_token"}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
MIN_WINDOW = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}
LYING = {"viewport": {"width": 844, "height": 390}, "has_touch": True, "is_mobile": True}
TABLET = {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True}
ENLARGED = {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}  # 1280 x 800 at 200 %


def test_all_of_the_page_is_eighty_kilobytes_on_the_wire_and_nothing_the_second_time(
    service: RunningService, open_page: OpenPage
) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    expect(page.locator("#model form")).to_be_visible()  # what is below the answer comes after it
    sizes = files(page)
    assert len(sizes) > 10
    assert all(sizes.values())
    assert sum(sizes.values()) < MAX_BYTES
    page.reload()
    expect(page.locator("#model form")).to_be_visible()
    assert sum(files(page).values()) < 5_000  # the page itself, to see whether there is another version


def files(page: Page) -> dict[str, int]:
    """Bytes on the wire, headers included, of each file that the page loaded, without the API's answers."""
    sizes: dict[str, int] = page.evaluate(
        """() => {
            const kinds = ['resource', 'navigation'];
            const entries = kinds.flatMap(kind => performance.getEntriesByType(kind));
            const files = entries.filter(entry => !entry.name.includes('/api/'));
            return Object.fromEntries(files.map(entry => [entry.name, entry.transferSize]));
        }"""
    )
    return sizes


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_tabs_and_dialogs_are_eighty_kilobytes_packed(language: str) -> None:
    """What a browser loads to show everything in one language, without the lab, the login page and a phone's icons."""
    assets = Assets(static_folder())
    apart = ("lab/", "login.", "icon-")
    wanted = [name for name in assets.names if not name.startswith(apart)]
    wanted = [name for name in wanted if not name.startswith("texts.") or name == f"texts.{language}.js"]
    packed = {name: len(assets.response(name, {"accept-encoding": "gzip"}).body) for name in wanted}
    assert "diary.js" in packed
    assert sum(packed.values()) < MAX_BYTES


def test_only_the_language_that_is_read_is_loaded(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(f"{service.url}?lang=zh")
    wait_for_situation(page, "live")
    texts = [name for name in files(page) if "/texts." in name]
    assert [name.rpartition("/")[2] for name in texts] == ["texts.zh-Hant.js"]
    expect(page.locator("#chip")).to_have_text("即時")


def test_the_first_paint_comes_within_a_second(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 1000


def test_the_policy_forbids_everything_foreign_and_inline(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    response = page.request.get(service.url)
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy or "default-src 'self'" in policy


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("order", ["live", "silent"])
def test_axe_finds_nothing(service: RunningService, open_page: OpenPage, axe: str, theme: str, order: str) -> None:
    page = open_page(service.url, color_scheme=theme, hints=True, reduced_motion="reduce")
    wait_for_situation(page, "live")
    service.order(order)
    wait_for_situation(page, "live" if order == "live" else "stale")
    assert findings(page, axe) == []


def test_axe_finds_nothing_in_the_dialogs(service: RunningService, open_page: OpenPage, axe: str) -> None:
    page = open_page(service.url, reduced_motion="reduce")
    wait_for_situation(page, "live")
    page.get_by_role("tab", name="Inside").click()
    assert findings(page, axe) == []
    page.get_by_role("button", name="Layers").click()
    expect(page.locator(".layers")).to_be_visible()
    assert findings(page, axe) == []
    page.locator("#layers-close").click()
    page.get_by_role("button", name="Classify a photo").click()
    assert findings(page, axe) == []


@pytest.mark.parametrize("size", [PHONE, LYING, TABLET], ids=["phone", "lying", "tablet"])
def test_axe_finds_nothing_where_drawings_stand_for_words(
    service: RunningService, open_page: OpenPage, axe: str, size: dict[str, Any]
) -> None:
    page = open_page(service.url, reduced_motion="reduce", **size)
    wait_for_situation(page, "live")
    assert findings(page, axe) == []
    for name in ("Pause", "Classify a photo"):
        expect(page.get_by_role("button", name=name)).to_be_visible()


@pytest.mark.parametrize("size", [PHONE, MIN_WINDOW], ids=["phone", "320px"])
def test_a_phone_scrolls_one_way_only_and_shows_the_answer_at_once(
    service: RunningService, open_page: OpenPage, size: dict[str, Any]
) -> None:
    page = open_page(service.url, **size)
    wait_for_situation(page, "live")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    word = page.locator("#word").bounding_box()
    assert word is not None
    assert word["y"] + word["height"] < size["viewport"]["height"]


def test_numbers_that_change_move_nothing(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    page.wait_for_timeout(1500)
    shift = page.evaluate(
        """async () => {
            let sum = 0;
            const watcher = new PerformanceObserver(list => list.getEntries().forEach(e => (sum += e.value)));
            watcher.observe({type: 'layout-shift'});
            await new Promise(done => setTimeout(done, 2500));
            return sum;
        }"""
    )
    assert shift < 0.01


@pytest.mark.parametrize(
    "size",
    [PHONE, MIN_WINDOW, TABLET, {"viewport": {"width": 1024, "height": 768}}],
    ids=["phone", "320px", "tablet", "1024"],
)
def test_another_answer_moves_nothing(service: RunningService, open_page: OpenPage, size: dict[str, Any]) -> None:
    page = open_page(service.url, **size)
    wait_for_situation(page, "live")
    word = page.locator("#word")
    expect(word).to_have_text("Cat")
    below = "document.querySelector('.below').getBoundingClientRect().top"
    before = page.evaluate(below)
    ask_for_more(service, {"cat": 1.0})
    try:
        expect(word).to_have_text("Not sure")
        assert page.evaluate(below) == pytest.approx(before, abs=0.5)
    finally:
        ask_for_more(service, None)


def ask_for_more(service: RunningService, thresholds: dict[str, float] | None) -> None:
    """Set thresholds above what the camera's cat can reach; None restores them."""
    patch = {"answer": {"enter": thresholds, "leave": thresholds}}
    httpx.patch(f"{service.url}api/settings", json=patch, trust_env=False).raise_for_status()


def test_the_bars_keep_their_room_when_the_page_is_enlarged(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url, **ENLARGED)
    wait_for_situation(page, "live")
    track = page.locator("#bars .bar-track").first.bounding_box()
    assert track is not None
    assert track["width"] > 40
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_wall_display_shows_only_picture_and_answer(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(f"{service.url}?kiosk", viewport={"width": 1920, "height": 1080})
    wait_for_situation(page, "live")
    expect(page.locator("#word")).to_be_visible()
    for part in (".bar", ".below", "#frame-tools", "#foot"):
        expect(page.locator(part)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.locator("main").get_by_role("link", name="Leave the wall display").count() == 1
    # 25 mm of letter on a 24 inch screen (0.277 mm a pixel) is what reads well at three metres.
    assert page.evaluate("parseFloat(getComputedStyle(document.getElementById('word')).fontSize)") * 0.277 > 25
    page.keyboard.press("Escape")
    expect(page.locator(".bar")).to_be_visible()


def test_a_wall_display_hung_upright_is_filled(service: RunningService, open_page: OpenPage) -> None:
    """The picture is as wide as the screen, and the answer fills the rest, in the language that the address names."""
    page = open_page(f"{service.url}?kiosk&lang=zh", viewport={"width": 1080, "height": 1920})
    wait_for_situation(page, "live")
    expect(page.locator("#word")).to_have_text("貓")
    frame, plate = page.locator("#frame").bounding_box(), page.locator("#plate").bounding_box()
    assert frame is not None
    assert plate is not None
    assert frame["width"] > 1000
    assert plate["y"] > frame["y"] + frame["height"]
    assert plate["y"] + plate["height"] > 1850
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.evaluate("parseFloat(getComputedStyle(document.getElementById('word')).fontSize)") > 300
    for width, height in ((1200, 1920), (600, 1024), (480, 800), (1080, 1080)):  # 16:10, small screens, a square
        page.set_viewport_size({"width": width, "height": height})
        beyond = page.evaluate(
            "document.querySelector('#bars').lastElementChild.getBoundingClientRect().bottom - innerHeight"
        )
        assert beyond < 0, f"cut off at {width} x {height}"
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), (width, height)


def test_the_first_start_explains_itself_once(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url, hints=True)
    hints = page.locator("#hints")
    expect(hints).to_contain_text("cat and dog and nothing else", ignore_case=True)
    page.get_by_role("button", name="Got it").click()
    expect(hints).to_have_count(0)
    expect(page.locator("#word")).to_be_focused()
    page.reload()
    wait_for_situation(page, "live")
    expect(hints).to_be_hidden()


@pytest.mark.parametrize("locale", ["zh-TW", "zh-Hant-HK"])
def test_a_chinese_browser_is_spoken_to_in_traditional_chinese(
    service: RunningService, open_page: OpenPage, locale: str
) -> None:
    page = open_page(service.url, locale=locale)
    wait_for_situation(page, "live")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hant")
    expect(page.locator("#chip")).to_have_text("即時")
    page.get_by_role("button", name="English").click()
    expect(page.locator("#chip")).to_have_text("Live")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_language_says_everything(service: RunningService, open_page: OpenPage, language: str) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    reported: dict[str, Any] = page.evaluate(
        """async language => {
            const [en, other] = await Promise.all(['en', language].map(name => import(`./static/texts.${name}.js`)));
            const holes = text => (text.match(/{\\w+}/g) ?? []).sort().join();
            const keys = Object.keys(en.TEXTS);
            const nodes = [...document.querySelectorAll('[data-t], [data-t-label]')];
            const asked = nodes.map(node => node.dataset.t ?? node.dataset.tLabel);
            return {
                english: keys.sort(),
                translated: Object.keys(other.TEXTS).sort(),
                faults: Object.keys(other.FAULTS),
                differ: keys.filter(key => holes(en.TEXTS[key]) !== holes(other.TEXTS[key] ?? '')),
                unknown: asked.filter(key => !(key in en.TEXTS)),
            };
        }""",
        language,
    )
    assert reported["english"] == reported["translated"]
    assert reported["differ"] == []
    assert reported["unknown"] == []
    codes = {error.code for error in leaves(LookoutError)} - NOT_ON_A_PAGE
    assert codes <= set(reported["faults"]), "a code without a translation"


def test_a_neural_network_is_not_the_internet_in_chinese() -> None:
    """網路 is the internet; a neural network is 神經網路 or 模型, and its receptive field no 視野."""
    texts = (static_folder() / "texts.zh-Hant.js").read_text("utf-8")
    words = "".join(re.findall(r'"([^"]*)"', texts))
    assert "視野" not in words
    internet = ["網路太慢", "網路較慢", "網路很慢", "網路斷了", "網路變快", "檢查網路", "網路是否", "網路磁碟"]
    for internet_word in [*internet, "區域網路"]:
        words = words.replace(internet_word, "")
    assert "網路" not in words.replace("神經網路", "")


def leaves(kind: type[LookoutError]) -> list[type[LookoutError]]:
    """Every error that a page may meet: those of the service and of its API, regardless of what was imported before."""
    modules = (
        "lookout.errors",
        "lookout.events.errors",
        "lookout.api.problems",
        "lookout.integrations.packages",
        "lookout.integrations.mdns.integration",
        "lookout.integrations.mqtt.broker",
        "lookout.integrations.notify.targets",
    )
    for module in modules:
        importlib.import_module(module)
    found = [one for below in kind.__subclasses__() for one in leaves(below)]
    return [one for one in [kind, *found] if one.__module__ in modules]


def test_a_card_speaks_the_readers_language(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(f"{service.url}?lang=zh")
    expect(page.locator("#model .headline")).to_contain_text("貓、狗")
    expect(page.locator("#model .reason").first).to_have_attribute("lang", "zh-Hant")
    page.get_by_role("button", name="English").click()
    expect(page.locator("#model .headline")).to_contain_text("Cat, dog or neither")


def test_light_and_dark_can_be_chosen_and_are_kept(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url, color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_screen_reader_hears_a_changed_answer_once(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    expect(page.locator("#announce")).not_to_be_empty()
    changes = page.evaluate(
        """async () => {
            let count = 0;
            new MutationObserver(list => (count += list.length)).observe(document.getElementById('announce'),
                {childList: true, characterData: true, subtree: true});
            await new Promise(done => setTimeout(done, 3000));
            return count;
        }"""
    )
    assert changes <= 1


def test_it_works_under_a_sub_path(own_service: RunningService, open_page: OpenPage) -> None:
    own_service.flags += ["--server.root_path", "/eyes/lookout"]
    own_service.start()
    page = open_page(f"{own_service.url}eyes/lookout/")
    wait_for_situation(page, "live")
    expect(page.locator("#model form")).to_be_visible()
