"""What people do here: choose a region, upload a photo, look inside, pick a model, show the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_for_situation
from tests.browser.running import RunningService

CHELSEA = Path(skimage.data.__file__).parent / "chelsea.png"
REFUSED = ("415", "422", "413")


def live_page(service: RunningService, open_page: OpenPage, **options: object) -> Page:
    page = open_page(service.url, **options)
    wait_for_situation(page, "live")
    page.locator("#photo-dialog").wait_for(state="attached")  # what is below the picture is fetched after it
    return page


def region_asked(service: RunningService) -> dict[str, float]:
    region = service.state()["region"]
    assert isinstance(region, dict)
    asked: dict[str, float] = region["asked"]
    return asked


def test_a_region_is_dragged_and_undone(service: RunningService, open_page: OpenPage) -> None:
    page = live_page(service, open_page)
    box = page.locator("#frame").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.9 * box["height"], steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Use this region").click()
    expect(page.locator(".message")).to_contain_text("now watches this region")
    asked = region_asked(service)
    assert asked["x"] == pytest.approx(0.25, abs=0.01)
    assert asked["height"] == pytest.approx(0.65, abs=0.01)

    page.get_by_role("button", name="Choose region").click()
    page.get_by_role("button", name="Whole picture").click()
    expect(page.get_by_role("button", name="Choose region")).to_be_visible()
    assert region_asked(service) == {"x": 0, "y": 0, "width": 1, "height": 1}


def test_the_keyboard_is_enough_to_set_a_region(service: RunningService, open_page: OpenPage) -> None:
    page = live_page(service, open_page)
    page.get_by_role("button", name="Choose region").press("Enter")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Choose region")).to_be_focused()
    asked = region_asked(service)
    assert asked == {"x": pytest.approx(0.02), "y": 0, "width": pytest.approx(0.9), "height": 1}
    page.get_by_role("button", name="Choose region").press("Enter")
    page.keyboard.press("Escape")
    assert region_asked(service) == asked
    page.get_by_role("button", name="Choose region").click()
    page.get_by_role("button", name="Whole picture").click()
    expect(page.get_by_role("button", name="Choose region")).to_be_visible()


def test_a_region_is_drawn_with_a_finger(service: RunningService, open_page: OpenPage) -> None:
    """A sideways drag draws at once, without a button; help and buttons are below the picture and never cover it."""
    page = live_page(service, open_page, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    expect(page.get_by_role("button", name="Choose region")).to_be_visible()
    box = page.locator("#frame").bounding_box()
    assert box is not None
    finger(
        page, [(box["x"] + share * box["width"], box["y"] + 0.6 * share * box["height"]) for share in (0.2, 0.4, 0.8)]
    )
    tools = page.locator("#region-tools").bounding_box()
    assert tools is not None
    assert tools["y"] >= box["y"] + box["height"]
    square, region = page.locator(".region-square").bounding_box(), page.locator(".region-box").bounding_box()
    assert square is not None
    assert region is not None
    assert region["width"] == pytest.approx(0.6 * box["width"], abs=8)
    assert square["width"] == pytest.approx(square["height"], abs=2), "what the model sees of it"
    assert square["height"] == pytest.approx(region["height"], abs=6)
    corner = (region["x"] + region["width"], region["y"] + region["height"])
    finger(page, [corner, (corner[0], corner[1] + 20), (corner[0], corner[1] + 40)])
    taller = page.locator(".region-box").bounding_box()
    assert taller is not None
    assert taller["height"] == pytest.approx(region["height"] + 40, abs=8)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#region-tools")).to_be_hidden()


def finger(page: Page, points: list[tuple[float, float]]) -> None:
    """Drag a finger along these points of the page."""
    session = page.context.new_cdp_session(page)
    for i, (x, y) in enumerate(points):
        kind = "touchMove" if i else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        page.wait_for_timeout(50)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_photo_is_classified_and_shows_where_it_looked(service: RunningService, open_page: OpenPage) -> None:
    page = live_page(service, open_page)
    page.get_by_role("button", name="Classify a photo").click()
    page.set_input_files("#photo-file", CHELSEA)
    dialog = page.locator("#photo-dialog")
    expect(dialog.locator(".bars li")).to_have_count(3)
    expect(dialog.locator(".since")).to_contain_text("ms in total")
    dialog.get_by_label("Where it looked").check()
    expect(dialog.locator("canvas.heat")).to_be_visible()


def test_a_text_named_as_a_photo_is_refused_in_words(
    service: RunningService, open_page: OpenPage, tmp_path: Path
) -> None:
    page = live_page(service, open_page, forgive=REFUSED)
    letter = tmp_path / "letter.jpg"
    letter.write_text("Dear cat,")
    page.set_input_files("#photo-file", letter)
    dialog = page.locator("#photo-dialog")
    expect(dialog.locator("#photo-word")).to_have_text("That did not work.")
    expect(dialog.locator(".since")).to_contain_text("This file is not a photo that can be read here.")


def test_a_large_photo_is_made_smaller_before_it_is_sent(service: RunningService, open_page: OpenPage) -> None:
    """A phone's camera makes files that are too large to accept, or take minutes to send."""
    page = live_page(service, open_page)
    with page.expect_response("**/api/classify*") as answered:
        page.evaluate(
            """async () => {
                const canvas = new OffscreenCanvas(2600, 1900);
                const pen = canvas.getContext('2d');
                for (let i = 0; i < 40000; i++) {
                    pen.fillStyle = `hsl(${(i * 137) % 360} 90% ${i % 90}%)`;
                    pen.fillRect((i * 7919) % 2600, (i * 104729) % 1900, 30, 30);
                }
                const file = new File([await canvas.convertToBlob({type: 'image/jpeg', quality: 1})], 'large.jpg');
                const data = new DataTransfer();
                data.items.add(file);
                window.dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true}));
            }"""
        )
    reported = answered.value.json()
    assert (reported["width"], reported["height"]) in ((1280, 935), (640, 468))  # the latter where the network is slow
    expect(page.locator("#photo-dialog .bars li")).to_have_count(3)


