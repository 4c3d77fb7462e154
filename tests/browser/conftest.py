"""A browser and the real service; a page fails its test if it logs an error or calls another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.browser.running import RunningService
from tests.requires import requires

pytest.importorskip("playwright", reason="needs playwright (pip install playwright)")

from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The machine that runs the tests may be small and busy; what is promised in seconds the tests measure themselves.
TIMEOUT_MS = 10_000
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(requires("chromium", "node"))


# Not longer than this package: while Playwright is up, tests that run an event loop of their own could not.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def one_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(tmp_path_factory.mktemp("service"))
    service.start()
    yield service
    service.stop()


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[RunningService]:
    """A service for this test only, not yet started. Request it before `open_page`, so that the pages close first."""
    service = RunningService(tmp_path)
    yield service
    service.stop()


@pytest.fixture
def service(one_service: RunningService) -> Iterator[RunningService]:
    """The service with a live camera, in the state that each test finds and must restore."""
    one_service.order("live")
    yield one_service
    one_service.order("live")


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages. At the end none of them may have logged an error, broken the policy, or called another machine."""
    complaints: list[str] = []
    contexts = []

    def open_page(url: str, *, hints: bool = False, forgive: tuple[str, ...] = (), **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options})
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        if not hints:
            context.add_init_script("try { localStorage.setItem('lookout.hints', 'done') } catch {}")
        page = context.new_page()

        def complain(text: str) -> None:
            if not any(part in text for part in forgive):
                complaints.append(text)

        page.on("pageerror", lambda error: complain(f"error: {error}"))
        page.on("console", lambda line: complain(f"console: {line.text}") if line.type == "error" else None)
        page.on("request", lambda request: None if _own(request.url, url) else complain(f"request: {request.url}"))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _own(address: str, url: str) -> bool:
    host = url.split("/")[2]
    return address.startswith((f"http://{host}/", f"ws://{host}/", "data:", "blob:"))


def wait_for_situation(page: Page, *situations: str, timeout_ms: float = TIMEOUT_MS) -> None:
    """Wait until the page as a whole shows one of these situations (situation.js)."""
    selector = ", ".join(f'#frame[data-situation="{situation}"]' for situation in situations)
    page.wait_for_selector(selector, timeout=timeout_ms)


def situations(page: Page, seconds: float) -> set[str]:
    """Every situation that the page showed during this time."""
    shown: list[str] = page.evaluate(
        """async seconds => {
            const frame = document.getElementById('frame');
            const shown = new Set([frame.dataset.situation]);
            const watcher = new MutationObserver(() => shown.add(frame.dataset.situation));
            watcher.observe(frame, {attributes: true, attributeFilter: ['data-situation']});
            await new Promise(done => setTimeout(done, 1000 * seconds));
            watcher.disconnect();
            return [...shown];
        }""",
        seconds,
    )
    return set(shown)


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def findings(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    result: dict[str, Any] = page.evaluate(
        "async tags => await axe.run(document, {runOnly: {type: 'tag', values: tags}})", RULES
    )
    return [f"{found['id']} ({found['impact']}): {found['nodes'][0]['html']}" for found in result["violations"]]
