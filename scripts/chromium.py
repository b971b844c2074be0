"""A real Chromium without a window, for tests and pictures. It keeps to folders of its own and to this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from environment import SetupError
from selenium import webdriver

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless=new --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --no-proxy-server"
).split()


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Yield a browser that ends with the block. Raises SetupError if it or its driver is not installed."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        raise SetupError(
            "Chromium or chromedriver is not installed. On Debian: sudo apt install chromium chromium-driver"
        )
    with tempfile.TemporaryDirectory(prefix="storm-cloud-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        with warnings.catch_warnings():
            # Selenium wants a ClientConfig instead, which its Chrome does not take yet.
            warnings.simplefilter("ignore", DeprecationWarning)
            options.ignore_local_proxy_environment_variables()
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # Chromium's sandbox refuses to work for root, who is who runs things in containers.
        for argument in (*QUIET, f"--user-data-dir={Path(profile)}", *["--no-sandbox"] * (os.geteuid() == 0)):
            options.add_argument(argument)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            yield browser
        finally:
            browser.quit()


def resize(browser: webdriver.Chrome, width: int, height: int) -> None:
    """Give the page `width` times `height` pixels; a window can't be as narrow as a phone."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def prefer(browser: webdriver.Chrome, color_scheme: str) -> None:
    """Let the page believe that its reader prefers the color scheme "light" or "dark"."""
    features = [{"name": "prefers-color-scheme", "value": color_scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
