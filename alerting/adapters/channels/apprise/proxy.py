"""Proxy on the loopback address that lets HTTP and HTTPS through to what the egress rule allows."""

import base64
import hmac
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from selectors import EVENT_READ, DefaultSelector
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from urllib.parse import SplitResult, urlsplit

from alerting.adapters.channels.egress import Egress
from alerting.definitions.wording.language import translatable
from alerting.ports import DeliveryFailed

TIMEOUT_S = 10.0
MOST_BYTES = 4 << 20
"""Bytes that one connection may carry, both ways together."""
_OF_ONE_CONNECTION = ("connection", "keep-alive", "te", "trailer", "upgrade", "expect")


class CheckedProxy(ThreadingMixIn, TCPServer):
    """Proxy for one client, which has its password.

    It resolves each name once, and connects to the address that it has checked. `failure`: why the
    last connection was not made, None if all were.
    """

    daemon_threads = True

    def __init__(self, egress: Egress) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self._egress = egress
        self._password = secrets.token_urlsafe(24)
        self.failure: DeliveryFailed | None = None

    @property
    def url(self) -> str:
        """Return the address for the client, with the password."""
        return f"http://alerting:{self._password}@127.0.0.1:{self.server_address[1]}"

    def knows(self, credentials: str | None) -> bool:
        """Return whether a `Proxy-Authorization` has the password."""
        expected = base64.b64encode(f"alerting:{self._password}".encode()).decode()
        return hmac.compare_digest((credentials or "").encode(), f"Basic {expected}".encode())

    def connect(self, host: str, port: int) -> socket.socket | None:
        """Return a connection to an allowed address of the host; None, with `failure`."""
        try:
            return socket.create_connection((self._egress.address(host, port), port), TIMEOUT_S)
        except DeliveryFailed as failure:
            self.failure = failure
        except OSError:
            self.failure = DeliveryFailed(
                translatable("{name}: {text}", name=host, text=translatable("no connection"))
            )
        return None


@contextmanager
def run_proxy(egress: Egress) -> Iterator[CheckedProxy]:
    """Yield a proxy that serves until the end of the block."""
    with CheckedProxy(egress) as proxy:
        Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()


class _Request(BaseHTTPRequestHandler):
    """One connection of the client: one tunnel, or one request."""

    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_S
    server: CheckedProxy

    def do_CONNECT(self) -> None:
        """Open a tunnel, in which the client itself verifies the certificate of the host."""
        upstream = self._connect(f"//{self.path}", 443)
        if upstream is not None:
            with upstream:
                self.send_response_only(200, "Connection established")
                self.end_headers()
                self._carry(upstream)

    def do_POST(self) -> None:
        """Hand on one request, and its answer as it is."""
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal():
            self.send_error(411)
        elif int(length) > MOST_BYTES:
            self.send_error(413)
        elif (upstream := self._connect(self.path, 80)) is not None:
            with upstream:
                upstream.sendall(self._head() + self.rfile.read(int(length)))
                self._carry(upstream)

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - names of the library

    def _connect(self, target: str, port: int) -> socket.socket | None:
        """Return a connection to the host of the target; None after an error was answered."""
        self.close_connection = True
        if not self.server.knows(self.headers["proxy-authorization"]):
            self.send_error(407)
            return None
        parts = _parts(target)
        if parts is None or parts.hostname is None or parts.scheme not in ("", "http"):
            self.send_error(400)
            return None
        upstream = self.server.connect(parts.hostname, parts.port or port)
        if upstream is None:
            self.send_error(403)
        return upstream

    def _head(self) -> bytes:
        target = urlsplit(self.path)._replace(scheme="", netloc="").geturl() or "/"
        lines = [f"{self.command} {target} HTTP/1.1"]
        for name, value in self.headers.items():
            if name.lower() not in _OF_ONE_CONNECTION and not name.lower().startswith("proxy-"):
                lines.append(f"{name}: {value}")
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")

    def _carry(self, upstream: socket.socket) -> None:
        """Carry bytes both ways until one side ends, is silent too long, or has sent too much."""
        left = MOST_BYTES
        with DefaultSelector() as sides:
            sides.register(self.connection, EVENT_READ, upstream)
            sides.register(upstream, EVENT_READ, self.connection)
            while left > 0 and (ready := sides.select(TIMEOUT_S)):
                for side, _ in ready:
                    found = side.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                    if not found:
                        return
                    side.data.sendall(found)
                    left -= len(found)

    def log_message(self, *_: object) -> None:
        """Log nothing: a path may be a secret."""


def _parts(target: str) -> SplitResult | None:
    try:
        parts = urlsplit(target)
        return parts if parts.port != 0 else None
    except ValueError:
        return None
