"""HTTP server of the application, with limits of bytes and time per client."""

import ssl
from asyncio import TimerHandle, Transport
from pathlib import Path
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from alerting.console.gate import LARGEST_HEAD, UPLOAD_SECONDS, is_upload
from alerting.console.web.prefix import without_prefix
from alerting.definitions.faults import UserError

SHUTDOWN_SECONDS = 4


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that ends a connection whose request does not arrive, or whose answer is not read,
    in time.

    The application itself answers slow bodies and large headers with a refusal; this protocol ends
    clients that send nothing at all, headers byte by byte, or a body after the answer was sent.
    """

    # from the start of a connection, or the end of the last answer, to a request's last byte
    request_seconds = 20.0
    # for which a client may leave an answer unread that does not fit into the connection's buffers
    reading_seconds = 30.0
    upload_seconds = UPLOAD_SECONDS
    prefix = ""  # of the public address, in paths that a proxy does not change

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        self._uploads = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the time limit of the first request; its state has the other end of the connection
        as `peer`, whatever its headers say."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "peer": self.client[0] if self.client else ""}
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Receive a part of a request."""
        super().data_received(data)
        self._await_request()

    def on_response_complete(self) -> None:
        """Start the time limit of the next request."""
        super().on_response_complete()
        if self._uploads:  # what is left of the body of a refused upload gets no half hour
            self._stop_waiting()
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all time limits."""
        _stop(self._deadline)
        self._deadline = None
        _stop(self._unread)
        self._unread = None
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the time limit of a client that reads more slowly than the answer is written."""
        super().pause_writing()
        _stop(self._unread)
        self._unread = self.loop.call_later(self.reading_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the time limit of a client that has continued to read."""
        super().resume_writing()
        _stop(self._unread)
        self._unread = None

    def _await_request(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_waiting()
        elif not self._uploads and self._receives_upload():
            self._stop_waiting()
            self._uploads = True
            self._deadline = self.loop.call_later(self.upload_seconds, self.transport.abort)
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.request_seconds, self.transport.abort)

    def _receives_upload(self) -> bool:
        """Return whether a file is received now, for a request not answered already."""
        cycle = self.cycle
        return (
            cycle is not None
            and not cycle.response_complete
            and is_upload(without_prefix(cycle.scope["path"], self.prefix))
        )

    def _stop_waiting(self) -> None:
        _stop(self._deadline)
        self._deadline = None
        self._uploads = False


def _stop(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def server_options(trusted_proxies: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    """Return the options of `uvicorn.run`. `trusted_proxies`: whose headers are trusted. `prefix`:
    the path of the public address."""
    return {
        "http": type("PrefixedProtocol", (PatientProtocol,), {"prefix": prefix}),
        "ws": "none",
        "h11_max_incomplete_event_size": LARGEST_HEAD,
        "proxy_headers": bool(trusted_proxies),
        "forwarded_allow_ips": ",".join(trusted_proxies),
        # from the signal to the end of a request that is under way still
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "log_level": "warning",
        "log_config": None,  # the platform configures logs, see `settings.logs`
        "server_header": False,
    }


def tls_options(cert: Path | None, key: Path | None) -> dict[str, Any]:
    """Return the options of `uvicorn.run` for HTTPS, none without a certificate. Raises UserError
    if certificate and key are not of each other, or cannot be read."""
    if cert is None or key is None:
        return {}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            cert, key, password=_refuse_password
        )
    except (OSError, ValueError) as fault:
        raise UserError(
            f"{cert} and {key} cannot be used for HTTPS: {fault}; give a certificate with its "
            "chain, and its key without a password, both in PEM"
        ) from fault
    return {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}


def _refuse_password() -> str:
    raise ValueError("the key has a password")


class PunctualServer(uvicorn.Server):
    """Server that ends streams of live pages when a signal asks it to stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.config.app.state.live.close()  # type: ignore[union-attr]
        super().handle_exit(sig, frame)


def serve_app(app: FastAPI, host: str, port: int, options: dict[str, Any]) -> None:
    """Serve until a signal asks to stop. `options`: of `uvicorn.Config`."""
    PunctualServer(uvicorn.Config(app, host=host, port=port, **options)).run()
