"""Receivers of messages that are posted over HTTP, each to one address, which the egress rule
checks when the connection is made.

The channels are Slack (or a chat that takes Slack's incoming webhooks), Microsoft Teams (a workflow
that takes an Adaptive Card), ntfy, which shows messages on phones, and other systems, signed as
Standard Webhooks 1.0. The sink is a web server, which takes each message as JSON by POST, signed as
notifications are. Text and links are cut to the limits of each chat.
"""

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import httpx
from pydantic_core import to_json

from alerting.adapters.receivers.egress import Egress
from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import WebhookSink
from alerting.ports import (
    ACCEPTED,
    Answer,
    DeliveryFailed,
    Message,
    MessageLink,
    ReceiverAway,
    SinkMessage,
)

if TYPE_CHECKING:
    from alerting.adapters.receivers.sinks import Surroundings

TIMEOUT = httpx.Timeout(10.0, connect=5.0)


class CheckedHttp:
    """Address of one receiver, to which contents are sent as JSON; any answer 2xx means delivered.

    Each connection goes to the very address that was checked. Redirects are not followed. The path
    and the credentials of the address appear in no message and no log, because in many systems the
    path is the secret.
    """

    def __init__(
        self,
        receiver: str,
        url: str,
        *,
        egress: Egress | None = None,
        client: httpx.Client | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        """Store the address. `receiver`: its name in faults. `egress`: what may be reached."""
        self._receiver = f"{receiver} at {_location(url)}"
        self._url = url
        self._egress = egress
        # A proxy or a password (.netrc) of the environment would bypass the egress rule; its
        # authorities may be trusted.
        self._client = client or httpx.Client(trust_env=False, verify=httpx.create_ssl_context())
        self._timeout = timeout
        logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes whole addresses

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """POST JSON. Raises DeliveryFailed: permanent for 4xx other than 408 and 429."""
        try:
            url, host = self._target()
            # The body of the answer is never read, so that a receiver cannot delay it with one.
            with self._client.stream(
                "POST",
                url,
                content=body,
                headers={"content-type": "application/json", **(headers or {})} | host,
                timeout=self._timeout,
                follow_redirects=False,
                extensions={"sni_hostname": _host(self._url)} if host else {},
            ) as answer:
                status = answer.status_code
        except httpx.InvalidURL:
            raise DeliveryFailed(
                f"{self._receiver}: its address cannot be read",
                permanent=True,
            ) from None
        except httpx.HTTPError as fault:
            raise DeliveryFailed(f"{self._receiver}: {_fault_message(fault)}") from None
        if not 200 <= status < 300:
            permanent = 400 <= status < 500 and status not in {408, 429}
            answered = f"{self._receiver} answered {status}"
            raise DeliveryFailed(answered, permanent, status)

    def _target(self) -> tuple[httpx.URL, dict[str, str]]:
        url = httpx.URL(self._url)
        if self._egress is None:
            return url, {}
        port = url.port or (443 if url.scheme == "https" else 80)
        address = self._egress.address(_host(self._url), port)
        return url.copy_with(host=address), {"host": url.netloc.decode("ascii")}


def write_json(content: Mapping[str, Any]) -> bytes:
    """Return the JSON of a content; numbers that JSON does not know become null."""
    return to_json(content, inf_nan_mode="null")


def _host(url: str) -> str:
    return httpx.URL(url).raw_host.decode("ascii").strip("[]")


def _location(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def _fault_message(fault: Exception) -> str:
    if isinstance(fault, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(fault, httpx.ConnectError):
        return "no connection"
    return type(fault).__name__


Level = Literal["good", "bad", "neutral"]
LONGEST_HEADER = 150
LONGEST_SECTION = 3000
LONGEST_OF_TEAMS = 14_000
"""Bytes of the text: a message of Teams may have 28 KB, with all links and marks."""
MOST_LINES = 100
_COLOURS = {"good": "Good", "bad": "Attention", "neutral": "Default"}
MOST_BUTTONS = 3
LONGEST_OF_NTFY = 4096
"""Bytes of the text; ntfy makes an attachment of a longer one."""
_PRIORITIES = {"critical": 5, "high": 4, "low": 2}
_TAGS = {"good": ["white_check_mark"], "bad": ["rotating_light"], "neutral": []}


def level(message: Message) -> Level:
    """Return whether a message is the end of an alert, a grave alert, or any other message."""
    if message.payload.get("transition") == "closed":
        return "good"
    return "bad" if message.payload.get("severity") in ("high", "critical") else "neutral"


def shorten(text: str, most: int) -> str:
    """Return the text with at most this many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shorten_bytes(text: str, most: int) -> str:
    """Return the text with at most this many bytes of UTF-8."""
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "…"


class SlackChannel:
    """Post each message to one incoming webhook: a headline, the text as it is, and its links."""

    def __init__(self, name: str, url: str, egress: Egress | None = None) -> None:
        self.name = name
        self._http = CheckedHttp(f"Slack {name}", url, egress=egress)

    def deliver(self, message: Message) -> None:
        """Post one message. Raises DeliveryFailed if it is not accepted."""
        blocks = [
            {"type": "header", "text": _slack_text(message.subject, LONGEST_HEADER)},
            {"type": "section", "text": _slack_text(message.text, LONGEST_SECTION)},
        ]
        links = " · ".join(
            f"<{link.url}|{_escape_for_slack(link.label)}>" for link in message.links
        )
        if links:
            blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": links}})
        # `text` is what notifications show
        self._http.post(write_json({"text": _escape_for_slack(message.subject), "blocks": blocks}))


def _slack_text(text: str, most: int) -> dict[str, object]:
    """Return a text that Slack shows as it is: marks and names in it have no effect."""
    return {"type": "plain_text", "text": shorten(text, most) or "-", "emoji": False}


def _escape_for_slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class TeamsChannel:
    """Post each message to the address of one workflow "When a Teams webhook request is received"
    as a card with a button for each link."""

    def __init__(self, name: str, url: str, egress: Egress | None = None) -> None:
        self.name = name
        self._http = CheckedHttp(f"Teams {name}", url, egress=egress)

    def deliver(self, message: Message) -> None:
        """Post one message. Raises DeliveryFailed if it is not accepted."""
        headline = {"size": "Medium", "weight": "Bolder", "color": _COLOURS[level(message)]}
        subject = shorten(message.subject, 250)
        lines = [
            line
            for line in shorten_bytes(message.text, LONGEST_OF_TEAMS).splitlines()
            if line.strip()
        ]
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [_teams_line(subject, **headline), *map(_teams_line, lines[:MOST_LINES])],
            "actions": [
                {"type": "Action.OpenUrl", "title": link.label, "url": link.url}
                for link in message.links
            ],
        }
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": card,
        }
        self._http.post(write_json({"type": "message", "attachments": [attachment]}))


def _teams_line(text: str, **style: str) -> dict[str, Any]:
    """Return a line that Teams shows as it is; a TextBlock would read marks in it."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


class NtfyChannel:
    """Publish each message to the topic at the end of the address.

    A tap opens the last link, the page of the alert. The first three other links are buttons, the
    remaining links are below the text.
    """

    def __init__(
        self, name: str, url: str, token: str | None = None, egress: Egress | None = None
    ) -> None:
        """Store the address. `token`: access token of a user or a service, for protected topics."""
        self.name = name
        server, _, self._topic = url.rstrip("/").rpartition("/")
        self._http = CheckedHttp(f"ntfy {name}", f"{server}/", egress=egress)
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def deliver(self, message: Message) -> None:
        """Publish one message. Raises DeliveryFailed if it is not accepted."""
        kind = level(message)
        severity = str(message.payload.get("severity"))
        content = {
            "topic": self._topic,
            "title": shorten(message.subject, 250),
            "message": _ntfy_text(message.text, message.links[MOST_BUTTONS:-1]),
            "priority": 3 if kind == "good" else _PRIORITIES.get(severity, 3),
            "tags": _TAGS[kind],
            "actions": [
                {"action": "view", "label": link.label, "url": link.url}
                for link in message.links[:-1][:MOST_BUTTONS]
            ],
        }
        click = {"click": message.links[-1].url} if message.links else {}
        self._http.post(write_json(content | click), self._headers)


def _ntfy_text(text: str, links: tuple[MessageLink, ...]) -> str:
    """Return the text with these links below it, in the bytes that ntfy shows."""
    below = "".join(f"\n{link.label}: {link.url}" for link in links)
    return shorten_bytes(text, LONGEST_OF_NTFY - len(below.encode())) + below


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
        self._http.post(body, self._headers(_message_id(message.key), body))

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._now().timestamp()))
        headers = {"webhook-id": key, "webhook-timestamp": timestamp}
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, key, timestamp, body)
        return headers


