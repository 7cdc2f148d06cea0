"""People and programs that use the platform: accounts, tokens of programs, sessions of browsers,
the permissions of each role, and refused sign-ins.

Secrets (passwords, tokens, codes of links, cookies) are stored as hashes only. Permissions are one
table, which every page, endpoint and command uses. The first refusal of an address becomes an audit
entry at once; further refusals within ten minutes are counted and become one entry when that time
is over. So a scan of 100,000 requests makes two entries.
"""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, get_args
from unicodedata import normalize

from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import LanguageCode, translatable
from alerting.operators.actions_and_mutes import ROLES, Role

AccountKind = Literal["person", "service", "device"]
SESSION_LASTS = timedelta(hours=12)
DEVICE_SESSION_LASTS = timedelta(days=90)
LINK_LASTS = timedelta(days=3)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
LEAST_DIFFERENT_CHARACTERS = 5
LONGEST_TOKEN_LIFE = timedelta(days=3 * 366)
ACTORS_OF_THE_PLATFORM = frozenset({"platform", "directory", "mongodb", "database", "demo"})
"""Actors of the audit that are no accounts, in lower case."""
_RESERVED = ACTORS_OF_THE_PLATFORM | set(ROLES)
"""Names that no person has: those of the platform, and the services of a first start."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")


@dataclass(frozen=True)
class Account:
    """A person, a service whose token stands in the tokens file, or a device that people share.

    `password`, `pin`: argon2id hashes, None until one is set. `link`: hash of the code of the
    one-time link that sets a password or PIN, or starts the device, valid until `link_ends`.
    `sessions_from`: sessions that began before are over. `language` and `zone` (IANA): of the pages
    for this person, None for the usual ones. `wrong_pins_until`: see `count_pin`; for persons and
    devices. `signer`, `signed_at`: the person who signed last on a device, and when. `identity`:
    user name in the plant's directory; such a person has no password here, and the directory gives
    role and display name with each request.
    """

    id: str
    role: Role
    made_at: datetime
    made_by: str
    sessions_from: datetime
    kind: AccountKind = "person"
    display_name: str = ""
    language: LanguageCode | None = None
    zone: str | None = None
    password: str | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)
    wrong_pins_until: datetime | None = None
    signer: str | None = None
    signed_at: datetime | None = None
    link: str | None = field(default=None, repr=False)
    link_ends: datetime | None = None
    disabled_at: datetime | None = None
    signed_in_at: datetime | None = None
    identity: str | None = None
    version: int = 1

    @property
    def shown_name(self) -> str:
        """Return the name that other people see: the display name, else the name of the account."""
        return self.display_name or self.id

    def next_version(self, **changes: object) -> "Account":
        """Return the account with changes, as the next version."""
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class AccessToken:
    """The token of a program. `id`: hash of the token. `role`: limited by the owner's role."""

    id: str
    name: str
    owner: str
    role: Role
    made_at: datetime
    made_by: str
    ends_at: datetime
    used_at: datetime | None = None

    @property
    def key(self) -> str:
        """Return the short id by which people revoke the token."""
        return self.id[:10]


@dataclass(frozen=True)
class Session:
    """A signed-in browser. `id`: hash of its cookie. `token`: hash of the token with which it
    began, None for a password or a link. `address`: of the client at the beginning."""

    id: str
    account: str
    began_at: datetime
    ends_at: datetime
    token: str | None = None
    address: str = ""

    @property
    def key(self) -> str:
        """Return the short id by which people end the session."""
        return self.id[:10]


