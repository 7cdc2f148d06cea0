"""People of the plant's directory: what its groups let them do, and the name of their account."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from alerting.definitions.faults import UserError
from alerting.operators.actions import ROLES, Role
from alerting.operators.people import is_reserved

BEGUN_LASTS = timedelta(minutes=10)
"""For how long a sign-in that was begun may be finished."""
CLOCK_SKEW = timedelta(seconds=60)
"""By how much the clocks of the provider and of replicas may differ."""
LONGEST_ACCOUNT_NAME = 60


class DirectoryRefused(UserError):
    """Refusal of a sign-in or a log-out. `why`: the check that failed, for the audit; it never
    holds a part of a token."""

    def __init__(self, why: str, message: str) -> None:
        self.why = why
        super().__init__(message)


class DirectoryDown(DirectoryRefused):
    """Error: the provider does not answer as one; it can succeed later."""


@dataclass(frozen=True)
class BegunSignIn:
    """A sign-in that a browser has begun. `address`: of the provider, to go on with."""

    address: str
    state: str
    nonce: str
    verifier: str = field(repr=False)


@dataclass(frozen=True)
class GroupRule:
    """The rights of the members of a group. `scope`: assets, each with all below it; None for the
    whole plant."""

    group: str
    role: Role
    scope: tuple[str, ...] | None = None


@dataclass(frozen=True)
class MappedRights:
    """The role and the scope of an account, as its groups give them."""

    role: Role
    scope: tuple[str, ...] | None


@dataclass(frozen=True)
class DirectoryPerson:
    """A person as the directory names them in one sign-in. `subject`: never given to another person
    by this issuer; `name` and `display_name` may be."""

    issuer: str
    subject: str
    name: str
    display_name: str
    groups: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Return the identity that an account is bound to. An issuer has no blank."""
        return f"{self.issuer} {self.subject}"


def map_groups(groups: Sequence[str], rules: Sequence[GroupRule]) -> MappedRights | None:
    """Return the highest role that a group gives, and the assets of all groups that give it; None
    if no group has a rule.

    Groups of lower roles add no asset, because the role would hold there as well. A group without a
    scope gives its role for the whole plant.
    """
    matching = [rule for rule in rules if rule.group in groups]
    if not matching:
        return None
    role = max((rule.role for rule in matching), key=ROLES.index)
    assets = set[str]()
    for rule in matching:
        if rule.role == role:
            if rule.scope is None:
                return MappedRights(role, None)
            assets.update(rule.scope)
    return MappedRights(role, tuple(sorted(assets)))


def possible_account_names(wanted: str) -> Iterator[str]:
    """Yield legal names for a new account, without end: that of the directory before its `@`, then
    the same with a number."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", wanted.partition("@")[0].lower()).lstrip("-._")
    plain = plain[: LONGEST_ACCOUNT_NAME - 7].rstrip("-._") or "person"
    if not is_reserved(plain):
        yield plain
    number = 2
    while True:
        yield f"{plain}-{number}"
        number += 1
