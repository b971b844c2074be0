"""What staff sees at /admin/ of the monitoring and of security.log, in a real browser, and what it does not."""

from collections.abc import Callable, Iterator

import pytest
from chromium import resize
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from storm_cloud import StormCloud

from core.monitoring.testing import Receiver
from tests.browser.conftest import console, overhang
from tests.conftest import manage

PASSWORD = "correct horse battery staple"
MAKE_STAFF = (
    "from accounts.models import User\n"
    f"User.objects.create_superuser('grace', 'grace@example.org', {PASSWORD!r})\n"
    f"User.objects.create_user('linus', 'linus@example.org', {PASSWORD!r}, is_staff=True)\n"
)


@pytest.fixture(scope="module")
def server(storm_cloud: Callable[..., StormCloud], tracker: Receiver) -> StormCloud:
    server = storm_cloud(SENTRY_DSN=tracker.dsn, SENTRY_TRACES_SAMPLE_RATE="0", SENTRY_ENVIRONMENT="development")
    made = manage(server.env, "shell", "-v", "0", "-c", MAKE_STAFF)
    assert made.returncode == 0, made.stderr
    return server


@pytest.fixture
def sign_in(server: StormCloud, browser: Chrome, wait: WebDriverWait) -> Iterator[Callable[[str], Chrome]]:
    def sign_in(username: str) -> Chrome:
        browser.get(f"{server.base_url}/admin/")
        browser.find_element(By.NAME, "username").send_keys(username)
        browser.find_element(By.NAME, "password").send_keys(PASSWORD)
        browser.find_element(By.CSS_SELECTOR, "[type=submit]").click()
        wait.until(lambda browser: browser.find_elements(By.ID, "user-tools"))
        return browser

    browser.delete_all_cookies()
    yield sign_in
    resize(browser, 1280, 900)


def events(page: Chrome) -> list[str]:
    return [cell.text for cell in page.find_elements(By.CSS_SELECTOR, ".results tbody td:nth-child(2)")]


def test_staff_finds_the_status_and_it_holds_no_key(
    sign_in: Callable[[str], Chrome], tracker: Receiver, wait: WebDriverWait
) -> None:
    page = sign_in("linus")
    console(page)
    page.find_element(By.LINK_TEXT, "Monitoring").click()
    wait.until(lambda page: page.find_elements(By.CLASS_NAME, "monitoring-badge"))
    assert page.find_element(By.CLASS_NAME, "monitoring-badge").text == "On"
    assert f"127.0.0.1:{tracker.port}" in page.page_source
    page.execute_script("document.querySelectorAll('.monitoring-status details').forEach((one) => { one.open = true })")
    assert "SENTRY_TRACES_SAMPLE_RATE" in page.find_element(By.CLASS_NAME, "monitoring-status").text
    assert "publickey" not in page.page_source
    assert "publickey" in tracker.dsn
    resize(page, 360, 740)
    assert overhang(page) <= 0
    lines = (
        "const cell = [...document.querySelectorAll('td')].find((cell) => cell.textContent === 'development');"
        "const range = document.createRange(); range.selectNodeContents(cell); return range.getClientRects().length"
    )
    assert page.execute_script(lines) == 1, "a word that fits is in one piece"
    assert page.find_element(By.CSS_SELECTOR, ".monitoring-wide thead th").value_of_css_property("opacity") == "1"
    assert console(page) == []


def test_a_test_error_of_who_is_signed_in_says_so(
    sign_in: Callable[[str], Chrome], server: StormCloud, tracker: Receiver, wait: WebDriverWait
) -> None:
    page = sign_in("grace")
    page.get(f"{server.base_url}/api/v1/debug/sentry-test/")
    page.find_element(By.CSS_SELECTOR, "button[value=division]").click()
    wait.until(lambda page: "Division by zero: answered with 500" in page.find_element(By.ID, "result").text)
    assert tracker.wait_for("event")[-1]["user"]["username"] == "grace"
    token = page.get_cookie("csrftoken")["value"]
    assert token.encode() not in tracker.bytes


def test_the_security_log_is_filtered_by_event_user_and_address(
    sign_in: Callable[[str], Chrome], wait: WebDriverWait
) -> None:
    page = sign_in("grace")
    console(page)
    page.find_element(By.LINK_TEXT, "Security log").click()
    wait.until(lambda page: page.find_elements(By.CLASS_NAME, "security-log"))
    assert events(page)[0] == "LOGIN"
    for name, text, is_found in (
        ("event", "login", True),
        ("user", "grace@example.org", True),
        ("address", "127.0.", True),
        ("address", "203.0.113.", False),
    ):
        field = page.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)
        field.submit()
        wait.until(
            lambda page, name=name, text=text: page.execute_script(
                "return new URLSearchParams(location.search).get(arguments[0]) === arguments[1]"
                " && document.readyState === 'complete'",
                name,
                text,
            )
        )
        assert (events(page)[:1] == ["LOGIN"]) is is_found
    resize(page, 360, 740)
    assert overhang(page) <= 0
    assert console(page) == []


def test_staff_who_may_not_see_users_does_not_see_the_security_log(
    sign_in: Callable[[str], Chrome], server: StormCloud
) -> None:
    page = sign_in("linus")
    assert page.find_elements(By.LINK_TEXT, "Security log") == []
    page.get(f"{server.base_url}/admin/security-log/")
    assert "403" in page.title
    assert "grace" not in page.page_source


@pytest.mark.parametrize("address", ["monitoring", "security-log"])
def test_who_is_not_signed_in_is_asked_to(browser: Chrome, server: StormCloud, address: str) -> None:
    browser.delete_all_cookies()
    browser.get(f"{server.base_url}/admin/{address}/")
    assert browser.current_url.startswith(f"{server.base_url}/admin/login/")
