"""An ASGI server tells its application when it starts and ends; Django refuses to listen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from core.monitoring.sdk import SHUTDOWN_TIMEOUT, is_enabled

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_lifespan(application: Application) -> Application:
    """Return Django's ASGI `application` with an ear for its server, or as it is while monitoring is off.

    Without it, each start of a process is reported as an error, and what waits to be sent is lost when uvicorn ends,
    because it ends by its signal.
    """
    if not is_enabled():
        return application

    async def listening(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        import sentry_sdk

        sentry_sdk.flush(timeout=SHUTDOWN_TIMEOUT)
        await send({"type": "lifespan.shutdown.complete"})

    return listening
