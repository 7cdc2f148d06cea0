"""HEAD wherever GET is: the same status and headers, without the body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerting.console.gate import SIGN_IN


class HeadAsGet:
    """Handles HEAD as GET, except where GET changes something: one-time links.

    The scope then has `is_head`, for an answer that would not end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "HEAD"
            or scope["path"].startswith(SIGN_IN)
        ):
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send(
                {**message, "body": b""} if message["type"] == "http.response.body" else message
            )

        await self._app({**scope, "method": "GET", "is_head": True}, receive, send_head)
