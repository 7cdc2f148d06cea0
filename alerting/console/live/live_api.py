"""REST API, version 1: the stream of what changes."""

import asyncio
from collections.abc import Callable
from secrets import randbelow
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pymongo.errors import PyMongoError
from starlette.types import Receive, Scope, Send

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.access import Access, Person
from alerting.console.api.api import Viewer
from alerting.console.live.changes import ALIVE, LiveChanges
from alerting.console.problems import DATABASE_DOWN, problem
from alerting.operators.people import hash_secret

ALIVE_S = 15.0
"""At least so often something is sent, and the reader's permission is looked at again; at once when
the account, the session or the token changes."""
EVENT_STREAM = "text/event-stream"
_RETRY_MS = 1000
"""After so long, and up to three times that, a browser connects again: not all at once."""


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
        if changes.is_closed or changes.is_full():
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
                    content = ALIVE
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
        """Return whether session, account or token are good still, with the same role."""
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
_DESCRIPTION = "Server-sent events, until one side ends the stream."
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
_ANSWER = {
    "description": _DESCRIPTION,
    "content": {EVENT_STREAM: {"schema": _EVENT}},
}


@router.get(
    "/live", tags=["episodes"], status_code=200, response_class=LiveStream, responses={200: _ANSWER}
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
    last_mark = last_event_id or after
    changes: LiveChanges = request.app.state.live
    access: Access = request.app.state.entrance.access
    now = request.app.state.entrance.now
    return LiveStream(
        request,
        changes,
        last_mark,
        lambda: access.find_again(person, now()),
    )
