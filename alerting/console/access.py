"""The sender of a request: the owner of a token, or the person of a session."""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPBearer

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import LanguageCode, translatable
from alerting.operators.account_rules import (
    ACTORS_OF_THE_PLATFORM,
    LEAST_ROLES,
    Account,
    Permission,
    hash_secret,
    is_active,
    may,
    may_answer,
)
from alerting.operators.actions_and_mutes import ROLES, Role
from alerting.ports import AccessPorts, Platform
from alerting.usecases.access.accounts import begin_session, find_session, find_session_account
from alerting.usecases.access.devices_and_tokens import find_token_user
from alerting.usecases.notification.delivery import DeliveryCounts, deliver_due
from alerting.usecases.operators import operate
from alerting.usecases.operators.known_plant import KnownPlant, RecentPlant

_LEAST_LENGTH = 16


@dataclass(frozen=True)
class Person:
    """The sender of a request. `session`: the value of the cookie, None for a bearer token.

    `token`: hash of the token, None for a password. `language` and `zone`: of the pages, if chosen.
    `device`: the shared device of the session, if any. It may read; if it `signs`, people answer on
    it with name and PIN.
    `identity`: of a person of the directory.
    """

    name: str
    role: Role
    display_name: str = ""
    language: LanguageCode | None = None
    zone: str | None = None
    token: str | None = None
    session: str | None = None
    csrf: str | None = None
    device: str | None = None
    signs: bool = False
    identity: str | None = None

    @property
    def may_answer(self) -> bool:
        """Return whether pages offer this session the forms of operators."""
        return self.csrf is not None and (self.signs or self.may("operate"))

    def may(self, permission: Permission) -> bool:
        """Return whether this person has a permission."""
        return may(self.role, permission)


class Access:
    """People by tokens and sessions. Secrets are compared by their hashes."""

    def __init__(self, platform: AccessPorts, tokens: Mapping[str, tuple[str, Role]]) -> None:
        """`tokens`: name and role by token, of the tokens file. Raises UserError without any."""
        if not tokens:
            raise UserError("there is no API token, so no person can log in: add at least one")
        self._platform = platform
        self._file = {hash_secret(token): owner for token, owner in tokens.items()}
        self._accounts: dict[str, tuple[datetime, Account | None]] = {}

    def find_by_token(self, token: str, now: datetime) -> Person | None:
        """Return the owner of a token, None for an invalid one."""
        return self._by_hash(hash_secret(token), now)

    def begin_session(
        self, name: str, now: datetime, address: str, token: str | None = None
    ) -> str:
        """Return the cookie value of a new session. `token`: the token with which the person signed
        in."""
        hashed = None if token is None else hash_secret(token)
        return begin_session(self._platform, name, now, address, hashed)

    def find_by_session(self, cookie: str, now: datetime) -> Person | None:
        """Return the person of a cookie value, while the session, the account, and the token that
        began the session are good."""
        session = find_session(self._platform, cookie, now)
        if session is None:
            return None
        account = find_session_account(self._platform, session)
        if session.token is not None:
            person = self._by_hash(session.token, now)
            if account is None and self._platform.accounts.get(session.account) is not None:
                return None
        else:
            person = person_of(account) if account is not None else None
        if person is None:
            return None
        return replace(
            person,
            session=cookie,
            csrf=hmac.new(cookie.encode(), b"csrf", hashlib.sha256).hexdigest(),
        )

    def find_again(self, person: Person, now: datetime) -> Person | None:
        """Return the present person of the same session or token; None if the session or token is
        over."""
        self._accounts.pop(person.name, None)
        if person.session is not None:
            return self.find_by_session(person.session, now)
        return None if person.token is None else self._by_hash(person.token, now)

    def end_session(self, person: Person) -> None:
        """End this person's session, every copy of its cookie. Idempotent."""
        if person.session is not None:
            self._platform.sessions.end(hash_secret(person.session))

    def _by_hash(self, id: str, now: datetime) -> Person | None:
        if (owner := self._file.get(id)) is not None:
            name, role = owner
            account = self._recent_account(name, now)
            if account is not None and not is_active(account, now):
                return None
            return (
                replace(person_of(account), role=role, token=id)
                if account
                else Person(name, role, token=id)
            )
        user = find_token_user(self._platform, id, now)
        return None if user is None else Person(user.name, user.role, token=id)

    def _recent_account(self, name: str, now: datetime) -> Account | None:
        """Return an account of the tokens file, at most a second old: a program may send thousands
        of requests."""
        read_at, account = self._accounts.get(name, (None, None))
        if read_at is None or not timedelta(0) <= now - read_at < timedelta(seconds=1):
            account = self._platform.accounts.get(name)
            self._accounts[name] = (now, account)
        return account


