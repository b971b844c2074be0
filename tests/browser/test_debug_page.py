"""The page of test errors, in a real browser, against a real server: what a button does, and who can use it."""

import json
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from chromium import prefer, resize
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from storm_cloud import StormCloud

from api.v1.debug import OWN_FAILURES
from core.monitoring.testing import Receiver
from tests.browser.conftest import console, overhang

# What arrives: the type of the exception, or the finding, or the message.
ARRIVES = {
    "division": "ZeroDivisionError",
    "value": "ValueError",
    "api_key": "ValueError",
    "chained": "RuntimeError",
    "async": "RuntimeError",
    "database": "OperationalError",
    "n_plus_one": "n_plus_one",
    "slow_query": "slow_query",
    "cache": "TypeError",
    "log": "This is a test message of level error; nothing is broken.",
    "storage": "OSError",
    "task": "RuntimeError",
}


@pytest.fixture(scope="module")
def server(storm_cloud: Callable[..., StormCloud], tracker: Receiver) -> StormCloud:
    return storm_cloud(
        SENTRY_DSN=tracker.dsn,
        SENTRY_FINDINGS="true",
        SENTRY_SLOW_QUERY_MS="1000",  # so that no other query is slow, on any machine
        SENTRY_TRACES_SAMPLE_RATE="0",
        SENTRY_MAX_EVENTS_PER_MINUTE="0",
    )


@pytest.fixture
def page(server: StormCloud, browser: Chrome) -> Iterator[Chrome]:
    browser.get(f"{server.base_url}/api/v1/debug/sentry-test/")
    yield browser
    resize(browser, 1280, 900)
    prefer(browser, "light")


def button(page: Chrome, kind: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, f"button[value={kind}]")


def outcome(page: Chrome, wait: WebDriverWait) -> str:
    """Return the result, once nothing is being waited for any more."""
    wait.until(lambda page: "answered" in page.find_element(By.ID, "result").text)
    return page.find_element(By.ID, "result").text


def essence(event: dict) -> str:
    if event.get("exception"):
        return event["exception"]["values"][-1]["type"]
    return event["tags"].get("finding") or event["logentry"]["message"]


def test_every_failure_has_a_button_in_order(page: Chrome) -> None:
    buttons = [found.get_attribute("value") for found in page.find_elements(By.CSS_SELECTOR, "form button")]
    assert buttons == list(OWN_FAILURES) == list(ARRIVES)[: len(buttons)]


@pytest.mark.parametrize("kind", ARRIVES)
def test_a_button_makes_its_event_arrive_and_shows_it(
    page: Chrome, wait: WebDriverWait, tracker: Receiver, kind: str
) -> None:
    button(page, kind).click()
    said = outcome(page, wait)
    shown = page.find_element(By.CSS_SELECTOR, "#last .id").text
    arrived = {event["event_id"]: event for event in tracker.items("event")}
    assert shown in said
    assert essence(arrived[shown]) == ARRIVES[kind]
    assert "200, the tracker took it" in page.find_element(By.ID, "last").text
    link = page.find_element(By.LINK_TEXT, "Open in the tracker")
    assert "event: " in page.find_element(By.ID, "status").text
    assert link.get_attribute("href") == f"http://127.0.0.1:{tracker.port}/issues/event/{UUID(shown)}/"


def test_what_was_redacted_is_marked_with_its_rule(page: Chrome, wait: WebDriverWait, tracker: Receiver) -> None:
    before = page.find_element(By.ID, "last").get_attribute("data-event")
    button(page, "api_key").click()
    outcome(page, wait)
    shown = page.find_element(By.ID, "last").get_attribute("data-event")
    assert shown != before
    (event,) = [event for event in tracker.items("event") if event["event_id"] == shown]
    rules = {
        rule for mark in page.find_elements(By.CSS_SELECTOR, "mark .rule") for rule in mark.text.strip().split(", ")
    }
    assert {"name", "token"} <= rules
    assert rules == set(remarks(event.pop("_meta")))
    # Without the rules, the marked text is the payload itself.
    text = page.execute_script(
        "const payload = document.querySelector('.payload').cloneNode(true);"
        "payload.querySelectorAll('.rule').forEach((rule) => rule.remove());"
        "return payload.textContent"
    )
    assert json.loads(text) == event
    link = page.find_element(By.CSS_SELECTOR, ".rules a[href='#redacted-token']")
    link.click()
    assert page.execute_script("return document.querySelector('mark:target').textContent").endswith(" token")


