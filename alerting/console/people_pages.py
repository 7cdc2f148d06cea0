"""Pages of people: of one's own account for everyone, of all people, tokens and sessions for
administrators; and tokens over the REST API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field

from alerting.console.access import Person, Served, Viewer, require
from alerting.console.api.parameters import MAY_NAME_NOTHING, FormField, Id, Instant
from alerting.console.api.views import Body
from alerting.console.login import (
    LONGEST,
    NOT_CONFIDENTIAL,
    PASSWORD_BESIDE_DIRECTORY,
    Entrance,
    SignInField,
    entrance_of,
    is_confidential,
)
from alerting.console.rendering import FormAdministrator, FormViewer, render
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import LANGUAGES, translatable
from alerting.operators.account_rules import (
    DEVICE_SESSION_LASTS,
    AccessToken,
    Account,
    hash_secret,
    may_answer,
)
from alerting.operators.actions_and_mutes import ROLES, Role
from alerting.ports import Platform
from alerting.usecases.access import accounts, devices_and_tokens
from alerting.usecases.access.accounts import (
    change_password,
    end_session,
    find_link,
    set_password,
    set_preferences,
)
from alerting.usecases.access.devices_and_tokens import (
    change_pin,
    remove_pin,
    set_pin,
    start_device,
)

pages = APIRouter(include_in_schema=False)


@pages.get("/account", response_class=HTMLResponse)
def account(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of one's own account."""
    return _account_page(request, platform)


@pages.post("/account/password", response_class=HTMLResponse)
def set_own_password(
    request: Request,
    platform: Served,
    person: FormViewer,
    old: SignInField = "",
    password: SignInField = "",
    again: SignInField = "",
) -> Response:
    """Change one's own password; other browsers are logged out, this one stays."""
    entrance = entrance_of(request)
    changed = _change_own(
        request,
        platform,
        person,
        "" if password == again else translatable("The two passwords differ."),
        lambda: change_password(
            platform, entrance.passwords, person.name, old, password, entrance.now()
        ),
    )
    if isinstance(changed, Response):
        return changed
    return entrance.signed_in_by_password(request, changed, "/account")


@pages.post("/account/pin", response_class=HTMLResponse)
def set_own_pin(
    request: Request,
    platform: Served,
    person: FormViewer,
    old: SignInField = "",
    pin: SignInField = "",
    again: SignInField = "",
) -> Response:
    """Set one's own PIN for shared devices, after one's password. Raises HTTPException 403 in a
    session of a token, whose holder need not be the person and may less."""
    entrance = entrance_of(request)
    if person.token is not None:
        raise HTTPException(403, translatable("a PIN is not set in a session of a token"))
    changed = _change_own(
        request,
        platform,
        person,
        "" if pin == again else translatable("The two PINs differ."),
        lambda: change_pin(platform, entrance.passwords, person.name, old, pin, entrance.now()),
    )
    return changed if isinstance(changed, Response) else RedirectResponse("/account#pin", 303)


@pages.post("/account/pin/remove", response_class=HTMLResponse)
def remove_own_pin(request: Request, platform: Served, person: FormViewer) -> Response:
    """Remove one's own PIN."""
    remove_pin(platform, person.name, person.name, entrance_of(request).now())
    return RedirectResponse("/account#pin", 303)


def _change_own(
    request: Request,
    platform: Platform,
    person: Person,
    differ: str,
    change: Callable[[], Account],
) -> Account | Response:
    """Return the account after a change that its password confirms, or the page with a refusal.

    `differ`: the refusal if two inputs differ that should be the same, else empty.
    """
    entrance = entrance_of(request)
    now = entrance.now()
    keys = entrance.attempt_keys(request, person.name)
    if not is_confidential(request, entrance.public_url):
        return HTMLResponse(_account_page(request, platform, NOT_CONFIDENTIAL), 403)
    account = platform.accounts.get(person.name)
    if account is not None and not entrance.takes_password_of(account):
        return HTMLResponse(_account_page(request, platform, PASSWORD_BESIDE_DIRECTORY), 403)
    if differ:
        return HTMLResponse(_account_page(request, platform, differ), 422)
    attempt = entrance.wrong_attempts.begin(keys, now)
    if attempt.wait is not None:
        refusal = translatable("Too many wrong passwords. Wait a minute, then try again.")
        return HTMLResponse(_account_page(request, platform, refusal), 429)
    try:
        changed = change()
    except UserError as fault:
        return HTMLResponse(_account_page(request, platform, fault.message), 422)
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
        return HTMLResponse(_account_page(request, platform, refusal, (language, zone)), 422)
    now = entrance_of(request).now()
    set_preferences(platform, person.name, now, chosen, ZoneInfo(zone).key if zone else None)
    return RedirectResponse("/account", 303)