def person_of(account: Account) -> Person:
    """Return the person of an account; for a shared device, a person who only reads."""
    person = Person(
        account.id,
        account.role,
        account.display_name,
        account.language,
        account.zone,
        identity=account.identity,
    )
    if account.kind != "device":
        return person
    return replace(person, role="viewer", device=account.id, signs=may_answer(account.role))


def confirms(person: Person, csrf: str) -> bool:
    """Return whether this console, and not another site, made the form for this session."""
    return person.csrf is not None and hmac.compare_digest(person.csrf.encode(), csrf.encode())


# What waits for nothing is `async`: the other dependencies each wait for a thread of their own.
_bearer = HTTPBearer(auto_error=False, description="A token of a program, or of the tokens file.")


def require(permission: Permission) -> Callable[..., Awaitable[Person]]:
    """Return a dependency that gives the person of a request with this permission."""

    async def person(request: Request, _: Annotated[object, Security(_bearer)] = None) -> Person:
        sender: Person | None = request.state.person
        if sender is None:
            raise HTTPException(401, "log in first")
        if not sender.may(permission):
            raise HTTPException(
                403,
                translatable(
                    "this needs the role {role}; {person} has the role {own}",
                    role=LEAST_ROLES[permission],
                    person=sender.name,
                    own=sender.role,
                ),
            )
        return sender

    # the description of the API states it, and a test that no route is without
    person.permission = permission  # type: ignore[attr-defined]
    return person


def part_of_app(name: str, missing: str = "") -> Callable[[Request], Awaitable[Any]]:
    """Return a dependency that gives a part of the application, such as its platform. It raises
    HTTPException 503 with the text `missing` for a part that is None."""

    async def part(request: Request) -> Any:
        served = getattr(request.app.state, name)
        if served is None:
            raise HTTPException(503, missing)
        return served

    return part


async def the_delivery(request: Request) -> Callable[[], DeliveryCounts]:
    """Return the function that delivers what is due now, as the platform does by itself."""
    platform: Platform = request.app.state.platform
    return lambda: deliver_due(platform, platform.clock.now())


def known_plant(request: Request, platform: Platform, *, just_now: bool = False) -> KnownPlant:
    """Return the plant as it is known, at most a second old. `just_now`: with all that was written
    up to now."""
    plant: RecentPlant = request.app.state.known_plant
    return plant.find(platform, request.app.state.entrance.now(), just_now=just_now)


Served = Annotated[Platform, Depends(part_of_app("platform"))]
Delivery = Annotated[Callable[[], DeliveryCounts], Depends(the_delivery)]
Viewer = Annotated[Person, Depends(require("read"))]
Operator = Annotated[Person, Depends(require("operate"))]
Engineer = Annotated[Person, Depends(require("configure"))]


def actor_of(person: Person) -> operate.Actor:
    """Return the person of a request as the actor of a use case."""
    return operate.Actor(person.name, person.role)


def read_tokens(path: Path) -> dict[str, tuple[str, Role]]:
    """Read `{token: {"name": ..., "role": ...}}`. Raises UserError if others may read it."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise UserError(f"the tokens file {path} cannot be read: {fault.strerror}") from fault
    if mode & 0o077:
        raise UserError(
            f"the tokens file {path} may be read by others on this machine: run `chmod 600 {path}`"
        )
    try:
        return _parse_tokens(json.loads(text))
    except ValueError as fault:
        raise UserError(f"the tokens file {path}: {fault}") from fault


def _parse_tokens(document: object) -> dict[str, tuple[str, Role]]:
    if not isinstance(document, dict) or not document:
        raise ValueError(
            'it must hold at least one token as {"<token>": {"name": "anna", "role": "operator"}}'
        )
    tokens: dict[str, tuple[str, Role]] = {}
    for i, (token, owner) in enumerate(document.items(), 1):
        if len(token) < _LEAST_LENGTH or not token.isascii():
            raise ValueError(
                f"token {i} must be at least {_LEAST_LENGTH} ASCII characters; make one with: "
                "openssl rand -hex 24"
            )
        if (
            not isinstance(owner, dict)
            or set(owner) != {"name", "role"}
            or not isinstance(owner["name"], str)
            or not owner["name"]
        ):
            raise ValueError(
                f'token {i} must have an owner like {{"name": "anna", "role": "operator"}}'
            )
        if owner["role"] not in ROLES:
            raise ValueError(
                f"token {i} of {owner['name']}: role {owner['role']!r} is not one of "
                f"{', '.join(ROLES)}"
            )
        if owner["name"].casefold() in ACTORS_OF_THE_PLATFORM:
            raise ValueError(
                f"token {i}: the name {owner['name']!r} is one by which the platform itself acts; "
                "choose another one"
            )
        tokens[token] = (owner["name"], cast(Role, owner["role"]))
    return tokens