def remarks(meta: dict) -> Iterator[str]:
    for name, below in meta.items():
        if name == "":
            yield from (remark[0] for remark in below.get("rem", []))
        elif isinstance(below, dict):
            yield from remarks(below)


def test_the_keyboard_alone_is_enough_and_the_focus_stays_where_it_was(page: Chrome, wait: WebDriverWait) -> None:
    focused = []
    for _ in OWN_FAILURES:
        ActionChains(page).send_keys(Keys.TAB).perform()
        focused.append(page.switch_to.active_element.get_attribute("value"))
        assert page.switch_to.active_element.value_of_css_property("outline-style") == "solid"
    assert focused == list(OWN_FAILURES)
    ActionChains(page).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).send_keys(Keys.ENTER).perform()
    chosen = focused[-2]
    assert "Event" in outcome(page, wait)
    assert page.switch_to.active_element.get_attribute("value") == chosen
    assert page.find_element(By.ID, "result").get_attribute("role") == "status"


def test_a_narrow_screen_needs_no_sideways_scrolling_and_its_result_is_in_sight(
    page: Chrome, wait: WebDriverWait
) -> None:
    resize(page, 360, 740)
    button(page, "database").click()
    outcome(page, wait)
    page.execute_script("document.querySelectorAll('details').forEach((details) => { details.open = true })")
    assert overhang(page) <= 0
    top = "return document.getElementById(arguments[0]).getBoundingClientRect().top"
    assert 0 <= page.execute_script(top, "result") < 740
    assert page.execute_script(top, "last") > 740
    page.find_element(By.LINK_TEXT, "See it").click()
    assert 0 <= page.execute_script(top, "last") < 740


def test_a_screen_reader_hears_each_description_once(page: Chrome) -> None:
    assert [button(page, kind).accessible_name for kind in OWN_FAILURES] == [
        failure.title for failure in OWN_FAILURES.values()
    ]


def test_a_tracker_that_is_gone_and_findings_that_are_off_are_said(
    storm_cloud: Callable[..., StormCloud], browser: Chrome, wait: WebDriverWait
) -> None:
    deaf = storm_cloud(SENTRY_DSN="http://key@127.0.0.1:9/1", SENTRY_FINDINGS="false", SENTRY_TRACES_SAMPLE_RATE="0")
    browser.get(f"{deaf.base_url}/api/v1/debug/sentry-test/")
    button(browser, "division").click()
    said = outcome(browser, wait)
    assert "did not arrive: NewConnectionError" in said
    assert "left" not in said
    button(browser, "n_plus_one").click()
    wait.until(lambda page: "N+1 queries: answered" in page.find_element(By.ID, "result").text)
    assert "SENTRY_FINDINGS is off, so nothing left" in browser.find_element(By.ID, "result").text


def test_dark_colors_are_taken_where_they_are_preferred(page: Chrome) -> None:
    def brightness() -> int:
        color = page.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
        return sum(int(part) for part in color.removeprefix("rgba(").split(", ")[:3])

    light = brightness()
    prefer(page, "dark")
    assert brightness() < 200 < light


def test_a_strict_content_security_policy_would_let_everything_through(page: Chrome) -> None:
    inline = "[style], style, script:not([src]), [onclick], [onsubmit]"
    assert page.find_elements(By.CSS_SELECTOR, inline) == []
    sources = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert {url.split("/")[2] for url in sources} == {page.current_url.split("/")[2]}
    assert len(sources) == 3


def test_the_console_knows_of_nothing_but_the_failures_that_were_asked_for(page: Chrome, wait: WebDriverWait) -> None:
    console(page)
    page.refresh()
    button(page, "value").click()
    outcome(page, wait)
    (complaint,) = console(page)
    assert complaint.startswith("network: ")
    assert "status of 500" in complaint
