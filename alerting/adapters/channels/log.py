"""Channel that writes one line per message to a log and needs no other system."""

from collections.abc import Callable

from pydantic_core import to_json

from alerting.ports import DeliveryFailed, Message


class LogChannel:
    """Write each message as one line: subject and text for people, then the payload as JSON for
    programs.

    `write` gets the line without its end, e.g. a logger's method. Its OSError (a full disk) means:
    try again later.
    """

    name = "log"

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def deliver(self, message: Message) -> None:
        """Write one message. Raises DeliveryFailed if the line cannot be written."""
        try:
            self._write(_line(message))
        except OSError as fault:
            raise DeliveryFailed(f"the log cannot be written: {fault}") from fault


def _line(message: Message) -> str:
    text = " / ".join(part.strip() for part in message.text.splitlines() if part.strip())
    payload = to_json({"key": message.key, **message.payload}, inf_nan_mode="null").decode()
    return f"{' '.join(message.subject.split())}: {text} {payload}"
