"""Ports for sources: how far they have delivered, readers of polled ones; and for imports of
files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from alerting.definitions.sources.source import SqlSource

PollReader = Literal["service", "scheduler", "command"]
"""Readers of a polled source: the stream service, a task of Airflow, `alerting read`."""

MOST_IN_FUTURE = timedelta(days=1)
"""How far ahead of the platform's clock the newest stamp of a source may lie, as in a wrong zone; a
later one is a wrong date."""


@dataclass(frozen=True)
class DeliveryCount:
    """When rows of a source were stored, and how many changed anything."""

    at: datetime
    rows: int


@dataclass(frozen=True)
class SourceProgress:
    """SourceDeliveries of a source so far.

    `cursor`: how far a polled source is read; `cursor_of`: hash of what it belongs to. `rows`:
    stored ones that changed anything; `refused`: those that could not be stored. `arrived_at`: when
    the last of `rows` came; `newest`: the latest stamp; `last`: the last row. `fault`: why the last
    attempt to read it failed; None after one that succeeded. `recent`: the last deliveries, oldest
    first. `last_refused`: the reason of the last refused row or file, which stays. `lost`: values
    that were lost for ever, where they could be counted; `last_lost`: how the last were lost, at
    `lost_at`. `read_until`: up to when a process has read it, of a source that sends a value once;
    of a broker, with the document of that instant. `polled_at`: when a polled source was read last,
    with or without a new row; `polled_by`: by whom.
    """

    cursor: str | None = None
    cursor_of: str | None = None
    rows: int = 0
    refused: int = 0
    arrived_at: datetime | None = None
    newest: datetime | None = None
    last: Mapping[str, Any] | None = None
    fault: str | None = None
    last_refused: str | None = None
    lost: int = 0
    last_lost: str | None = None
    lost_at: datetime | None = None
    read_until: datetime | None = None
    recent: Sequence[DeliveryCount] = field(default_factory=tuple)
    polled_at: datetime | None = None
    polled_by: PollReader | None = None


@dataclass(frozen=True)
class Declarations:
    """Assets and variables, types of events among them, that the rows of a source have declared so
    far.

    `surplus`: why the last row or file that declared too much was refused, at `surplus_at`.
    """

    declared_assets: int = 0
    declared_variables: int = 0
    surplus: str | None = None
    surplus_at: datetime | None = None


@dataclass(frozen=True)
class Delivered:
    """One delivery to count: the rows that changed anything, and the refused ones; `newest` and
    `last` of the stored rows.

    `newest` lies at most `MOST_IN_FUTURE` after `at`, so that a row with a wrong stamp does not
    stand for all later ones.

    `why`: the reason of the last refused row or file.
    """

    at: datetime
    rows: int
    refused: int = 0
    newest: datetime | None = None
    last: Mapping[str, Any] | None = None
    why: str | None = None


@dataclass(frozen=True)
class SourceLoss:
    """Values of a source that are lost for ever, and how. `count`: at least so many, 0 where they
    cannot be counted."""

    reason: str
    count: int = 0


@dataclass(frozen=True)
class FileMark:
    """A file of a source that was read: its `rows`, of which `new` changed anything, or the `fault`
    for which it was refused.

    `modified`: ns since 1970.
    """

    source: str
    path: str
    size: int
    modified: int
    sha256: str
    at: datetime
    rows: int = 0
    new: int = 0
    fault: str | None = None


@dataclass(frozen=True)
class DeadMessage:
    """A message of a broker that could not be stored: topic, whole payload, and the reason."""

    id: str
    source: str
    topic: str
    payload: bytes
    reason: str
    at: datetime


Record = Mapping[str, Any]
"""One row of a source: values by column or field."""


@dataclass(frozen=True)
class Records:
    """Some rows of a polled source, and its cursor after them."""

    rows: Sequence[Record]
    cursor: str


class RecordReader(Protocol):
    """Reads the rows of a polled source in pieces. Raises UserError if the source cannot be reached
    or read."""

    def read(self, source: SqlSource, cursor: str | None) -> Iterator[Records]: ...
