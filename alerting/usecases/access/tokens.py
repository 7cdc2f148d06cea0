"""Tokens of programs: made once, stored hashed, revoked at once."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerting.definitions.faults import NotFound, UserError, unknown_name
from alerting.operators.actions import ROLES, Role
from alerting.operators.people import (
    LONGEST_TOKEN_LIFE,
    AccessToken,
    hash_secret,
    is_active,
)
from alerting.operators.permissions import lesser_role
from alerting.ports import AccessPorts
from alerting.usecases.access.people import find_account

MOST_TOKENS = 1000
LONGEST_NAME = 100
USE_IS_RECORDED_EVERY = timedelta(minutes=1)


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

    Raises UserError for a role beyond that of the owner, or an end that is past or too far.
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
    token = _find_by_key(platform, key)
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
    if token.used_at is None or now - token.used_at >= USE_IS_RECORDED_EVERY:
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


def _find_by_key(platform: AccessPorts, key: str) -> AccessToken:
    known = platform.access_tokens.all()
    token = next((one for one in known if one.key == key), None)
    if token is None:
        keys = [one.key for one in known]
        raise NotFound(unknown_name("token", key, keys, "the page Access makes one"))
    return token


def _subject(token: AccessToken) -> str:
    return f"{token.owner}/{token.name}"
