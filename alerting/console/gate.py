"""First check of requests: token or session, size of body, headers against other sites; and the
limits of clients: delay after wrong tokens and passwords, requests, which each process counts for
itself, and answers that are computed at once."""

import asyncio
import logging
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from math import ceil
from threading import Lock
from urllib.parse import quote

from anyio import CapacityLimiter, from_thread
from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from fastapi.security.utils import get_authorization_scheme_param
from pymongo.errors import ConnectionFailure, PyMongoError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerting.adapters.calls_with_deadline import CHANGE_WITHIN_S, PAGE, WITHIN_S, Page
from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.access import Access, Person
from alerting.console.api.parameters import LARGEST_DELIVERY
from alerting.console.fault_responses import DATABASE_DOWN, is_for_programs, problem
from alerting.console.rendering import PATH as LANGUAGE
from alerting.console.rendering import HttpMiddleware, page_address, when_started
from alerting.definitions.faults import first_line
from alerting.definitions.wording.clean_text import clean_line
from alerting.operators.account_rules import JoinedRefusals, Refusal, RefusalLog, hash_secret
from alerting.ports import AUDIT_ORIGIN, Audit
from alerting.stores.operators import Sessions
from alerting.usecases.access.accounts import audit_refusals

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
    a name, or a known browser) each further attempt waits, twice as long each time, at most a
    minute.

    A right token counts at once if it was used from this client before, so a guesser (or a program
    with an old token) cannot lock out people who share its address. Other clients are not affected.

    Processes of the console share their counts through the database. A password is counted as wrong
    before it is compared; tokens, which come with every request, are counted after a wrong one.
    PINs are counted by `devices_and_tokens.py`.
    """

    def __init__(self, shared: Sessions | None = None) -> None:
        self._shared = shared
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._lock = Lock()

    def begin(self, clients: Sequence[str], now: datetime) -> "Attempt":
        """Return an attempt to guess a password. It is counted as wrong for all clients before
        anything is compared, so that simultaneous attempts are limited like successive ones."""
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
        """Count one attempt less for clients, each with the instant of the attempt before."""
        for client, last in taken:
            if self._shared is not None:
                with suppress(PyMongoError, DatabaseDown):
                    self._shared.take_back_wrong(hash_secret(client), at, last)
            with self._lock:
                counted = self._clients.get(client)
                if counted is not None:
                    counted.wrong = max(counted.wrong - 1, 0)
                    counted.last = last if counted.last == at and last is not None else counted.last

    def wait(self, client: str, person: str | None, now: datetime) -> timedelta | None:
        """Return how long this client's attempt must wait, or None. `person`: the owner of the
        token."""
        with self._lock:
            client_record = self._clients.get(client)
            if (
                client_record is None
                or client_record.last is None
                or client_record.wrong < FREE
                or (person is not None and person in client_record.people)
            ):
                return None
            remaining = (
                client_record.last
                + min(timedelta(seconds=2 ** min(client_record.wrong - FREE, 10)), LONGEST)
                - now
            )
            return remaining if remaining > timedelta(0) else None

    def record_attempt(self, client: str, person: str | None, now: datetime) -> int:
        """Record an attempt, and return the number of wrong attempts so far. `person`: the owner of
        a right token, None for a wrong attempt."""
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
            client_record = self._clients.get(client)
            if client_record is None or client_record.last is None:
                return _Client()
            return replace(
                client_record, wrong=client_record.wrong if client_record.last > now - FORGET else 0
            )

    def _ask_shared(self, client: str) -> None:
        shared = None
        if self._shared is not None:
            with suppress(PyMongoError, DatabaseDown):
                shared = self._shared.count_wrong(hash_secret(client))
        if shared is None:
            return
        with self._lock:
            counted = self._clients.setdefault(client, _Client())
            if counted.last is None or (shared.last, shared.wrong) > (counted.last, counted.wrong):
                counted.wrong = shared.wrong
                counted.last = shared.last

    def _add_shared(self, client: str, now: datetime) -> int:
        if self._shared is not None:
            with suppress(PyMongoError, DatabaseDown):
                return self._shared.add_wrong(hash_secret(client), now, now - FORGET)
        return 0


@dataclass(frozen=True)
class Attempt:
    """A password that was counted as wrong. If it has to `wait`, it is not compared. `taken`: the
    clients for which it counts, each with the instant of its last wrong attempt before."""

    counts: WrongAttempts
    taken: Sequence[tuple[str, datetime | None]]
    at: datetime
    wait: timedelta | None

    def was_right(self) -> None:
        """No longer count the attempt as wrong."""
        self.counts.take_back(self.taken, self.at)


class Turns(HttpMiddleware):
    """Computes a few answers at once, in the order of their requests: twenty at once would take
    turns of a millisecond, and the longest would wait for all others.

    A turn ends when the answer begins, so no reader holds it, and is given back while the answer
    waits for another process. Requests that wait for something else (live pages, requests with
    `wait`) take no turn, nor do requests by which programs check whether this process is well.
    """

    def __init__(self, app: ASGIApp, at_once: int = TURNS) -> None:
        super().__init__(app)
        self._turns = CapacityLimiter(at_once)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        waits = scope["path"].endswith(_WITHOUT_TURN) or b"wait=" in scope.get("query_string", b"")
        if scope["method"] != "GET" or waits:
            PAGE.set(Page(WITHIN_S if scope["method"] == "GET" else CHANGE_WITHIN_S))
            await self._app(scope, receive, send)
            return
        turn = _Turn(self._turns)
        PAGE.set(Page(WITHIN_S, turn))
        await turn.take()
        try:
            await self._app(scope, receive, when_started(send, lambda _: turn.end()))
        finally:
            turn.end()


class _Turn:
    """One request's turn. All methods except `given_back` are called in the event loop."""

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


