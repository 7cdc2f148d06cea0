"""One-time link that `alerting up` prints: it starts one session, for a browser on this machine."""

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from alerting.console.access import Access
from alerting.console.attempts import client_of
from alerting.console.gate import COOKIE
from alerting.console.login import entrance_of
from alerting.console.transport import is_loopback_name, is_passed_on
from alerting.console.web.rendering import render
from alerting.local.sign_in import PATH, take_link
from alerting.operators.actions import Role
from alerting.operators.people import SESSION_LASTS
from alerting.usecases.access.sign_in import record_sign_in

_PREFERRED: tuple[Role, ...] = ("admin", "engineer", "operator", "viewer")


def sign_in_routes(
    access: Access,
    tokens: Mapping[str, tuple[str, Role]],
    folder: Path,
    now: Callable[[], datetime],
) -> APIRouter:
    """Return the route of the link. `folder`: where its hash is stored."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route(f"{PATH}{{code}}", methods=["GET", "HEAD"], response_class=HTMLResponse)
    def sign_in(code: str, request: Request) -> Response:
        if request.method == "HEAD":
            return Response()  # nor must a program that only looks
        if "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", "")):
            return Response(status_code=503)  # a browser that prefetches must not use up the link
        session = None
        people = [token for token, (_, role) in tokens.items() if role in _PREFERRED]
        if people and _is_local(request) and take_link(folder, code, now()):
            # may do all actions of the pages, and add the first people
            first = min(people, key=lambda token: _PREFERRED.index(tokens[token][1]))
            name = tokens[first][0]
            session = access.begin_session(name, now(), client_of(request), first)
            record_sign_in(entrance_of(request).platform, name, client_of(request), now())
        if session is None:
            return HTMLResponse(render("sign_in.html", request, done=False, target="/"), 410)
        answer = HTMLResponse(render("sign_in.html", request, done=True, target="/"))
        seconds = int(SESSION_LASTS.total_seconds())
        answer.set_cookie(COOKIE, session, max_age=seconds, httponly=True, samesite="strict")
        return answer

    return routes


def _is_local(request: Request) -> bool:
    """Return whether a request comes from this machine directly, without a proxy."""
    if is_passed_on(request) or request.client is None or not is_loopback_name(request):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
