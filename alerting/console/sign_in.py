"""One-time link that `alerting up` prints: it starts one session, for a browser on this machine."""

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from alerting.console.access import SESSION, Access
from alerting.console.gate import COOKIE
from alerting.console.web.rendering import render
from alerting.local.sign_in import PATH, take_link
from alerting.operators.actions import Role

_HERE = frozenset({"127.0.0.1", "localhost", "[::1]"})
_PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_PREFERRED: tuple[Role, ...] = ("engineer", "admin", "operator", "viewer")


def sign_in_routes(
    access: Access, tokens: Mapping[str, tuple[str, Role]], folder: Path, now: Callable[[], datetime]
) -> APIRouter:
    """Return the route of the link. `folder`: where its hash is stored."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(f"{PATH}{{code}}", response_class=HTMLResponse)
    def sign_in(code: str, request: Request) -> Response:
        if "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", "")):
            return Response(status_code=503)  # a browser that prefetches must not use up the link
        session = None
        if _is_local(request) and take_link(folder, code, now()):
            people = [token for role in _PREFERRED for token, owner in tokens.items() if owner[1] == role]  # no sender: a program
            session = access.start_session(people[0], now()) if people else None
        if session is None:
            return HTMLResponse(render("sign_in.html", request, done=False), 410)
        answer = HTMLResponse(render("sign_in.html", request, done=True))
        seconds = int(SESSION.total_seconds())
        answer.set_cookie(COOKIE, session, max_age=seconds, httponly=True, samesite="strict")
        return answer

    return routes


def _is_local(request: Request) -> bool:
    """Return whether a request comes directly, without a proxy, from this machine to an address of this machine."""
    if any(name in request.headers for name in _PASSED_ON) or request.client is None:
        return False
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    try:
        return ip_address(request.client.host).is_loopback and name in _HERE
    except ValueError:
        return False