COOKIE = "alerting_session"
DEVICE_COOKIE = "alerting_device"
"""Cookie of a shared device, in force while no person is signed in on it."""
OPEN = frozenset({"/api/v1/health", "/login", "/style.css", LANGUAGE})
PASSWORD = "/password/"  # noqa: S105 - the one-time link of an account, checked by its route
LINKS = (
    "/f/"  # feedback links: the address itself is the permission, and each route below checks it
)
SIGN_IN = "/sign-in/"  # the one-time link of `alerting up`, checked by its route
LARGEST_BODY = 64 * 1024
DELIVERIES = frozenset({"/api/v1/readings", "/api/v1/events"})
"""Paths that take readings and events, in larger bodies than the others."""
LARGEST_QUESTION = 4 << 20
LARGEST_UPLOAD = 1 << 30
UPLOAD_SECONDS = 1800.0
_UPLOAD = re.compile(r"/api/v1/definitions/[^/]+/predict-jobs")
LARGEST_IMPORT = (2 << 30) + LARGEST_BODY  # a file, and the fields of the form around it
IMPORT = "/import"  # takes a file
_QUESTION = re.compile(r"/api/v1/definitions/[^/]+/predict")
LARGEST_HEAD = 32 * 1024
BODY_SECONDS = 10.0
READING = frozenset({"GET", "HEAD"})
_LONGEST_PATH = 100
_log = logging.getLogger(__name__)
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
        "img-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class Gate(HttpMiddleware):
    """Gate that stores the `Person` of a request in its state; it closes routes without role."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        wrong_attempts: WrongAttempts,
        now: Callable[[], datetime],
        body_seconds: float,
        audit: Audit,
        refusals: RefusalLog,
        by_proxy: Callable[[Request], Response | None],
    ) -> None:
        """`by_proxy`: makes the person whom a trusted proxy names the person of a request, and
        returns an answer to the request, if there is one."""
        super().__init__(app)
        self._access = access
        self._wrong = wrong_attempts
        self._now = now
        self._body_seconds = body_seconds
        self._audit = audit
        self._refusals = refusals
        self._by_proxy = by_proxy

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        request.state.person = None
        AUDIT_ORIGIN.set(f"console {client_of(request)}")
        answer = await self._refusal(request) or self._app
        person: Person | None = request.state.person
        if person is not None and person.device is not None:
            AUDIT_ORIGIN.set(f"console {client_of(request)}, {person.device}")
        seconds = UPLOAD_SECONDS if is_upload(request.url.path) else self._body_seconds
        statuses = [0]

        def begin(message: Message) -> None:
            statuses.append(message["status"])
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)

        await answer(scope, BodyDeadline(receive, seconds), when_started(send, begin))
        refused = _find_refusal(request, statuses[-1])
        now = self._now()
        due = self._refusals.due(now) if refused is None else self._refusals.add(refused, now)
        if due:
            await run_in_threadpool(self._store, due)

    def _store(self, due: Sequence[JoinedRefusals]) -> None:
        try:
            audit_refusals(self._audit, due)
        except (PyMongoError, DatabaseDown) as fault:
            _log.warning("refused requests are not in the audit: %s", first_line(fault))

    async def _refusal(self, request: Request) -> Response | None:
        """Return a request's refusal, None if allowed; its state then has the person."""
        length = len(request.scope.get("raw_path") or b"") + len(
            request.scope.get("query_string") or b""
        )
        if (
            length + sum(len(name) + len(value) for name, value in request.scope["headers"])
            > LARGEST_HEAD
        ):
            return problem(
                request, 431, f"address and headers are larger than {LARGEST_HEAD} bytes together"
            )
        if (refused_body := _refuse_body(request)) is not None:
            return refused_body
        path = request.url.path
        is_open = path in OPEN or path.startswith((LINKS, SIGN_IN, PASSWORD))
        scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
        if scheme and not is_open:
            refusal = await self._by_token(request, token) if scheme.lower() == "bearer" else None
        else:
            refusal = await self._by_cookie(request)
        if refusal is not None or request.state.person is not None or is_open:
            return refusal
        if is_for_programs(request):
            detail = "give a valid token in the header: Authorization: Bearer <token>"
            return problem(request, 401, detail, {"www-authenticate": "Bearer"})
        target = page_address(request) if request.method in READING else "/"
        return RedirectResponse(f"/login?next={quote(target)}", 303)

    async def _by_token(self, request: Request, token: str) -> Response | None:
        client = client_of(request)
        now = self._now()
        try:
            person = await run_in_threadpool(self._access.find_by_token, token, now)
        except (ConnectionFailure, DatabaseDown):
            return problem(request, 503, DATABASE_DOWN)
        name = person.name if person else None
        if (wait := self._wrong.wait(client, name, now)) is not None:
            seconds = ceil(wait.total_seconds())
            detail = f"your address sent too many wrong tokens; wait {seconds} s"
            return problem(request, 429, detail, {"retry-after": str(seconds)})
        if person is None:
            await run_in_threadpool(self._wrong.record_attempt, client, None, now)
        else:
            self._wrong.record_attempt(client, name, now)
        request.state.person = person
        return None

    async def _by_cookie(self, request: Request) -> Response | None:
        if is_for_programs(request) and request.method not in READING:
            # a change by a program needs a token: another site could send a cookie alone
            return None
        try:
            for cookie in (COOKIE, DEVICE_COOKIE):
                value = request.cookies.get(cookie)
                if value is not None and request.state.person is None:
                    request.state.person = await run_in_threadpool(
                        self._access.find_by_session, value, self._now()
                    )
            return await run_in_threadpool(self._by_proxy, request)
        except (ConnectionFailure, DatabaseDown):
            return problem(request, 503, DATABASE_DOWN)


