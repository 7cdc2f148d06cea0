"""Channel that writes one line per message to a log and needs no other system."""

import logging
from collections.abc import Callable
from pathlib import Path

from pydantic_core import to_json

from alerting.definitions.wording.language import translatable
from alerting.ports import DeliveryFailed, Message
from alerting.settings.home_folder import home_errors


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
            raise DeliveryFailed(
                translatable("the log cannot be written: {fault}", fault=str(fault))
            ) from fault


def append_to(path: Path | None) -> Callable[[str], None]:
    """Return the function that writes a line to the log of the process and to a file. Without a
    file it writes to standard output alone, so that the line is there once."""
    if path is None:
        return lambda line: print(line, flush=True)  # noqa: T201 - is what the setting asks for

    def write(line: str) -> None:
        logging.getLogger("alerting.notifications").info("%s", line)
        with home_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    return write


def _line(message: Message) -> str:
    text = " / ".join(part.strip() for part in message.text.splitlines() if part.strip())
    payload = to_json({"key": message.key, **message.payload}, inf_nan_mode="null").decode()
    return f"{' '.join(message.subject.split())}: {text} {payload}"
