"""Channel that posts messages to Microsoft Teams, by a workflow that takes an Adaptive Card."""

from typing import Any

from alerting.adapters.channels.chat import level, shorten, shorten_bytes
from alerting.adapters.channels.checked_http import CheckedHttp, write_json
from alerting.adapters.channels.egress import Egress
from alerting.ports import Message

LONGEST = 14_000
"""Bytes of the text: a message of Teams may have 28 KB, with all links and marks."""
MOST_LINES = 100
_COLOURS = {"good": "Good", "bad": "Attention", "neutral": "Default"}


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
        lines = [line for line in shorten_bytes(message.text, LONGEST).splitlines() if line.strip()]
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
