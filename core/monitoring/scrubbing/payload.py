"""The shape of what the SDK sends: which fields are structure and stay, and how to read the others. Data only.

A schema is a dict of fields, a list of one schema for each item, or a `Field`. What is not named here is text and is
scrubbed. Field names are those of https://develop.sentry.dev/sdk/data-model/event-payloads/.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final


class Field(Enum):
    """How to read a field."""

    KEEP = "structure: a scalar stays as it is, anything else is text"
    TREE = "structure all the way down"
    TEXT = "anything: names and values are judged"
    VALUES = "a mapping whose values all go, whatever their names"
    SOURCE = "lines of source code"
    FRAME = "a stack frame"
    LOGENTRY = "a log message with its parameters"
    GONE = "does not leave"


KEEP, TREE, TEXT, VALUES, SOURCE, FRAME, LOGENTRY, GONE = Field
Schema = Field | dict[str, Any] | list[Any]


def _fields(names: str, field: Field = KEEP) -> dict[str, Schema]:
    return dict.fromkeys(names.split(), field)


LOCALS: Final = "vars"
FRAME_FIELDS: Final[dict[str, Schema]] = {
    **_fields(
        "filename abs_path function raw_function module package platform lineno colno in_app instruction_addr addr_mode"
    ),
    **_fields("symbol symbol_addr image_addr stack_start lang"),
    **_fields("context_line pre_context post_context", SOURCE),
    # Structure, so that each local variable is a part of its own that may be known from the previous event.
    LOCALS: {},
}
_STACK: Final[dict[str, Schema]] = {"frames": [FRAME], **_fields("lang snapshot registers")}
_MECHANISM: Final[dict[str, Schema]] = _fields(
    "type handled synthetic exception_id parent_id is_exception_group source"
)
_EXCEPTION: Final[list[Any]] = [
    {**_fields("type module thread_id"), "mechanism": _MECHANISM, "stacktrace": _STACK, "raw_stacktrace": _STACK}
]
_THREADS: Final[list[Any]] = [{**_fields("id current crashed main"), "stacktrace": _STACK}]
_BREADCRUMBS: Final[list[Any]] = [{**_fields("type level timestamp"), **_fields("category message data", TEXT)}]
_TRACE: Final[dict[str, Schema]] = _fields(
    "trace_id span_id parent_span_id op origin status type sampled client_sample_rate exclusive_time"
)
_TRACE["dynamic_sampling_context"] = _fields(
    # Without `transaction`, which a caller may have named after what it asks for.
    "trace_id public_key sample_rate sample_rand sampled release environment org_id replay_id"
)
_CONTEXTS: Final[dict[str, Schema]] = {
    "trace": _TRACE,
    **{
        name: _fields("name version build raw_description kernel_version type")
        for name in ("runtime", "os", "browser", "app")
    },
    "profile": _fields("profile_id profiler_id"),
}
_SPAN: Final[dict[str, Schema]] = {
    **_fields(
        "trace_id span_id parent_span_id segment_id is_segment op origin status timestamp start_timestamp end_timestamp"
        " same_process_as_parent exclusive_time hash platform profile_id"
    ),
    **_fields("description data", TEXT),
}
_COMMON: Final[dict[str, Schema]] = {
    **_fields("event_id timestamp start_timestamp level platform type release dist environment received version"),
    **_fields("modules measurements transaction_info", TREE),
    "sdk": {
        **_fields("name version"),
        **_fields("integrations features", TREE),
        "packages": [_fields("name version")],
        "settings": TEXT,
    },
    "contexts": _CONTEXTS,
    "request": {**_fields("method"), "cookies": VALUES},
    "logentry": LOGENTRY,
    "extra": {},
    "tags": {},
    # Sentry takes nothing but an address here, so a marker would make the payload invalid.
    "user": _fields("ip_address", GONE),
}
_EVENT: Final[dict[str, Schema]] = {
    **_COMMON,
    "exception": {"values": _EXCEPTION},
    "threads": {"values": _THREADS},
    "stacktrace": _STACK,
    "breadcrumbs": {"values": _BREADCRUMBS},
    "spans": [_SPAN],
    # Written by the SDK for itself; never part of an envelope's event.
    "attachments": GONE,
}
_LOG: Final[dict[str, Schema]] = _fields(
    "timestamp time_unix_nano observed_timestamp trace_id span_id level severity_text severity_number"
)
_METRIC: Final[dict[str, Schema]] = _fields("timestamp trace_id span_id type unit")
_CHECK_IN: Final[dict[str, Schema]] = {
    **_COMMON,
    **_fields("check_in_id monitor_slug status duration"),
    "monitor_config": TREE,
}
_SESSION: Final[dict[str, Schema]] = {
    **_fields("sid init started timestamp status errors duration seq abnormal_mechanism"),
    "attrs": {**_fields("release environment"), **_fields("ip_address", GONE)},
    "aggregates": [_fields("started exited errored crashed abnormal")],
}
_SAMPLED: Final[dict[str, Schema]] = {
    "frames": [FRAME],
    "stacks": TREE,
    "samples": [_fields("stack_id thread_id timestamp elapsed_since_start_ns queue_address")],
    "thread_metadata": TEXT,
}
_PROFILE: Final[dict[str, Schema]] = {
    **_COMMON,
    **_fields("profile_id profiler_id chunk_id client_sdk"),
    "profile": _SAMPLED,
    "device": _fields("architecture"),
    "os": _fields("name version"),
    "runtime": _fields("name version"),
    "transaction": _fields("id trace_id active_thread_id relative_start_ns relative_end_ns"),
    "transactions": [_fields("id trace_id active_thread_id relative_start_ns relative_end_ns")],
}

SCHEMAS: Final[dict[str, dict[str, Schema]]] = {
    "event": _EVENT,
    "transaction": _EVENT,
    "span": _SPAN,
    "log": _LOG,
    "metric": _METRIC,
    "check_in": _CHECK_IN,
    "profile": _PROFILE,
    "session": _SESSION,
}
# Item types that may leave (https://develop.sentry.dev/sdk/data-model/envelope-items/), and the schema for those
# that the SDK hands to no before_send. Every other type is dropped, attachments among them: nothing can vouch for what
# is in a file.
ITEM_KINDS: Final[dict[str, str | None]] = {
    "event": None,
    "transaction": None,
    "check_in": None,
    "client_report": None,
    "session": "session",
    "sessions": "session",
    "profile": "profile",
    "profile_chunk": "profile",
    "log": "log",
    "trace_metric": "metric",
    "span": "span",
}
# Kinds of which one item carries many, as `{"version": 2, "items": [...]}`.
BATCHED: Final = frozenset({"log", "metric", "span"})
# Walked last: a host's request can be as large as an attacker likes and must not use up what the error needs.
LAST: Final = ("breadcrumbs", "spans", "contexts", "extra", "request")
# Frames below these modules hold the parameters of SQL, where no name says what is what.
DATABASE_MODULES: Final = ("django.db.", "psycopg", "sqlite3", "MySQLdb", "django.contrib.sessions.")
DATABASE_LOCALS: Final = frozenset(
    {"params", "param_list", "parameters", "args", "vars", "query_params", "values", "objs"}
)
# Any code that holds both wraps a database's, such as a host's own `execute_wrapper`.
_QUERY: Final = frozenset({"sql", "statement"})
_PARAMETERS: Final = frozenset({"params", "param_list", "parameters", "query_params"})
# Wrappers in libraries (contextlib, functools, asgiref) pass on whatever they were given, without its names.
LIBRARY_LOCALS: Final = frozenset({"args"})
_DATABASE_FRAME: Final[dict[str, Schema]] = {**FRAME_FIELDS, LOCALS: dict.fromkeys(DATABASE_LOCALS, VALUES)}
_LIBRARY_FRAME: Final[dict[str, Schema]] = {**FRAME_FIELDS, LOCALS: dict.fromkeys(LIBRARY_LOCALS, VALUES)}
# Fields that hold the same in each event of a process.
STATIC: Final = frozenset({"sdk", "runtime", "os"})
# What is text in most events of a Django server: judged when the server starts, not with its first error.
COMMON_NAMES: Final = """
    args breadcrumbs callback callback_args callback_kwargs cursor data description env exc formatted func get_response
    handler headers id initkwargs kwargs logentry message method middleware name number params path query_string request
    response result self server_name sql status_code sys.argv tags transaction url user username value view
    wrapped_callback SERVER_NAME SERVER_PORT Accept Accept-Encoding Accept-Language Cache-Control Connection
    Content-Length Content-Type Host Origin User-Agent cache.hit cache.key cache.item_size db.name db.operation
    db.system http.method http.query http.response.status_code http.response_content_length http.status_code reason
    server.address server.port signal thread.id thread.name middleware_name code.function code.namespace connection
    error obj instance context options kwargs queryset pk created_at size count index key_name content form
    serializer serializer_class renderer parser view_func view_class handler_class method_name attrs attr field fields
    item items row rows result_type using alias sql_with_params execute executor many
    ConnectionProxy
    HttpResponse WSGIRequest ASGIRequest receive send scope asgi loop future task coroutine thread_sensitive
    Authorization Cookie Set-Cookie X-Api-Key X-Forwarded-For X-Csrftoken Referer Accept-Charset If-None-Match Range
    X-Request-Id X-Forwarded-Proto Upgrade-Insecure-Requests Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site password token
    session user_id username email
