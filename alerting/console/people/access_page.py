"""The page of people, tokens and sessions for administrators, and tokens for programs."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from alerting.console.access import Person
from alerting.console.api import views
from alerting.console.api.api import MAY_NAME_NOTHING, Served, require
from alerting.console.api.parameters import FormField, Id, Instant
from alerting.console.login import entrance_of
from alerting.console.web.rendering import FormAdministrator, render
from alerting.definitions.faults import UserError
from alerting.operators.actions import ROLES, Role
from alerting.operators.people import Account, hash_secret
from alerting.ports import Platform
from alerting.usecases.access import people, tokens
from alerting.usecases.access.devices import remove_pin
from alerting.usecases.access.people import end_session

api = APIRouter(prefix="/api/v1")
pages = APIRouter(include_in_schema=False)
Administrator = Annotated[Person, Depends(require("administer"))]
PERSON_ROLES = tuple(role for role in ROLES if role != "sender")
USUAL_TOKEN_DAYS = 365
Change = Literal["role", "disable", "enable", "link", "no-pin", "remove"]


class TokenBody(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100, description="What it is for.")
    owner: str = Field(min_length=1, max_length=60, description="Name of an account.")
    role: Role = Field(description="What the program may do, at most as much as the owner.")
    ends_at: Instant = Field(description="From when it is refused.")


class TokenView(views.View):
    """A token of a program. `key`: its identity; `used_at`: to the minute."""

    key: str
    name: str
    owner: str
    role: str
    made_at: datetime
    made_by: str
    ends_at: datetime
    used_at: datetime | None


class NewTokenView(TokenView):
    """A new token. `token`: the secret itself, which is stored nowhere and not shown again."""

    token: str


class TypedAccess(NamedTuple):
    """What was typed into a form that was refused: for a `person`, a `device` or a `token`."""

    form: Literal["", "person", "device", "token"] = ""
    name: str = ""
    display_name: str = ""
    role: str = ""
    owner: str = ""
    days: str = ""


_NOTHING_TYPED = TypedAccess()


@api.get("/tokens", tags=["access"])
def list_tokens(platform: Served, _: Administrator) -> list[TokenView]:
    """List the tokens of programs, without their secrets. Role: admin."""
    return [TokenView(**tokens.token_fields(token)) for token in platform.access_tokens.all()]


@api.post("/tokens", tags=["access"], openapi_extra=MAY_NAME_NOTHING, operation_id="create_token")
def create_by_api(
    body: TokenBody, request: Request, platform: Served, person: Administrator
) -> NewTokenView:
    """Make a token of an account for a program. Role: admin."""
    now = _real_time(request)
    token, secret = tokens.create_token(
        platform, body.name, body.owner, body.role, body.ends_at, person.name, now
    )
    return NewTokenView(**tokens.token_fields(token), token=secret)


@api.delete("/tokens/{id}", tags=["access"], operation_id="revoke_token")
def revoke_by_api(id: Id, request: Request, platform: Served, person: Administrator) -> TokenView:
    """Revoke a token at once, by its key. Role: admin."""
    token = tokens.revoke_token(platform, id, person.name, _real_time(request))
    return TokenView(**tokens.token_fields(token))


@pages.get("/access", response_class=HTMLResponse)
def access(request: Request, platform: Served, _: Administrator) -> str:
    """Return the page of people, tokens and sessions."""
    return _page(request, platform)


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
        account, code = people.add_person(
            platform,
            name.strip().lower(),
            role,
            person.name,
            _real_time(request),
            display_name.strip(),
            kind,
        )
    except UserError as refusal:
        typed = TypedAccess(kind, name, display_name, role)
        return HTMLResponse(_page(request, platform, refusal=str(refusal), typed=typed), 422)
    return HTMLResponse(_page(request, platform, link=(account, link_address(request, code))))


@pages.post("/access/people/{name}", response_class=HTMLResponse)
def change(
    name: Id,
    request: Request,
    platform: Served,
    person: FormAdministrator,
    what: Annotated[Change, Form()],
    role: FormField = "",
) -> Response:
    """Change, disable, enable or remove a person or a device, make a new link, or take the PIN
    away."""
    now = _real_time(request)
    link = None
    try:
        if what == "link":
            code = people.make_link(platform, name, person.name, now)
            link = (people.find_account(platform, name), link_address(request, code))
        elif what == "role":
            wanted = next((known for known in PERSON_ROLES if known == role), None)
            if wanted is None:
                raise UserError(f"choose one of the roles {', '.join(PERSON_ROLES)}")
            people.change_person(platform, name, person.name, now, wanted)
        elif what == "disable":
            people.disable_account(platform, name, person.name, now)
        elif what == "enable":
            people.enable_account(platform, name, person.name, now)
        elif what == "no-pin":
            remove_pin(platform, name, person.name, now)
        else:
            people.remove_person(platform, name, person.name, now)
    except UserError as refusal:
        return HTMLResponse(_page(request, platform, refusal=str(refusal)), 422)
    if link is not None:
        return HTMLResponse(_page(request, platform, link=link))
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
        wanted = next((known for known in ROLES if known == role), None)
        if wanted is None or not days.isdecimal() or len(days) > 4:
            raise UserError("choose a role, and the days until the token ends")
        ends_at = now + timedelta(days=int(days))
        token, secret = tokens.create_token(
            platform, name, owner, wanted, ends_at, person.name, now
        )
    except UserError as refusal:
        typed = TypedAccess("token", name, "", role, owner, days)
        return HTMLResponse(_page(request, platform, refusal=str(refusal), typed=typed), 422)
    return HTMLResponse(_page(request, platform, secret=(token.name, secret)))


@pages.post("/access/tokens/{key}/revoke", response_class=HTMLResponse)
def revoke_by_form(
    key: Id, request: Request, platform: Served, person: FormAdministrator
) -> Response:
    """Revoke a token."""
    tokens.revoke_token(platform, key, person.name, _real_time(request))
    return RedirectResponse("/access#tokens", 303)


@pages.post("/access/sessions/{key}/end", response_class=HTMLResponse)
def end_by_form(key: Id, request: Request, platform: Served, person: FormAdministrator) -> Response:
    """End the session of a person."""
    end_session(platform, key, person.name, _real_time(request))
    return RedirectResponse("/access#sessions", 303)


def link_address(request: Request, code: str) -> str:
    """Return the address of a one-time link: the public one, else that of the request."""
    base = entrance_of(request).public_url or str(request.base_url)
    return f"{base.rstrip('/')}/password/{code}"


def _real_time(request: Request) -> datetime:
    return entrance_of(request).now().astimezone(UTC)


def _page(
    request: Request,
    platform: Platform,
    *,
    refusal: str = "",
    link: tuple[Account, str] | None = None,
    secret: tuple[str, str] | None = None,
    typed: TypedAccess = _NOTHING_TYPED,
) -> str:
    """Return the page. `link`: account and address, `secret`: name and token, shown once."""
    now = _real_time(request)
    person = request.state.person
    sessions = platform.sessions.all(now)
    return render(
        "access.html",
        request,
        accounts=platform.accounts.all(),
        access_tokens=platform.access_tokens.all(),
        sessions=sessions,
        own_session=hash_secret(person.session or ""),
        device_ends={session.account: session.ends_at for session in sessions},
        person_roles=PERSON_ROLES,
        device_roles=people.DEVICE_ROLES,
        roles=ROLES,
        usual_days=USUAL_TOKEN_DAYS,
        refusal=refusal,
        link=link,
        secret=secret,
        typed=typed,
        now=now,
    )
