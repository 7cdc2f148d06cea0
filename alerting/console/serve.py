"""Start the API and the console: python -m alerting.console.serve [--host H] [--port P]."""

import argparse
import gc
import logging
import os
import ssl
import sys
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import h11
import uvicorn
from cryptography.x509 import load_pem_x509_certificate
from h11._receivebuffer import ReceiveBuffer
from pymongo.errors import PyMongoError
from uvicorn.protocols.http.h11_impl import H11Protocol

from alerting import wiring
from alerting.adapters.mongo.running import running
from alerting.console.access import read_tokens
from alerting.console.app import create_app
from alerting.console.gate import LARGEST_HEAD, UPLOAD_SECONDS, is_upload
from alerting.console.login import open_directory
from alerting.console.plant.import_jobs import Imports
from alerting.console.rendering import prefix_of, without_prefix
from alerting.definitions.faults import UserError, first_line
from alerting.local.airflow_client import scheduler_reader
from alerting.local.parts import airflow_uri, mlflow_uri
from alerting.ports import DeliveryFailed, Platform, PlatformAlert
from alerting.readings.history import whole_millis
from alerting.settings.environment import LOOPBACK, Settings, read_settings, variable
from alerting.settings.logs import configure_logging
from alerting.stores.database.transactions_and_leases import CONSOLE
from alerting.usecases.access.accounts import register_services
from alerting.usecases.definitions.faults_and_platform_alerts import DATABASE, FAILING
from alerting.usecases.health.platform_health import (
    LATE,
    AskScheduler,
    Inventory,
    check_platform,
    read_inventory,
)
from alerting.usecases.health.scheduled_tasks import SCHEDULED_KINDS
from alerting.usecases.health.stopped_parts import PART, PARTS, check_certificate
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.routing import (
    ROUTES,
    outage_message,
    platform_recipients,
    record_outage,
)
from alerting.wiring import plant_zone, predict_files, sink_opener, source_readers

TOKENS_FILE = variable("api_tokens_file")


def serve(
    host: str = LOOPBACK, port: int | None = None, environ: Mapping[str, str] = os.environ
) -> None:
    """Serve until a signal asks to stop. Raises UserError without a database or a tokens file
    readable only by its owner.

    `port`: `ALERTING_API_PORT` when left out.
    """
    settings = read_settings(environ)
    tokens = read_tokens(tokens_file(settings, environ))
    configure_logging(environ, tokens)
    public_url = settings.delivery.public_url
    tls = tls_options(settings.tls_cert, settings.tls_key)
    directory = None if settings.directory is None else open_directory(settings.directory)
    imports = Imports(settings.home / "imports", plant_zone(settings, environ))
    options = server_options(settings.trusted_proxies, prefix_of(public_url)) | tls
    with wiring.open_platform(settings, patient=False, service=True) as platform:
        register_services(platform, dict(tokens.values()), datetime.now(UTC))
        app = create_app(
            platform,
            tokens,
            zone=settings.timezone,
            language=settings.language,
            sign_in=settings.home / "secrets",
            public_url=public_url,
            predict_files=predict_files(settings),
            import_files=imports,
            directory=directory,
            source_readers=partial(source_readers, settings, environ),
            sink_opener=partial(sink_opener, settings, environ),
            airflow=pages_of(settings, settings.airflow_uri, airflow_uri),
            mlflow=pages_of(settings, settings.mlflow_uri, mlflow_uri),
        )
        HealthMonitor(
            partial(wiring.open_platform, settings),
            tidy=imports.tidy,
            certificate=partial(read_certificate_end, settings.tls_cert, public_url),
            ask_scheduler=scheduler_reader(settings, environ),
        ).start()
        gc.freeze()  # what is loaded stays: answers do not wait until it has been searched
        # a long computation lets another answer go on, which waits several times for its turn:
        # after each answer of the database
        sys.setswitchinterval(0.001)
        PunctualServer(
            uvicorn.Config(app, host=host, port=port or settings.api_port, **options)
        ).run()


def pages_of(
    settings: Settings, stated: str | None, usual: Callable[[Settings], str]
) -> str | None:
    """Return the address of the pages of Airflow or MLflow: of the settings, or of `alerting up` on
    this home; None for a database."""
    if stated is None and running(settings.home) is None:
        return None
    address = stated or usual(settings)
    return address if address.startswith("http") else None


def tokens_file(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return the path in `ALERTING_API_TOKENS_FILE`, or the path of the file made by `alerting
    up`."""
    return Path(environ.get(TOKENS_FILE) or settings.home / "secrets" / "api_tokens.json")


def main() -> int:
    """Run the server from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m alerting.console.serve", description="Serve the API and the console."
    )
    parser.add_argument(
        "--host", default=LOOPBACK, help="address to listen on (default: this machine only)"
    )
    parser.add_argument(
        "--port", type=int, help="port to listen on (default: ALERTING_API_PORT, or 8000)"
    )
    arguments = parser.parse_args()
    try:
        serve(arguments.host, arguments.port)
    except UserError as refusal:
        print(f"refused: {refusal}", file=sys.stderr)  # noqa: T201 - a message to the person who started it
        return 1
    return 0


