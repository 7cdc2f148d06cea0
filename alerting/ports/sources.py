"""Ports for sources: how far they have delivered, readers of polled ones; and for imports of
files."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from alerting.definitions.sources.source import SqlSource
from alerting.ports.definitions import Document

POLL_ABANDONED = timedelta(seconds=15)
"""Time without a renewal after which the claim of a reader ends: its process was killed."""
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


class SourceDeliveries(Protocol):
    """Deliveries and declarations of sources, and how far each source is read."""

    def progress(self, name: str) -> SourceProgress:
        """Return how far a source has delivered."""

    def record(self, name: str, delivered: Delivered) -> None:
        """Count a delivery, and forget the fault of the last attempt."""

    def record_loss(self, name: str, loss: SourceLoss, at: datetime) -> None:
        """Count values that are lost for ever, and store how they were lost."""

    def declarations(self) -> Mapping[str, Declarations]:
        """Return what each source has declared, of those whose rows have declared anything, or too
        much, by name.

        A sender of rows without a source is among them, under a name with a blank: `sender NAME`.
        """

    def count_declared(self, name: str, assets: int, variables: int) -> None:
        """Count what rows of a source have declared."""

    def note_surplus(self, name: str, why: str, at: datetime) -> None:
        """Store why a row or file that declared too much was refused."""

    def note_read(self, name: str, at: datetime) -> None:
        """Store that a process has read a source up to an instant."""

    def claim_poll(self, name: str, token: str) -> bool:
        """Claim a polled source for one reader, known by its token, or renew its claim. Return
        False while another reader has it, unless that renewed nothing for POLL_ABANDONED.

        By the clock of the database, so that those of several machines need not agree.
        """

    def end_poll(self, name: str, token: str, by: PollReader, at: datetime) -> None:
        """End the claim of a reader, and store when and by whom the source was read. Nothing if
        another reader has claimed it since."""

    def set_cursor(self, name: str, cursor: str, of: str) -> None:
        """Store how far a polled source is read. `of`: hash of what the cursor belongs to."""

    def set_fault(self, name: str, fault: str | None) -> None:
        """Store why the last attempt to read a source failed; None once it is over."""

    def file_marks(self, name: str, paths: Sequence[str]) -> list[FileMark]:
        """Return the marks of files of a source with one of these paths."""

    def mark_file(self, mark: FileMark) -> None:
        """Store that a file was read, in place of an earlier mark of the same path, size and
        content."""

    def forget_files(self, name: str, before: datetime, there: Collection[str]) -> int:
        """Remove the marks of a source from before an instant, except of paths that are still
        there. Return how many."""

    def answer(self, key: str) -> Document | None:
        """Return the stored answer to a delivery with this key; None without one of the last
        day."""

    def keep_answer(self, key: str, answer: Document) -> None:
        """Store the answer to a delivery for a day, unless there is one."""


class DeadMessages(Protocol):
    """Messages of brokers that could not be stored as rows."""

    def add_dead(self, messages: Sequence[DeadMessage]) -> None:
        """Store messages that could not be stored as rows, each once by its id."""

    def dead(
        self, name: str | None, limit: int, after: DeadMessage | None = None
    ) -> list[DeadMessage]:
        """Return such messages of a source, or of all, oldest first; with `after`, those that
        follow it."""

    def dead_bytes(self, name: str) -> int:
        """Return how many bytes the payloads of the dead messages of a source have together."""

    def count_dead(self, name: str) -> int:
        """Return the number of such messages of a source."""

    def remove_dead(self, ids: Sequence[str]) -> None:
        """Remove messages."""


@dataclass(frozen=True)
class StreamProcess:
    """A process of the stream service, with the sources that it alone reads."""

    name: str
    reads: Sequence[str]
    seen_at: datetime


class StreamProcesses(Protocol):
    """Processes of the stream service that work now."""

    def note_process(
        self, process: str, reads: Collection[str] = ()
    ) -> Mapping[str, Collection[str]]:
        """Note that a process of the stream service works now, and which sources it alone reads.
        Return the same of all that noted it within PROCESS_GONE, itself included, by name.

        By the clock of the database, so that those of several machines need not agree.
        """

    def forget_process(self, process: str) -> None:
        """Remove a process that ends."""

    def processes(self) -> list[StreamProcess]:
        """Return the processes that noted within a day that they work, and have not ended in good
        order, by name."""

    def has_processes(self) -> bool:
        """Return whether a process of the stream service has noted that it works or waits for a
        source, and has not ended in good order; for a day."""


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
