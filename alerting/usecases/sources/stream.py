"""Messages of a broker become rows: stored in batches, and acknowledged only when they are in the
journal of the database. Their JSON, or NDJSON with one row per line, is read as rows here.

A message that cannot be stored goes to the dead messages with its reason before it is acknowledged:
none is lost, and none blocks the others.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import msgspec

from alerting.definitions.faults import UserError, shown
from alerting.definitions.source_fields import MessageSource, StreamedSource
from alerting.definitions.wording.language import in_english
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
from alerting.stores.deliveries_and_changes import DeadMessages
from alerting.usecases.sources.message_parts import TOPIC_VARIABLE, VALUES
from alerting.usecases.sources.records import Declared, RefusedRow
from alerting.usecases.sources.status import (
    SHOWN,
    SOURCES,
    SourceTrial,
    describe_rows,
    doubtful_notes,
)
from alerting.usecases.sources.store_rows import fit, store

MOST_DEAD = 10_000
MOST_DEAD_BYTES = 256 << 20
"""Messages of a source that are put aside at most; it is paused before there are more."""
_PAGE = 20  # of at most 1 MiB each


@dataclass(frozen=True)
class BrokerMessage:
    """A message of a broker. `acknowledge` tells the broker that it need not be sent again.

    `fault`: why the message cannot be stored whatever its content, e.g. its size; its payload is
    then only the beginning.
    """

    topic: str
    payload: bytes
    received_at: datetime
    acknowledge: Callable[[], None]
    fault: str | None = None


class MessageStream(Protocol):
    """A subscription that survives restarts: messages that are not acknowledged are sent again."""

    def batch(self) -> Sequence[BrokerMessage]:
        """Return the next messages, at most as many as fit into a batch; none if no message is
        there. Raises UserError if the broker cannot be reached."""

    def losses(self) -> Sequence[SourceLoss]:
        """Return what the subscription has lost for ever since the last call."""

    def close(self) -> None:
        """Disconnect; the broker keeps unacknowledged messages. `batch` still returns the messages
        that came before."""


Stored = Callable[[Sequence[ReadingRow | EventRow]], None]
"""Takes rows that are stored, e.g. to evaluate the targets that read them."""


def ignore(_: Sequence[ReadingRow | EventRow]) -> None:
    """Do nothing with stored rows."""


def gap(subject: str, start: datetime, end: datetime) -> str:
    """Return how values of an interval were lost if their server sends each value only once."""
    return in_english(
        "{subject} from {start} to {end}: what changed meanwhile is missing; state a longer "
        "`history` in the source if its server has one",
        subject=subject,
        start=start,
        end=end,
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

    If a batch fails for another reason than an outage of the database, its messages are stored one
    by one, and a message that fails again is put aside. Raises the error of an outage, and
    TooManyDead if there is no room for a message that cannot be stored; nothing is acknowledged
    then.
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
                sum(part.messages for part in counts),
                sum(part.new for part in counts),
                sum(part.dead for part in counts),
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
            f"source {source.name}: {limit} could not be stored: correct it, then send "
            "them again and resume it on its page"
        )
    letters.add_dead(dead)


class _FittedMessages(NamedTuple):
    """Rows of messages as they would be stored; by the position of a message, why it cannot be
    read, and the first reason why a row of it is refused."""

    rows: Declared
    unreadable: Mapping[int, str]
    refused: Mapping[int, str]


def _fit(
    plant: SourcePorts, source: StreamedSource, messages: Sequence[BrokerMessage]
) -> _FittedMessages:
    records: list[Record] = []
    owners: list[int] = []
    unreadable: dict[int, str] = {}
    read = topic_reader(source)
    for position, message in enumerate(messages):
        try:
            rows = read(message)
        except ValueError as fault:
            unreadable[position] = str(fault)
            continue
        records += rows
        owners += [position] * len(rows)
    fitted = fit(plant, source, records, source.name)
    refused: dict[int, str] = {}
    for row in fitted.refused:
        refused.setdefault(owners[row.line - 1], row.reason)
    return _FittedMessages(fitted, unreadable, refused)


def _store(
    plant: SourcePorts,
    source: StreamedSource,
    messages: Sequence[BrokerMessage],
    now: datetime,
    put_aside: Callable[[Sequence[DeadMessage]], None],
    stored: Stored = ignore,
) -> StreamCount:
    """Store the rows of messages. Messages that cannot be read, or that have a refused row, are put
    aside first."""
    fitted, unreadable, refused = _fit(plant, source, messages)
    reasons = {**unreadable, **refused}
    put_aside([_dead(source, messages[n], reason) for n, reason in sorted(reasons.items())])
    new = store(plant, fitted, now, by=source.name).new
    rows: list[ReadingRow | EventRow] = [*fitted.readings, *fitted.events]
    if rows:
        stored(rows)
    if unreadable:
        why = unreadable[max(unreadable)]
        plant.deliveries.record(source.name, Delivered(now, 0, len(unreadable), why=why))
    return StreamCount(len(messages), new, len(reasons))


def _dead(source: StreamedSource, message: BrokerMessage, reason: str) -> DeadMessage:
    digest = hashlib.sha256(
        b"\0".join([source.name.encode(), message.topic.encode(), message.payload])
    ).hexdigest()[:32]
    return DeadMessage(
        digest, source.name, message.topic, message.payload, reason[:500], message.received_at
    )


def topic_reader(source: StreamedSource) -> Callable[[BrokerMessage], list[Record]]:
    """Return the function that makes rows of a message. The function raises ValueError with the
    reason for a message that it cannot read."""
    if not isinstance(source, MessageSource):
        return lambda message: _rows(_read_payload(message), {})
    pattern = source.form.pattern(source.plain_topic)
    of_asset = source.levels_of_asset
    of_variable = source.levels_of_variable
    is_value = source.payload == "value"
    is_named = source.value is not None and source.variable is None

    def read(message: BrokerMessage) -> list[Record]:
        matched = pattern.fullmatch(message.topic)
        if matched is None and message.fault is None:
            raise ValueError(f"topic {shown(message.topic)} is not that of the source")
        payload = _read_payload(message)
        named = matched.groupdict() if matched else {}
        below = (named.get("BELOW") or "").replace(source.form.separator, "/")
        title = "/".join(named.get(word, "") for word in of_variable) + below
        beside: dict[str, Any] = {}
        if of_asset:
            beside[source.asset_column] = "/".join(named.get(word, "") for word in of_asset)
        if source.stamp == "receipt":
            beside[source.time] = message.received_at
        if is_value:
            return [{**beside, VALUES: {title: payload}}]
        return _rows(payload, {**beside, TOPIC_VARIABLE: title} if is_named else beside)

    return read


def _rows(payload: Any, beside: Record) -> list[Record]:
    """Return the rows of a payload, each with the fields that its topic and receipt state."""
    rows = [payload] if isinstance(payload, Mapping) else payload
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError("is neither a row nor a list of rows")
    return [{**row, **beside} for row in rows]


def _read_payload(message: BrokerMessage) -> Any:
    """Return the JSON value of a message; a text that is no JSON is returned as it is.

    Raises ValueError with the fault of the message, if it has one, or if it is not UTF-8, nests too
    deeply, or has an object in which a name occurs twice.
    """
    if message.fault is not None:
        raise ValueError(message.fault)
    try:
        return parse_json(message.payload)
    except RecursionError:
        raise ValueError("nests too deeply") from None
    except RepeatedName:
        raise
    except ValueError:
        return message.payload.decode("utf-8")


def subscription(source: MessageSource) -> str:
    """Return the topic to subscribe, with the wildcard of one level for each named level."""
    return source.form.subscription(source.topic)


def earlier_subscriptions(sources: DocumentStore, source: StreamedSource) -> list[str]:
    """Return the topics that earlier revisions of a source subscribed: the broker keeps them until
    they are unsubscribed."""
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
    remove those that are stored. Raises UserError if the source has no dead messages."""
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
    after = {"dead": tried - stored, "stored": stored}
    plant.audit.add(actor, "dead messages tried again", name, now, {"dead": tried}, after)
    return StreamCount(tried, stored, tried - stored)