class _WholeLines(ReceiveBuffer):
    """Received bytes, in which CR LF alone ends a line of a head: a proxy may pass on LF within a
    header, whose rest would then be a header of the browser's own."""

    def maybe_extract_lines(self) -> list[bytearray] | None:
        received = bytes(self._data)
        lines = super().maybe_extract_lines()
        head = received[: len(received) - len(self._data)]
        if head.count(b"\n") != head.count(b"\r\n"):
            raise h11.RemoteProtocolError("a line of the head ends with LF alone")
        return lines


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
        self.conn._receive_buffer = _WholeLines()
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
        "timeout_graceful_shutdown": 4,
        "log_level": "warning",
        "log_config": None,  # the platform configures logs, see `settings.logs`
        "server_header": False,
    }


def tls_options(cert: Path | None, key: Path | None) -> dict[str, Any]:
    """Return the options of `uvicorn.run` for HTTPS, none without a certificate. Raises UserError
    if certificate and key do not belong together, or cannot be read."""
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


def read_certificate_end(cert: Path | None, public_url: str | None) -> datetime | None:
    """Return when the certificate of the console ends, or that of the proxy at its public address;
    None without HTTPS, or if the proxy does not answer or the file cannot be read."""
    parts = urlsplit(public_url or "")
    try:
        if cert is not None:
            pem = cert.read_bytes()
        elif parts.scheme == "https" and parts.hostname is not None:
            address = (parts.hostname, parts.port or 443)
            pem = ssl.get_server_certificate(address, timeout=3.0).encode()
        else:
            return None
        return load_pem_x509_certificate(pem).not_valid_after_utc
    except (OSError, ValueError):
        return None


class PunctualServer(uvicorn.Server):
    """Server that ends streams of live pages when a signal asks it to stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.config.app.state.live.close()  # type: ignore[union-attr]
        super().handle_exit(sig, frame)


EVERY_S = 60.0
_STARTING = 10
"""Checks after a start in which the signs of life of other parts are not looked for: they start,
too."""
AWAY_AFTER = timedelta(minutes=2)  # a restart of the database takes less
_log = logging.getLogger(__name__)


class HealthMonitor:
    """Checks a platform, which it opens each time. `now`: the real time."""

    def __init__(
        self,
        open_platform: Callable[[], AbstractContextManager[Platform]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        tidy: Callable[[datetime], None] | None = None,
        certificate: Callable[[], datetime | None] = lambda: None,
        ask_scheduler: AskScheduler | None = None,
    ) -> None:
        """`tidy`: removes old files from the disk of the console, each time. `certificate`: returns
        when the certificate of the console ends. `ask_scheduler`: asks Airflow, whose own tasks may
        be what does not run."""
        self._open = open_platform
        self._now = now
        self._tidy = tidy
        self._certificate = certificate
        self._ask_scheduler = ask_scheduler
        self._checks = 0
        self._platform: Platform | None = None
        self._inventory: Inventory | None = None
        self._recipients: dict[str, str | None] = {}
        self._outage: PlatformAlert | None = None
        self._notified: dict[str, str | None] = {}

    def start(self) -> Event:
        """Check every minute in a thread of its own. Return the event that stops it.

        Definitions and targets are read at once, while few answers wait for it.
        """
        stop = Event()

        def run() -> None:
            with suppress(UserError, PyMongoError), self._open() as platform:
                platform.leases.claim(CONSOLE, CONSOLE)
                self._inventory = read_inventory(platform)
            while not stop.wait(EVERY_S):
                self.check()

        Thread(target=run, name="health", daemon=True).start()
        return stop

    def check(self) -> None:
        """Check the platform once. Never raises."""
        try:
            with self._open() as platform:
                self._check(platform)
        except (UserError, PyMongoError) as fault:
            self._announce_outage(first_line(fault))
        except Exception:
            _log.exception("the platform could not be checked")

    def _check(self, platform: Platform) -> None:
        now = platform.clock.now()
        self._platform = platform
        self._recipients = dict(platform_recipients(platform, ROUTES.read(platform)[0], now))
        if self._outage is not None:
            record_outage(platform, self._outage, self._notified.items(), now)
            self._outage = None
            self._notified = {}
            deliver_due(platform, now)
        if self._tidy is not None:
            self._tidy(self._now())
        self._inventory = read_inventory(platform, self._inventory)
        # the maintenance asks the registry: MLflow's client would take 90 MiB of this process
        self._checks += 1
        faults = check_platform(
            platform,
            now,
            self._inventory,
            asks_registry=False,
            checked_parts=PARTS.keys() if self._checks > _STARTING else (),
            ask_scheduler=self._ask_scheduler,
        )
        check_certificate(platform.platform_alerts, "console", self._certificate(), self._now())
        if any(f.kind in (LATE, FAILING, PART, *SCHEDULED_KINDS) for f in faults):
            deliver_due(platform, now)

    def _announce_outage(self, reason: str) -> None:
        now = whole_millis(self._now())
        self._outage = self._outage or PlatformAlert(DATABASE, "MongoDB", reason, now)
        _log.warning("the database is away: %s", reason)
        if self._platform is None or now - self._outage.opened_at < AWAY_AFTER:
            return
        for channel, route in self._recipients.items():
            if channel not in self._notified:
                try:
                    self._platform.channels[channel].deliver(
                        outage_message(self._outage, channel, now, self._platform.zone)
                    )
                except DeliveryFailed as failure:
                    _log.warning("the outage could not be announced by %s: %s", channel, failure)
                else:
                    self._notified[channel] = route


if __name__ == "__main__":
    sys.exit(main())
