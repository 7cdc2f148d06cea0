"""Messages of a broker become rows: stored in batches, and acknowledged only when they are in the
journal of the database. A look at the rows of any source as they would be stored writes nothing.

A message that cannot be stored goes to the dead messages with its reason before it is acknowledged:
none is lost, and none blocks the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from alerting.definitions.faults import UserError, shown
from alerting.definitions.source_fields import MessageSource, SourceFields, StreamedSource
from alerting.ports import (
    DeadMessage,
    Delivered,
    DocumentStore,
    EventRow,
    ReadingRow,
    Record,
    SourceLoss,
    SourcePorts,
)
from alerting.readings.history import to_millis
from alerting.readings.variable_series import describe_doubtful
from alerting.stores.deliveries import DeadMessages
from alerting.usecases.sources.deliver import fit, store
from alerting.usecases.sources.json_rows import RepeatedName, parse_json
from alerting.usecases.sources.records import VALUES, RefusedRow
from alerting.usecases.sources.status import SOURCES

MOST_DEAD = 10_000
MOST_DEAD_BYTES = 256 << 20
"""Messages of a source that are put aside at most; it is paused before there are more."""
_PAGE = 20  # of at most 1 MiB each


@dataclass(frozen=True)
class BrokerMessage:
    """A message of a broker. `acknowledge` tells the broker that it need not be sent again.

    `fault`: why it cannot be stored whatever it says, e.g. its size; its payload is then the
    beginning.
    """

    topic: str
    payload: bytes
    received_at: datetime
    acknowledge: Callable[[], None]
    fault: str | None = None


class MessageStream(Protocol):
    """A subscription that survives restarts: messages that are not acknowledged are sent again."""

    def batch(self) -> Sequence[BrokerMessage]:
        """Return the next messages, at most as many as fit into a batch; none if none is there.

        Raises UserError if the broker cannot be reached.
        """

    def losses(self) -> Sequence[SourceLoss]:
        """Return what the subscription has lost for ever since the last call."""

    def close(self) -> None:
        """Disconnect; the broker keeps what is not acknowledged. `batch` goes on to return what had
        come before."""


Stored = Callable[[Sequence[ReadingRow | EventRow]], None]
"""Takes rows that are stored, e.g. to evaluate the targets that read them."""


def ignore(_: Sequence[ReadingRow | EventRow]) -> None:
    """Do nothing with stored rows."""


def gap(what: str, start: datetime, end: datetime) -> str:
    """Return how values of an interval were lost, of a server that sends a value once."""
    times = f"from {start.isoformat(timespec='seconds')} to {end.isoformat(timespec='seconds')}"
    return (
        f"{what} {times}: what changed meanwhile is missing; state a longer `history` in the "
        "source if its server has one"
    )


class TooManyDead(UserError):
    """Refusal to put aside more messages of a source."""


@dataclass(frozen=True)
class StreamCount:
    """Messages of a batch, rows that changed anything, and messages that could not be stored."""

    messages: int = 0
    new: int = 0
    dead: int = 0


def store_messages(
    plant: SourcePorts,
    source: StreamedSource,
    messages: Sequence[BrokerMessage],
    now: datetime,
    is_outage: Callable[[Exception], bool] = lambda _: True,
    stored: Stored = ignore,
) -> StreamCount:
    """Store the rows of messages and acknowledge them. Idempotent: a message that comes again
    changes nothing.

    If a batch fails with anything but an outage of the database, its messages are stored one by
    one, and one that fails again is put aside. Raises what is an outage, and TooManyDead if there
    is no room for a message that cannot be stored; nothing is acknowledged then.
    """
    if not messages:
        return StreamCount()
    try:
        count = _store(
            plant,
            source,
            messages,
            now,
            lambda dead: _put_aside(plant.dead_messages, source, dead),
            stored,
        )
    except TooManyDead:
        raise
    except Exception as fault:
        if is_outage(fault):
            raise
        if len(messages) > 1:
            counts = [
                store_messages(plant, source, [message], now, is_outage, stored)
                for message in messages
            ]
            return StreamCount(
                sum(one.messages for one in counts),
                sum(one.new for one in counts),
                sum(one.dead for one in counts),
            )
        reason = f"cannot be stored: {type(fault).__name__}: {shown(str(fault))}"
        _put_aside(plant.dead_messages, source, [_dead(source, messages[0], reason)])
        plant.deliveries.record(source.name, Delivered(now, 0, 1, why=reason))
        count = StreamCount(1, 0, 1)
    for message in messages:
        message.acknowledge()
    return count


def _put_aside(letters: DeadMessages, source: StreamedSource, dead: Sequence[DeadMessage]) -> None:
    """Store messages that cannot be stored as readings. Raises TooManyDead if they are too many, or
    too large together."""
    if not dead:
        return
    size = sum(len(message.payload) for message in dead)
    limit = None
    if letters.count_dead(source.name) + len(dead) > MOST_DEAD:
        limit = f"{MOST_DEAD} of its messages"
    elif letters.dead_bytes(source.name) + size > MOST_DEAD_BYTES:
        limit = f"{MOST_DEAD_BYTES >> 20} MiB of its messages"
    if limit is not None:
        raise TooManyDead(
            f"source {source.name}: {limit} could not be stored: see alerting list dead, "
            f"correct it, then run alerting retry {source.name} and resume it on its page"
        )
    letters.add_dead(dead)


def _store(
    plant: SourcePorts,
    source: StreamedSource,
    messages: Sequence[BrokerMessage],
    now: datetime,
    put_aside: Callable[[Sequence[DeadMessage]], None],
    stored: Stored = ignore,
) -> StreamCount:
    """Store the rows of messages, after those that cannot be read or of which a row is refused are
    put aside."""
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
    put_aside(
        [_dead(source, messages[number], reason) for number, reason in sorted(reasons.items())]
    )
    new = store(plant, found, now, by=source.name).new
    fitting: list[ReadingRow | EventRow] = [*found.readings, *found.events]
    if fitting:
        stored(fitting)
    if unreadable := len(reasons) - len({owners[row.line - 1] for row in found.refused}):
        plant.deliveries.record(
            source.name, Delivered(now, 0, unreadable, why=reasons[max(reasons)])
        )
    return StreamCount(len(messages), new, len(reasons))


def _dead(source: StreamedSource, message: BrokerMessage, reason: str) -> DeadMessage:
    digest = hashlib.sha256(
        b"\0".join([source.name.encode(), message.topic.encode(), message.payload])
    ).hexdigest()[:32]
    return DeadMessage(
        digest, source.name, message.topic, message.payload, reason[:500], message.received_at
    )


def topic_reader(source: StreamedSource) -> Callable[[BrokerMessage], list[Record]]:
    """Return the function that makes rows of a message. It raises ValueError with the reason for
    one that it cannot read."""
    pattern = source.form.pattern(source.plain_topic) if isinstance(source, MessageSource) else None
    is_value = isinstance(source, MessageSource) and source.payload == "value"
    is_stamped = isinstance(source, MessageSource) and source.stamp == "receipt"

    def read(message: BrokerMessage) -> list[Record]:
        if message.fault is not None:
            raise ValueError(message.fault)
        matched = pattern.fullmatch(message.topic) if pattern else None
        if pattern and matched is None:
            raise ValueError(f"topic {shown(message.topic)} is not that of the source")
        named = matched.groupdict() if matched else {}
        stamp = {source.time: message.received_at} if is_stamped else {}
        asset = {source.asset_column: named["asset"]} if "asset" in named else {}
        payload = _parse(message.payload)
        if is_value:
            return [{**asset, **stamp, VALUES: {named.get("variable", ""): payload}}]
        rows = [payload] if isinstance(payload, Mapping) else payload
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise ValueError("is neither a row nor a list of rows")
        return [{**row, **asset, **stamp} for row in rows]

    return read


def _parse(payload: bytes) -> Any:
    """Return the JSON of a payload; text that is no JSON is a text.

    Raises ValueError if it is not UTF-8, nests too deeply, or has an object in which a name occurs
    twice.
    """
    try:
        return parse_json(payload)
    except RecursionError:
        raise ValueError("nests too deeply") from None
    except RepeatedName:
        raise
    except ValueError:
        return payload.decode("utf-8")


def subscription(source: MessageSource) -> str:
    """Return the topic to subscribe, with the sign of any one level for each named level."""
    return source.form.subscription(source.topic)


def earlier_subscriptions(sources: DocumentStore, source: StreamedSource) -> list[str]:
    """Return the topics that earlier revisions of a source subscribed: the broker keeps them until
    they are given back."""
    if not isinstance(source, MessageSource):
        return []
    topics = {revision.document.get("topic") for revision in sources.revisions(source.name)}
    return sorted(
        {source.form.subscription(topic) for topic in topics if topic} - {subscription(source)}
    )


def list_dead(letters: DeadMessages, name: str | None) -> Iterator[DeadMessage]:
    """Yield the dead messages of a source, or of all, oldest first."""
    page = letters.dead(name, _PAGE)
    while page:
        yield from page
        page = letters.dead(name, _PAGE, page[-1])


def retry_dead(
    plant: SourcePorts,
    name: str,
    actor: str,
    now: datetime,
    is_outage: Callable[[Exception], bool] = lambda _: True,
) -> StreamCount:
    """Store the dead messages of a source once more, e.g. after its mapping was corrected, and
    remove those that are stored."""
    source = SOURCES.find(plant, name)
    if not isinstance(source, StreamedSource):
        raise UserError(f"source {name!r} is of kind {source.kind}, which has no dead messages")
    tried = stored = 0
    for letter in list_dead(plant.dead_messages, name):
        message = BrokerMessage(letter.topic, letter.payload, letter.at, lambda: None)
        tried += 1
        try:
            is_stored = not _store(plant, source, [message], now, lambda _: None).dead
        except Exception as fault:
            if is_outage(fault):
                raise
            is_stored = False
        if is_stored:
            plant.dead_messages.remove_dead([letter.id])
            stored += 1
    before = {"dead": tried}
    after = {"dead": tried - stored, "stored": stored}
    plant.audit.add(actor, "dead messages tried again", name, now, before, after)
    return StreamCount(tried, stored, tried - stored)


SHOWN = 10


@dataclass(frozen=True)
class Look:
    """Copies of messages; the broker keeps all of them for the stream service. `notes`: how many
    came, or why none did."""

    messages: Sequence[BrokerMessage]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class SourceTrial:
    """The first rows of a source as they would be stored, and refused ones. `read`: the number of
    rows looked at.

    `notes`: sentences on what was found, e.g. the format of a file.
    """

    source: str
    read: int
    rows: Sequence[Mapping[str, Any]]
    refused: Sequence[RefusedRow]
    notes: Sequence[str] = ()


def try_records(
    plant: SourcePorts,
    source: SourceFields,
    records: Sequence[Record],
    now: datetime | None = None,
) -> SourceTrial:
    """Return the first rows of records as they would be stored, and the first refused ones. `now`:
    readings after it are told of."""
    found = fit(plant, source, records, source.name)
    rows = [*described(found.readings), *described(found.events)]
    return SourceTrial(
        source.name,
        len(records),
        rows[:SHOWN],
        found.refused[:SHOWN],
        [*_notes(found.readings, now)],
    )


def try_messages(
    plant: SourcePorts, source: StreamedSource, look: Look, now: datetime | None = None
) -> SourceTrial:
    """Return the first rows of messages as they would be stored, and the first refused ones, by the
    number of their message. `now`: readings after it are told of."""
    read = topic_reader(source)
    records: list[Record] = []
    owners: list[int] = []
    refused: list[RefusedRow] = []
    for number, message in enumerate(look.messages, 1):
        try:
            rows = read(message)
        except ValueError as fault:
            refused.append(RefusedRow(number, str(fault)))
            continue
        records += rows
        owners += [number] * len(rows)
    found = fit(plant, source, records, source.name)
    refused += [RefusedRow(owners[row.line - 1], row.reason) for row in found.refused]
    rows_shown = [*described(found.readings), *described(found.events)][:SHOWN]
    refused.sort(key=lambda row: row.line)
    notes = [*look.notes, *_notes(found.readings, now)]
    return SourceTrial(source.name, len(look.messages), rows_shown, refused[:SHOWN], notes)


def _notes(rows: Sequence[ReadingRow], now: datetime | None) -> Iterator[str]:
    """Yield sentences on readings far from all others, and after now."""
    return describe_doubtful(np.array([to_millis(row.ts) for row in rows], np.int64), now)


def described(rows: Sequence[ReadingRow | EventRow]) -> Iterator[Mapping[str, Any]]:
    """Yield rows for people: asset and instant first, then the values, or type, end and
    attributes."""
    for row in rows:
        if isinstance(row, ReadingRow):
            yield {
                "asset": row.asset,
                "ts": row.ts,
                **row.values,
                **{f"{name} (quality)": q for name, q in row.quality.items()},
            }
        else:
            yield {
                "asset": row.asset,
                "ts": row.start,
                "type": row.type,
                "end": row.end,
                **row.attributes,
            }
