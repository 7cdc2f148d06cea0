"""Ways to sign in: the password and the session of a browser, a shared device on which people sign
with name and PIN, and the token of a program.

A token is made once, stored hashed, and revoked at once.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from alerting.definitions.faults import NotFound, UserError, unknown_name
from alerting.definitions.wording.language import translatable
from alerting.operators.account_rules import (
    DEVICE_LIMIT,
    DEVICE_SESSION_LASTS,
    LONGEST_TOKEN_LIFE,
    PERSON_LIMIT,
    AccessToken,
    Account,
    PinLimit,
    TooManyPins,
    WrongPin,
    check_pin_rules,
    count_pin,
    hash_secret,
    is_active,
    lesser_role,
    may_answer,
    may_sign,
    wait_for_pin,
)
from alerting.operators.actions_and_mutes import ROLES, Role
from alerting.ports import AccessPorts
from alerting.usecases.access.accounts import (
    Passwords,
    begin_session,
    check_own_password,
    end_sessions,
    find_account,
    find_linked,
    find_session,
    find_session_account,
    update_account,
    use_link,
)


def start_device(platform: AccessPorts, code: str, now: datetime) -> Account:
    """Use up the one-time link of a device, and end the earlier session of the device; return its
    account.

    Raises UserError for a link that is not valid, or does not belong to a device.
    """
    device = find_linked(platform, code, "device", now)
    started = use_link(
        platform, device, "device started", device.id, now, sessions_from=now, signed_in_at=now
    )
    end_sessions(platform, device.id, now)
    return started


def renew_display(platform: AccessPorts, cookie: str, now: datetime, address: str) -> str | None:
    """Return the cookie of the next session of a device that only shows, once a third of the
    present session is over; None before that.

    The present session stays good until its end, as the answer may be lost; earlier ones end. A
    device on which people sign begins anew by a link.
    """
    session = find_session(platform, cookie, now)
    if session is None or now - session.began_at < DEVICE_SESSION_LASTS / 3:
        return None
    device = find_session_account(platform, session)
    if device is None or device.kind != "device" or may_answer(device.role):
        return None
    for earlier in platform.sessions.all(now, device.id):
        if earlier.id != session.id:
            platform.sessions.end(earlier.id)
    platform.audit.add(device.id, "device session renewed", device.id, now)
    return begin_session(platform, device.id, now, address, lasts=DEVICE_SESSION_LASTS)


def set_pin(
    platform: AccessPorts, passwords: Passwords, code: str, pin: str, now: datetime
) -> Account:
    """Set the PIN of a person by a one-time link, which is used up.

    Raises UserError for a link that is not valid, or a PIN that breaks a rule.
    """
    account = find_linked(platform, code, "person", now)
    check_pin_rules(pin)
    hashed = passwords.make_hash(pin)
    return use_link(
        platform, account, "PIN set", account.id, now, pin=hashed, wrong_pins_until=None
    )


def change_pin(
    platform: AccessPorts,
    passwords: Passwords,
    name: str,
    password: str,
    pin: str,
    now: datetime,
) -> Account:
    """Set one's own PIN; a person with a password gives it, too. Raises UserError for a wrong
    password, a PIN that breaks a rule, or an account that is not a person's."""
    account = find_account(platform, name)
    if account.kind != "person":
        raise UserError(translatable("only people have a PIN"))
    if account.password is not None:
        check_own_password(passwords, account, password)
    check_pin_rules(pin)
    hashed = passwords.make_hash(pin)
    return update_account(
        platform,
        name,
        lambda newest: newest.next_version(pin=hashed, wrong_pins_until=None),
        "PIN set",
        name,
        now,
    )


def remove_pin(platform: AccessPorts, name: str, actor: str, now: datetime) -> Account:
    """Remove the PIN of a person, who then cannot sign on a device."""
    return update_account(
        platform, name, lambda account: account.next_version(pin=None), "PIN removed", actor, now
    )


def list_signers(platform: AccessPorts) -> list[Account]:
    """Return the people who may sign on devices, by their shown name: those with a PIN."""
    signers = [person for person in platform.accounts.all() if may_sign(person)]
    return sorted(signers, key=lambda account: account.shown_name.casefold())


def sign_by_pin(
    platform: AccessPorts, passwords: Passwords, device: str, name: str, pin: str, now: datetime
) -> Account:
    """Return the person who signs with a PIN on a device, and remember the name there.

    A PIN is counted as wrong before it is checked, so that no number of requests at once checks
    more than the limits allow. Raises TooManyPins, with no check of the PIN, or WrongPin.
    """
    signer = next((account for account in list_signers(platform) if account.id == name), None)
    counted = {device: DEVICE_LIMIT} | ({signer.id: PERSON_LIMIT} if signer else {})
    for id, limit in counted.items():  # all of them before one is counted
        _refuse_too_many(find_account(platform, id), limit, now)
    for id, limit in counted.items():
        _replace(platform, id, partial(_count, limit, now), {})
    if not passwords.matches(signer.pin if signer else None, pin) or signer is None:
        raise WrongPin(translatable("The PIN is wrong."))
    for id, limit in counted.items():
        last = {"signer": signer.id, "signed_at": now} if id == device else {}
        _replace(platform, id, partial(_take_back, limit, now), last)
    return signer


