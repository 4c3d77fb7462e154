"""The lab: its numbers, by keyboard, on small screens and in both languages; other pages do not load it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from lookout.api.assets import Assets
from lookout.resources import DEFAULT_MODEL, static_folder
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, findings, wait_for_situation
from tests.browser.running import RunningService
from tests.support.languages import TRANSLATED

MAX_BYTES = 60_000
PROJECTOR = {"viewport": {"width": 1024, "height": 768}}
SMALL_PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}
SUM = ".bench-sum .lab-sum"


@pytest.fixture(scope="module", autouse=True)
def course(one_service: RunningService) -> Iterator[None]:
    """The network that the course takes apart, instead of the default one."""
    use(one_service, "cat-dog-resnet18")
    yield
    use(one_service, DEFAULT_MODEL)


def use(service: RunningService, name: str) -> None:
    httpx.put(f"{service.url}api/model", json={"name": name}, timeout=60, trust_env=False).raise_for_status()


def opened(
    service: RunningService, open_page: OpenPage, part: str = "bench", lang: str = "en", **options: object
) -> Page:
    page = open_page(f"{service.url}lab?lang={lang}#{part}", **options)
    expect(page.locator(f'[data-part="{part}"] h2').first).to_be_visible()
    return page


def test_everything_of_the_lab_is_sixty_kilobytes_packed() -> None:
    assets = Assets(static_folder())
    names = [name for name in assets.names if name.startswith("lab/")]
    assert "lab/bench.js" in names
    assert sum(len(assets.response(name, {"accept-encoding": "gzip"}).body) for name in names) < MAX_BYTES


def test_the_dashboard_loads_nothing_of_it(service: RunningService, open_page: OpenPage) -> None:
    page = open_page(service.url)
    wait_for_situation(page, "live")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not [name for name in loaded if "/lab/" in name]


def test_the_bench_opens_with_minus_five_of_the_course(service: RunningService, open_page: OpenPage) -> None:
    page = opened(service, open_page, **PROJECTOR)
    total = page.locator(SUM)
    expect(total).to_contain_text("= 3 + 1 + 2 − 1 − 8 − 2 = −5")
    box = total.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 768, "on a projector the sum is seen without scrolling"
    expect(page.locator('[data-stage="input"] td.lit')).to_have_count(9)


def test_it_is_used_by_keyboard_only(service: RunningService, open_page: OpenPage) -> None:
    page = opened(service, open_page)
    output = page.get_by_role("grid", name="Feature map")
    output.get_by_role("gridcell").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(output.locator(":focus")).to_have_text("−2")
    expect(page.locator(SUM)).to_contain_text("= −2")
    page.get_by_label("row 1, column 1").first.focus()
    page.keyboard.type("13")
    page.get_by_label("Row", exact=True).fill("1")
    page.get_by_label("Column", exact=True).fill("1")
    page.keyboard.press("Tab")
    expect(page.locator(SUM)).to_contain_text("13 + 1 + 2 − 1 − 8 − 2 = 5")
    expect(page.get_by_role("combobox", name="Grid", exact=True)).to_have_value("own")


def test_padding_stride_pooling_and_what_does_not_divide(service: RunningService, open_page: OpenPage) -> None:
    page = opened(service, open_page)
    sizes = page.locator('[data-detail="sizes"]')
    expect(sizes).to_contain_text("⌊(6 + 2·0 − 3) / 1⌋ + 1 = 4")
    page.get_by_label("Stride", exact=True).fill("2")
    expect(sizes).to_contain_text("do not divide evenly")
    assert sizes.locator("tbody tr").first.locator("td").all_inner_texts()[1:] == ["2", "3", "3", "2"]
    page.get_by_role("combobox", name="Padding").select_option("same")
    expect(sizes).to_contain_text("⌊(6 + 2·1 − 3) / 2⌋ + 1 = 3")
    expect(page.locator('[data-stage="input"] td.pad')).to_have_count(28)
    page.get_by_role("combobox", name="Activation").select_option("relu")
    page.get_by_role("combobox", name="Pooling", exact=True).select_option("max")
    expect(page.locator('[data-stage="pooled"] td')).to_have_count(1)
    page.locator("summary", has_text="Backpropagation").press("Enter")
    expect(page.locator('[data-detail="back"]')).to_contain_text("PyTorch takes 0")


def test_the_live_picture_lies_on_the_bench(service: RunningService, open_page: OpenPage) -> None:
    page = opened(service, open_page)
    page.get_by_role("combobox", name="Input", exact=True).select_option("live")
    output = page.locator('[data-stage="output"] canvas')
    expect(output).to_have_js_property("width", 94)
    expect(page.locator(SUM)).to_contain_text(re.compile(r"[1-9]\d*·1 \+"))
    output.hover(position={"x": 100, "y": 100})
    expect(page.locator(SUM)).to_contain_text("blue: ")
    page.locator("summary", has_text="As Python").click()
    assert page.locator("pre").first.inner_text().count("[") < 60  # the window, not ten thousand numbers


def test_the_walk_goes_from_the_picture_to_the_answer(service: RunningService, open_page: OpenPage) -> None:
    page = opened(service, open_page, "walk")
    tiles = page.locator(".walk-tiles li")
    expect(tiles).to_have_count(48)
    channel = page.locator('[data-walk="channel"]')
    expect(channel).to_contain_text("receptive field")
    expect(channel).to_contain_text("Its filter, number")
    page.get_by_role("combobox", name="Layer", exact=True).select_option("layer3.1.relu")
    expect(channel).to_contain_text("layer3.1.relu")
    channel.get_by_label("Row").fill("1")
    expect(channel).to_contain_text("lies in the padding")
    expect(page.locator('[data-walk="answer"] tbody tr')).to_have_count(3)
    page.locator('[data-walk="why"]').get_by_role("button", name="Cat").press("Enter")
    expect(page.locator('[data-walk="why"] figcaption').first).to_have_text("Evidence for Cat")
    stages = page.locator('[data-walk="stages"]')
    assert [text.split(" ")[0] for text in stages.locator("h4").all_inner_texts()] == ["Stem", *["Stage"] * 4, "Head"]
    expect(stages).to_contain_text("kernel 64 × 3 × 7 × 7")
    expect(stages).to_contain_text("layer1.0.conv2 + shortcut from maxpool")
    page.get_by_role("button", name="Measure the time of each layer").press("Enter")
    expect(stages).to_have_class(re.compile("walk-timed"))
    expect(page.locator('[data-row="layer1.0.conv2"] .walk-time')).to_contain_text(re.compile(r"\d ms"))
    expect(page.locator('[data-row="layer1.0.relu"] .walk-time')).to_have_text("–")
    bars = page.locator('[data-row$=".conv1"] .walk-bar:not(.walk-time .walk-bar)').all()
    assert len({(box := bar.bounding_box()) and box["x"] for bar in bars}) == 2, "columns stand below one another"
    row = page.locator('[data-row="maxpool"]')
    row.locator("summary").press("Enter")
    expect(row).to_contain_text("takes part in backpropagation")


def test_exercises_are_typed_first_and_then_explained(service: RunningService, open_page: OpenPage) -> None:
    page = opened(service, open_page, "exercises")
    first = page.locator('[data-exercise="filters"]')
    why = first.get_by_text("27 weights")
    expect(why).to_be_hidden()
    first.get_by_role("textbox").fill("270")
    page.keyboard.press("Enter")
    expect(first).to_contain_text("It is: 280")
    expect(why).to_be_visible()
    first.get_by_role("textbox").fill("280")
    page.keyboard.press("Enter")
    expect(first).to_contain_text("Right.")
    pooling = page.locator('[data-exercise="pooling"]')
    pooling.get_by_label("learns its weights").check()
    pooling.get_by_label("number of channels").check()
    pooling.get_by_role("button").click()
    expect(pooling).to_contain_text("Right.")
    expect(page.get_by_text("2 of 12 right")).to_be_visible()


def test_photographs_are_collected_while_the_button_is_held_and_saved_as_a_zip(
    service: RunningService, open_page: OpenPage, tmp_path: Path
) -> None:
    page = opened(service, open_page, "collect")
    save = page.get_by_role("button", name="Save as zip")
    expect(save).to_be_disabled()
    page.get_by_label("Label", exact=True).fill("my cat")
    page.get_by_role("button", name="Hold to collect").hover()
    page.mouse.down()
    row = page.locator('[data-label="my cat"]')
    expect(row).to_contain_text(re.compile(r"my cat: ([2-9]|\d\d)"))
    page.mouse.up()
    page.wait_for_timeout(500)
    count = int(row.inner_text().split("my cat: ")[1].split()[0])
    page.wait_for_timeout(700)
    expect(row).to_contain_text(f"my cat: {count} ")
    with page.expect_download() as download:
        save.click()
    download.value.save_as(tmp_path / "photographs.zip")
    with zipfile.ZipFile(tmp_path / "photographs.zip") as archive:
        names = archive.namelist()
        assert names == [f"my cat/camera-{number:05}.jpg" for number in range(1, count + 1)]
        assert all(archive.read(name).startswith(b"\xff\xd8") for name in names)


@pytest.mark.parametrize("part", ["walk", "collect", "exercises", "errata"])
def test_axe_finds_nothing_in_the_other_parts(
    service: RunningService, open_page: OpenPage, axe: str, part: str
) -> None:
    page = opened(service, open_page, part, lang="zh", **SMALL_PHONE)
    if part == "walk":
        expect(page.locator(".walk-tiles li")).to_have_count(48)
        expect(page.locator('[data-walk="channel"] canvas').first).to_be_visible()
        page.locator(".walk-row summary").nth(1).click()
    assert findings(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("lang", "theme"), [("en", "light"), ("zh", "dark")])
def test_axe_finds_nothing(service: RunningService, open_page: OpenPage, axe: str, lang: str, theme: str) -> None:
    page = opened(service, open_page, lang=lang, color_scheme=theme, reduced_motion="reduce")
    for detail in page.locator("details").all():
        detail.evaluate("node => (node.open = true)")
    page.get_by_role("combobox").nth(1).select_option("colour")
    assert findings(page, axe) == []


def test_the_smallest_phone_scrolls_one_way_only(service: RunningService, open_page: OpenPage) -> None:
    page = opened(service, open_page, **SMALL_PHONE)
    page.get_by_role("combobox", name="Padding").select_option("same")
    for detail in page.locator("details").all():
        detail.evaluate("node => (node.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_language_says_everything(service: RunningService, open_page: OpenPage, language: str) -> None:
    page = opened(service, open_page)
    english, translated = page.evaluate(
        """async language => {
            const files = ['en', language].map(name => import(`./static/lab/texts.${name}.js`));
            return (await Promise.all(files)).map(file => file.TEXTS);
        }""",
        language,
    )
    assert english.keys() == translated.keys()
    holes = re.compile(r"\{\w+\}")
    differ = [key for key in english if sorted(holes.findall(english[key])) != sorted(holes.findall(translated[key]))]
    assert differ == []
    assert "視野" not in str(translated)


def test_the_lab_changes_its_language(service: RunningService, open_page: OpenPage) -> None:
    page = opened(service, open_page)
    page.get_by_role("button", name="中文").click()
    expect(page.locator("h2").first).to_have_text("工作台")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hant")
