"""Limits of clients: delay after wrong tokens and passwords, requests, which each process counts
for itself, and answers that are computed at once."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from threading import Lock

from anyio import CapacityLimiter, from_thread
from fastapi import Request
from pymongo.errors import PyMongoError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerting.adapters.deadline import CHANGE_WITHIN_S, PAGE, WITHIN_S, Page
from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.operators.people import hash_secret
from alerting.stores.access import Sessions

FREE = 5
"""Wrong attempts in a row without a wait, because people mistype."""
LONGEST = timedelta(minutes=1)
FORGET = timedelta(minutes=15)
REQUESTS = 30
WITHIN = timedelta(minutes=1)
TURNS = 4
_WITHOUT_TURN = ("/live", "/health", "/metrics")
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
    Processes of the console share their counts through the database: a password is counted as wrong
    before it is compared, tokens, which come with every request, after a wrong one. PINs are
    counted by `pins.py`.
    """

    def __init__(self, shared: Sessions | None = None) -> None:
        self._shared = shared
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._lock = Lock()

    def begin(self, clients: Sequence[str], now: datetime) -> "Attempt":
        """Return an attempt to guess a password, counted as wrong for all clients before anything
        is compared: of many at once no more are taken than of as many one after another."""
        taken: list[tuple[str, datetime | None]] = []
        for client in clients:
            self._ask_shared(client)
            before = self._recent(client, now)
            wait = self.wait(client, None, now)
            if wait is None:
                count = self.record_attempt(client, None, now)
                taken.append((client, before.last))
                if count > max(FREE, before.wrong + 1):
                    wait = self.wait(client, None, now)
            if wait is not None:
                self.take_back(taken, now)
                return Attempt(self, (), now, wait)
        return Attempt(self, taken, now, None)

    def take_back(self, taken: Sequence[tuple[str, datetime | None]], at: datetime) -> None:
        """Count an attempt less for clients, each with the instant of its last one before."""
        for client, last in taken:
            if self._shared is not None:
                with suppress(PyMongoError, DatabaseDown):
                    self._shared.take_back_wrong(hash_secret(client), at, last)
            with self._lock:
                own = self._clients.get(client)
                if own is not None:
                    own.wrong = max(own.wrong - 1, 0)
                    own.last = last if own.last == at and last is not None else own.last

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

    def record_attempt(self, client: str, person: str | None, now: datetime) -> int:
        """Record an attempt, and return how many wrong ones there are with it. `person`: the owner
        of a right token, None for a wrong attempt."""
        shared = 0 if person is not None else self._add_shared(client, now)
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
                client_record.wrong = max(before, shared) if shared else before + 1
                client_record.last = now
            if len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
            return shared or client_record.wrong

    def _recent(self, client: str, now: datetime) -> _Client:
        """Return the count of a client as of now; none after a pause."""
        with self._lock:
            found = self._clients.get(client)
            if found is None or found.last is None:
                return _Client()
            return replace(found, wrong=found.wrong if found.last > now - FORGET else 0)

    def _ask_shared(self, client: str) -> None:
        found = None
        if self._shared is not None:
            with suppress(PyMongoError, DatabaseDown):
                found = self._shared.count_wrong(hash_secret(client))
        if found is None:
            return
        with self._lock:
            own = self._clients.setdefault(client, _Client())
            if own.last is None or (found.last, found.wrong) > (own.last, own.wrong):
                own.wrong = found.wrong
                own.last = found.last

    def _add_shared(self, client: str, now: datetime) -> int:
        if self._shared is not None:
            with suppress(PyMongoError, DatabaseDown):
                return self._shared.add_wrong(hash_secret(client), now, now - FORGET)
        return 0


@dataclass(frozen=True)
class Attempt:
    """A password that was counted as wrong, unless it has to `wait` and is not compared. `taken`:
    the clients that it counts for, each with the instant of its last wrong attempt before."""

    counts: WrongAttempts
    taken: Sequence[tuple[str, datetime | None]]
    at: datetime
    wait: timedelta | None

    def was_right(self) -> None:
        """Count it no longer."""
        self.counts.take_back(self.taken, self.at)


class Turns:
    """Computes a few answers at once, in the order in which they were asked for: twenty at once
    take turns of a millisecond, and the longest of them waits for all others.

    A turn ends when the answer begins, so no reader holds it, and is given back while the answer
    waits for another process. None is taken by what waits for something by itself (live pages,
    requests with `wait`), and by what programs ask to see whether this process is well.
    """

    def __init__(self, app: ASGIApp, at_once: int = TURNS) -> None:
        self._app = app
        self._turns = CapacityLimiter(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] != "GET" or _takes_none(scope):
            PAGE.set(Page(WITHIN_S if scope["method"] == "GET" else CHANGE_WITHIN_S))
            await self._app(scope, receive, send)
            return
        turn = _Turn(self._turns)
        PAGE.set(Page(WITHIN_S, turn))
        await turn.take()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                turn.end()
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            turn.end()


class _Turn:
    """One request's turn. All but `given_back` is called in the event loop."""

    def __init__(self, turns: CapacityLimiter) -> None:
        self._turns = turns
        self._is_taken = False

    async def take(self) -> None:
        await self._turns.acquire_on_behalf_of(self)
        self._is_taken = True

    def end(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._turns.release_on_behalf_of(self)

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Port `Turn`, for a thread of the request."""
        if not self._is_taken:
            yield
            return
        from_thread.run_sync(self.end)
        try:
            yield
        finally:
            from_thread.run(self.take)


def _takes_none(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.endswith(_WITHOUT_TURN) or b"wait=" in scope.get("query_string", b"")


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