@pages.post("/account/sessions/{key}/end", response_class=HTMLResponse)
def end_own(key: Id, request: Request, platform: Served, person: FormViewer) -> Response:
    """End one's own session in another browser."""
    now = entrance_of(request).now()
    if key in [session.key for session in platform.sessions.all(now, person.name)]:
        end_session(platform, key, person.name, now)
    return RedirectResponse("/account", 303)


def _account_page(
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
def use_link(
    code: str, request: Request, password: SignInField = "", again: SignInField = ""
) -> Response:
    """Set the password and log in, or start the device; the link is used up."""
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        return _password_page(request, code)
    now = entrance.now()
    account = find_link(entrance.platform, code, now)
    is_device = account is not None and account.kind == "device"
    person = request.state.person
    if is_device and person is not None and person.device is None:
        return _password_page(request, code)  # the session of the device would replace the person's
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
def set_pin_by_link(
    code: str, request: Request, pin: SignInField = "", again: SignInField = ""
) -> Response:
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


def _password_page(
    request: Request, code: str, refusal: str = "", of_pin: bool = False
) -> Response:
    """Return the form: 200, with a refusal 422; 410 for an old link, 403 without HTTPS."""
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        return HTMLResponse(_render(request, code, None, NOT_CONFIDENTIAL), 403)
    account = find_link(entrance.platform, code, entrance.now())
    if account is None:
        return HTMLResponse(_render(request, code, None, "", of_pin), 410)
    return HTMLResponse(_render(request, code, account, refusal, of_pin), 422 if refusal else 200)


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


api = APIRouter(prefix="/api/v1")
Administrator = Annotated[Person, Depends(require("administer"))]
PERSON_ROLES = tuple(role for role in ROLES if role != "sender")
USUAL_TOKEN_DAYS = 365
Change = Literal["role", "disable", "enable", "link", "no-pin", "remove"]


_ACTS: Mapping[str, Callable[[Platform, str, str, datetime], object]] = {
    "disable": accounts.disable_account,
    "enable": accounts.enable_account,
    "no-pin": remove_pin,
    "remove": accounts.remove_person,
}


class TokenBody(Body):
    """A token to be made."""

    name: str = Field(min_length=1, max_length=100, description="What it is for.")
    owner: str = Field(min_length=1, max_length=60, description="Name of an account.")
    role: Role = Field(description="What the program may do, at most as much as the owner.")
    ends_at: Instant = Field(description="From when it is refused.")


@dataclass(frozen=True, kw_only=True)
class TokenView:
    """A token of a program. `key`: its identity; `used_at`: to the minute."""

    key: str
    name: str
    owner: str
    role: Role
    made_at: datetime
    made_by: str
    ends_at: datetime
    used_at: datetime | None

    @classmethod
    def from_domain(cls, token: AccessToken) -> "TokenView":
        """Return the answer on a token, without its hash."""
        return TokenView(
            key=token.key,
            name=token.name,
            owner=token.owner,
            role=token.role,
            made_at=token.made_at,
            made_by=token.made_by,
            ends_at=token.ends_at,
            used_at=token.used_at,
        )


@dataclass(frozen=True, kw_only=True)
class NewTokenView(TokenView):
    """A new token. `token`: the secret itself, which is stored nowhere and not shown again."""

    token: str


@api.get("/tokens", tags=["access"])
def list_tokens(platform: Served, _: Administrator) -> list[TokenView]:
    """List the tokens of programs, without their secrets. Role: admin."""
    return [TokenView.from_domain(token) for token in platform.access_tokens.all()]


@api.post("/tokens", tags=["access"], openapi_extra=MAY_NAME_NOTHING, operation_id="create_token")
def create_by_api(
    body: TokenBody, request: Request, platform: Served, person: Administrator
) -> NewTokenView:
    """Make a token of an account for a program. Role: admin."""
    now = _real_time(request)
    token, secret = devices_and_tokens.create_token(
        platform, body.name, body.owner, body.role, body.ends_at, person.name, now
    )
    return NewTokenView(**vars(TokenView.from_domain(token)), token=secret)


@api.delete("/tokens/{id}", tags=["access"], operation_id="revoke_token")
def revoke_by_api(id: Id, request: Request, platform: Served, person: Administrator) -> TokenView:
    """Revoke a token at once, by its key. Role: admin."""
    now = _real_time(request)
    return TokenView.from_domain(devices_and_tokens.revoke_token(platform, id, person.name, now))


@pages.get("/access", response_class=HTMLResponse)
def access(request: Request, platform: Served, _: Administrator) -> str:
    """Return the page of people, tokens and sessions."""
    return _access_page(request, platform)


@pages.post("/access/people", response_class=HTMLResponse)
def add(
    request: Request,
    platform: Served,
    person: FormAdministrator,
    name: FormField = "",
    display_name: FormField = "",
    role: Annotated[Role, Form()] = "viewer",
    kind: Annotated[Literal["person", "device"], Form()] = "person",
) -> Response:
    """Add a person, or a shared device, and show the link that sets the password, or starts it."""
    try:
        account, code = accounts.add_person(
            platform,
            name.strip().lower(),
            role,
            person.name,
            _real_time(request),
            display_name.strip(),
            kind,
        )
    except UserError as refusal:
        typed = {"form": kind, "name": name, "display_name": display_name, "role": role}
        return HTMLResponse(_access_page(request, platform, refusal=str(refusal), typed=typed), 422)
    return HTMLResponse(
        _access_page(request, platform, link=(account, link_address(request, code)))
    )


@pages.post("/access/people/{name}", response_class=HTMLResponse)
def change(
    name: Id,
    request: Request,
    platform: Served,
    person: FormAdministrator,
    act: Annotated[Change, Form(alias="what")],
    role: FormField = "",
) -> Response:
    """Change, disable, enable or remove a person or a device, make a new link, or take the PIN
    away."""
    now = _real_time(request)
    link = None
    try:
        if act == "link":
            code = accounts.make_link(platform, name, person.name, now)
            link = (accounts.find_account(platform, name), link_address(request, code))
        elif act == "role":
            chosen = next(
                (person_role for person_role in PERSON_ROLES if person_role == role), None
            )
            if chosen is None:
                raise UserError(f"choose one of the roles {', '.join(PERSON_ROLES)}")
            accounts.change_person(platform, name, person.name, now, chosen)
        else:
            _ACTS[act](platform, name, person.name, now)
    except UserError as refusal:
        return HTMLResponse(_access_page(request, platform, refusal=str(refusal)), 422)
    if link is not None:
        return HTMLResponse(_access_page(request, platform, link=link))
    return RedirectResponse("/access", 303)


@pages.post("/access/tokens", response_class=HTMLResponse)
def create_by_form(
    request: Request,
    platform: Served,
    person: FormAdministrator,
    name: FormField = "",
    owner: FormField = "",
    role: FormField = "",
    days: FormField = str(USUAL_TOKEN_DAYS),
) -> Response:
    """Make a token, and show it this one time."""
    now = _real_time(request)
    try:
        chosen = next((token_role for token_role in ROLES if token_role == role), None)
        if chosen is None or not days.isdecimal() or len(days) > 4:
            raise UserError("choose a role, and the days until the token ends")
        token, secret = devices_and_tokens.create_token(
            platform, name, owner, chosen, now + timedelta(days=int(days)), person.name, now
        )
    except UserError as refusal:
        typed = {"form": "token", "name": name, "role": role, "owner": owner, "days": days}
        return HTMLResponse(_access_page(request, platform, refusal=str(refusal), typed=typed), 422)
    return HTMLResponse(_access_page(request, platform, secret=(token.name, secret)))


@pages.post("/access/tokens/{key}/revoke", response_class=HTMLResponse)
def revoke_by_form(
    key: Id, request: Request, platform: Served, person: FormAdministrator
) -> Response:
    """Revoke a token."""
    devices_and_tokens.revoke_token(platform, key, person.name, _real_time(request))
    return RedirectResponse("/access#tokens", 303)


@pages.post("/access/sessions/{key}/end", response_class=HTMLResponse)
def end_by_form(key: Id, request: Request, platform: Served, person: FormAdministrator) -> Response:
    """End the session of a person."""
    end_session(platform, key, person.name, _real_time(request))
    return RedirectResponse("/access#sessions", 303)


def link_address(request: Request, code: str) -> str:
    """Return the address of a one-time link, below the public address, else the address of the
    request."""
    base = entrance_of(request).public_url or str(request.base_url)
    return f"{base.rstrip('/')}/password/{code}"


def _real_time(request: Request) -> datetime:
    return entrance_of(request).now().astimezone(UTC)


def _access_page(
    request: Request,
    platform: Platform,
    *,
    refusal: str = "",
    link: tuple[Account, str] | None = None,
    secret: tuple[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> str:
    """Return the page. `link`: account and address, `secret`: name and token, shown once; `typed`:
    the entries of a form that was refused, `form`: for a person, a device or a token."""
    now = _real_time(request)
    sessions = platform.sessions.all(now)
    return render(
        "access.html",
        request,
        accounts=platform.accounts.all(),
        access_tokens=platform.access_tokens.all(),
        sessions=sessions,
        own_session=hash_secret(request.state.person.session or ""),
        device_ends={session.account: session.ends_at for session in sessions},
        person_roles=PERSON_ROLES,
        device_roles=accounts.DEVICE_ROLES,
        roles=ROLES,
        usual_days=USUAL_TOKEN_DAYS,
        refusal=refusal,
        link=link,
        secret=secret,
        typed=typed or {"form": ""},
        now=now,
    )
