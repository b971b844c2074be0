import re

import pytest
import yaml
from django.core.management import call_command
from django.urls import get_resolver

from api.v1.urls import urlpatterns


@pytest.fixture(scope="module")
def schema(tmp_path_factory) -> dict:
    file = tmp_path_factory.mktemp("schema") / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    return yaml.safe_load(file.read_text())


def test_the_schema_is_valid_without_a_warning_and_has_every_address(schema):
    routes = {str(pattern.pattern) for pattern in urlpatterns}
    documented = {re.sub(r"\{(\w+)\}", r"<\1>", path).removeprefix("/api/v1/") for path in schema["paths"]}
    hidden = {"schema/", "schema/swagger-ui/", "debug/sentry-test/"}
    assert {re.sub(r"<\w+:(\w+)>", r"<\1>", route) for route in routes} - hidden == documented


def test_every_operation_says_in_words_what_it_does(schema):
    silent = [
        f"{method} {path}"
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
        if not operation.get("description")
    ]
    assert silent == []


@pytest.mark.parametrize(
    "address", ["auth/register/", "auth/login/", "auth/tokens/", "files/{path}/upload/", "shares/"]
)
def test_what_everybody_does_first_has_an_example(schema, address):
    operation = schema["paths"][f"/api/v1/{address}"]["post"]
    bodies = [operation["requestBody"], *operation["responses"].values()]
    assert any(content.get("examples") for body in bodies for content in body.get("content", {}).values())


def test_the_documented_error_has_the_reference_of_a_failure(schema):
    error = schema["components"]["schemas"]["ErrorContent"]
    assert error["required"] == ["code", "details", "message"]
    assert "X-Support-Reference" in error["properties"]["reference"]["description"]


def test_swagger_ui_can_be_given_an_api_key(schema):
    assert schema["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


@pytest.mark.django_db
def test_the_documentation_is_served_by_this_server_alone(client):
    page = client.get("/api/v1/schema/swagger-ui/")
    assert page.status_code == 200
    assert client.get("/api/v1/schema/").status_code == 200
    outside = re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']+""", page.content.decode())
    assert outside == []


def test_every_address_can_be_found_by_name():
    names = set(get_resolver().reverse_dict)
    assert {"health", "auth-login", "auth-verify-email", "swagger-ui"} <= names
