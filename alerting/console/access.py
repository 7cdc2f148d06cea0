"""Who may do what: tokens with roles, and sessions made of them for people with a browser."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from alerting.definitions.faults import Refused
from alerting.episodes.operator import ROLES, Role

SESSION = timedelta(hours=12)
_LEAST_LENGTH = 16


@dataclass(frozen=True)
class Person:
    """Who a request comes from. `session` is the value of the cookie, None for a bearer token."""

    name: str
    role: Role
    session: str | None = None
    csrf: str | None = None

    def may(self, least: Role) -> bool:
        """Whether this person's role is at least that one."""
        return ROLES.index(self.role) >= ROLES.index(least)


class Access:
    """Knows people by their tokens. Comparisons take equally long whatever is wrong with what was sent."""

    def __init__(self, tokens: Mapping[str, tuple[str, Role]]) -> None:
        """`tokens`: name and role by token. Raises Refused without any."""
        if not tokens:
            raise Refused("nobody could log in: give at least one API token")
        self._tokens = dict(tokens)

    def by_token(self, token: str) -> Person | None:
        """The person this token belongs to."""
        found = None
        for known, (name, role) in self._tokens.items():
            if hmac.compare_digest(_digest(known), _digest(token)):
                found = Person(name, role)
        return found

    def start_session(self, token: str, now: datetime) -> str | None:
        """A cookie value for the owner of this token, None for nobody's. It ends after twelve hours, or with the token."""
        if self.by_token(token) is None:
            return None
        expires = str(int((now + SESSION).timestamp()))
        return f"{expires}.{_sign(token, f'session:{expires}')}"

    def by_session(self, session: str, now: datetime) -> Person | None:
        """The person whose token signed this cookie value, if it has not expired."""
        expires, _, signature = session.partition(".")
        found = None
        for token, (name, role) in self._tokens.items():
            if hmac.compare_digest(_sign(token, f"session:{expires}").encode(), signature.encode()):
                found = Person(name, role, session, _sign(token, f"csrf:{session}"))
        return found if found and expires.isdecimal() and int(expires) > now.timestamp() else None


def confirms(person: Person, csrf: str) -> bool:
    """Whether a form was made by us for this session, and not by some other site."""
    return person.csrf is not None and hmac.compare_digest(person.csrf.encode(), csrf.encode())


def read_tokens(path: Path) -> dict[str, tuple[str, Role]]:
    """Read a tokens file: JSON `{token: {"name": ..., "role": ...}}`. Raises Refused if others may read it, or for any fault."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except OSError as fault:
        raise Refused(f"the tokens file {path} cannot be read: {fault.strerror}") from fault
    if mode & 0o077:
        raise Refused(f"the tokens file {path} may be read by others on this machine: run `chmod 600 {path}`")
    try:
        return _tokens(json.loads(text))
    except ValueError as fault:
        raise Refused(f"the tokens file {path}: {fault}") from fault


def _tokens(document: object) -> dict[str, tuple[str, Role]]:
    if not isinstance(document, dict) or not document:
        raise ValueError('it must hold at least one token as {"<token>": {"name": "anna", "role": "operator"}}')
    tokens: dict[str, tuple[str, Role]] = {}
    for i, (token, owner) in enumerate(document.items(), 1):
        if len(token) < _LEAST_LENGTH or not token.isascii():
            raise ValueError(f"token {i} must be at least {_LEAST_LENGTH} ASCII characters; make one with: openssl rand -hex 24")
        if (
            not isinstance(owner, dict)
            or set(owner) != {"name", "role"}
            or not isinstance(owner["name"], str)
            or not owner["name"]
        ):
            raise ValueError(f'token {i} must have an owner like {{"name": "anna", "role": "operator"}}')
        if owner["role"] not in ROLES:
            raise ValueError(f"token {i} of {owner['name']}: role {owner['role']!r} is none of {', '.join(ROLES)}")
        tokens[token] = (owner["name"], cast(Role, owner["role"]))
    return tokens


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _sign(token: str, words: str) -> str:
    return hmac.new(token.encode(), words.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
