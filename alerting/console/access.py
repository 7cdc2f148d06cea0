"""Access to the console: tokens with roles, and sessions signed with their tokens."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from alerting.definitions.faults import UserError
from alerting.operators.actions import ROLES, Role
from alerting.ports import EndedSessions

SESSION = timedelta(hours=12)
_LEAST_LENGTH = 16


@dataclass(frozen=True)
class Person:
    """The sender of a request. `session` is the value of the cookie, None for a bearer token."""

    name: str
    role: Role
    session: str | None = None
    csrf: str | None = None

    def may(self, least: Role) -> bool:
        """Return whether this person's role is at least that one."""
        return ROLES.index(self.role) >= ROLES.index(least)

    @property
    def may_send(self) -> bool:
        """Return whether this person, or program, may send readings and events."""
        return self.role == "sender" or self.may("engineer")


class Access:
    """People by tokens and sessions. A comparison takes the same time for any wrong value."""

    def __init__(self, tokens: Mapping[str, tuple[str, Role]], ended: EndedSessions) -> None:
        """`tokens`: name and role by token. `ended`: log-outs. Raises UserError for no token."""
        if not tokens:
            raise UserError("there is no API token, so no person can log in: add at least one")
        self._tokens = dict(tokens)
        self._ended = ended

    def find_by_token(self, token: str) -> Person | None:
        """Return the person of this token, None for an invalid one."""
        found = None
        for stored, (name, role) in self._tokens.items():
            if hmac.compare_digest(_digest(stored), _digest(token)):
                found = Person(name, role)
        return found

    def issue_session(self, name: str, role: Role, now: datetime) -> str | None:
        """Return a cookie value for the person of this name and role, None if no token is theirs.
        The session ends after twelve hours, with the token, or by `end_session`."""
        token = next(
            (token for token, owner in self._tokens.items() if owner == (name, role)), None
        )
        return None if token is None else _session(token, now)

    def start_session(self, token: str, now: datetime) -> str | None:
        """Return a cookie value for the owner of this token, else None; see `issue_session`."""
        return None if self.find_by_token(token) is None else _session(token, now)

    def find_by_session(self, session: str, now: datetime) -> Person | None:
        """Return the person who signed this cookie value, if neither expired nor logged out."""
        content, _, signature = session.rpartition(".")
        found = None
        for token, (name, role) in self._tokens.items():
            if hmac.compare_digest(
                _sign(token, f"session:{content}").encode(),
                signature.encode(errors="surrogatepass"),
            ):
                found = Person(name, role, session, _sign(token, f"csrf:{session}"))
        if (
            found is None
            or _expires(session) <= now
            or self._ended.has_ended(_fingerprint(session))
        ):
            return None
        return found

    def end_session(self, person: Person, now: datetime) -> None:
        """End this person's session, every copy of its cookie, also after restarts. Idempotent."""
        if person.session is not None:
            self._ended.end(_fingerprint(person.session), _expires(person.session), now)


def _session(token: str, now: datetime) -> str:
    content = f"{int((now + SESSION).timestamp())}.{secrets.token_hex(16)}"
    return f"{content}.{_sign(token, f'session:{content}')}"


def _expires(session: str) -> datetime:
    """Return the expiry of a session; call it only after checking the signature."""
    return datetime.fromtimestamp(int(session.partition(".")[0]), UTC)


def _fingerprint(session: str) -> str:
    """Return the recorded hash of an ended session, which cannot be used as a cookie.

    It covers the whole cookie, so a signature has exactly one spelling: hexadecimal, compared as
    text.
    """
    return hashlib.sha256(session.encode()).hexdigest()


def confirms(person: Person, csrf: str) -> bool:
    """Return whether this console made the form for this session, and not another site."""
    return person.csrf is not None and hmac.compare_digest(person.csrf.encode(), csrf.encode())


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
        return _tokens(json.loads(text))
    except ValueError as fault:
        raise UserError(f"the tokens file {path}: {fault}") from fault


def _tokens(document: object) -> dict[str, tuple[str, Role]]:
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
        tokens[token] = (owner["name"], cast(Role, owner["role"]))
    return tokens


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _sign(token: str, text: str) -> str:
    return hmac.new(token.encode(), text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
