"""REST API, version 1: the stream of what changes while a page is open, as server-sent events. The
changes of one process are read once from the database for all open streams."""

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from secrets import randbelow
from threading import Event, Thread
from time import monotonic
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pymongo.errors import PyMongoError
from starlette.types import Receive, Scope, Send

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.access import Access, Person, Viewer
from alerting.console.fault_responses import DATABASE_DOWN, problem
from alerting.definitions.alert_definition import SEVERITIES
from alerting.definitions.faults import first_line
from alerting.operators.account_rules import hash_secret
from alerting.ports import LiveChange, LiveEpisode, Platform
from alerting.stores.deliveries_and_changes import ChangeFeed


def frame(
    mark: str,
    changes: Sequence[LiveChange],
    still_open: Iterable[LiveEpisode],
    *,
    look_again: bool,
) -> bytes:
    """Return one event: the last state of each changed episode, and counts of open episodes.

    `look_again`: the reader may have missed changes that the event does not name.
    """
    changed = {change.episode.id: change.episode for change in changes if change.episode}
    too_many = len(changed) > 200  # then readers look at everything again
    shown = [*still_open]
    things = {change.thing for change in changes}
    content = {
        "all": look_again or too_many,
        "episodes": [] if too_many else [asdict(episode) for episode in changed.values()],
        "mutes": "mute" in things,
        "platform": "platform" in things,
        "open": _count_by_severity(shown),
        "unacknowledged": _count_by_severity(
            episode for episode in shown if not episode.acknowledged and not episode.muted
        ),
    }
    return event(mark, content)


def event(mark: str, content: dict[str, Any]) -> bytes:
    """Return a server-sent event with this id."""
    return f"id: {mark}\ndata: {json.dumps(content, separators=(',', ':'))}\n\n".encode()


def _count_by_severity(episodes: Iterable[LiveEpisode]) -> dict[str, int]:
    counts = Counter(episode.severity for episode in episodes)
    return {severity: counts[severity] for severity in SEVERITIES}


MOST_STREAMS = 1000
MOST_OF_A_PERSON = 60
"""Open streams of a process, and of one person: a browser needs one for all its pages."""
MOST_CHANGES = 2000
JOIN_S = 0.2
"""How long changes are gathered after those that were sent."""
READ_AGAIN_S = 1.0
START_S = 5.0
FeedState = Literal["idle", "starting", "ready", "away"]
_log = logging.getLogger(__name__)


