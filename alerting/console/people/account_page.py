"""The page of one's own account: password, PIN, language, time zone, sessions."""

from collections.abc import Callable
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import Person
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import FormField, Id
from alerting.console.login import (
    LONGEST,
    NOT_CONFIDENTIAL,
    PASSWORD_BESIDE_DIRECTORY,
    Entrance,
    Field,
    entrance_of,
    is_confidential,
)
from alerting.console.web.rendering import FormViewer, render
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import LANGUAGES, translatable
from alerting.operators.people import DEVICE_SESSION_LASTS, Account, hash_secret, may_answer
from alerting.ports import Platform
from alerting.usecases.access.devices import change_pin, remove_pin, set_pin, start_device
from alerting.usecases.access.people import (
    change_password,
    end_session,
    find_link,
    set_password,
    set_preferences,
)

pages = APIRouter(include_in_schema=False)


@pages.get("/account", response_class=HTMLResponse)
def account(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of one's own account."""
    return _page(request, platform)


@pages.post("/account/password", response_class=HTMLResponse)
def set_own_password(
    request: Request,
    platform: Served,
    person: FormViewer,
    old: Field = "",
    password: Field = "",
    again: Field = "",
) -> Response:
    """Change one's own password; other browsers are logged out, this one stays."""
    entrance = entrance_of(request)

    def change() -> Account:
        return change_password(
            platform, entrance.passwords, person.name, old, password, entrance.now()
        )

    differ = "" if password == again else translatable("The two passwords differ.")
    changed = _changed(request, platform, person, differ, change)
    if isinstance(changed, Response):
        return changed
    return entrance.signed_in_by_password(request, changed, "/account")


@pages.post("/account/pin", response_class=HTMLResponse)
def set_own_pin(
    request: Request,
    platform: Served,
    person: FormViewer,
    old: Field = "",
    pin: Field = "",
    again: Field = "",
) -> Response:
    """Set one's own PIN for shared devices, after one's password. Raises HTTPException 403 in a
    session of a token, whose holder need not be the person and may less."""
    entrance = entrance_of(request)
    if person.token is not None:
        raise HTTPException(403, translatable("a PIN is not set in a session of a token"))

    def change() -> Account:
        return change_pin(platform, entrance.passwords, person.name, old, pin, entrance.now())

    differ = "" if pin == again else translatable("The two PINs differ.")
    changed = _changed(request, platform, person, differ, change)
    return changed if isinstance(changed, Response) else RedirectResponse("/account#pin", 303)


@pages.post("/account/pin/remove", response_class=HTMLResponse)
def remove_own_pin(request: Request, platform: Served, person: FormViewer) -> Response:
    """Remove one's own PIN."""
    remove_pin(platform, person.name, person.name, entrance_of(request).now())
    return RedirectResponse("/account#pin", 303)


def _changed(
    request: Request,
    platform: Platform,
    person: Person,
    differ: str,
    change: Callable[[], Account],
) -> Account | Response:
    """Return the account after a change that its password confirms, or the page with a refusal.

    `differ`: the refusal of two inputs that are not the same, if so.
    """
    entrance = entrance_of(request)
    now = entrance.now()
    keys = entrance.attempt_keys(request, person.name)
    if not is_confidential(request, entrance.public_url):
        return HTMLResponse(_page(request, platform, NOT_CONFIDENTIAL), 403)
    if (own := platform.accounts.get(person.name)) and not entrance.takes_password_of(own):
        return HTMLResponse(_page(request, platform, PASSWORD_BESIDE_DIRECTORY), 403)
    if differ:
        return HTMLResponse(_page(request, platform, differ), 422)
    attempt = entrance.wrong_attempts.begin(keys, now)
    if attempt.wait is not None:
        refusal = translatable("Too many wrong passwords. Wait a minute, then try again.")
        return HTMLResponse(_page(request, platform, refusal), 429)
    try:
        changed = change()
    except UserError as fault:
        return HTMLResponse(_page(request, platform, fault.message), 422)
    attempt.was_right()
    return changed


@pages.post("/account/preferences", response_class=HTMLResponse)
def choose(
    request: Request,
    platform: Served,
    person: FormViewer,
    language: Annotated[str, Form(max_length=10)] = "",
    zone: FormField = "",
) -> Response:
    """Store the language and the time zone of one's pages; empty means the usual ones."""
    chosen = next((code for code in LANGUAGES if code == language), None)
    if zone and zone not in available_timezones():
        refusal = translatable("There is no time zone of this name: choose one of the list.")
        return HTMLResponse(_page(request, platform, refusal, (language, zone)), 422)
    now = entrance_of(request).now()
    set_preferences(platform, person.name, now, chosen, ZoneInfo(zone).key if zone else None)
    return RedirectResponse("/account", 303)


@pages.post("/account/sessions/{key}/end", response_class=HTMLResponse)
def end_own(key: Id, request: Request, platform: Served, person: FormViewer) -> Response:
    """End one's own session in another browser."""
    now = entrance_of(request).now()
    own = [session.key for session in platform.sessions.all(now, person.name)]
    if key in own:
        end_session(platform, key, person.name, now)
    return RedirectResponse("/account", 303)


def _page(
    request: Request,
    platform: Platform,
    refusal: str = "",
    typed: tuple[str, str] | None = None,
) -> str:
    """Return the page. `typed`: language and time zone of a form that was refused."""
    person = request.state.person
    entrance = entrance_of(request)
    account = platform.accounts.get(person.name)
    stored = (account.language, account.zone) if account else ("", "")
    return render(
        "account.html",
        request,
        account=account,
        preferences=typed or stored,
        sessions=platform.sessions.all(entrance.now(), person.name),
        own_session=hash_secret(person.session or ""),
        confidential=is_confidential(request, entrance.public_url),
        zones=sorted(available_timezones()),
        refusal=refusal,
        now=entrance.now(),
    )


@pages.get("/password/{code}", response_class=HTMLResponse)
def show_link(code: str, request: Request) -> Response:
    """Return the form of a link; looking at it does not use it up."""
    return _password_page(request, code[:LONGEST])


@pages.post("/password/{code}", response_class=HTMLResponse)
def use_link(code: str, request: Request, password: Field = "", again: Field = "") -> Response:
    """Set the password and log in, or start the device; the link is used up."""
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        return _password_page(request, code)
    now = entrance.now()
    account = find_link(entrance.platform, code, now)
    is_device = account is not None and account.kind == "device"
    if is_device and _logged_in(request):
        return _password_page(request, code)
    if not is_device and (refusal := _refusal(entrance, account, password, again)):
        return _password_page(request, code, refusal)
    try:
        if is_device:
            return entrance.device_started(request, start_device(entrance.platform, code, now))
        account = set_password(entrance.platform, entrance.passwords, code, password, now)
    except UserError as fault:
        return _password_page(request, code, fault.message)
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
        return _password_page(request, code)
    if pin != again:
        return _password_page(request, code, translatable("The two PINs differ."), of_pin=True)
    try:
        account = set_pin(entrance.platform, entrance.passwords, code, pin, entrance.now())
    except UserError as fault:
        return _password_page(request, code, fault.message, of_pin=True)
    return HTMLResponse(_render(request, code, account, done=True))


def _logged_in(request: Request) -> bool:
    """Return whether a person is logged in, whom a session of a device would take the place of."""
    person = request.state.person
    return person is not None and person.device is None


def _password_page(
    request: Request, code: str, refusal: str = "", of_pin: bool = False
) -> Response:
    """Return the form: 200, with a refusal 422; 410 for an old link, 403 without HTTPS."""
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
