"""The console below a path of its public address, as https://plant.example/alerting.

Inside, every address begins with `/`. On the way in the prefix is removed, if the proxy has left
it; on the way out it is put before addresses in pages (`prefixed`, which `render` calls), redirects
and cookies, and by `address_of` in answers of the API. Scripts use addresses relative to their own.
"""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerting.definitions.faults import UserError

_PREFIX: ContextVar[str] = ContextVar("prefix", default="")
_LINK = re.compile(
    r'(\s(?:href|src|action|formaction)="|\scontent="[0-9]+; url=)/(?!/)', re.IGNORECASE
)
_COOKIE_PATH = re.compile(r"(;\s*path=)(/[^;]*)", re.IGNORECASE)


class Prefix:
    """Middleware that serves an application below a path; both `/prefix/x` and `/x` reach it."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _PREFIX.set(self._prefix)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._set_before(MutableHeaders(scope=message))
            await send(message)

        await self._app(self._inner(scope), receive, sending)

    def _inner(self, scope: Scope) -> Scope:
        inner = {**scope, "path": without_prefix(scope["path"], self._prefix)}
        if raw := scope.get("raw_path"):
            inner["raw_path"] = without_prefix(raw.decode("latin-1"), self._prefix).encode(
                "latin-1"
            )
        headers = MutableHeaders(raw=list(scope["headers"]))
        if (referer := headers.get("referer")) is not None:
            parts = urlsplit(referer)
            page = parts._replace(path=without_prefix(parts.path, self._prefix))
            headers["referer"] = page.geturl()
        return {**inner, "headers": headers.raw}

    def _set_before(self, headers: MutableHeaders) -> None:
        location = headers.get("location", "")
        if location.startswith("/") and not location.startswith("//"):
            headers["location"] = self._prefix + location
        for number, (name, value) in enumerate(headers.raw):
            if name == b"set-cookie":
                text = _COOKIE_PATH.sub(self._path_of_cookie, value.decode("latin-1"))
                headers.raw[number] = (name, text.encode("latin-1"))

    def _path_of_cookie(self, found: re.Match[str]) -> str:
        return found[1] + self._prefix + found[2].rstrip("/")


def prefix_of(public_url: str | None) -> str:
    """Return the path of the public address, such as `/alerting`; empty without one."""
    return urlsplit(public_url or "").path.rstrip("/")


def require_free(prefix: str, routes: Iterable[BaseRoute]) -> None:
    """Raise UserError if own pages begin as the prefix does: proxies may keep or remove it."""
    first = prefix.split("/")[1]
    if any(getattr(route, "path", "/").split("/")[1] == first for route in routes):
        raise UserError(
            f"ALERTING_PUBLIC_URL: pages of the console have addresses that begin with /{first}; "
            "give another path, for example /alerting"
        )


def without_prefix(path: str, prefix: str) -> str:
    """Return a path as the application knows it."""
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path.removeprefix(prefix) or "/"
    return path


def prefixed(page: str) -> str:
    """Return a page whose links, forms and scripts have the prefix of this request."""
    prefix = _PREFIX.get()
    return _LINK.sub(rf"\1{prefix}/", page) if prefix else page


def address_of(path: str) -> str:
    """Return an address of the console with the prefix of this request, for programs."""
    return _PREFIX.get() + path
