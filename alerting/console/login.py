"""Login and logout: exchange a token for a cookie that other sites cannot send."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import SESSION, Access
from alerting.console.attempts import WrongTokens, client_of
from alerting.console.gate import COOKIE
from alerting.console.web.forms import FormViewer
from alerting.console.web.rendering import render
from alerting.definitions.wording.language import translatable

LONGEST = 2000
Field = Annotated[str, Form(max_length=LONGEST)]


@dataclass(frozen=True)
class Entrance:
    """Shared parts of the login routes. `public_url`: the address of the pages, if set."""

    access: Access
    wrong_tokens: WrongTokens
    now: Callable[[], datetime]
    public_url: str | None = None

    def signed_in(self, request: Request, session: str, target: str = "/") -> Response:
        """Redirect to a page of the console with this session as the browser's cookie."""
        answer = RedirectResponse(local_target(target), 303)
        answer.set_cookie(
            COOKIE,
            session,
            max_age=int(SESSION.total_seconds()),
            secure=self._is_https(request),
            httponly=True,
            samesite="strict",
        )
        return answer

    def signed_out(self, request: Request) -> Response:
        """Redirect to the login, and delete the cookie."""
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(
            COOKIE, secure=self._is_https(request), httponly=True, samesite="strict"
        )
        return answer

    def _is_https(self, request: Request) -> bool:
        """Return whether the public address or the request is HTTPS, as proxies may hide it."""
        return (self.public_url or "").lower().startswith(
            "https://"
        ) or request.url.scheme == "https"


def login_routes(entrance: Entrance) -> APIRouter:
    """Return the routes of the form, the login and the logout."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login", response_class=HTMLResponse)
    def form(request: Request, next: Annotated[str, Query(max_length=LONGEST)] = "/") -> str:
        return _page(request, next, "")

    @routes.post("/login", response_class=HTMLResponse)
    def enter(request: Request, token: Field = "", next: Field = "/") -> Response:
        token = token.strip()
        client = client_of(request)
        now = entrance.now()
        person = entrance.access.find_by_token(token)
        name = person.name if person else None
        if (wait := entrance.wrong_tokens.wait(client, name, now)) is not None:
            seconds = ceil(wait.total_seconds())
            refusal = translatable(
                "Your address sent too many wrong tokens. Wait {seconds} s, then try again.",
                seconds=str(seconds),
            )
            return HTMLResponse(_page(request, next, refusal), 429, {"retry-after": str(seconds)})
        entrance.wrong_tokens.record_attempt(client, name, now)
        session = entrance.access.start_session(token, now)
        if session is None:
            return HTMLResponse(_page(request, next, translatable("This token is not valid.")), 401)
        return entrance.signed_in(request, session, next)

    @routes.post("/logout")
    def leave(request: Request, person: FormViewer) -> Response:
        entrance.access.end_session(person, entrance.now())
        return entrance.signed_out(request)

    return routes


def local_target(target: str) -> str:
    """Return the target if it is a page of the console, else `/`: never another site."""
    return (
        target
        if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
        else "/"
    )


def _page(request: Request, target: str, refusal: str) -> str:
    return render("login.html", request, next=local_target(target), refusal=refusal)
