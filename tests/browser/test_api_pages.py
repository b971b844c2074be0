"""The API's own pages in a real browser: Swagger UI, and what REST framework shows of an answer."""

import json
from collections.abc import Callable

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from storm_cloud import StormCloud
from visitor import Visitor

from tests.browser.conftest import console


@pytest.fixture(scope="module")
def server(storm_cloud: Callable[..., StormCloud]) -> StormCloud:
    return storm_cloud()


def test_swagger_ui_shows_every_address_with_examples_and_no_complaint(
    server: StormCloud, browser: Chrome, wait: WebDriverWait
) -> None:
    browser.get(f"{server.base_url}/api/v1/schema/swagger-ui/")
    wait.until(lambda browser: len(browser.find_elements(By.CLASS_NAME, "opblock")) > 30)
    login = browser.find_element(By.CSS_SELECTOR, "#operations-auth-auth_login_create .opblock-summary-control")
    browser.execute_script("arguments[0].click()", login)
    wait.until(lambda browser: "correct horse battery staple" in browser.page_source)
    assert console(browser) == []


def test_an_answer_is_a_page_for_people_that_says_what_to_do(server: StormCloud, browser: Chrome) -> None:
    browser.get(f"{server.base_url}/api/v1/health/")
    assert "Health" in browser.title
    assert console(browser) == []
    browser.get(f"{server.base_url}/api/v1/auth/me/")
    assert "Sign in at /api/v1/auth/login/" in browser.find_element(By.CLASS_NAME, "response-info").text


def run(browser: Chrome, wait: WebDriverWait, name: str, body: dict[str, str]) -> str:
    """Send `body` to an operation of the page that is open; return the status of its answer."""

    def find(selector: str) -> WebElement:
        return wait.until(lambda browser: browser.find_element(By.CSS_SELECTOR, f".opblock[id$={name}] {selector}"))

    for button in (".opblock-summary-control", ".try-out__btn"):
        browser.execute_script("arguments[0].click()", find(button))
    text = find("textarea.body-param__text")
    text.clear()
    text.send_keys(json.dumps(body))
    browser.execute_script("arguments[0].click()", find(".execute"))
    return find(".live-responses-table .response .response-col_status").text.split()[0]


def test_swagger_ui_goes_on_after_signing_in_although_that_replaces_the_csrf_token(
    server: StormCloud, browser: Chrome, wait: WebDriverWait
) -> None:
    visitor = Visitor(server.base_url, server.log)
    visitor.register()
    browser.get(server.base_url)
    wait.until(lambda browser: len(browser.find_elements(By.CLASS_NAME, "opblock")) > 30)
    account = {"username": visitor.username, "password": visitor.password}
    assert run(browser, wait, "auth_login_create", account) == "200"
    assert run(browser, wait, "auth_tokens_create", {"name": "from the page"}) == "201"