""".split()
# Names whose four-part value is a version, not an address.
VERSION_NAMES: Final = frozenset(
    {"version", "release", "build", "version_string", "client_version", "app_version", "user_agent"}
)


def field_names(schema: Schema) -> set[str]:
    """Return the names of all fields that a schema has at any depth."""
    if schema is FRAME:
        schema = FRAME_FIELDS
    if isinstance(schema, Field):
        return set()
    if isinstance(schema, list):
        return field_names(schema[0])
    return set(schema).union(*map(field_names, schema.values()))


def frame_fields(frame: Mapping[Any, Any]) -> dict[str, Schema]:
    """Return the schema of a frame, which depends on whose code it is."""
    variables = frame.get(LOCALS)
    if isinstance(variables, dict) and not (_QUERY.isdisjoint(variables) or _PARAMETERS.isdisjoint(variables)):
        return _DATABASE_FRAME
    return _frame_fields(str(frame.get("module")), frame.get("in_app") is False)


@lru_cache(maxsize=4096)
def _frame_fields(module: str, in_library: bool) -> dict[str, Schema]:
    if module.startswith(DATABASE_MODULES):
        return _DATABASE_FRAME
    in_library = in_library or module.partition(".")[0] in sys.stdlib_module_names
    return _LIBRARY_FRAME if in_library else FRAME_FIELDS


def skeleton(payload: Any) -> dict[str, Any]:
    """Return what may leave when scrubbing failed: exception types with module, function and line, and ids.

    Takes anything and never raises. Nothing in the result was free text.
    """
    try:
        bare: dict[str, Any] = {
            name: payload[name]
            for name in _BARE
            if isinstance(payload.get(name), str | int | float) and len(str(payload[name])) < 200
        }
        if isinstance(sdk := payload.get("sdk"), dict):
            bare["sdk"] = {name: str(sdk[name])[:100] for name in ("name", "version") if name in sdk}
        if isinstance(trace := (payload.get("contexts") or {}).get("trace"), dict):
            kept = {
                name: trace[name] for name in _BARE_TRACE if isinstance(trace.get(name), str) and len(trace[name]) < 100
            }
            bare["contexts"] = {"trace": kept}
        values = (payload.get("exception") or {}).get("values") or []
        if values:
            bare["exception"] = {"values": [_bare_exception(value) for value in values[:50] if isinstance(value, dict)]}
        return bare
    except Exception:
        return {}


_BARE = tuple(
    "event_id timestamp start_timestamp level platform release environment type check_in_id monitor_slug status"
    " trace_id span_id parent_span_id severity_number severity_text sid started init end_timestamp".split()
)
_BARE_TRACE = ("trace_id", "span_id", "parent_span_id", "op", "status")
_BARE_FRAME = ("module", "function", "lineno", "filename", "in_app")


def _bare_exception(value: dict[str, Any]) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames") or []
    return {
        "type": str(value.get("type"))[:200],
        "module": str(value.get("module"))[:200],
        "stacktrace": {
            "frames": [
                {
                    name: frame[name]
                    for name in _BARE_FRAME
                    if isinstance(frame.get(name), str | int) and len(str(frame[name])) < 300
                }
                for frame in frames[:250]
                if isinstance(frame, dict)
            ]
        },
    }
