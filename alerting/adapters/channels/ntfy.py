"""Channel that publishes messages to a topic of ntfy, which shows them on phones."""

from alerting.adapters.channels.chat import level, shorten, shorten_bytes
from alerting.adapters.channels.checked_http import CheckedHttp, write_json
from alerting.adapters.channels.egress import Egress
from alerting.ports import Message, MessageLink

MOST_BUTTONS = 3
LONGEST = 4096
"""Bytes of the text; ntfy makes an attachment of a longer one."""
_PRIORITIES = {"critical": 5, "high": 4, "low": 2}
_TAGS = {"good": ["white_check_mark"], "bad": ["rotating_light"], "neutral": []}


class NtfyChannel:
    """Publish each message to the topic that is the end of the address.

    A tap opens the last link, the page of the alert. The first three of the others are buttons,
    the rest is below the text.
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
            "message": _text(message.text, message.links[MOST_BUTTONS:-1]),
            "priority": 3 if kind == "good" else _PRIORITIES.get(severity, 3),
            "tags": _TAGS[kind],
            "actions": [
                {"action": "view", "label": link.label, "url": link.url}
                for link in message.links[:-1][:MOST_BUTTONS]
            ],
        }
        click = {"click": message.links[-1].url} if message.links else {}
        self._http.post(write_json(content | click), self._headers)


def _text(text: str, links: tuple[MessageLink, ...]) -> str:
    """Return the text with these links below it, in the bytes that ntfy shows."""
    below = "".join(f"\n{link.label}: {link.url}" for link in links)
    return shorten_bytes(text, LONGEST - len(below.encode())) + below
