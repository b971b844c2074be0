"""Every error of the API in one shape: `{"error": {"code", "message", "details"}}`.

`code` is for programs, `message` tells a person what to do, `details` holds what belongs to it: for invalid
input the messages of each field. An error of the server (5xx) also has a `reference`, which its staff finds it
by; the header X-Support-Reference holds the same.
Exceptions that nobody expected are not handled here: they become Django's 500, seen by whoever listens to
`got_request_exception`, and `server_error` only renders the answer.
"""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.fields import get_error_detail
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from core.request_id import REFERENCE_HEADER, support_reference

API = "/api/"
DOCUMENTATION = "/api/v1/schema/swagger-ui/"

# What to do next, by code, where the exception itself cannot know.
NEXT_STEP = {
    "not_authenticated": "Sign in at /api/v1/auth/login/, or send `Authorization: Bearer <API key>`.",
    "permission_denied": "Your account may not do this. Ask the staff of this server.",
    "not_found": f"There is nothing here for you. {DOCUMENTATION} lists all addresses.",
    "method_not_allowed": "The Allow header lists the methods that this address takes.",
    "not_acceptable": "Send `Accept: application/json`, or no Accept header.",
    "unsupported_media_type": "Set the header `Content-Type: application/json`.",
    "parse_error": "Correct the body, or the Content-Type that says what it is.",
    "bad_request": f"The server cannot make sense of this request. {DOCUMENTATION} shows how it should look.",
    "too_large": "The request's body is too large. Send less; files go to /api/v1/files/<path>/upload/.",
    "server_error": "The server failed; it was not your fault. Try again later, or tell its staff the reference.",
}


class Conflict(exceptions.APIException):
    """The request is fine, but not with how things stand."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"
    default_detail = "This conflicts with how things stand now. Reload and try again."


class TooLarge(exceptions.APIException):
    """A body beyond what this address takes."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = NEXT_STEP["too_large"]


class Unavailable(exceptions.APIException):
    """Something that this server depends on does not answer now."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = "Something this server depends on does not answer. Try again in a few minutes."


def body(code: str, message: str, details: Any = None) -> dict[str, Any]:
    """The one shape. `details` is an object, empty if there is nothing to add."""
    return {"error": {"code": code, "message": message, "details": details or {}}}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """For REST framework's EXCEPTION_HANDLER. None, and with it Django's 500, for what nobody expected."""
    if isinstance(error, DjangoValidationError):
        error = exceptions.ValidationError(get_error_detail(error))
    if isinstance(error, RequestDataTooBig):
        error = TooLarge()
    response = drf_exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        response.data = _invalid_input(error)
    elif isinstance(error, exceptions.APIException):
        response.data = body(_code(error), *_message_and_details(error))
    else:  # Django's own Http404 and PermissionDenied
        code = "not_found" if response.status_code == status.HTTP_404_NOT_FOUND else "permission_denied"
        response.data = body(code, NEXT_STEP[code])
    if response.status_code >= status.HTTP_500_INTERNAL_SERVER_ERROR:
        reference = support_reference(context["request"])
        response.data["error"]["reference"] = response[REFERENCE_HEADER] = reference
    return response


def _code(error: exceptions.APIException) -> str:
    code = error.get_codes()
    return code if isinstance(code, str) else error.default_code


def _message_and_details(error: exceptions.APIException) -> tuple[str, dict[str, Any]]:
    if isinstance(error, exceptions.Throttled):
        seconds = max(1, error.wait or 1)
        return f"Too many attempts. Try again in {seconds} seconds.", {"retry_after": seconds}
    message = str(error.detail) if isinstance(error.detail, str) else str(error.default_detail)
    if message.startswith("CSRF Failed"):
        return f"{message} Send the value of the cookie `csrftoken` in the header X-CSRFToken.", {}
    step = NEXT_STEP.get(_code(error), "")
    generic = message == str(error.default_detail)
    # A message that a view wrote itself already says what to do.
    if isinstance(error, exceptions.MethodNotAllowed | exceptions.UnsupportedMediaType | exceptions.ParseError):
        return f"{message.removesuffix('.')}. {step}".strip(), {}
    return (step if generic and step else message), {}


def _invalid_input(error: exceptions.ValidationError) -> dict[str, Any]:
    """The first message in words, and all of them by field; `non_field_errors` holds what belongs to none."""
    details = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
    field, message = _first(details)
    codes = error.get_codes()
    only_code = codes[0] if isinstance(codes, list) and len(codes) == 1 and isinstance(codes[0], str) else None
    about = "" if field == "non_field_errors" else f"{field}: "
    return body(only_code or "invalid", f"{about}{message}", details)


def _first(details: Any, field: str = "") -> tuple[str, str]:
    if isinstance(details, dict) and details:
        name, inner = next((name, inner) for name, inner in details.items() if inner)
        return _first(inner, f"{field}.{name}" if field else str(name))
    if isinstance(details, list) and details:
        return _first(next(inner for inner in details if inner), field)
    return field, str(details)


def _render(
    request: HttpRequest, status_code: int, code: str, plain: HttpResponse, message: str | None = None
) -> HttpResponse:
    if not request.path.startswith(API):
        return plain
    return JsonResponse(body(code, message or NEXT_STEP[code]), status=status_code)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: hosts that are not ours, malformed forms, bodies beyond the limits."""
    if isinstance(exception, RequestDataTooBig):
        return _render(request, 413, "too_large", defaults.bad_request(request, exception))
    return _render(request, 400, "bad_request", defaults.bad_request(request, exception))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    return _render(request, 403, "permission_denied", defaults.permission_denied(request, exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    return _render(request, 404, "not_found", defaults.page_not_found(request, exception))


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: the page, or its JSON, with the reference that finds what happened."""
    reference = support_reference(request)
    headers = {REFERENCE_HEADER: reference}
    if not request.path.startswith(API):
        return HttpResponse(render_to_string("500.html", {"reference": reference}), status=500, headers=headers)
    answer = body("server_error", NEXT_STEP["server_error"])
    answer["error"]["reference"] = reference
    return JsonResponse(answer, status=500, headers=headers)
