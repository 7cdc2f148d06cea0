"""Accounts of people: added, changed, disabled and removed by administrators, or admitted when a
trusted proxy names them, whose groups give the role. Passwords are set by one-time links. The audit
as people read it: pages of entries, and what changed in each."""

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Protocol

from alerting.definitions.faults import NotFound, UserError, unknown_name
from alerting.definitions.wording.language import LanguageCode, translatable
from alerting.operators.account_rules import (
    LINK_LASTS,
    SESSION_LASTS,
    Account,
    AccountKind,
    JoinedRefusals,
    Session,
    check_account_name,
    check_password_rules,
    hash_secret,
    is_active,
    refuse_reserved,
)
from alerting.operators.actions_and_mutes import ROLES, Role
from alerting.ports import AccessPorts, Audit, AuditEntry, AuditFilter

LONGEST_DISPLAY_NAME = 100
MOST_ACCOUNTS = 10_000
DEVICE_ROLES: tuple[Role, ...] = ("viewer", "operator")
"""Roles of a shared device: it shows alarms, or people sign answers on it as well."""
_SECRET_FIELDS = (
    *("password", "pin", "link", "version", "signed_in_at"),
    *("wrong_pins_until", "signer", "signed_at"),
)
LINK_IS_OVER = translatable("this link is no longer valid: ask an administrator for a new one")


class Passwords(Protocol):
    """Slow hashes of passwords."""

    def make_hash(self, password: str) -> str: ...

    def matches(self, stored: str | None, password: str) -> bool:
        """Return whether a password has this hash. Without a hash it takes the same time, and is
        False."""


def add_person(
    platform: AccessPorts,
    name: str,
    role: Role,
    actor: str,
    now: datetime,
    display_name: str = "",
    kind: AccountKind = "person",
) -> tuple[Account, str]:
    """Add a person, or a device that people share; return the account, and the code of the link
    that sets the password, or starts the device.

    Raises UserError for a name that is not possible or taken, or a role that this kind cannot have.
    """
    check_account_name(name)
    _check_role(kind, role, display_name)
    if len(platform.accounts.all()) >= MOST_ACCOUNTS:
        raise UserError(f"there are {MOST_ACCOUNTS} accounts already: remove some first")
    code = secrets.token_urlsafe(24)
    account = Account(
        name,
        role,
        now,
        actor,
        now,
        kind=kind,
        display_name=display_name,
        link=hash_secret(code),
        link_ends=now + LINK_LASTS,
    )
    if not platform.accounts.insert(account):
        raise UserError(f"the name {name} is taken")
    platform.audit.add(actor, f"{kind} added", name, now, after=public_fields(account))
    return account, code


def find_account(platform: AccessPorts, name: str) -> Account:
    """Return the account of this name. Raises NotFound with similar names."""
    account = platform.accounts.get(name)
    if account is None:
        names = [stored.id for stored in platform.accounts.all()]
        raise NotFound(
            unknown_name("account", name, names, "`alerting access person add` makes one")
        )
    return account


def change_person(
    platform: AccessPorts,
    name: str,
    actor: str,
    now: datetime,
    role: Role | None = None,
    display_name: str | None = None,
) -> Account:
    """Change role or display name, at once also for sessions that are open. Raises UserError for
    an account that is not a person's, and one's own role."""

    def change(account: Account) -> Account:
        _refuse_service(account)
        _check_role(account.kind, role or account.role, display_name or "")
        _refuse_directory(account)
        if role not in (None, account.role):
            _refuse_own(account, actor, "change the role of")
        return account.next_version(
            role=role or account.role,
            display_name=account.display_name if display_name is None else display_name,
        )

    return update_account(platform, name, change, "person changed", actor, now)


def disable_account(platform: AccessPorts, name: str, actor: str, now: datetime) -> Account:
    """End every session of an account and refuse its password and tokens until it is enabled.
    Raises UserError for one's own account."""

    def change(account: Account) -> Account:
        _refuse_own(account, actor, "disable")
        return account.next_version(disabled_at=now, sessions_from=now, link=None, link_ends=None)

    changed = update_account(platform, name, change, "account disabled", actor, now)
    end_sessions(platform, name, now)
    return changed