def _count(limit: PinLimit, now: datetime, account: Account) -> datetime:
    _refuse_too_many(account, limit, now)
    return count_pin(account, limit, now)


def _take_back(limit: PinLimit, now: datetime, account: Account) -> datetime:
    return (account.wrong_pins_until or now) - limit.every


def _replace(
    platform: AccessPorts,
    id: str,
    until: Callable[[Account], datetime],
    more: Mapping[str, object],
) -> None:
    """Store until when wrong PINs of an account count, without an entry in the audit."""
    while True:
        account = find_account(platform, id)
        if platform.accounts.replace(account.next_version(**more, wrong_pins_until=until(account))):
            return


def _refuse_too_many(account: Account, limit: PinLimit, now: datetime) -> None:
    wait = wait_for_pin(account, limit, now)
    if not wait:
        return
    minutes = str(-(-wait // timedelta(minutes=1)))
    if account.kind == "device":
        message = translatable(
            "Too many wrong PINs on this device. The next PIN is taken in {minutes} min.",
            minutes=minutes,
        )
    else:
        message = translatable(
            "Too many wrong PINs of {name}. The next one is taken in {minutes} min. Signing in "
            "with the password works as before.",
            name=account.shown_name,
            minutes=minutes,
        )
    raise TooManyPins(message, wait)


MOST_TOKENS = 1000
LONGEST_NAME = 100


@dataclass(frozen=True)
class TokenUser:
    """The account that a token speaks for, and the role that it has."""

    name: str
    role: Role
    token: str


def create_token(
    platform: AccessPorts,
    name: str,
    owner: str,
    role: Role,
    ends_at: datetime,
    actor: str,
    now: datetime,
) -> tuple[AccessToken, str]:
    """Return a new token of an account, and its secret, which is stored nowhere.

    Raises UserError for a role beyond the role of the owner, or an end that is past or too far.
    """
    account = find_account(platform, owner)
    if account.kind == "device":
        raise UserError(f"{owner} is a shared device: a token needs a person or a service as owner")
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise UserError(f"a token needs a name of 1 to {LONGEST_NAME} printable characters")
    if role not in ROLES or lesser_role(role, account.role) != role:
        raise UserError(f"{owner} has the role {account.role}, so a token cannot have {role}")
    if not now < ends_at <= now + LONGEST_TOKEN_LIFE:
        raise UserError(
            f"the token must end within {LONGEST_TOKEN_LIFE.days} days from now, not at "
            f"{ends_at:%Y-%m-%d}"
        )
    if len(platform.access_tokens.all()) >= MOST_TOKENS:
        raise UserError(f"there are {MOST_TOKENS} tokens already: revoke some first")
    secret = f"al_{secrets.token_urlsafe(30)}"
    token = AccessToken(hash_secret(secret), name.strip(), owner, role, now, actor, ends_at)
    platform.access_tokens.insert(token)
    platform.audit.add(actor, "token made", _subject(token), now, after=token_fields(token))
    return token, secret


def revoke_token(platform: AccessPorts, key: str, actor: str, now: datetime) -> AccessToken:
    """Revoke the token with this key, with the sessions that began with it. Raises NotFound."""
    tokens = platform.access_tokens.all()
    token = next((candidate for candidate in tokens if candidate.key == key), None)
    if token is None:
        keys = [candidate.key for candidate in tokens]
        raise NotFound(unknown_name("token", key, keys, "the page Access makes one"))
    platform.access_tokens.remove(token.id)
    platform.audit.add(actor, "token revoked", _subject(token), now, before=token_fields(token))
    return token


def find_token_user(platform: AccessPorts, id: str, now: datetime) -> TokenUser | None:
    """Return the user of the token with this hash; None if it is unknown, over, or its owner is
    gone or disabled. Its use is recorded, once a minute at most."""
    token = platform.access_tokens.get(id)
    if token is None or token.ends_at <= now:
        return None
    account = platform.accounts.get(token.owner)
    if account is None or not is_active(account, now):
        return None
    role = lesser_role(token.role, account.role)
    if role is None:
        return None
    if token.used_at is None or now - token.used_at >= timedelta(minutes=1):
        platform.access_tokens.record_use(id, now)
    return TokenUser(account.id, role, id)


def token_fields(token: AccessToken) -> dict[str, Any]:
    """Return what people may see of a token."""
    return {
        "key": token.key,
        "name": token.name,
        "owner": token.owner,
        "role": token.role,
        "made_at": token.made_at,
        "made_by": token.made_by,
        "ends_at": token.ends_at,
        "used_at": token.used_at,
    }


def _subject(token: AccessToken) -> str:
    return f"{token.owner}/{token.name}"
