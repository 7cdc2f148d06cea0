"""Changing requests to Airflow's API, one after the other."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING = ("GET", "HEAD", "OPTIONS")


class OneWriter:
    """Passes on one changing request at a time, and reading requests at once.

    For Airflow on SQLite, which has one writer. Airflow writes its audit log within the event loop,
    where it waits for the file's lock; a request that holds the lock needs the event loop to end.
    Two such requests side by side stop the whole API until the wait ends, and one of them fails
    with status 500.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _READING:
            await self._app(scope, receive, send)
            return
        messages = await _read_body(receive)  # first: a slow sender must not delay the others

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        async with self._turn:
            await self._app(scope, replay, send)


async def _read_body(receive: Receive) -> list[Message]:
    messages = [await receive()]
    while messages[-1].get("more_body", False):
        messages.append(await receive())
    return messages