class LiveChanges:
    """The newest changes and the open episodes, while at least one stream is open.

    All methods are called in the event loop. A stream holds only a position, so that a slow reader
    takes no memory: it gets the changes that it missed in one frame. `is_closed`: the process ends.
    `round`: how often reading has begun; positions belong to one round. `count`: number of changes
    since the first one, which is a position; `access_count`: number of changes of access.
    """

    def __init__(self, platform: Platform) -> None:
        self._feed = platform.changes
        self.state: FeedState = "idle"
        self.is_closed = False
        self._stop = Event()
        self._open: dict[str, LiveEpisode] = {}
        self._changes: deque[LiveChange] = deque(maxlen=MOST_CHANGES)
        self._access: deque[str] = deque(maxlen=MOST_CHANGES)
        self.access_count = 0
        self._first_mark = ""
        self.count = 0
        self.round = 0
        self._frames: dict[int, bytes] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self._people: Counter[str] = Counter()

    def goes_on(self, round: int) -> bool:
        """Return whether streams of a round may go on; if not, their readers begin again."""
        return not self.is_closed and self.state == "ready" and self.round == round

    def is_access_changed(self, keys: Collection[str], since: int) -> bool:
        """Return whether an account, a session or a token of these may have changed after a
        position of `access_count`."""
        new = self.access_count - since
        return new > len(self._access) or any(self._access[n] in keys for n in range(-new, 0))

    @property
    def readers(self) -> int:
        """Return the number of open streams."""
        return self._people.total()

    def has_too_many(self, person: Person) -> bool:
        """Return whether a person has as many streams as a person may have."""
        return self._people[person.name] >= MOST_OF_A_PERSON

    async def begin(self, person: Person) -> None:
        """Count a stream, begin to read if it is the first, and wait until changes are known."""
        self._people[person.name] += 1
        if self.state == "idle":
            self.state = "starting"
            self._stop = Event()
            arguments = (self._feed, asyncio.get_running_loop(), self._stop)
            Thread(target=self._read, args=arguments, name="live", daemon=True).start()
        if self.state == "starting":
            await self.wait(START_S)

    def end(self, person: Person) -> None:
        """Forget a stream; stop to read a while after the last one."""
        self._people -= Counter((person.name,))
        if not self._people:  # perhaps a person changes the page
            asyncio.get_running_loop().call_later(30.0, self._rest)

    async def wait(self, seconds: float, gone: "asyncio.Future[None] | None" = None) -> None:
        """Wait for changes, for the end of the process or of the reader (`gone`), or until the time
        is over."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        awaited = {waiting} if gone is None else {waiting, gone}
        try:
            await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(waiting)

    def close(self) -> None:
        """End all streams, for the end of the process."""
        self.is_closed = True
        self._stop.set()
        self._wake()

    def position_after(self, mark: str) -> int | None:
        """Return the position of the changes at or after a mark; None if some may be forgotten."""
        before = len(self._changes) < self.count
        first = self._changes[0].mark if before else self._first_mark
        if not mark or mark < first:
            return None
        return self.count - sum(change.mark >= mark for change in self._changes)

    def first_frame(self, since: int | None) -> bytes:
        """Return the first event of a stream. `since`: None if its reader knows nothing."""
        changes = self._since(self.count if since is None else since)
        return frame(self._mark(), changes, self._open.values(), look_again=since is None)

    def frame_since(self, since: int) -> bytes | None:
        """Return the event of the changes after a position, None without any change. It is computed
        once for all streams at this position."""
        if since == self.count:
            return None
        if since not in self._frames:
            forgotten = self.count - since > len(self._changes)
            self._frames[since] = frame(
                self._mark(), self._since(since), self._open.values(), look_again=forgotten
            )
        return self._frames[since]

    def _since(self, since: int) -> list[LiveChange]:
        new = min(self.count - since, len(self._changes))
        return [self._changes[n] for n in range(-new, 0)]

    def _mark(self) -> str:
        return self._changes[-1].mark if self._changes else self._first_mark

    # in the thread that reads

    def _read(self, feed: ChangeFeed, loop: asyncio.AbstractEventLoop, stop: Event) -> None:
        """Read changes until it is to stop. Never raises."""

        def call(act: Callable[..., None], *arguments: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(lambda: None if stop.is_set() else act(*arguments))

        while not stop.is_set():
            try:
                with feed.read() as reader:
                    call(self._start_over, reader.open_episodes(), reader.mark())
                    while not stop.is_set():
                        if changes := reader.next():
                            call(self._add, changes)
                            stop.wait(JOIN_S)
            except Exception as fault:
                if isinstance(fault, PyMongoError | DatabaseDown):
                    _log.warning("changes cannot be read: %s", first_line(fault))
                else:
                    _log.exception("changes cannot be read")
                call(self._become, "away")
                stop.wait(READ_AGAIN_S)

    # in the event loop

    def _start_over(self, still_open: Sequence[LiveEpisode], mark: str) -> None:
        self._open = {episode.id: episode for episode in still_open}
        self._changes.clear()
        self.count = 0
        self.round += 1
        self._first_mark = mark
        self._become("ready")

    def _add(self, new: Sequence[LiveChange]) -> None:
        access = [change.access for change in new if change.access is not None]
        self._access.extend(access)
        self.access_count += len(access)
        changes = [change for change in new if change.access is None]
        for change in changes:
            episode = change.episode
            if episode is not None and episode.state == "over":
                self._open.pop(episode.id, None)
            elif episode is not None:
                self._open[episode.id] = episode
        self._changes.extend(changes)
        self.count += len(changes)
        self._wake()

    def _become(self, state: FeedState) -> None:
        self.state = state
        self._wake()

    def _wake(self) -> None:
        self._frames.clear()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def _rest(self) -> None:
        if not self._people:
            self._stop.set()
            self.state = "idle"


ALIVE_S = 15.0
"""How often at least something is sent, and the reader's permission is checked again; it is checked
at once when the account, the session or the token changes."""
EVENT_STREAM = "text/event-stream"
_RETRY_MS = 1000
"""A browser connects again after one to three times this time: not all browsers at once."""


class LiveStream(Response):
    """Events for one reader. It holds two tasks and a position.

    `find_again`: returns the person as of now, from the session or token of the request.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        request: Request,
        changes: LiveChanges,
        last_mark: str,
        find_again: Callable[[], Person | None],
    ) -> None:
        super().__init__()
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"  # for a proxy that would gather what is sent
        self._request = request
        self._person: Person = request.state.person
        self._access = {self._person.name, self._person.device, self._person.token}
        if self._person.session is not None:
            self._access.add(hash_secret(self._person.session))
        self._changes = changes
        self._seen_access = 0
        self._last_mark = last_mark
        self._find_again = find_again

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = self._changes
        if changes.is_closed or changes.readers >= MOST_STREAMS:
            await self._refuse(
                503, "this server has as many live pages as it may; try again later"
            )(scope, receive, send)
            return
        if changes.has_too_many(self._person):
            await self._refuse(429, "too many live pages are open under this name; close some")(
                scope, receive, send
            )
            return
        try:
            await changes.begin(self._person)
            if changes.state != "ready":
                await self._refuse(503, DATABASE_DOWN)(scope, receive, send)
            else:
                await send(
                    {
                        "type": "http.response.start",
                        "status": 200,
                        "headers": self.raw_headers,
                    }
                )
                if not scope.get("is_head"):
                    await self._follow(receive, send)
                await send({"type": "http.response.body", "body": b""})
        finally:
            changes.end(self._person)

    async def _follow(self, receive: Receive, send: Send) -> None:
        changes = self._changes
        round = changes.round
        self._seen_access = changes.access_count
        if not await self._may_stay():  # what ended before changes were read
            return
        gone = asyncio.ensure_future(_wait_until_gone(receive))
        position = changes.count
        first = changes.first_frame(changes.position_after(self._last_mark))
        checked = monotonic()
        sent = checked
        try:
            await _send(send, f"retry: {_RETRY_MS + randbelow(2 * _RETRY_MS)}\n".encode() + first)
            while not gone.done() and changes.goes_on(round):
                if position == changes.count:
                    await changes.wait(max(0.0, sent + ALIVE_S - monotonic()), gone)
                if not changes.goes_on(round):
                    return
                content = changes.frame_since(position)
                position = changes.count
                now = monotonic()
                if content is None and now >= sent + ALIVE_S:
                    content = b"event: alive\ndata: {}\n\n"
                if self._is_access_changed() or now >= checked + ALIVE_S:
                    checked = now
                    if not await self._may_stay():
                        return
                if content is not None:
                    sent = now
                    await _send(send, content)
        finally:
            gone.cancel()

    def _is_access_changed(self) -> bool:
        """Return whether what this person may can have changed since the last call."""
        since = self._seen_access
        self._seen_access = self._changes.access_count
        return self._changes.is_access_changed(self._access, since)

    async def _may_stay(self) -> bool:
        """Return whether session, account or token are still good, with the same role."""
        try:
            return await run_in_threadpool(self._find_again) == self._person
        except (PyMongoError, DatabaseDown):
            return False

    def _refuse(self, status: int, detail: str) -> Response:
        return problem(self._request, status, detail, {"retry-after": "5"})


