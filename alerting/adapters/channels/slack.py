"""Channel that posts messages to Slack, or to a chat that takes Slack's incoming webhooks."""

from alerting.adapters.channels.chat import shorten
from alerting.adapters.channels.checked_http import CheckedHttp, write_json
from alerting.adapters.channels.egress import Egress
from alerting.ports import Message

LONGEST_HEADER = 150
LONGEST_SECTION = 3000


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
