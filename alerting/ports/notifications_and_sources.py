"""Ports for deliveries. Notifications: messages, channels and feedback links. Sources: how far they
have delivered, readers of polled sources, imports of files. Sinks: the changes after a position,
how far each sink has delivered, and the receivers."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from alerting.definitions.fields.shared_fields import Severity
from alerting.definitions.routes_and_sinks import SinkContent
from alerting.definitions.sources import SqlSource
from alerting.definitions.wording.language import LanguageCode
from alerting.episodes.episode import Episode
from alerting.notifications.notification import Grant, Notification
from alerting.ports.evaluation import Score, Unit
from alerting.ports.plant import Document

Change = tuple[Notification | None, Notification]
"""A notification as it was read, and as it is to be stored."""


@dataclass(frozen=True)
class MessageLink:
    """Label and address of a link. The address itself grants the permission, so it must not be
    logged."""

    label: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Picture:
    """A PNG, and its description for people who cannot see it."""

    png: bytes = field(repr=False)
    description: str


@dataclass(frozen=True)
class Message:
    """A message that a channel delivers. `draw` makes the chart of a message that has one, for
    channels that show charts."""

    key: str
    subject: str
    text: str
    payload: Document
    links: tuple[MessageLink, ...] = ()
    draw: Callable[[], Picture | None] | None = field(default=None, compare=False)
    language: LanguageCode = "en"


class DeliveryFailed(Exception):
    """Error: a delivery did not succeed. `permanent`: another attempt is useless. `status`: of the
    answer of a web server; None if it gave none."""

    def __init__(self, reason: str, permanent: bool = False, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.status = status


class Channel(Protocol):
    """A way to deliver messages to people or systems."""

    name: str

    def deliver(self, message: Message) -> None:
        """Deliver a message. Raises DeliveryFailed if it is not delivered."""


class Links(Protocol):
    """Feedback links of messages, made and read."""

    def answer_links(
        self, episode: str, recipient: str, acknowledge: bool = False
    ) -> tuple[MessageLink, ...]:
        """Return one link for each answer that this recipient can give to this episode, and one
        link to the episode's page.

        `acknowledge`: also return a link that acknowledges the episode.
        """

    def page(self, path: str, label: str) -> MessageLink:
        """Return a link to a page of the console, which grants nothing: `path` begins with a
        slash."""

    def read(self, token: str) -> Grant:
        """Return the grant of a link. Raises LinkRefused if this installation did not make it, or
        it has expired."""


class Notifications(Protocol):
    """Notifications of episodes, mutes, summaries and the platform, one document each, as they are
    made and changed; `MongoNotifications` delivers them, too."""

    def add(self, notifications: Sequence[Notification], unit: Unit | None = None) -> int:
        """Store the notifications whose key is new, and return how many they are. Stored ones stay
        as they are. Idempotent."""

    def change(self, changes: Sequence[Change], unit: Unit | None = None) -> int:
        """Store the second notification of each pair if the first one is still stored unchanged.
        Return how many were stored.

        If the first one is None, the second is stored anyway. In a unit of work it raises Conflict
        unless all were stored.
        """

    def of_episodes(self, episodes: Collection[str]) -> dict[str, tuple[Notification, ...]]:
        """Return the notifications of each of these episodes, oldest first; empty for an episode
        without any."""

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        """Return notifications of raises on this asset made after this instant."""


PollReader = Literal["service", "scheduler", "command"]
"""Readers of a polled source: the stream service, a task of Airflow, `alerting read`."""

MOST_IN_FUTURE = timedelta(days=1)
"""How far ahead of the platform's clock the newest stamp of a source may lie, as in a wrong zone; a
later one is a wrong date."""


@dataclass(frozen=True)
class DeliveryCount:
    """One delivery of a source: when its rows were stored, and how many changed anything."""

    at: datetime
    rows: int


@dataclass(frozen=True)
class SourceProgress:
    """The deliveries of a source so far.

    `cursor`: how far a polled source is read; `cursor_of`: hash of the fields to which the cursor
    belongs. `rows`: number of stored rows that changed anything; `refused`: number of rows that
    could not be stored. `arrived_at`: when the last of `rows` came; `newest`: the latest stamp;
    `last`: the last row. `fault`: why the last attempt to read the source failed; None if it
    succeeded. `recent`: the last deliveries, oldest first. `last_refused`: the reason of the last
    refused row or file, kept after later successes. `lost`: number of values that were lost for
    ever, as far as they could be counted; `last_lost`: how the last of them were lost, at
    `lost_at`. `read_until`: up to when a process has read a source that sends each value once; for
    a broker, by the document that was in force at that instant. `polled_at`: when a polled source
    was last read, with or without a new row; `polled_by`: by which process.
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
    """Assets and variables (event types included) that the rows of a source have declared so far.

    `surplus`: why the last row or file that declared too much was refused, at `surplus_at`.
    """

    declared_assets: int = 0
    declared_variables: int = 0
    surplus: str | None = None
    surplus_at: datetime | None = None


