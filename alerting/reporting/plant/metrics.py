"""Metrics of the plant's report: ranked definitions, alarm metrics, faults and changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerting.alarm_kpis.groups import Group
from alerting.alarm_kpis.intervals import Interval, length
from alerting.alarm_kpis.metrics import Kpis
from alerting.operators.shelves import Shelf
from alerting.reporting.definition.money import Amount
from alerting.reporting.plant.proposals import PlantProposal, propose
from alerting.reporting.plant.summary import DefinitionNumbers


@dataclass(frozen=True)
class FaultSeen:
    """A fault that was open in the period. `resolved_at`: None while it is open."""

    kind: str
    subject: str
    reason: str
    opened_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True)
class ChangeMade:
    """A change by a person or the platform: who, what, on which document, and why."""

    at: datetime
    actor: str
    what: str
    subject: str
    why: str


@dataclass(frozen=True)
class Ranked:
    """A definition with its proposal. `value`, `nuisance`: ranks from 1 on."""

    summary: DefinitionNumbers
    proposal: PlantProposal
    value: int
    nuisance: int


@dataclass(frozen=True)
class Totals:
    """Sums over all definitions with a report. `with_problem`: those that state a problem."""

    definitions: int
    episodes: int
    right: int
    false_alarms: int
    undetermined: int
    problems: int
    announced: int
    notified: int
    answered: int
    with_problem: int = 0


@dataclass(frozen=True)
class PlantMoney:
    """Sums of money of one currency over the `definitions` that state costs."""

    currency: str
    definitions: int
    lost: Amount
    avoided: Amount
    false_alarms: Amount
    interventions: Amount
    net: Amount


@dataclass(frozen=True)
class PlantMetrics:
    """All metrics of the plant's report. `ranked`: the most valuable definition first.

    `late_times`, `late_s`: times, and seconds together, in which the platform found evaluations
    late.
    """

    start: datetime
    end: datetime
    as_of: datetime
    ranked: tuple[Ranked, ...]
    totals: Totals
    previous: Totals | None
    money: tuple[PlantMoney, ...]
    previous_money: tuple[PlantMoney, ...]
    kpis: Kpis
    previous_kpis: Kpis | None
    positions: tuple[Group, ...]
    muted: tuple[Shelf, ...]
    faults: tuple[FaultSeen, ...]
    changes: tuple[ChangeMade, ...]
    late_times: int = 0
    late_s: float = 0.0

    @property
    def proposed(self) -> tuple[Ranked, ...]:
        """Return the definitions for which a change is proposed, the worst nuisance first."""
        return tuple(
            sorted(
                (r for r in self.ranked if r.proposal.kind not in ("keep", "wait")),
                key=lambda r: r.nuisance,
            )
        )

    @property
    def nuisances(self) -> tuple[Ranked, ...]:
        """Return the definitions with a false alarm, the worst nuisance first."""
        return tuple(
            sorted((r for r in self.ranked if r.summary.false_alarms), key=lambda r: r.nuisance)
        )


def compute_plant(
    start: datetime,
    end: datetime,
    as_of: datetime,
    summaries: Sequence[DefinitionNumbers],
    kpis: Kpis,
    previous: Sequence[DefinitionNumbers] = (),
    previous_kpis: Kpis | None = None,
    positions: Sequence[Group] = (),
    muted: Sequence[Shelf] = (),
    faults: Sequence[FaultSeen] = (),
    changes: Sequence[ChangeMade] = (),
    late: Sequence[Interval] = (),
) -> PlantMetrics:
    """Compute the metrics of the plant's report on [start, end). Pure.

    `summaries`: of the reports of all definitions on this period; `previous`: of those on the
    period before, empty if there are none. `kpis`: alarm metrics of all assets, with their targets;
    `previous_kpis`: of the period before, None without; `positions`: of each operator position.
    `muted`: shelves in force at `as_of`. `changes`: oldest first. `late`: sorted times in which
    evaluations of any cadence came late.
    """
    return PlantMetrics(
        start=start,
        end=end,
        as_of=as_of,
        ranked=_rank(summaries),
        totals=_totals(summaries),
        previous=_totals(previous) if previous else None,
        money=_money(summaries),
        previous_money=_money(previous),
        kpis=kpis,
        previous_kpis=previous_kpis,
        positions=tuple(positions),
        muted=tuple(muted),
        faults=tuple(sorted(faults, key=lambda f: (f.opened_at, f.kind, f.subject))),
        changes=tuple(changes),
        late_times=len(late),
        late_s=length(late).total_seconds(),
    )


def _rank(summaries: Sequence[DefinitionNumbers]) -> tuple[Ranked, ...]:
    """Rank by value: problems announced or avoided, then fewer false alarms, then the name.

    Nuisance: false alarms, then the share of episodes that were wrong.
    """
    by_value = sorted(summaries, key=lambda s: (-(s.announced + s.avoided), s.false_alarms, s.name))
    by_nuisance = sorted(summaries, key=lambda s: (-s.false_alarms, s.hits + s.avoided, s.name))
    nuisance = {s.name: rank for rank, s in enumerate(by_nuisance, 1)}
    return tuple(
        Ranked(s, propose(s), rank, nuisance[s.name]) for rank, s in enumerate(by_value, 1)
    )


def _totals(summaries: Sequence[DefinitionNumbers]) -> Totals:
    return Totals(
        definitions=len(summaries),
        episodes=sum(s.episodes for s in summaries),
        right=sum(s.hits + s.avoided for s in summaries),
        false_alarms=sum(s.false_alarms for s in summaries),
        undetermined=sum(s.undetermined for s in summaries),
        problems=sum(s.problems for s in summaries),
        announced=sum(s.announced for s in summaries),
        notified=sum(s.notified for s in summaries),
        answered=sum(s.answered for s in summaries),
        with_problem=sum(s.has_problem for s in summaries),
    )


def _money(summaries: Sequence[DefinitionNumbers]) -> tuple[PlantMoney, ...]:
    """Return the sums by currency; currencies are never added up."""
    given = [s.money for s in summaries if s.money is not None]
    found = []
    for currency in sorted({m.currency for m in given}):
        own = [m for m in given if m.currency == currency]
        found.append(
            PlantMoney(
                currency=currency,
                definitions=len(own),
                lost=_sum([a for m in own for a in (m.missed, m.announced)]),
                avoided=_sum([m.avoided for m in own]),
                false_alarms=_sum([m.false_alarms for m in own]),
                interventions=_sum([m.interventions for m in own]),
                net=_sum([m.net for m in own]),
            )
        )
    return tuple(found)


def _sum(amounts: Sequence[Amount]) -> Amount:
    return Amount(sum(a.low for a in amounts), sum(a.high for a in amounts))
