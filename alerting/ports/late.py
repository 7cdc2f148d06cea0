"""Ports for what comes late: which readings came behind the evaluation, who has to judge again, and from where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import Pair


@dataclass(frozen=True)
class LatePart:
    """Rows of one asset that changed something: their first and last instant, and the variables or event types touched."""

    asset: str
    first: datetime
    last: datetime
    rows: int
    variables: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """Rows behind the evaluation, written at once.

    `written` False: their writer is at work, or was killed. `seen_at`: when evaluation first saw it so. `routed_at`: when every
    pair that has to judge again was told so; `too_late` rows were older than the allowed lateness of all who read them.
    """

    id: str
    arrived_at: datetime
    written: bool
    parts: tuple[LatePart, ...]
    seen_at: datetime | None = None
    routed_at: datetime | None = None
    too_late: int = 0

    @property
    def rows(self) -> int:
        """How many rows came late."""
        return sum(p.rows for p in self.parts)


@dataclass(frozen=True)
class ReprocessingRequest:
    """A definition on an asset has to judge again what is not before `start`.

    `token` changes with every delivery of late data; None: there are none. `pledges`: of evaluators that are keeping episodes
    of the pair, or were killed at it.
    """

    definition: str
    asset: str
    start: datetime
    token: str | None = None
    pledges: tuple[str, ...] = ()


class Arrivals(Protocol):
    """The journal of what came behind the evaluation. Whoever stores readings keeps it: before the rows, and after them."""

    def reach(self) -> datetime | None:
        """The latest instant up to which anything was ever evaluated, None before the first evaluation."""
        ...

    def extend_reach(self, up_to: datetime) -> None:
        """Say up to where evaluation is about to judge, before it reads: rows written from now on at or before it are late."""
        ...

    def waiting(self) -> list[Arrival]:
        """Arrivals that are not routed yet, oldest first."""
        ...

    def mark_seen(self, arrival: Arrival, at: datetime) -> None:
        """Note when one that is not written yet was first seen."""
        ...

    def mark_routed(self, routed: Sequence[tuple[Arrival, int]], at: datetime) -> None:
        """Nothing is to be done about these any more, unless a writer is still at work and finishes; each with its `too_late`."""
        ...

    def of(self, arrived_at: datetime) -> list[Arrival]:
        """Arrivals of this instant, oldest first."""
        ...

    def since(self, arrived_from: datetime) -> list[Arrival]:
        """Arrivals from this instant on, oldest first."""
        ...

    def forget(self, before: datetime) -> int:
        """Take arrivals before an instant out of the journal, save for those that are not routed yet. Returns how many."""
        ...

    def owe(self, starts: Mapping[Pair, datetime]) -> None:
        """These pairs have to judge again, not before these instants. What they owe already stays owed."""
        ...

    def debts(self, definitions: Sequence[str]) -> dict[Pair, ReprocessingRequest]:
        """What these definitions owe."""
        ...

    def pledge(self, starts: Mapping[Pair, datetime], as_of: datetime) -> str:
        """An evaluator up to `as_of` says, before it keeps episodes, which pairs have to judge again if it does not finish.

        Returns the pledge, to be paid once their watermarks have moved.
        """
        ...

    def paid(self, debts: Sequence[ReprocessingRequest]) -> None:
        """Forget debts with these tokens and pledges, save for what was added meanwhile."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """A state of the past. `needed_from`: no judging again begins before this."""

    definition: str
    asset: str
    state: ConditionState
    needed_from: datetime


class Checkpoints(Protocol):
    """States of the past, from which judging again begins."""

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Keep states under their watermarks, and drop those of the same pairs that nothing would begin with any more."""
        ...

    def before(self, instants: Mapping[Pair, datetime]) -> dict[Pair, ConditionState]:
        """For each pair the latest state with a watermark before its instant; a pair without one is absent."""
        ...

    def after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:
        """The earliest state with a watermark at or after the instant."""
        ...

    def drop(self, starts: Mapping[Pair, datetime]) -> None:
        """Drop those of each pair with a watermark at or after an instant: late data have made them wrong."""
        ...
