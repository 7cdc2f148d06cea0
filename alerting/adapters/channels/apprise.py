"""Channel that sends messages through Apprise: Teams, Slack, ntfy and a hundred others, each by its
own address."""

import logging
from typing import Any

from alerting.adapters.channels.egress import Egress, guard_connections
from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed, Message

TIMEOUT_S = 10.0
_FAILURES = ("high", "critical")


class AppriseChannel:
    """Deliver each message to one service, without redirects, and only to addresses that the egress
    rule allows.

    The address holds the credentials: it appears in no message and no log.
    """

    def __init__(self, name: str, url: str, egress: Egress) -> None:
        """Read the address of the service. Raises UserError if Apprise is not installed or does not
        know the address."""
        self.name = name
        self._egress = egress
        self._service = _service(name, url)

    def deliver(self, message: Message) -> None:
        """Send one message. Raises DeliveryFailed if it is not sent: never permanent, because
        Apprise does not report that."""
        with guard_connections(self._egress) as guard:
            try:
                delivered = self._service.notify(
                    body=_body(message), title=message.subject, notify_type=_kind(message)
                )
            except (
                Exception
            ) as fault:  # plugins may raise any exception: the message was not delivered
                raise DeliveryFailed(f"{self.name} by Apprise: {type(fault).__name__}") from None
        if guard.refusal is not None:
            raise guard.refusal
        if not delivered:
            raise DeliveryFailed(f"{self.name} by Apprise: the service refused the message")


def _service(name: str, url: str) -> Any:
    try:
        import apprise
    except ImportError as missing:
        raise UserError(
            f"channel {name!r} needs Apprise: pip install 'alerting[apprise]'"
        ) from missing
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it writes addresses
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    asset = apprise.AppriseAsset(
        async_mode=False, http_redirects=False, secure_logging=True, storage_mode="memory"
    )
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is None:
        raise UserError(
            f"channel {name!r}: Apprise does not know this address; see https://appriseit.com for "
            f"the notation of addresses"
        )
    service.redirects = False
    service.socket_connect_timeout = service.socket_read_timeout = TIMEOUT_S
    return service


def _body(message: Message) -> str:
    return "\n".join([message.text, *(f"{link.label}: {link.url}" for link in message.links)])


def _kind(message: Message) -> str:
    if message.payload.get("transition") == "closed":
        return "success"
    return "failure" if message.payload.get("severity") in _FAILURES else "info"