def test_photos_can_be_dropped_anywhere_and_the_first_is_taken(service: RunningService, open_page: OpenPage) -> None:
    page = live_page(service, open_page)
    page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(200, 150);
            canvas.getContext('2d').fillRect(20, 20, 60, 60);
            const blob = await canvas.convertToBlob({type: 'image/png'});
            const data = new DataTransfer();
            for (const name of ['drawn.png', 'again.png']) data.items.add(new File([blob], name, {type: 'image/png'}));
            window.dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true}));
        }"""
    )
    expect(page.locator("#photo-dialog .bars li")).to_have_count(3)
    expect(page.locator("#photo-dialog .since")).to_contain_text("the first of 2")


def test_what_it_sees_is_laid_over_the_live_picture(service: RunningService, open_page: OpenPage) -> None:
    page = live_page(service, open_page)
    page.get_by_role("tab", name="Inside").click()
    page.get_by_role("button", name="What does it see?").click()
    expect(page.locator("#look-inside")).to_contain_text("It is coarse")
    drawn = page.evaluate(
        """(() => {
            const c = document.getElementById('heat');
            const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            return pixels.some((value, i) => i % 4 === 3 && value > 20);
        })()"""
    )
    assert drawn
    page.get_by_role("button", name="Hide what it sees").click()
    expect(page.locator("#heat")).to_be_hidden()


def test_the_layer_table_fills_in_the_formula(service: RunningService, open_page: OpenPage) -> None:
    page = live_page(service, open_page)
    page.get_by_role("tab", name="Inside").click()
    page.get_by_role("button", name="Layers").click()
    first = page.locator(".layers tbody tr", has_text="Conv").first
    expect(first).to_contain_text("3 × 128 × 128 → 32 × 64 × 64")
    expect(first).to_contain_text("⌊(128 + 2·0.5 − 3) / 2⌋ + 1 = 64")
    page.keyboard.press("Escape")
    expect(page.locator(".layers")).to_have_count(0)


def test_another_model_takes_over_and_the_first_comes_back(service: RunningService, open_page: OpenPage) -> None:
    page = live_page(service, open_page)
    model = service.state()["model"]
    assert isinstance(model, dict)
    panel = page.locator("#model")
    panel.get_by_label("Precision").select_option("fp32")
    panel.get_by_role("button", name="Use this model").click()
    expect(panel.get_by_role("status")).to_contain_text("is now in use", timeout=30_000)
    expect(panel.locator(".headline")).to_contain_text("fp32")
    page.reload()
    expect(panel.get_by_label("Precision")).to_have_value("fp32")  # what is set, not what would be the default
    panel.get_by_label("Precision").select_option("auto")
    panel.get_by_role("button", name="Use this model").click()
    expect(panel.get_by_role("status")).to_contain_text("is now in use", timeout=30_000)


def test_the_demo_is_offered_and_left_again(own_service: RunningService, open_page: OpenPage) -> None:
    config = own_service.folder / "lookout.toml"
    config.write_text('[camera]\nsource = "usb:/dev/video99"\n')
    own_service.flags = ["--config", str(config)]
    own_service.start()
    page = open_page(own_service.url)
    wait_for_situation(page, "absent")
    page.get_by_role("button", name="Show the demo in the meantime").click()
    wait_for_situation(page, "live", timeout_ms=15_000)
    expect(page.locator("#chip")).to_have_text("Live demo")
    page.get_by_role("button", name="Back to the camera").click()
    wait_for_situation(page, "absent", timeout_ms=15_000)
