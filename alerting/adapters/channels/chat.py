"""Channels that post messages to chat services: Slack (or a chat that takes Slack's incoming
webhooks), Microsoft Teams (a workflow that takes an Adaptive Card) and ntfy, which shows them on
phones.

Text and links are cut to the limits of each.
"""

from typing import Any, Literal

from alerting.adapters.channels.checked_http import CheckedHttp, write_json
from alerting.adapters.channels.egress import Egress
from alerting.ports import Message, MessageLink

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
    """Return whether a message is the end of an alert, a grave alert, or another one."""
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
            {"type": "header", "text": _plain(message.subject, LONGEST_HEADER)},
            {"type": "section", "text": _plain(message.text, LONGEST_SECTION)},
        ]
        links = " · ".join(f"<{link.url}|{_escape(link.label)}>" for link in message.links)
        if links:
            blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": links}})
        # `text` is what notifications show
        self._http.post(write_json({"text": _escape(message.subject), "blocks": blocks}))


def _plain(text: str, most: int) -> dict[str, object]:
    """Return a text that Slack shows as it is: neither marks nor names in it do anything."""
    return {"type": "plain_text", "text": shorten(text, most) or "-", "emoji": False}


def _escape(text: str) -> str:
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
            "body": [_line(subject, **headline), *map(_line, lines[:MOST_LINES])],
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


def _line(text: str, **style: str) -> dict[str, Any]:
    """Return a line that Teams shows as it is; a TextBlock would read marks in it."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


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
    return shorten_bytes(text, LONGEST_OF_NTFY - len(below.encode())) + below