@dataclass(frozen=True)
class Delivered:
    """One delivery to count: the rows that changed anything, and the refused ones; `newest` and
    `last`: latest stamp and last row of the stored rows.

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
    """Values of a source that are lost for ever, and how. `count`: the least number of them, 0 if
    they cannot be counted."""

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
class StoredForm:
    """A form of files, and what was stated of them: the texts of each option, by the name of its
    field. `id`: hash of the form; `file`: name of the last file; `at`: its import."""

    id: str
    file: str
    at: datetime
    stated: Mapping[str, tuple[str, ...]]


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


@dataclass(frozen=True)
class SinkMessage:
    """One change of an alarm, or one value, that goes out. `key`: never changes, so that a receiver
    can drop a repeated message. `at`: instant of the change, or of the value."""

    key: str
    sends: SinkContent
    definition: str
    asset: str
    at: datetime
    content: Document
    severity: Severity | None = None


@dataclass(frozen=True)
class SinkLetter:
    """A message that its receiver refused for ever, with the reason. `again`: a person asked for
    another attempt."""

    id: str
    sink: str
    message: SinkMessage
    reason: str
    at: datetime
    again: bool = False


@dataclass(frozen=True)
class SinkProgress:
    """How far a sink has delivered.

    `position`: position of its last delivered change in the order of all changes of the database;
    None before the first read. `until`: instant up to which everything has gone out, at first the
    instant at which the sink was accepted. `sent`: number of messages so far; `left_out`: number of
    values that waited too long. `sent_at`: when the receiver accepted the last message. `fault`:
    why nothing goes out now, since `fault_at`. `selected`: the sink's selection when all open
    alarms last went out together; None before.
    """

    position: str | None = None
    until: datetime | None = None
    sent: int = 0
    left_out: int = 0
    sent_at: datetime | None = None
    fault: str | None = None
    fault_at: datetime | None = None
    selected: str | None = None


@dataclass(frozen=True)
class SinkStep:
    """The deliveries up to a position. `alarms`: by episode, the number of transitions that have
    gone out. `selected`: the sink's selection, for a step with all open alarms."""

    position: str
    until: datetime
    sent: int
    left_out: int
    at: datetime
    alarms: Mapping[str, int]
    letters: Sequence[SinkLetter] = ()
    selected: str | None = None


@dataclass(frozen=True)
class TargetScore:
    """The score of one definition on one asset at one instant."""

    definition: str
    asset: str
    score: Score


@dataclass(frozen=True)
class StoredReading:
    """The values of one asset at one instant as they are stored, None for a bad one, which last
    changed at `arrived_at`."""

    asset: str
    ts: datetime
    values: Mapping[str, float | str | bool | None]
    arrived_at: datetime


SinkChanged = Episode | TargetScore | StoredReading


@dataclass(frozen=True)
class SinkChange:
    """A change that may go out: an episode, a score or a reading as it was stored. `position`: of
    the change in the order of all changes; `at`: when it was committed, by the clock of the
    database."""

    position: str
    at: datetime
    changed: SinkChanged


@dataclass(frozen=True)
class SinkChanges:
    """Changes in their order, and the position of a reader after them. `read_at`: when they were
    read, by the clock of the database. `is_all`: no further change was committed by then."""

    changes: Sequence[SinkChange]
    position: str
    read_at: datetime
    is_all: bool


class PositionLost(Exception):
    """Error: the database no longer has the changes after a position."""


Verdict = Literal["accepted", "refused", "failed"]


@dataclass(frozen=True)
class Answer:
    """The answer of a receiver to a message: accepted; refused for ever; or failed, so that another
    attempt may succeed."""

    verdict: Verdict
    reason: str = ""


ACCEPTED = Answer("accepted")


class ReceiverAway(Exception):
    """Error: the receiver cannot be reached now; messages sent before may or may not have
    arrived."""


class SinkClient(Protocol):
    """A connection to the receiver of a sink, used by one thread."""

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        """Yield an answer for each message, in their order. Raises ReceiverAway."""

    def keep_alive(self) -> None:
        """Keep the connection while nothing is sent, every few seconds. Raises ReceiverAway."""

    def probe(self, message: SinkMessage) -> str:
        """Send a message for a test, or look without changing anything. Return what was done, for
        people. Raises ReceiverAway, UserError."""

    def close(self) -> None:
        """Disconnect."""
