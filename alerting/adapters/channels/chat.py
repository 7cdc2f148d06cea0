"""Content of a message to a chat service: text with links, within its limits, and its level."""

from typing import Literal

from alerting.ports import Message

Level = Literal["good", "bad", "neutral"]


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
