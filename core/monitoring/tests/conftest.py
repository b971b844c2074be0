"""Fixtures of the drop-in's own tests. They need Django and the SDK, nothing of the host."""

import io
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import override_settings

from core.monitoring import sdk
from core.monitoring.config import SentryConfig
from core.monitoring.sdk import Monitoring, init_sentry
from core.monitoring.testing import Receiver


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The developer's own SENTRY_* variables and `.env` are not what a test is about."""
    for variable in list(os.environ):
        if variable.startswith("SENTRY_") or variable in ("ENVIRONMENT", "GIT_COMMIT"):
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_database() -> Iterator[None]:
    """Keep requests from touching connections that other tests have opened, as Django's own test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, receiver: Receiver, tmp_path: Any) -> Iterator[Callable[..., bool]]:
    """Turn monitoring on against the receiver; whatever it changed in this process is undone afterwards."""

    def start(host: dict[str, Any] | None = None, **environment: str) -> bool:
        monkeypatch.setenv("SENTRY_DSN", receiver.dsn)
        # Else chance decides what a test sees.
        monkeypatch.setenv("SENTRY_TRACES_SAMPLE_RATE", "0")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return init_sentry(base_dir=tmp_path, **(host or {}))

    yield start
    sentry_sdk.get_client().close(timeout=2)
    sentry_sdk.get_global_scope().set_client(None)
    sentry_sdk.get_global_scope()._event_processors.clear()
    sdk._active = Monitoring(SentryConfig())


@pytest.fixture
def call() -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """Send a request through Django's real WSGI application, with the test's own urls and middleware."""

    def call(
        path: str,
        method: str = "GET",
        body: bytes = b"",
        middleware: list[str] | None = None,
        chunks: int | None = None,  # how many of the answer the client waits for
        urls: str = "core.monitoring.tests.urls",
        **environ: str,
    ) -> tuple[int, dict[str, str], bytes]:
        path, _, query = path.partition("?")
        answered: list[Any] = []
        environment = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "203.0.113.77",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.errors": io.StringIO(),
            **environ,
        }
        with override_settings(
            ROOT_URLCONF=urls,
            MIDDLEWARE=["core.middleware.SentryContextMiddleware"] if middleware is None else middleware,
        ):
            response = WSGIHandler()(environment, lambda status, headers, *_: answered.extend([status, headers]))
            try:
                content = b"".join(itertools.islice(response, chunks))
            finally:
                response.close()
        return int(answered[0].split()[0]), dict(answered[1]), content

    return call
