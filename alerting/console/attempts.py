"""Limits in the memory of one process: delay after wrong tokens and passwords, and requests."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from threading import Lock

from fastapi import Request

FREE = 5
"""Wrong attempts in a row without a wait, because people mistype."""
LONGEST = timedelta(minutes=1)
FORGET = timedelta(minutes=15)
REQUESTS = 30
WITHIN = timedelta(minutes=1)
MOST_CLIENTS = 10_000
"""Clients in memory; the one whose last attempt is oldest is dropped first."""


def client_of(request: Request) -> str:
    """Return the client address that limits count by; for IPv6 the 64-bit network of the client."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if not isinstance(address, IPv6Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else f"{IPv6Address(int(address) >> 64 << 64)}/64"


@dataclass
class _Client:
    wrong: int = 0
    last: datetime | None = None
    people: set[str] = field(default_factory=set)


class WrongAttempts:
    """Delay of guesses of tokens and passwords: after five wrong attempts of a client (an address,
    a name, or a known browser) each further one waits, twice as long each time, at most a minute.

    A right token counts at once if it was used from this client before, so a guesser (or a program
    with an old token) cannot lock out people who share its address. Other clients are not affected.
    Tokens and passwords are long enough for a count of each process; PINs are not (`pins.py`).
    """

    def __init__(self) -> None:
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._lock = Lock()

    def wait(self, client: str, person: str | None, now: datetime) -> timedelta | None:
        """Return the time until this client's attempt is taken, or None. `person`: its owner."""
        with self._lock:
            client_record = self._clients.get(client)
            if (
                client_record is None
                or client_record.last is None
                or client_record.wrong < FREE
                or (person is not None and person in client_record.people)
            ):
                return None
            left = (
                client_record.last
                + min(timedelta(seconds=2 ** min(client_record.wrong - FREE, 10)), LONGEST)
                - now
            )
            return left if left > timedelta(0) else None

    def record_attempt(self, client: str, person: str | None, now: datetime) -> None:
        """Record an attempt; `person`: the owner of a right token, None for a wrong attempt."""
        with self._lock:
            client_record = self._clients.setdefault(client, _Client())
            self._clients.move_to_end(client)
            if person is not None:
                client_record.people.add(person)
            else:
                before = (
                    client_record.wrong
                    if client_record.last is not None and client_record.last > now - FORGET
                    else 0
                )
                client_record.wrong = before + 1
                client_record.last = now
            if len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)


class RateLimit:
    """Limit of requests per client and time."""

    def __init__(self, requests: int = REQUESTS, within: timedelta = WITHIN) -> None:
        self._requests = requests
        self._within = within
        self._times: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._lock = Lock()

    def allows(self, client: str, now: datetime) -> bool:
        """Count a request and return whether it is within the limit."""
        with self._lock:
            times = self._times.setdefault(client, deque())
            self._times.move_to_end(client)
            while times and times[0] <= now - self._within:
                times.popleft()
            if len(self._times) > MOST_CLIENTS:
                self._times.popitem(last=False)
            if len(times) >= self._requests:
                return False
            times.append(now)
            return True