def hash_secret(secret: str) -> str:
    """Return the stored form of a random secret: SHA-256 in hexadecimal digits.

    For tokens, cookies and codes of at least 128 random bits, never for passwords.
    """
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def check_account_name(name: str) -> None:
    """Check the name of a new account. Raises UserError."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"the name {shown(name)} is not possible: use up to 60 of a-z, 0-9, `.`, `_` and `-`, "
            "first a letter or digit"
        )
    refuse_reserved(name)


def refuse_reserved(name: str) -> None:
    """Check that a name of an account, or a display name, is not one under which the platform acts.
    Raises UserError."""
    if is_reserved(name):
        raise UserError(
            f"the name {shown(name)} is one by which the platform itself acts: choose another one"
        )


def is_reserved(name: str) -> bool:
    """Return whether the platform or one of its services acts under this name, in any spelling."""
    return normalize("NFKC", name).strip().casefold() in _RESERVED


def check_password_rules(password: str, account: Account) -> None:
    """Check that a new password is hard to guess. Raises UserError with the rule that it breaks."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UserError(
            translatable(
                "the password must have {least} to {most} characters; several words are easy to "
                "remember",
                least=str(SHORTEST_PASSWORD),
                most=str(LONGEST_PASSWORD),
            )
        )
    remaining = password.lower()
    for word in (account.display_name.lower() or account.id, account.id, "password", "alerting"):
        remaining = remaining.replace(word, "")
    if len(set(remaining)) < LEAST_DIFFERENT_CHARACTERS:
        raise UserError(
            translatable(
                "the password is too easy to guess: it needs {least} different characters besides "
                "your name",
                least=str(LEAST_DIFFERENT_CHARACTERS),
            )
        )


def is_active(account: Account, began_at: datetime) -> bool:
    """Return whether a session or token of this account that began at an instant is still valid."""
    return account.disabled_at is None and began_at >= account.sessions_from


# PINs: all that is remembered of wrong ones is one instant, with the account. Each wrong PIN moves
# it on by `PinLimit.every`, so the limit is the same for all processes and after a restart, and a
# right PIN between two guesses changes nothing.

SHORTEST_PIN = 4
LONGEST_PIN = 8


@dataclass(frozen=True)
class PinLimit:
    """Limit of wrong PINs: the first `at_once` without a wait, then one in each interval of
    `every`."""

    at_once: int
    every: timedelta


PERSON_LIMIT = PinLimit(10, timedelta(hours=1))
"""Wrong PINs for one person on all devices together: of the PINs with four digits, half have been
tried after half a year."""
DEVICE_LIMIT = PinLimit(20, timedelta(minutes=20))
"""Wrong PINs on one device for all people together."""


class WrongPin(UserError):
    """Error: the PIN is not the person's PIN."""


class TooManyPins(UserError):
    """Error: no PIN is accepted now. `wait`: time until the next PIN is accepted."""

    def __init__(self, message: str, wait: timedelta) -> None:
        super().__init__(message)
        self.wait = wait


def check_pin_rules(pin: str) -> None:
    """Check that a new PIN is not one that people guess first. Raises UserError."""
    if not (SHORTEST_PIN <= len(pin) <= LONGEST_PIN and pin.isascii() and pin.isdecimal()):
        raise UserError(
            translatable(
                "a PIN has {least} to {most} digits",
                least=str(SHORTEST_PIN),
                most=str(LONGEST_PIN),
            )
        )
    steps = {(int(b) - int(a)) % 10 for a, b in itertools.pairwise(pin)}
    is_year = len(pin) == 4 and pin.startswith(("19", "20"))
    is_repeated = pin in (pin + pin)[1:-1]
    if len(set(pin)) < 3 or len(steps) == 1 or is_year or is_repeated or pin in {"2580", "0852"}:
        raise UserError(
            translatable(
                "this PIN is among those that are guessed first: avoid years, sequences like 1234 "
                "and repeated digits"
            )
        )


def may_answer(role: Role) -> bool:
    """Return whether a role has all permissions of an operator, so that a PIN is of use to its
    accounts."""
    return lesser_role("operator", role) == "operator"


def may_sign(account: Account) -> bool:
    """Return whether this account is of a person who may answer alarms, with a PIN."""
    return (
        account.kind == "person"
        and account.pin is not None
        and account.disabled_at is None
        and may_answer(account.role)
    )


def wait_for_pin(account: Account, limit: PinLimit, now: datetime) -> timedelta:
    """Return the time until a PIN is accepted again for this person or on this device; zero if one
    is accepted now."""
    if account.wrong_pins_until is None:
        return timedelta(0)
    wait = account.wrong_pins_until - now - (limit.at_once - 1) * limit.every
    return max(wait, timedelta(0))


def count_pin(account: Account, limit: PinLimit, now: datetime) -> datetime:
    """Return `wrong_pins_until` with one more wrong PIN."""
    return max(account.wrong_pins_until or now, now) + limit.every