class BodyDeadline:
    """Receiver that ends a request with 408 if its body does not arrive in time."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._until: float | None = None
        self._complete = False

    async def __call__(self) -> Message:
        """Return a request's next message (ASGI). Raises HTTPException 408 if it is late."""
        if self._complete:
            return await self._receive()
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            detail = f"the body did not arrive within {self._seconds:g} s"
            raise HTTPException(408, detail, {"connection": "close"}) from None
        self._complete = not message.get("more_body", False)
        return message


def largest_body(path: str) -> int:
    """Return how many bytes the body of a request to this path may have."""
    if path in DELIVERIES:
        return LARGEST_DELIVERY
    if path == IMPORT:
        return LARGEST_IMPORT
    if is_upload(path):
        return LARGEST_UPLOAD
    return LARGEST_QUESTION if _QUESTION.fullmatch(path) else LARGEST_BODY


def is_upload(path: str) -> bool:
    """Return whether this path gets a file, which may take up to half an hour."""
    return path == IMPORT or _UPLOAD.fullmatch(path) is not None


def _find_refusal(request: Request, status: int) -> Refusal | None:
    """Return the refusal that a response states, without secrets; None if it states no refusal."""
    path = request.url.path
    secret = next((start for start in (LINKS, SIGN_IN, PASSWORD) if path.startswith(start)), None)
    refused = getattr(request.state, "refused", None)
    if refused is None and status not in {401, 403, 429} and not (status == 410 and secret):
        return None
    why = "link not valid" if status == 410 else HTTPStatus(status).phrase.lower()
    shown = f"{secret}…" if secret else clean_line(path)[:_LONGEST_PATH]
    usual = ("request refused", f"{request.method} {shown}", why)
    act, subject, why = refused or usual
    person = request.state.person
    name = person.name if person is not None else ""
    return Refusal(client_of(request), name, act, clean_line(subject)[:_LONGEST_PATH], why)


def _refuse_body(request: Request) -> Response | None:
    """Return the refusal of a request by the length of its body, None if it is allowed. A request
    with two lengths ends the connection: a proxy might read a second request in its body."""
    if {"content-length", "transfer-encoding"} <= {*request.headers}:
        detail = "send either content-length or transfer-encoding, not both"
        return problem(request, 400, detail, {"connection": "close"})
    if request.method in READING:
        return None
    length = request.headers.get("content-length", "0")
    largest = largest_body(request.url.path)
    if "transfer-encoding" in request.headers:
        return problem(request, 411, "send the body with its content-length")
    if len(length) > 10 or not (length.isascii() and length.isdecimal()) or int(length) > largest:
        return problem(request, 413, f"the body is larger than {largest} bytes")
    return None
