"""Ports for late data: arrival records, reprocessing requests, and checkpoints from which
reprocessing begins."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import TargetKey
from alerting.ports.unit_of_work import Unit


@dataclass(frozen=True)
class LatePart:
    """Changed rows of one asset: their first and last instant, and their variables or event
    types."""

    asset: str
    first: datetime
    last: datetime
    rows: int
    variables: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """Arrival record: late rows of one write.

    `written` False: the writer is still writing, or was killed. `routed_at`: when every affected
    target got its reprocessing request; `too_late`: number of rows older than the allowed lateness
    of all targets that read them.
    """

    id: str
    arrived_at: datetime
    written: bool
    parts: tuple[LatePart, ...]
    routed_at: datetime | None = None
    too_late: int = 0

    @property
    def rows(self) -> int:
        """Return the number of late rows."""
        return sum(p.rows for p in self.parts)


@dataclass(frozen=True)
class ReprocessingRequest:
    """Reprocessing request: evaluate a target again from `start`.

    `stored`: where it is stored, once for each time that it was requested.
    """

    definition: str
    asset: str
    start: datetime
    stored: tuple[Any, ...] = field(default=(), compare=False)


class Unfinished(NamedTuple):
    """Waiting late data: arrivals to be routed, and requests to reprocess their targets."""

    arrivals: list[Arrival]
    has_requests: bool


class Arrivals(Protocol):
    """Arrival records and reprocessing requests."""

    def store_arrival(self, arrival: Arrival) -> None:
        """Store a record that waits to be routed, in place of an earlier one with its id."""

    def remove(self, id: str) -> None:
        """Remove a record."""

    def evaluated_until(self) -> datetime | None:
        """Return the latest instant up to which any evaluation has begun to read; None before the
        first evaluation."""

    def has_evaluated(self) -> bool:
        """Return whether an evaluation has ever begun to read. Once so, it stays so, and need not
        be asked again."""

    def extend_evaluated_until(self, up_to: datetime) -> None:
        """Record the instant up to which an evaluation is about to read: rows written from now on
        at or before it are late."""

    def unfinished(self) -> Unfinished:
        """Return arrivals that are not routed yet, oldest first, and whether there is a
        reprocessing request."""

    def mark_routed(self, routed: Sequence[tuple[Arrival, int]], at: datetime) -> None:
        """Record that these arrivals are routed, each with its `too_late`; one that its writer
        finishes later is routed again."""

    def arrived_since(self, arrived_from: datetime) -> list[Arrival]:
        """Return arrivals from this instant on, oldest first."""

    def request_reprocessing(
        self,
        shards: Iterable[Mapping[TargetKey, datetime]],
        instead_of: Sequence[ReprocessingRequest] = (),
    ) -> None:
        """Request that targets are evaluated again from these instants, then remove the requests
        `instead_of`, which these replace; other earlier ones stay in force.

        `shards`: targets whose requests are removed together are stored together.
        """

    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:
        """Return the reprocessing request of each target of these definitions, from the earliest
        instant that was requested."""

    def remove_requests(self, requests: Sequence[ReprocessingRequest], unit: Unit) -> None:
        """Remove these requests in a unit of work. What was requested since they were read
        stays."""


@dataclass(frozen=True)
class Checkpoint:
    """A past condition state. `needed_from`: no reprocessing begins before this instant."""

    definition: str
    asset: str
    state: ConditionState
    needed_from: datetime


class Checkpoints(Protocol):
    """Past condition states from which reprocessing begins."""

    def write(
        self, refuted: Mapping[TargetKey, datetime], checkpoints: Sequence[Checkpoint], unit: Unit
    ) -> None:
        """Drop and store states in a unit of work.

        Of each `refuted` target, those with a watermark at or after its instant are dropped first.
        The others are stored under their watermarks, and those of the same targets are dropped from
        which no reprocessing can begin any more.
        """

    def states_before(
        self, instants: Mapping[TargetKey, datetime]
    ) -> dict[TargetKey, ConditionState]:
        """Return for each target the latest state with a watermark before its instant; a target
        without one is absent."""

    def state_after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:
        """Return the earliest state with a watermark at or after the instant."""