def enable_account(platform: AccessPorts, name: str, actor: str, now: datetime) -> Account:
    """Accept the password and the tokens of a disabled account again; its sessions stay over."""
    return update_account(
        platform,
        name,
        lambda account: account.next_version(disabled_at=None),
        "account enabled",
        actor,
        now,
    )


def remove_person(platform: AccessPorts, name: str, actor: str, now: datetime) -> None:
    """Delete an account with its tokens and sessions; what the person did stays in the audit.

    Raises UserError for one's own account, and for a service, which the tokens file names.
    """
    account = find_account(platform, name)
    _refuse_service(account)
    _refuse_own(account, actor, "remove")
    platform.accounts.remove(name)
    for token in platform.access_tokens.all(name):
        platform.access_tokens.remove(token.id)
    end_sessions(platform, name, now)
    platform.audit.add(actor, "person removed", name, now, before=public_fields(account))


def make_link(platform: AccessPorts, name: str, actor: str, now: datetime) -> str:
    """Return the code of a new one-time link that sets a password or a PIN, or starts a device; an
    earlier link is void.

    The old password, and the session of a device, are good until then. Raises UserError for a
    service or a disabled account.
    """
    code = secrets.token_urlsafe(24)

    def change(account: Account) -> Account:
        _refuse_service(account)
        _refuse_directory(account)
        if account.disabled_at is not None:
            raise UserError(f"{name} is disabled: enable it first")
        return account.next_version(link=hash_secret(code), link_ends=now + LINK_LASTS)

    update_account(platform, name, change, "link made", actor, now)
    return code


def find_link(platform: AccessPorts, code: str, now: datetime) -> Account | None:
    """Return the account of a one-time link, None if it was used, replaced or is too old."""
    account = platform.accounts.find_by_link(hash_secret(code))
    if account is None or account.disabled_at is not None:
        return None
    return account if account.link_ends is not None and now < account.link_ends else None


def find_linked(platform: AccessPorts, code: str, kind: AccountKind, now: datetime) -> Account:
    """Return the account of a one-time link of this kind. Raises UserError if the link is not
    valid."""
    account = find_link(platform, code, now)
    if account is None or account.kind != kind:
        raise UserError(LINK_IS_OVER)
    return account


def set_password(
    platform: AccessPorts, passwords: Passwords, code: str, password: str, now: datetime
) -> Account:
    """Set a password by a one-time link, which is used up, and end the earlier sessions.

    Raises UserError for a link that is not valid, or a password that breaks a rule.
    """
    return _store_password(
        platform, passwords, find_linked(platform, code, "person", now), password, now
    )


def change_password(
    platform: AccessPorts,
    passwords: Passwords,
    name: str,
    old: str,
    new: str,
    now: datetime,
) -> Account:
    """Change one's own password, and end the earlier sessions. Raises UserError for a wrong old
    password, or a new one that breaks a rule."""
    account = find_account(platform, name)
    check_own_password(passwords, account, old)
    return _store_password(platform, passwords, account, new, now)


def check_own_password(passwords: Passwords, account: Account, password: str) -> None:
    """Check that a person knows the present password. Raises UserError."""
    if not passwords.matches(account.password, password):
        raise UserError(translatable("the password of now is wrong"))


def set_preferences(
    platform: AccessPorts,
    name: str,
    now: datetime,
    language: LanguageCode | None,
    zone: str | None,
) -> Account:
    """Set the language and time zone (IANA) in which pages are shown to a person; None: usual."""
    return update_account(
        platform,
        name,
        lambda account: account.next_version(language=language, zone=zone),
        "preferences changed",
        name,
        now,
    )


def register_services(platform: AccessPorts, services: Mapping[str, Role], now: datetime) -> None:
    """Make a service account of every name in the tokens file that has none; update its role.

    A person of this name stays a person: the token then works with the role of the file, as
    before.
    """
    for name, role in services.items():
        account = platform.accounts.get(name)
        if account is None:
            made = Account(name, role, now, "platform", now, kind="service")
            if platform.accounts.insert(made):
                platform.audit.add(
                    "platform", "service added", name, now, after=public_fields(made)
                )
        elif account.kind == "service" and account.role != role:
            changed = account.next_version(role=role)
            if platform.accounts.replace(changed):
                old = public_fields(account)
                new = public_fields(changed)
                platform.audit.add("platform", "service changed", name, now, old, new)


