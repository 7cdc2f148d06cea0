"""Accounts of people whom a trusted proxy names: their groups give the role."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.actions import ROLES, Role
from alerting.operators.people import Account, check_account_name
from alerting.ports import AccessPorts
from alerting.usecases.access.people import MOST_ACCOUNTS, end_sessions, public_fields

_ACTOR = "directory"


def admit_from_directory(
    platform: AccessPorts,
    user: str,
    groups: Iterable[str],
    rules: Mapping[str, Role],
    now: datetime,
    *,
    create: bool,
) -> Account:
    """Return the account of a user of the plant's directory: their name in lower case, without what
    follows an @. It has the highest role that one of the groups gives.

    Raises UserError, and changes no right, without such a group (open sessions then end), for an
    account that is disabled, has a password or is another user's, and, unless one is to be made
    (`create`), where there is none.
    """
    name = user.partition("@")[0].lower()
    check_account_name(name)
    role = max((rules[one] for one in groups if one in rules), key=ROLES.index, default=None)
    while True:
        before = platform.accounts.get(name)
        if before is not None and before.disabled_at is not None:
            raise UserError(translatable("your account is disabled: ask an administrator"))
        if before is not None and before.identity != user and not _is_free(before):
            raise UserError(
                translatable(
                    "the account {name} is not of the directory: ask an administrator to remove it",
                    name=name,
                )
            )
        if role is None:
            end_sessions(platform, name, now)
            raise UserError(translatable("you are in no group that may use this platform"))
        if before is not None and (before.role, before.identity) == (role, user):
            return before
        if before is None and (not create or len(platform.accounts.all()) >= MOST_ACCOUNTS):
            raise UserError(
                translatable("there is no account {name}: ask an administrator", name=name)
            )
        if before is None:
            after = Account(name, role, now, _ACTOR, now, identity=user)
            stored = platform.accounts.insert(after)
        else:
            after = before.next_version(role=role, identity=user, link=None, link_ends=None)
            stored = platform.accounts.replace(after)
        if stored:
            what = "person added" if before is None else "person changed"
            old = None if before is None else public_fields(before)
            platform.audit.add(_ACTOR, what, name, now, old, public_fields(after))
            return after


def _is_free(account: Account) -> bool:
    """Return whether an account was made for a user who has not come yet."""
    return account.identity is None and account.password is None and account.kind == "person"
