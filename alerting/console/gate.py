"""In front of every request: nobody in without a token, no body too large, no page that loads from elsewhere."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerting.console.access import Access, Person
from alerting.console.problems import API, problem

COOKIE = "alerting_session"
OPEN = frozenset({"/api/v1/health", "/login", "/style.css"})
LINKS = "/f/"  # feedback links: the address itself is the permission, and each route below checks it
LARGEST_BODY = 64 * 1024
READING = frozenset({"GET", "HEAD"})
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class Gate:
    """Finds out who asks and puts the `Person` into the request's state; a route that names no role is closed all the same."""

    def __init__(self, app: ASGIApp, access: Access, now: Callable[[], datetime]) -> None:
        self._app, self._access, self._now = app, access, now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.state.person = self._person(request)
        refusal = self._refusal(request)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _person(self, request: Request) -> Person | None:
        scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
        if scheme:
            return self._access.by_token(token) if scheme.lower() == "bearer" else None
        cookie = request.cookies.get(COOKIE)
        if cookie is None or (request.url.path.startswith(API) and request.method not in READING):
            return None  # what changes something through the API needs a token: a cookie alone could be sent by another site
        return self._access.by_session(cookie, self._now())

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in READING and (too_large := _refused_body(request)) is not None:
            return too_large
        if request.state.person is not None or request.url.path in OPEN or request.url.path.startswith(LINKS):
            return None
        if request.url.path.startswith(API):
            detail = "give a valid token in the header: Authorization: Bearer <token>"
            return problem(request, 401, detail, {"www-authenticate": "Bearer"})
        target = request.url.path if request.method in READING else "/"
        return RedirectResponse(f"/login?next={quote(target)}", 303)


def _refused_body(request: Request) -> Response | None:
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers:
        return problem(request, 411, "send the body with its content-length")
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        return problem(request, 413, f"the body is larger than {LARGEST_BODY} bytes")
    return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
