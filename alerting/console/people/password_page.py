"""The page behind a one-time link: a person sets a password or a PIN, or a shared device starts."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from alerting.console.login import (
    LONGEST,
    NOT_CONFIDENTIAL,
    PASSWORD_BESIDE_DIRECTORY,
    Entrance,
    Field,
    entrance_of,
)
from alerting.console.transport import is_confidential
from alerting.console.web.rendering import render
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.people import DEVICE_SESSION_LASTS, Account, may_answer
from alerting.usecases.access.devices import set_pin, start_device
from alerting.usecases.access.people import find_link, set_password

pages = APIRouter(include_in_schema=False)


@pages.get("/password/{code}", response_class=HTMLResponse)
def show_link(code: str, request: Request) -> Response:
    """Return the form of a link; looking at it does not use it up."""
    return _page(request, code[:LONGEST])


@pages.post("/password/{code}", response_class=HTMLResponse)
def use_link(code: str, request: Request, password: Field = "", again: Field = "") -> Response:
    """Set the password and log in, or start the device; the link is used up."""
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        return _page(request, code)
    now = entrance.now()
    account = find_link(entrance.platform, code, now)
    is_device = account is not None and account.kind == "device"
    if is_device and _logged_in(request):
        return _page(request, code)
    if not is_device and (refusal := _refusal(entrance, account, password, again)):
        return _page(request, code, refusal)
    try:
        if is_device:
            return entrance.device_started(request, start_device(entrance.platform, code, now))
        account = set_password(entrance.platform, entrance.passwords, code, password, now)
    except UserError as fault:
        return _page(request, code, fault.message)
    return entrance.signed_in_by_password(request, account)


def _refusal(entrance: Entrance, account: Account | None, password: str, again: str) -> str | None:
    if account is not None and not entrance.takes_password_of(account):
        return PASSWORD_BESIDE_DIRECTORY
    return translatable("The two passwords differ.") if password != again else None


@pages.post("/password/{code}/pin", response_class=HTMLResponse)
def set_pin_by_link(code: str, request: Request, pin: Field = "", again: Field = "") -> Response:
    """Set the PIN of a person, and use up the link; no session begins."""
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        return _page(request, code)
    if pin != again:
        return _page(request, code, translatable("The two PINs differ."), of_pin=True)
    try:
        account = set_pin(entrance.platform, entrance.passwords, code, pin, entrance.now())
    except UserError as fault:
        return _page(request, code, fault.message, of_pin=True)
    return HTMLResponse(_render(request, code, account, done=True))


def _logged_in(request: Request) -> bool:
    """Return whether a person is logged in, whom a session of a device would take the place of."""
    person = request.state.person
    return person is not None and person.device is None


def _page(request: Request, code: str, refusal: str = "", of_pin: bool = False) -> Response:
    """Return the form: 200, with a refusal 422; 410 for a link of before, 403 without HTTPS."""
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        return HTMLResponse(_render(request, code, None, NOT_CONFIDENTIAL), 403)
    account = find_link(entrance.platform, code, entrance.now())
    page = _render(request, code, account, refusal if account else "", of_pin)
    return HTMLResponse(page, 410 if account is None else 422 if refusal else 200)


def _render(
    request: Request,
    code: str,
    account: Account | None,
    refusal: str = "",
    of_pin: bool = False,
    done: bool = False,
) -> str:
    return render(
        "password.html",
        request,
        code=code,
        account=account,
        signs=account is not None and may_answer(account.role),
        refusal=refusal,
        pin_refused=of_pin,
        done=done,
        days=DEVICE_SESSION_LASTS.days,
    )
