"""Ports for sinks: what is committed after a position, how far each has delivered, and the
receivers."""

from collections.abc import Iterator, Mapping, Sequence
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
