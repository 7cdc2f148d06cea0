"""The input of the report on the whole plant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerting.alarm_kpis.groups import Group
from alerting.alarm_kpis.intervals import Interval
from alerting.alarm_kpis.metrics import Kpis
from alerting.operators.shelves import Shelf
from alerting.reporting.plant.summary import DefinitionSummary


@dataclass(frozen=True)
class FaultSeen:
    """A fault of a source or of the platform that was open in the period. `resolved_at`: None while
    it is open."""

    kind: str
    subject: str
    reason: str
    opened_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True)
class ChangeMade:
    """Something that a person or the platform changed: the actor, what, on which document, and
    why."""

    at: datetime
    actor: str
    what: str
    subject: str
    why: str


@dataclass(frozen=True)
class PlantMaterial:
    """The input of the plant's report on [start, end).

    `summaries`: of the reports of all definitions on this period; `previous`: of those on the
    period before, empty if there are none. `kpis`: alarm metrics of all assets, with their targets;
    `previous_kpis`: of the period before, None without; `positions`: of each operator position.
    `muted`: shelves in force at `as_of`. `changes`: oldest first. `late`: sorted times in which
    evaluations of any cadence came late.
    """

    start: datetime
    end: datetime
    as_of: datetime
    summaries: Sequence[DefinitionSummary]
    kpis: Kpis
    previous: Sequence[DefinitionSummary] = ()
    previous_kpis: Kpis | None = None
    positions: Sequence[Group] = ()
    muted: Sequence[Shelf] = ()
    faults: Sequence[FaultSeen] = ()
    changes: Sequence[ChangeMade] = ()
    late: Sequence[Interval] = ()