@dataclass(frozen=True)
class Look:
    """Copies of messages; the broker keeps all originals for the stream service. `notes`: how many
    came, or why none did."""

    messages: Sequence[BrokerMessage]
    notes: Sequence[str] = ()


def try_messages(
    plant: SourcePorts, source: StreamedSource, look: Look, now: datetime | None = None
) -> SourceTrial:
    """Return the first rows of messages as they would be stored, and the first refused ones, by the
    number of their message. `now`: the notes name readings after it."""
    fitted, unreadable, refused = _fit(plant, source, look.messages)
    reasons = sorted({**unreadable, **refused}.items())
    rows = [*describe_rows(fitted.readings), *describe_rows(fitted.events)]
    return SourceTrial(
        source.name,
        len(look.messages),
        rows[:SHOWN],
        [RefusedRow(position + 1, reason) for position, reason in reasons[:SHOWN]],
        [*look.notes, *doubtful_notes(fitted.readings, now)],
    )


MOST_ROWS = 100_000
LONGEST_LINE = 1 << 20
"""Characters of a line of NDJSON."""


_decode = msgspec.json.Decoder().decode
# the end of a name; within a text it stands only behind an escaped quotation mark
_LONE_NAME = re.compile(r'"\s*:')
_BLANKS = ('" ', '"\n', '"\t', '"\r')  # what can stand between a name and its colon
# every number that is smaller than a float can be, and some others
_TINY = re.compile(r"[eE]-\d{3}|0{200}")


class Repeated(dict[str, Any]):
    """An object in which a name occurs twice: readers differ in the value that they take. `name`:
    the first such name."""

    name = ""


