"""The page behind a one-time link, on which a person sets a password."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from alerting.console.login import (
    LONGEST,
    NOT_CONFIDENTIAL,
    PASSWORD_BESIDE_DIRECTORY,
    Field,
    entrance_of,
)
from alerting.console.transport import is_confidential
from alerting.console.web.rendering import render
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.usecases.access.people import find_link, set_password

pages = APIRouter(include_in_schema=False)


@pages.get("/password/{code}", response_class=HTMLResponse)
def show_link(code: str, request: Request) -> Response:
    """Return the form of a link; looking at it does not use it up."""
    return _page(request, code[:LONGEST])


@pages.post("/password/{code}", response_class=HTMLResponse)
def use_link(code: str, request: Request, password: Field = "", again: Field = "") -> Response:
    """Set the password, use up the link, and log in."""
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        return _page(request, code)
    account = find_link(entrance.platform, code, entrance.now())
    if account is not None and not entrance.takes_password_of(account):
        return _page(request, code, PASSWORD_BESIDE_DIRECTORY)
    if password != again:
        return _page(request, code, translatable("The two passwords differ."))
    try:
        account = set_password(
            entrance.platform, entrance.passwords, code, password, entrance.now()
        )
    except UserError as fault:
        return _page(request, code, fault.message)
    return entrance.signed_in_by_password(request, account)


def _page(request: Request, code: str, refusal: str = "") -> Response:
    """Return the form: 200, with a refusal 422; 410 for a link of before, 403 without HTTPS."""
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        page = render("password.html", request, account=None, refusal=NOT_CONFIDENTIAL)
        return HTMLResponse(page, 403)
    account = find_link(entrance.platform, code, entrance.now())
    page = render("password.html", request, account=account, refusal=refusal if account else "")
    return HTMLResponse(page, 410 if account is None else 422 if refusal else 200)
