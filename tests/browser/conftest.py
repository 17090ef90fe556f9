"""A real browser on the pages of the embedded cloud."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from sms_local.chromium import require_chromium

PHONE_SIZED = {"width": 390, "height": 844}
DESKTOP_SIZED = {"width": 1280, "height": 900}

#: Functions start cold, and the machine may be busy with other work.
_PATIENCE_MS = 60_000

_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="keep pictures of the pages there")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(900))


@dataclass
class Window:
    """A page, and what its console and network said."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requested: set[str] = field(default_factory=set)


type OpenWindow = Callable[..., Window]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=_PATIENCE_MS)
        chromium = playwright.chromium.launch(executable_path=require_chromium(), args=list(_QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def open_window(browser: Browser) -> Iterator[OpenWindow]:
    """Open windows that must neither complain on the console nor ask another host for anything."""
    contexts: list[BrowserContext] = []
    windows: list[Window] = []

    def open_(size: dict[str, int] = DESKTOP_SIZED, **options: Any) -> Window:
        context = browser.new_context(viewport=size, **options)  # type: ignore[arg-type]
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        window = Window(context.new_page())
        windows.append(window)
        watch(window, window.page)
        context.on("page", lambda page: watch(window, page))
        return window

    yield open_
    for context in contexts:
        context.close()
    for window in windows:
        assert window.complaints == []
        assert {
            url for url in window.requested if not url.startswith(("http://127.0.0.1:", "data:"))
        } == set()


def watch(window: Window, page: Page) -> None:
    page.on(
        "console",
        lambda message: (
            window.complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: window.complaints.append(str(error)))
    page.on("request", lambda request: window.requested.add(request.url))


@pytest.fixture
def take_picture(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    folder = request.config.getoption("--screenshots", default=None)

    def take(page: Page, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / f"{name}.png")

    return take