async def _send(send: Send, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


router = APIRouter(prefix="/api/v1")
_EVENT = {
    "type": "object",
    "description": "One event.",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer", "description": "Milliseconds."},
    },
}


@router.get(
    "/live",
    tags=["episodes"],
    status_code=200,
    response_class=LiveStream,
    responses={
        200: {
            "description": "Server-sent events, until one side ends the stream.",
            "content": {EVENT_STREAM: {"schema": _EVENT}},
        }
    },
)
def live(
    request: Request,
    person: Viewer,
    last_event_id: Annotated[
        str, Header(max_length=40, description="The id of the last event; browsers send it.")
    ] = "",
    after: Annotated[
        str, Query(max_length=40, description="The same, for readers that can send no header.")
    ] = "",
) -> Response:
    """Tell what changes, as server-sent events: the state of episodes, and counts of open ones.

    The data of an event is JSON. `episodes`: id, definition, asset, severity, `state` (expected,
    happening, over), whether acknowledged and muted. `open`, `unacknowledged`: counts by severity.
    `all`: more may have changed than is named; read the lists again. `mutes`,
    `platform`: mutes or faults of the platform have changed. Changes of a quarter of
    a second are one event. An event `alive` comes at least every 15 seconds.
    """
    changes: LiveChanges = request.app.state.live
    access: Access = request.app.state.entrance.access
    now = request.app.state.entrance.now
    return LiveStream(
        request,
        changes,
        last_event_id or after,
        lambda: access.find_again(person, now()),
    )
