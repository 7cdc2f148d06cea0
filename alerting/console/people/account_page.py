"""The page of one's own account: password, PIN, language, time zone, sessions."""

from collections.abc import Callable
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import FormField, Id
from alerting.console.login import NOT_CONFIDENTIAL, PASSWORD_BESIDE_DIRECTORY, Field, entrance_of
from alerting.console.transport import is_confidential
from alerting.console.web.forms import FormViewer
from alerting.console.web.rendering import render
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import LANGUAGES, translatable
from alerting.operators.people import Account, hash_secret
from alerting.usecases.access.devices import change_pin, remove_pin
from alerting.usecases.access.people import change_password, set_preferences
from alerting.usecases.access.sign_in import end_session

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