Permission = Literal["describe", "send", "read", "operate", "configure", "administer"]
PERMISSIONS: Mapping[Permission, frozenset[Role]] = MappingProxyType({
    "describe": frozenset({"sender", "viewer", "operator", "engineer", "admin"}),
    "send": frozenset({"sender", "engineer", "admin"}),
    "read": frozenset({"viewer", "operator", "engineer", "admin"}),
    "operate": frozenset({"operator", "engineer", "admin"}),
    "configure": frozenset({"engineer", "admin"}),
    "administer": frozenset({"admin"}),
})  # fmt: skip
"""The roles with each permission. `describe`: read what the API offers; `send`: readings and
events; `operate`: answer alarms; `configure`: definitions, routes, sources and models;
`administer`: people, tokens, sessions."""
LEAST_ROLES: Mapping[Permission, str] = MappingProxyType({
    "describe": "sender or viewer", "send": "sender or engineer", "read": "viewer",
    "operate": "operator", "configure": "engineer", "administer": "admin",
})  # fmt: skip
"""The least roles with each permission, in words."""


def may(role: Role, permission: Permission) -> bool:
    """Return whether a role has a permission; False for an unknown role or permission."""
    return role in PERMISSIONS.get(permission, frozenset())


def lesser_role(role: Role, owner: Role) -> Role | None:
    """Return the role of a token: the requested role if its owner has all permissions of that role,
    else the owner's role; None if the owner's role is `sender` and the requested one is not."""
    if all(may(owner, p) for p in get_args(Permission) if may(role, p)):
        return role
    return None if owner == "sender" else owner


JOINED = timedelta(minutes=10)
"""For how long refusals of an address are joined in one entry."""
MOST_ADDRESSES = 200
"""Addresses counted one by one; those beyond are joined as `OTHERS`."""
OTHERS = "other addresses"


@dataclass(frozen=True)
class Refusal:
    """A refused sign-in or request, without its secrets.

    `person`: name of the account, empty without one. `action`: of the audit entry; `subject`: the
    name that was typed, or method and path.
    """

    address: str
    person: str
    action: str
    subject: str
    why: str


@dataclass
class RefusalCount:
    """Refusals of one address, person and action since `began` that are not in the audit yet."""

    began: datetime
    last: datetime
    count: int = 0
    subjects: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class JoinedRefusals:
    """An audit entry on `count` refusals; `at`: instant of the last one."""

    address: str
    person: str
    action: str
    at: datetime
    since: datetime
    count: int
    subjects: tuple[str, ...]
    reasons: tuple[str, ...]


class RefusalLog:
    """Refusals of the last ten minutes, in bounded memory."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], RefusalCount] = {}

    def add(self, refusal: Refusal, now: datetime) -> list[JoinedRefusals]:
        """Count a refusal; return the audit entries that are due."""
        due = self.due(now)
        addresses = {address for address, _, _ in self._counts}
        is_known = refusal.address in addresses or len(addresses) < MOST_ADDRESSES
        address = refusal.address if is_known else OTHERS
        key = (address, refusal.person if is_known else "", refusal.action)
        counted = self._counts.get(key)
        if counted is None:
            self._counts[key] = RefusalCount(now, now)
            return [*due, JoinedRefusals(*key, now, now, 1, (refusal.subject,), (refusal.why,))]
        counted.count += 1
        counted.last = now
        for counter, text in ((counted.subjects, refusal.subject), (counted.reasons, refusal.why)):
            if text in counter or len(counter) < 5:
                counter[text] += 1
        return due

    def due(self, now: datetime, *, all_of_them: bool = False) -> list[JoinedRefusals]:
        """Return an audit entry for each count whose time is over, and remove these counts."""
        over = [
            (key, counted)
            for key, counted in self._counts.items()
            if all_of_them or not timedelta(0) <= now - counted.began < JOINED
        ]
        for key, _ in over:
            del self._counts[key]
        return [
            JoinedRefusals(
                *key,
                refusals.last,
                refusals.began,
                refusals.count,
                tuple(refusals.subjects),
                tuple(refusals.reasons),
            )
            for key, refusals in over
            if refusals.count
        ]
