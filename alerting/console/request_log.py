"""Request log: one line for each request, and an id on all lines that the request causes."""

from time import monotonic
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerting.console.problems import METRICS
from alerting.ports.logs import id_logger, log_context

_log = id_logger(__name__)


class RequestLog:
    """Log of method, declared address (never its values, often permissions), status, duration."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = monotonic()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with log_context(request=uuid4().hex[:12]):
            try:
                await self._app(scope, receive, sending)
            finally:
                _write(scope, status, monotonic() - began)


def _write(scope: Scope, status: int, seconds: float) -> None:
    path = getattr(scope.get("route"), "path", "no such address")
    # requested every few seconds: logged only on failure
    if path in {"/api/v1/health", "/style.css", METRICS} and status < 400:
        return
    person = scope.get("state", {}).get("person")
    write = _log.error if status >= 500 else _log.info
    write(
        "%s %s: %d in %.0f ms",
        scope["method"],
        path,
        status,
        1000 * seconds,
        actor=person.name if person else None,
    )
