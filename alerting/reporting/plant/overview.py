"""Figures of the plant over a period as its page shows them: sums of the reports' own numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.wording.language import template, templates
from alerting.reporting.base.estimates import Cases, Estimate, share
from alerting.reporting.definition.money import Amount, Money
from alerting.reporting.plant.summary import DefinitionNumbers

_PROBLEMS = Cases(
    templates("{number} problem", "{number} problems"),
    templates("{count} of {number} problem", "{count} of {number} problems"),
    template("no problems"),
)


@dataclass(frozen=True)
class MoneySums:
    """Sums of one currency over the `definitions` that state costs: of problems that were avoided,
    of those that came without an alarm in time, of false alarms, and of interventions."""

    currency: str
    definitions: int
    avoided: Amount
    missed: Amount
    false_alarms: Amount
    interventions: Amount


@dataclass(frozen=True)
class PlantSums:
    """Counts and money of a period [start, end) as known at `as_of`.

    `problems`: those that came, of which an alarm predicted `predicted` in time and none `missed`;
    `avoided`: alarms after which an operator acted and no problem came; `predicted_share`: with its
    95 % interval. `failed`: definitions whose figures could not be computed.
    """

    start: datetime
    end: datetime
    as_of: datetime
    definitions: int
    problems: int
    predicted: int
    avoided: int
    missed: int
    alarms: int
    false_alarms: int
    undetermined: int
    predicted_share: Estimate
    money: tuple[MoneySums, ...]
    failed: tuple[str, ...] = ()


def sum_plant(
    start: datetime,
    end: datetime,
    as_of: datetime,
    summaries: Sequence[DefinitionNumbers],
    failed: Sequence[str] = (),
) -> PlantSums:
    """Return the figures of the plant from those of its definitions. Currencies are never added."""
    problems = sum(s.problems for s in summaries)
    predicted = sum(s.announced for s in summaries)
    given = [s.money for s in summaries if s.money is not None]
    return PlantSums(
        start=start,
        end=end,
        as_of=as_of,
        definitions=len(summaries),
        problems=problems,
        predicted=predicted,
        avoided=sum(s.avoided for s in summaries),
        missed=problems - predicted,
        alarms=sum(s.episodes for s in summaries),
        false_alarms=sum(s.false_alarms for s in summaries),
        undetermined=sum(s.undetermined for s in summaries),
        predicted_share=share(predicted, problems, _PROBLEMS),
        money=tuple(
            _sums(currency, [m for m in given if m.currency == currency])
            for currency in sorted({m.currency for m in given})
        ),
        failed=tuple(failed),
    )


def _sums(currency: str, given: Sequence[Money]) -> MoneySums:
    def total(of: Callable[[Money], Amount]) -> Amount:
        return Amount(sum(of(m).low for m in given), sum(of(m).high for m in given))

    return MoneySums(
        currency,
        len(given),
        total(lambda m: m.avoided),
        total(lambda m: m.missed),
        total(lambda m: m.false_alarms),
        total(lambda m: m.interventions),
    )