def _message_id(key: str) -> str:
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


_REFUSED_ALL = frozenset({401, 403, 404, 405, 407, 408, 425, 429, 502, 503, 504})
"""Answers that concern the receiver and not one message: nothing is given up."""


class WebhookReceiver:
    """Port `SinkClient`."""

    def __init__(self, sink: WebhookSink, surroundings: "Surroundings") -> None:
        secret = None if sink.secret is None else surroundings.resolve(sink.secret)
        url = surroundings.resolve(sink.url)
        self._channel = WebhookChannel(sink.name, url, secret, egress=surroundings.egress)

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for message in messages:
            yield answer_of(partial(self._channel.deliver, _message_of_sink(message)))

    def keep_alive(self) -> None:
        """Do nothing: a server that does not answer is noticed when something is sent."""

    def probe(self, message: SinkMessage) -> str:
        result = answer_of(partial(self._channel.deliver, _message_of_sink(message)))
        if result != ACCEPTED:
            raise ReceiverAway(result.reason)
        return "the receiver accepted a message with `test: true`"

    def close(self) -> None:
        """Connections end by themselves."""


def answer_of(post: Callable[[], None]) -> Answer:
    """Return the answer of a web server to a message. Raises ReceiverAway."""
    try:
        post()
    except DeliveryFailed as fault:
        if fault.status is None or fault.status in _REFUSED_ALL:
            raise ReceiverAway(fault.reason) from fault
        return Answer("refused" if fault.permanent else "failed", str(fault))
    return ACCEPTED


def _message_of_sink(message: SinkMessage) -> Message:
    title = message.content.get("title", f"{message.definition} on {message.asset}")
    text = message.content.get("message", "")
    return Message(message.key, str(title), str(text), message.content)
