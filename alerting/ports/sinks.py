"""Ports for sinks: what is committed after a position, how far each has delivered, and the
receivers."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from alerting.definitions.fields.common import Severity
from alerting.definitions.sinks.fields import SinkContent
from alerting.episodes.episode import Episode
from alerting.ports.definitions import Document
from alerting.ports.evaluation import Score


@dataclass(frozen=True)
class SinkMessage:
    """One change of an alarm, or one value, that goes out. `key`: never changes, so that a receiver
    can drop a repeated message. `at`: when it happened, or the instant of the value."""

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

    `position`: where it stands in the order of all changes of the database; None of a sink that
    nobody has read yet. `until`: instant up to which everything has gone out, at first that at
    which it was accepted. `sent`, `left_out`: messages so far, and values that waited too long.
    `sent_at`: of the last one that was accepted. `fault`: why nothing goes out now, since
    `fault_at`. `selected`: what it selected when the open alarms went out as a whole; None before.
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
    """What was delivered up to a position. `alarms`: the number of transitions that are out, by
    episode. `selected`: what the sink selects, of a step with all open alarms."""

    position: str
    until: datetime
    sent: int
    left_out: int
    at: datetime
    alarms: Mapping[str, int]
    letters: Sequence[SinkLetter] = ()
    selected: str | None = None


class SinkDeliveries(Protocol):
    """How far each sink has delivered, and its dead letters."""

    def progress(self, name: str) -> SinkProgress:
        """Return how far a sink has delivered."""

    def begin(self, name: str, position: str | None, at: datetime) -> None:
        """Store where a new sink begins; change nothing of one that has begun."""

    def sent_alarms(self, name: str, episodes: Collection[str]) -> Mapping[str, int]:
        """Return the number of transitions that a sink has delivered, by episode."""

    def advance(self, name: str, before: str | None, step: SinkStep) -> bool:
        """Store what was delivered, and forget the fault, if the sink still stands at `before`.
        Return whether it did: else another process delivers it."""

    def set_fault(self, name: str, fault: str, at: datetime) -> None:
        """Store why nothing goes out; `at` stays that of an earlier fault."""

    def letters(self, name: str, limit: int, *, again: bool = False) -> list[SinkLetter]:
        """Return dead letters of a sink, oldest first; with `again` those to be sent once more."""

    def count_letters(self, name: str) -> int:
        """Return the number of dead letters of a sink."""

    def replace_letter(self, letter: SinkLetter) -> None:
        """Store a dead letter in place of the one with its id."""

    def remove_letters(self, ids: Collection[str]) -> None:
        """Remove dead letters."""

    def retry_letters(self, name: str) -> int:
        """Mark all dead letters of a sink to be sent once more. Return how many there are."""


@dataclass(frozen=True)
class TargetScore:
    """The score of one definition on one asset at one instant."""

    definition: str
    asset: str
    score: Score


@dataclass(frozen=True)
class SinkChange:
    """An episode as it was stored, or a score. `position`: of the change in the order of all;
    `at`: when it was committed, by the clock of the database."""

    position: str
    at: datetime
    changed: Episode | TargetScore


@dataclass(frozen=True)
class SinkChanges:
    """Changes in their order, and where a reader stands after them. `read_at`: when they were read,
    by the clock of the database. `is_all`: nothing more was committed by then."""

    changes: Sequence[SinkChange]
    position: str
    read_at: datetime
    is_all: bool


class PositionLost(Exception):
    """Error: the database no longer has the changes after a position."""


class SinkReader(Protocol):
    """The changes after a position."""

    def next(self, most: int) -> SinkChanges:
        """Return the next changes; none after a short wait."""


class SinkFeed(Protocol):
    """The changes of alarms and scores as they are committed."""

    def read(
        self, position: str | None, *, alarms: bool, values: bool
    ) -> AbstractContextManager[SinkReader]:
        """Yield a reader of what is committed after a position, or from now on.

        Raises PositionLost, and NoChangeFeed where the database gives no changes.
        """

    def missed(
        self, since: datetime | None, *, alarms: bool, values_since: datetime | None, most: int
    ) -> Iterator[Episode | TargetScore]:
        """Yield what may have been committed since an instant: first the newest `most` scores, the
        oldest of them first, then every episode that was open then or later (None: is open)."""


Verdict = Literal["accepted", "refused", "failed"]


@dataclass(frozen=True)
class Answer:
    """What a receiver did with a message: accepted; refused for ever; or failed, so that another
    attempt may succeed."""

    verdict: Verdict
    reason: str = ""


ACCEPTED = Answer("accepted")


class ReceiverAway(Exception):
    """Error: the receiver cannot be reached now; what it was sent may have arrived or not."""


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
