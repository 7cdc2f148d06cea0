"""A client of an application in this process that asks in one call into the event loop.

Starlette's own makes eight calls for each answer, as it can give one in parts; each wakes two
threads, which costs more than most answers.
"""

import sys
from copy import copy
from urllib.parse import unquote

import anyio
from starlette.testclient import _TestClientTransport


class WholeAnswers(_TestClientTransport):
    """A transport that returns an answer when it is complete."""

    def handle_request(self, request):
        with self.portal_factory() as portal:
            answer, fault = portal.call(self._answer, request)
        if fault is not None and self.raise_server_exceptions:
            raise fault
        return answer

    async def _answer(self, request):
        """Return the answer and what the application raised, or None."""
        messages = []
        complete = anyio.Event()
        is_read = False

        async def receive():
            nonlocal is_read
            if is_read:
                await complete.wait()
                return {"type": "http.disconnect"}
            is_read = True
            return {"type": "http.request", "body": request.read()}

        async def send(message):
            assert not complete.is_set(), "the answer was complete"
            is_start = message["type"] == "http.response.start"
            assert is_start == (not messages), "an answer has one start, before its body"
            messages.append(message)
            if not is_start and not message.get("more_body", False):
                complete.set()

        fault = None
        try:
            await self.app(self._scope(request), receive, send)
        except Exception as raised:
            fault = raised
        assert messages or fault, "there is no answer"
        return self._joined(request, messages), fault

    def _scope(self, request):
        url = request.url
        default = {"http": 80, "https": 443}[url.scheme]
        return {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": unquote(url.path),
            "raw_path": url.raw_path.split(b"?", 1)[0],
            "root_path": self.root_path,
            "scheme": url.scheme,
            "query_string": url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": self.client,
            "server": [url.host, url.port or default],
            "extensions": {},
            "state": self.app_state.copy(),
        }

    def _joined(self, request, messages):
        # of the library that asks: Starlette's client takes `httpx2` where it is installed
        httpx = sys.modules[type(request).__module__.partition(".")[0]]
        if not messages:
            return httpx.Response(500, request=request)
        start, *parts = messages
        body = b"".join(part.get("body", b"") for part in parts)
        stream = httpx.ByteStream(b"" if request.method == "HEAD" else body)
        headers = start.get("headers", [])
        return httpx.Response(start["status"], headers=headers, stream=stream, request=request)


def transport_of(client):
    """Return the transport of a client, which `httpx` can use, too."""
    made = copy(client._transport)
    made.__class__ = WholeAnswers
    return made
