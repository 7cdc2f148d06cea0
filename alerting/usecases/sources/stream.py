"""Messages of a broker become rows: stored in batches, and acknowledged only when they are in the journal of the database.

A message that cannot be stored goes to the dead messages with its reason before it is acknowledged: none is lost, and none blocks
the others.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from alerting.definitions.faults import UserError, shown
from alerting.definitions.sources.source import MqttSource
from alerting.ports import DeadMessage, Delivered, Record, SourcePorts
from alerting.usecases.sources.deliver import fit, store
from alerting.usecases.sources.documents import find_source
from alerting.usecases.sources.records import VALUES

LARGEST_DEAD = 64 * 1024
RETRIED = 1000


@dataclass(frozen=True)
class Message:
    """A message of a broker. `acknowledge` tells the broker that it need not be sent again."""

    topic: str
    payload: bytes
    received_at: datetime
    acknowledge: Callable[[], None]


class MessageStream(Protocol):
    """A subscription that survives restarts: messages that are not acknowledged are sent again."""

    def batch(self) -> Sequence[Message]:
        """Return the next messages, at most as many as fit into a batch; none if none came within a moment.

        Raises UserError if the broker cannot be reached.
        """


@dataclass(frozen=True)
class StreamCount:
    """Messages of a batch, rows that changed anything, and messages that could not be stored."""

    messages: int = 0
    new: int = 0
    dead: int = 0


def store_messages(
    plant: SourcePorts,
    source: MqttSource,
    messages: Sequence[Message],
    now: datetime,
    is_outage: Callable[[Exception], bool] = lambda _: True,
) -> StreamCount:
    """Store the rows of messages and acknowledge them. Idempotent: a message that comes again changes nothing.

    If a batch fails with anything but an outage of the database, its messages are stored one by one, and one that fails again is
    put aside. Raises what is an outage; no message is acknowledged then.
    """
    if not messages:
        return StreamCount()
    try:
        count = _store(plant, source, messages, now)
    except Exception as fault:
        if is_outage(fault):
            raise
        if len(messages) > 1:
            counts = [store_messages(plant, source, [message], now, is_outage) for message in messages]
            return StreamCount(len(counts), sum(one.new for one in counts), sum(one.dead for one in counts))
        reason = f"cannot be stored: {type(fault).__name__}: {shown(str(fault))}"
        plant.sources.add_dead([_dead(source, messages[0], reason)])
        plant.sources.record(source.name, Delivered(now, 0, 1, why=reason))
        count = StreamCount(1, 0, 1)
    for message in messages:
        message.acknowledge()
    return count


def _store(plant: SourcePorts, source: MqttSource, messages: Sequence[Message], now: datetime) -> StreamCount:
    """Store the rows of messages, and put aside those that cannot be read or of which a row is refused."""
    records: list[Record] = []
    owners: list[int] = []
    reasons: dict[int, str] = {}
    read = topic_reader(source)
    for number, message in enumerate(messages):
        try:
            rows = read(message)
        except ValueError as fault:
            reasons[number] = str(fault)
            continue
        records += rows
        owners += [number] * len(rows)
    found = fit(plant, source, records, source.name)
    for row in found.refused:
        reasons.setdefault(owners[row.line - 1], row.reason)
    plant.sources.add_dead([_dead(source, messages[number], reason) for number, reason in sorted(reasons.items())])
    new = store(plant, found, now, by=source.name).new
    if unreadable := len(reasons) - len({owners[row.line - 1] for row in found.refused}):
        plant.sources.record(source.name, Delivered(now, 0, unreadable, why=reasons[max(reasons)]))
    return StreamCount(len(messages), new, len(reasons))


def _dead(source: MqttSource, message: Message, reason: str) -> DeadMessage:
    digest = hashlib.sha256(b"\0".join([source.name.encode(), message.topic.encode(), message.payload])).hexdigest()[:32]
    text = message.payload[:LARGEST_DEAD].decode("utf-8", "replace")
    return DeadMessage(digest, source.name, message.topic, text, reason[:500], message.received_at)


def topic_reader(source: MqttSource) -> Callable[[Message], list[Record]]:
    """Return the function that makes rows of a message. It raises ValueError with the reason for one that it cannot read."""
    levels = {"+": r"[^/]*", "#": r".*", "{asset}": r"(?P<asset>[^/]*)", "{variable}": r"(?P<variable>[^/]*)"}
    pattern = re.compile("/".join(levels.get(level, re.escape(level)) for level in source.topic.split("/")))

    def read(message: Message) -> list[Record]:
        matched = pattern.fullmatch(message.topic)
        named = matched.groupdict() if matched else {}
        stamp = {source.time: message.received_at} if source.stamp == "receipt" else {}
        asset = {source.asset_column: named["asset"]} if "asset" in named else {}
        payload = _parse(message.payload)
        if source.payload == "value":
            return [{**asset, **stamp, VALUES: {named.get("variable", ""): payload}}]
        rows = [payload] if isinstance(payload, Mapping) else payload
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise ValueError("is neither a row nor a list of rows")
        return [{**row, **asset, **stamp} for row in rows]

    return read


def _parse(payload: bytes) -> Any:
    """Return the JSON of a payload; text that is no JSON is a text. Raises ValueError if it is not UTF-8, or nests too deeply."""
    text = payload.decode("utf-8")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nests too deeply") from None
    except ValueError:
        return text


def subscription(source: MqttSource) -> str:
    """Return the topic to subscribe, in which + stands for each named level."""
    return source.topic.replace("{asset}", "+").replace("{variable}", "+")


def retry_dead(plant: SourcePorts, name: str, now: datetime) -> StreamCount:
    """Store the dead messages of a source once more, e.g. after its mapping was corrected, and remove those that are stored."""
    source = find_source(plant.sources, name)
    if not isinstance(source, MqttSource):
        raise UserError(f"source {name!r} is of kind {source.kind}, which has no dead messages")
    letters = plant.sources.dead(name, RETRIED)
    stored: list[str] = []
    for letter in letters:
        message = Message(letter.topic, letter.payload.encode(), letter.at, lambda: None)
        if not store_messages(plant, source, [message], now).dead:
            stored.append(letter.id)
    plant.sources.remove_dead(stored)
    return StreamCount(len(letters), len(stored), len(letters) - len(stored))
