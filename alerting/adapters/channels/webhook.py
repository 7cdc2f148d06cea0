"""Channel that sends messages to other systems: an HTTP POST, signed as Standard Webhooks 1.0
describes."""

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote, urlsplit

import httpx
from pydantic_core import to_json

from alerting.adapters.channels.egress import Egress
from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed, Message

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
SECRET_PREFIX = "whsec_"  # noqa: S105 - the mark of a secret, not a secret
WORTH_RETRYING = {408, 429}
_real_time = partial(
    datetime.now, UTC
)  # receivers refuse a signature whose time is minutes away from theirs


class WebhookChannel:
    """Deliver each message as JSON by POST; any 2xx answer means delivered.

    The body has `key`, `subject`, `text` (which chat systems show) and `data`. `webhook-id` is the
    key of the message, so that a receiver can drop a repeated message. `secret` is `whsec_` and at
    least 24 bytes in base64; without a secret the channel does not sign. The channel does not
    follow redirects. Credentials and the path of the address appear in no message and no log,
    because in many systems the path is the secret.
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
        self._egress = egress
        self._url = url
        self._key = _signing_key(name, secret) if secret else None
        # A proxy or a password (.netrc) of the environment would bypass the egress rule; its
        # authorities may be trusted.
        self._client = client or httpx.Client(trust_env=False, verify=httpx.create_ssl_context())
        self._timeout = timeout
        self._now = now
        logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes whole addresses

    def deliver(self, message: Message) -> None:
        """POST one message. Raises DeliveryFailed if it is not delivered: permanent for an answer
        4xx other than 408 and 429."""
        body = _body(message)
        try:
            url, host = self._target()
            # The channel never reads the body of the answer, so that a receiver cannot delay it
            # with one.
            headers = self._headers(_id(message.key), body) | host
            sni = {"sni_hostname": url_host(self._url)} if host else {}
            with self._client.stream(
                "POST",
                url,
                content=body,
                headers=headers,
                timeout=self._timeout,
                follow_redirects=False,
                extensions=sni,
            ) as answer:
                self._evaluate(answer.status_code)
        except httpx.InvalidURL:
            raise DeliveryFailed(
                f"webhook {self.name} at {self.location}: its address cannot be read",
                permanent=True,
            ) from None
        except httpx.HTTPError as fault:
            raise DeliveryFailed(
                f"webhook {self.name} at {self.location}: {_message(fault)}"
            ) from None

    def _target(self) -> tuple[httpx.URL, dict[str, str]]:
        """Return the checked address to connect to, and the header that names its host."""
        url = httpx.URL(self._url)
        if self._egress is None:
            return url, {}
        address = self._egress.address(
            url_host(self._url), url.port or (443 if url.scheme == "https" else 80)
        )
        return url.copy_with(host=address), {"host": url.netloc.decode("ascii")}

    @property
    def location(self) -> str:
        """Return the public part of the address: scheme, host and port."""
        return _location(self._url)

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._now().timestamp()))
        headers = {
            "content-type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": timestamp,
        }
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, key, timestamp, body)
        return headers

    def _evaluate(self, status: int) -> None:
        if 200 <= status < 300:
            return
        permanent = 400 <= status < 500 and status not in WORTH_RETRYING
        raise DeliveryFailed(f"webhook {self.name} at {self.location} answered {status}", permanent)


def _id(key: str) -> str:
    """Return the key in a form that a header can carry."""
    return (
        key
        if key.isascii() and key.isprintable()
        else quote(key, safe="".join(map(chr, range(33, 127))))
    )


def url_host(url: str) -> str:
    """Return the host that a URL names."""
    return httpx.URL(url).raw_host.decode("ascii").strip("[]")


def sign(key: bytes, id: str, timestamp: str, body: bytes) -> str:
    """Return the `webhook-signature` of one delivery: HMAC-SHA256 over id, time and body, version 1
    of Standard Webhooks."""
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _body(message: Message) -> bytes:
    content = {
        "key": message.key,
        "subject": message.subject,
        "text": message.text,
        "data": message.payload,
    }
    return to_json(content, inf_nan_mode="null")


def _location(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def _signing_key(name: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or len(key) < 24:
        raise UserError(
            f"webhook {name!r}: its secret must be {SECRET_PREFIX} followed by at least 24 bytes "
            f"in base64, "
            f'e.g. from: echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
        )
    return key


def _message(fault: Exception) -> str:
    if isinstance(fault, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(fault, httpx.ConnectError):
        return "no connection"
    return type(fault).__name__
