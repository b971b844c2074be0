"""A browser for all the tests of a module. Without one they skip and say why; in CI that is a failure."""

from collections.abc import Iterator

import pytest
from chromium import chromium, prefer, resize
from environment import SetupError
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

from tests.services import PATIENCE, unavailable


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """A Chromium of desktop size, in light colors."""
    try:
        with chromium() as browser:
            resize(browser, 1280, 900)
            prefer(browser, "light")
            yield browser
    except SetupError as missing:
        unavailable(str(missing))


@pytest.fixture(scope="module")
def wait(browser: Chrome) -> WebDriverWait:
    """`wait.until(condition)`, for the slowest machine there is."""
    return WebDriverWait(browser, PATIENCE, poll_frequency=0.05)


def console(browser: Chrome) -> list[str]:
    """Return what the console has complained about since the last call; not of an icon, which no page asks for."""
    entries = [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"]
    return [f"{entry['source']}: {entry['message']}" for entry in entries if "/favicon.ico" not in entry["message"]]


def overhang(browser: Chrome) -> int:
    """Return how many pixels the page is wider than its window."""
    return browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
