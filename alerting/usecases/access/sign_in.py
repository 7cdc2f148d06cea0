"""Sign in by password, and begin, check and end the sessions of browsers."""

import secrets
from datetime import datetime, timedelta

from alerting.definitions.faults import NotFound
from alerting.operators.people import SESSION_LASTS, Account, Session, hash_secret, is_active
from alerting.ports import AccessPorts
from alerting.usecases.access.people import Passwords


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
    """Return the account of a session; None if it is gone, disabled, or ended its sessions."""
    account = platform.accounts.get(session.account)
    if account is None or not is_active(account, session.began_at):
        return None
    return account


def end_session(platform: AccessPorts, key: str, actor: str, now: datetime) -> None:
    """End another's session by its key. Raises NotFound if it is over already."""
    session = next((one for one in platform.sessions.all(now) if one.key == key), None)
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
