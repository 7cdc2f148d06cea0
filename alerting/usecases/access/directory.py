"""Sign in by the plant's directory: make, update and sign out the accounts of its people."""

from collections.abc import Sequence
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import clean_line
from alerting.definitions.wording.language import translatable
from alerting.operators.directory import (
    BEGUN_LASTS,
    CLOCK_SKEW,
    DirectoryPerson,
    GroupRule,
    MappedRights,
    map_groups,
    possible_account_names,
)
from alerting.operators.people import Account, is_reserved
from alerting.ports import AccessPorts
from alerting.usecases.access.people import (
    LONGEST_DISPLAY_NAME,
    MOST_ACCOUNTS,
    end_sessions,
    public_fields,
)

DIRECTORY = "directory"
"""Actor of what the directory causes."""


def sign_in_from_directory(
    platform: AccessPorts,
    person: DirectoryPerson,
    rules: Sequence[GroupRule],
    begun_at: datetime,
    now: datetime,
) -> Account:
    """Return the account of a person of the directory, made or updated from their groups.

    Raises UserError, and changes no right, for a sign-in that is too old or was finished before,
    and for a disabled account. A person without a group that has a rule is refused, and signed out
    everywhere.
    """
    if not now - BEGUN_LASTS < begun_at <= now + CLOCK_SKEW:
        raise UserError(translatable("this sign-in was begun too long ago: begin again"))
    rights = map_groups(person.groups, rules)
    while True:
        before = find_directory_account(platform, person.identity)
        if rights is None:
            if before is not None:
                end_sessions(platform, before.id, now)
            groups = ", ".join(sorted({rule.group for rule in rules})[:10])
            raise UserError(
                translatable(
                    "you are in no group that may use this platform: ask the administrators of "
                    "the directory for one of {groups}",
                    groups=groups,
                )
            )
        after = (
            _new(platform, person, rights, now)
            if before is None
            else _update(before, person, rights, begun_at, now)
        )
        stored = platform.accounts.insert if before is None else platform.accounts.replace
        if stored(after):
            break
    if before is None or _rights_of(before) != _rights_of(after):
        what = "person added" if before is None else "person changed"
        fields = None if before is None else public_fields(before)
        platform.audit.add(DIRECTORY, what, after.id, now, fields, public_fields(after))
    return after


def find_directory_account(platform: AccessPorts, identity: str) -> Account | None:
    """Return the account that is bound to this issuer and subject."""
    return next((one for one in platform.accounts.all() if one.identity == identity), None)


def sign_out_from_directory(platform: AccessPorts, identity: str, now: datetime) -> None:
    """End all sessions of a person whom the directory has signed out. Idempotent."""
    account = find_directory_account(platform, identity)
    if account is not None:
        end_sessions(platform, account.id, now)
        platform.audit.add(DIRECTORY, "signed out by the directory", account.id, now)


def _new(
    platform: AccessPorts, person: DirectoryPerson, rights: MappedRights, now: datetime
) -> Account:
    taken = {account.id for account in platform.accounts.all()}
    if len(taken) >= MOST_ACCOUNTS:
        raise UserError(f"there are {MOST_ACCOUNTS} accounts already: remove some first")
    return Account(
        next(name for name in possible_account_names(person.name) if name not in taken),
        rights.role,
        now,
        DIRECTORY,
        now,
        display_name=_display_name(person),
        signed_in_at=now,
        identity=person.identity,
    )


def _update(
    before: Account,
    person: DirectoryPerson,
    rights: MappedRights,
    begun_at: datetime,
    now: datetime,
) -> Account:
    if before.disabled_at is not None:
        raise UserError(translatable("your account is disabled: ask an administrator"))
    if before.signed_in_at is not None and begun_at <= before.signed_in_at:
        raise UserError(translatable("this sign-in was finished before: begin again"))
    return before.next_version(
        role=rights.role,
        display_name=_display_name(person),
        signed_in_at=now,
    )


def _rights_of(account: Account) -> tuple[object, ...]:
    return account.role, account.display_name


def _display_name(person: DirectoryPerson) -> str:
    name = clean_line(person.display_name)[:LONGEST_DISPLAY_NAME]
    return "" if is_reserved(name) else name