def public_fields(account: Account) -> dict[str, Any]:
    """Return the fields of an account without hashes and counters, for the audit and the API."""
    return {
        **{name: value for name, value in asdict(account).items() if name not in _SECRET_FIELDS},
        "has_password": account.password is not None,
        "has_pin": account.pin is not None,
    }


def _store_password(
    platform: AccessPorts, passwords: Passwords, account: Account, password: str, now: datetime
) -> Account:
    check_password_rules(password, account)
    hashed = passwords.make_hash(password)
    changed = use_link(
        platform, account, "password set", account.id, now, password=hashed, sessions_from=now
    )
    end_sessions(platform, account.id, now)
    return changed


def use_link(
    platform: AccessPorts,
    account: Account,
    action: str,
    actor: str,
    now: datetime,
    **changes: object,
) -> Account:
    """Store changes of an account, whose one-time link, if any, is used up with them. Raises
    UserError if another request used the link first."""

    def change(newest: Account) -> Account:
        if newest.link != account.link:
            raise UserError(LINK_IS_OVER)
        return newest.next_version(link=None, link_ends=None, **changes)

    return update_account(platform, account.id, change, action, actor, now)


def end_sessions(platform: AccessPorts, name: str, now: datetime) -> None:
    """End every session of an account. Idempotent."""
    for session in platform.sessions.all(now, name):
        platform.sessions.end(session.id)


def update_account(
    platform: AccessPorts,
    name: str,
    change: Callable[[Account], Account],
    action: str,
    actor: str,
    now: datetime,
) -> Account:
    """Store a change of the newest version of an account, and record it in the audit. Raises
    NotFound."""
    while True:
        before = find_account(platform, name)
        after = change(before)
        if platform.accounts.replace(after):
            break
    platform.audit.add(actor, action, name, now, public_fields(before), public_fields(after))
    return after


def _check_role(kind: AccountKind, role: Role, display_name: str) -> None:
    if role == "sender":
        raise UserError("the role sender is for programs: make a token with it")
    if kind == "device" and role not in DEVICE_ROLES:
        raise UserError(
            f"a shared device has the role {' or '.join(DEVICE_ROLES)}, not {role}: people who "
            "may do more sign in for it with their password"
        )
    if len(display_name) > LONGEST_DISPLAY_NAME or not display_name.isprintable():
        raise UserError(
            f"a display name has at most {LONGEST_DISPLAY_NAME} characters, all printable"
        )
    refuse_reserved(display_name)


def _refuse_service(account: Account) -> None:
    if account.kind == "service":
        raise UserError(
            f"{account.id} is a service of the tokens file: change it there, or disable it"
        )


def _refuse_directory(account: Account) -> None:
    if account.identity is not None:
        raise UserError(
            f"{account.id} signs in by the plant's directory: its groups give the role "
            "and the name, and there is no password here"
        )


def _refuse_own(account: Account, actor: str, act: str) -> None:
    if account.id == actor:
        raise UserError(f"you cannot {act} your own account: another administrator can")


def check_password(
    platform: AccessPorts, passwords: Passwords, name: str, password: str
) -> Account | None:
    """Return the person with this name and password, None otherwise.

    An unknown name takes as long as a wrong password.
    """
    account = platform.accounts.get(name)
    stored = account.password if account is not None else None
    if not passwords.matches(stored, password) or account is None:
        return None
    return account if account.disabled_at is None else None


def begin_session(
    platform: AccessPorts,
    account: str,
    now: datetime,
    address: str,
    token: str | None = None,
    lasts: timedelta = SESSION_LASTS,
) -> str:
    """Store a new session; return the value of its cookie. `token`: hash of the token, if any."""
    cookie = secrets.token_urlsafe(32)
    platform.sessions.add(Session(hash_secret(cookie), account, now, now + lasts, token, address))
    return cookie


def find_session(platform: AccessPorts, cookie: str, now: datetime) -> Session | None:
    """Return the session of a cookie, None if there is none or it is over."""
    session = platform.sessions.get(hash_secret(cookie))
    return session if session is not None and session.ends_at > now else None


def find_session_account(platform: AccessPorts, session: Session) -> Account | None:
    """Return the account of a session; None if the account does not exist, is disabled, or has
    ended its sessions."""
    account = platform.accounts.get(session.account)
    if account is None or not is_active(account, session.began_at):
        return None
    return account


