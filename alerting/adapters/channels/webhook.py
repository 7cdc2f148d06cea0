"""Channel of messages to other systems: HTTP POST, signed as Standard Webhooks 1.0."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote

import httpx

from alerting.adapters.channels.checked_http import TIMEOUT, CheckedHttp, write_json
from alerting.adapters.channels.egress import Egress
from alerting.definitions.faults import UserError
from alerting.ports import Message

SECRET_PREFIX = "whsec_"  # noqa: S105 - the mark of a secret, not a secret
# receivers refuse a signature whose time is minutes away from theirs
_real_time = partial(datetime.now, UTC)


class WebhookChannel:
    """Deliver each message as JSON by POST.

    The body has `key`, `subject`, `text` (which chat systems show) and `data`. `webhook-id` is the
    key of the message, so that a receiver can drop a repeated message. `secret` is `whsec_` and at
    least 24 bytes in base64; without a secret the channel does not sign.
    """

    def __init__(
        self,
        name: str,
        url: str,
        secret: str | None = None,
        *,
        egress: Egress | None = None,
        client: httpx.Client | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        now: Callable[[], datetime] = _real_time,
    ) -> None:
        """Check the secret. `egress`: the addresses that may be reached; all when left out.

        Raises UserError if the secret has another form.
        """
        self.name = name
        self._http = CheckedHttp(
            f"webhook {name}", url, egress=egress, client=client, timeout=timeout
        )
        self._key = _signing_key(name, secret) if secret else None
        self._now = now

    def deliver(self, message: Message) -> None:
        """POST one message. Raises DeliveryFailed if it is not delivered."""
        content = {
            "key": message.key,
            "subject": message.subject,
            "text": message.text,
            "data": message.payload,
        }
        body = write_json(content)
        self._http.post(body, self._headers(_id(message.key), body))

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._now().timestamp()))
        headers = {"webhook-id": key, "webhook-timestamp": timestamp}
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, key, timestamp, body)
        return headers


def _id(key: str) -> str:
    return (
        key
        if key.isascii() and key.isprintable()
        else quote(key, safe="".join(map(chr, range(33, 127))))
    )


def sign(key: bytes, id: str, timestamp: str, body: bytes) -> str:
    """Return the `webhook-signature`: HMAC-SHA256 over id, time, body; version 1."""
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _signing_key(name: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or len(key) < 24:
        raise UserError(
            f"webhook {name!r}: its secret must be {SECRET_PREFIX} followed by at least 24 bytes "
            "in base64, "
            f'e.g. from: echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
        )
    return key
