"""The response that tells a reader of changes until one of both ends it."""

import asyncio
from collections.abc import Callable
from secrets import randbelow
from time import monotonic

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pymongo.errors import PyMongoError
from starlette.types import Receive, Scope, Send

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.access import Person
from alerting.console.live.changes import LiveChanges
from alerting.console.live.frames import ALIVE
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
    `present`: returns one event of the present state, for a database without change streams.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        request: Request,
        changes: LiveChanges,
        last_mark: str,
        find_again: Callable[[], Person | None],
        present: Callable[[], bytes],
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
        self._present = present

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
            if changes.state == "none":
                await self._send_once(send)
            elif changes.state != "ready":
                await self._refuse(503, DATABASE_DOWN)(scope, receive, send)
            else:
                await self._start(send)
                if not scope.get("is_head"):
                    await self._follow(receive, send)
                await send({"type": "http.response.body", "body": b""})
        finally:
            changes.end(self._person)

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

    async def _send_once(self, send: Send) -> None:
        """Send the present state, and let the reader ask again in a second."""
        content = b"retry: 1000\n" + await run_in_threadpool(self._present)
        await self._start(send)
        await send({"type": "http.response.body", "body": content})

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