class RepeatedName(ValueError):
    """Refusal of JSON with an object in which a name occurs twice. `value`: of the JSON."""

    def __init__(self, why: str, value: Any) -> None:
        super().__init__(why)
        self.value = value


class TooDeep(UserError):
    """Refusal of JSON that nests too deeply."""


@dataclass(frozen=True)
class JsonRows:
    """Rows by the number of their line, and why other lines cannot be read."""

    rows: Mapping[int, Record]
    unreadable: Mapping[int, str] = field(default_factory=dict)


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, as the standard library reads it, but in a quarter of the
    time.

    What msgspec refuses, such as NaN and halves of surrogate pairs, the standard library decides.
    Bytes are UTF-8. A number too small for a float is a Decimal. Raises ValueError for text that is
    no JSON, or has an object in which a name occurs twice, and RecursionError if it nests too
    deeply.
    """
    try:
        value = _decode(text)
        plain = text if isinstance(text, str) else text.decode("utf-8")
        if _count_names(value) == _count_written_names(plain) and not _has_tiny_number(plain):
            return value
    except (ValueError, RecursionError, msgspec.DecodeError):
        plain = text if isinstance(text, str) else text.decode("utf-8")
    value = json.loads(plain, object_pairs_hook=_object, parse_float=_number)
    if (why := repeated_name(value)) is not None:
        raise RepeatedName(why, value)
    return value


def repeated_name(value: Any) -> str | None:
    """Return why an object within a parsed value is refused; None if in each every name occurs
    once."""
    if isinstance(value, Repeated):
        return f"{shown(value.name)} occurs twice in one object"
    items = value.values() if isinstance(value, dict) else value
    parts = items if isinstance(value, dict | list) else ()
    return next((why for part in parts if (why := repeated_name(part)) is not None), None)


def _count_names(value: Any) -> int:
    kind = type(value)
    if kind is dict:
        count = len(value)
        items = value.values()
    else:
        count = 0
        items = value if kind is list else ()
    for item in items:
        if type(item) is dict or type(item) is list:
            count += _count_names(item)
    return count


def _count_written_names(text: str) -> int:
    """Return how many names a JSON text writes, or a larger number where a text within it looks
    like one."""
    return (
        sum(1 for _ in _LONE_NAME.finditer(text))
        if any(blank in text for blank in _BLANKS)
        else text.count('":')
    )


def _has_tiny_number(text: str) -> bool:
    return ("e-" in text or "E-" in text or "0" * 200 in text) and _TINY.search(text) is not None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    repeated = Repeated(values)
    counts = Counter(name for name, _ in pairs)
    repeated.name = next(name for name, count in counts.items() if count > 1)
    return repeated


def _number(text: str) -> float | Decimal:
    number = float(text)
    return number if number or not Decimal(text) else Decimal(text)


def read_json(text: str) -> JsonRows:
    """Return the row or the rows of a JSON text. Raises UserError if it is not JSON, or holds
    anything but rows."""
    is_repeated = False
    try:
        value = parse_json(text)
    except RecursionError:
        raise TooDeep("the rows nest too deeply") from None
    except RepeatedName as fault:
        value = fault.value
        is_repeated = True
    except ValueError as fault:
        raise UserError(
            f"the body is not JSON: {fault}; NDJSON, one row per line, has the type "
            "application/x-ndjson"
        ) from None
    rows = [value] if isinstance(value, Mapping) else value
    if not isinstance(rows, list):
        raise UserError(
            'the body is neither a row nor a list of rows: [{"ts": …, "asset": …, "values": {…}}]'
        )
    _refuse_many(len(rows))
    for line, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise UserError(f"row {line} is not an object: {shown(row)}")
    lines = dict(enumerate(rows, 1))
    unreadable = {
        line: why
        for line, row in lines.items()
        if is_repeated and (why := repeated_name(row)) is not None
    }
    return JsonRows({n: row for n, row in lines.items() if n not in unreadable}, unreadable)


def read_lines(text: str) -> JsonRows:
    """Return the rows of an NDJSON text; empty lines are left out. Raises UserError if there are
    too many."""
    _refuse_many(text.count("\n"))
    rows: dict[int, Record] = {}
    unreadable: dict[int, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _read_line(line)
            if isinstance(row, Mapping):
                rows[number] = row
            else:
                unreadable[number] = row if isinstance(row, str) else "is not an object"
    return JsonRows(rows, unreadable)


def _read_line(line: str) -> Any:
    """Return the row of a line, or else a text that says why the line cannot be read."""
    if len(line) > LONGEST_LINE:
        return f"has {len(line)} characters; at most {LONGEST_LINE} are allowed"
    try:
        row = parse_json(line)
    except RepeatedName as fault:
        return str(fault)
    except (ValueError, RecursionError) as fault:
        return f"is not JSON: {fault}"
    return row if isinstance(row, Mapping) else None


def _refuse_many(rows: int) -> None:
    if rows > MOST_ROWS:
        raise UserError(f"the body holds {rows} rows; send at most {MOST_ROWS} at once")