def end_session(platform: AccessPorts, key: str, actor: str, now: datetime) -> None:
    """End the session of another person by its key. Raises NotFound if it is over already."""
    session = next(
        (open_session for open_session in platform.sessions.all(now) if open_session.key == key),
        None,
    )
    if session is None:
        raise NotFound("this session is over already")
    platform.sessions.end(session.id)
    before = {"began_at": session.began_at, "address": session.address}
    platform.audit.add(actor, "session ended", session.account, now, before)


def record_sign_in(
    platform: AccessPorts, name: str, address: str, now: datetime, why: str = ""
) -> None:
    """Audit a sign-in, and store its time with the account."""
    account = platform.accounts.get(name)
    if account is not None:
        platform.accounts.replace(account.next_version(signed_in_at=now))
    platform.audit.add(name, "signed in", name, now, after={"address": address}, why=why)


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
    """Return the account of a user of the plant's directory. Its name is the user's name in lower
    case, without the part after an @; its role is the highest that one of the groups gives.

    Raises UserError, and changes no right, if no group gives a role (open sessions then end), if
    the account is disabled, has a password or belongs to another user, and, without `create`, if
    there is no account.
    """
    name = user.partition("@")[0].lower()
    check_account_name(name)
    role = max((rules[group] for group in groups if group in rules), key=ROLES.index, default=None)
    while True:
        before = platform.accounts.get(name)
        if before is not None and before.disabled_at is not None:
            raise UserError(translatable("your account is disabled: ask an administrator"))
        is_same = before is not None and (before.identity or "").lower() == user.lower()
        if before is not None and not is_same and not _is_free(before):
            raise UserError(
                translatable(
                    "the account {name} is not of the directory: ask an administrator to remove it",
                    name=name,
                )
            )
        if role is None:
            end_sessions(platform, name, now)
            raise UserError(translatable("you are in no group that may use this platform"))
        if before is not None and is_same and before.role == role:
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
            action = "person added" if before is None else "person changed"
            old = None if before is None else public_fields(before)
            platform.audit.add(_ACTOR, action, name, now, old, public_fields(after))
            return after


def _is_free(account: Account) -> bool:
    """Return whether an account was made for a user who has not signed in yet."""
    return account.kind == "person" and not any((account.identity, account.password, account.pin))


PAGE = 50
LONGEST_VALUE = 300
BACKUP_MADE = "backup made"
"""The action of the entry that each backup leaves, from which its age is known."""


def entries_newest_first(audit: Audit, selection: AuditFilter) -> Iterator[AuditEntry]:
    """Yield all wanted entries, newest first, read in portions."""
    older_than = None
    while page := audit.find(selection, 1000, older_than):
        yield from page
        older_than = (page[-1].at, page[-1].id)


def changed_fields(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Return each changed field of an entry with its values before and after, as short texts."""
    before = _flat(entry.before)
    after = _flat(entry.after)
    return [
        (name, before.get(name, ""), after.get(name, ""))
        for name in dict.fromkeys([*before, *after])
        if before.get(name, "") != after.get(name, "")
    ]


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        return {
            name: text
            for key, field in value.items()
            for name, text in _flat(field, f"{path}.{key}" if path else str(key)).items()
        }
    if value is None or value in ("", [], ()):
        return {}
    if isinstance(value, datetime):
        return {path: value.isoformat(timespec="seconds")}
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return {path: text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"}


def audit_refusals(audit: Audit, refused: Sequence[JoinedRefusals]) -> None:
    """Store refused sign-ins and requests, one entry for each address and time."""
    for refusal in refused:
        after = {"address": refusal.address, "count": refusal.count, "since": refusal.since}
        audit.add(
            refusal.person or f"unknown at {refusal.address}",
            refusal.action,
            refusal.subjects[0],
            refusal.at,
            after=after | ({"also": refusal.subjects[1:]} if refusal.subjects[1:] else {}),
            why="; ".join(refusal.reasons),
        )


def backup_age(audit: Audit, now: datetime) -> timedelta | None:
    """Return the age of the newest backup; None if none is known. `now`: the real time."""
    made = newest_backups(audit)
    return max(now - made[0], timedelta(0)) if made else None


def newest_backups(audit: Audit) -> list[datetime]:
    """Return when the last two backups were made, the newest first."""
    return [entry.at for entry in audit.find(AuditFilter(what=BACKUP_MADE), 2)]
