"""Money: what problems, alarms and interventions cost; nothing that `costs` do not give."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from pydantic import TypeAdapter

from alerting.definitions.alert_definition import Costs
from alerting.definitions.wording.language import Styled, translatable
from alerting.reporting.phrases import number


@dataclass(frozen=True)
class Amount:
    """A sum of money between two bounds, which are equal where it is known."""

    low: float
    high: float


@dataclass(frozen=True)
class CountedCosts:
    """Problems, episodes and actions of a period that cost money.

    `missed`, `announced`: start and end of the problems by whether an episode announced them in
    time (end None: not over, or not known). `false_alarms`, `avoided`: episodes with this outcome.
    `undetermined`, `undetermined_acted`: episodes without an outcome, and those of them on which an
    operator acted. `interventions`: episodes on which an operator acted. `earlier_minutes`:
    durations of problems of the period before.
    """

    missed: Sequence[tuple[datetime, datetime | None]]
    announced: Sequence[tuple[datetime, datetime | None]]
    false_alarms: int
    avoided: int
    undetermined: int
    undetermined_acted: int
    interventions: int
    earlier_minutes: Sequence[float] = ()


@dataclass(frozen=True)
class Money:
    """Sums over a period, in `currency`.

    `missed`, `announced`: cost of the problems that came without and with an alert in time.
    `avoided`: cost of the problems that did not come. `net`: avoided, without the cost of false
    alarms and interventions. `problem`: assumed cost of one avoided problem. `assumptions`:
    sentences on what the bounds assume.
    """

    currency: str
    missed: Amount
    announced: Amount
    false_alarms: Amount
    interventions: Amount
    avoided: Amount
    net: Amount
    problem: float
    assumptions: tuple[str, ...]


def compute_money(costs: Costs | None, counted: CountedCosts, until: datetime) -> Money | None:
    """Return the sums of a period; None for a definition without costs.

    An avoided problem is never seen. The lower bound counts none of the avoided episodes, the upper
    bound all of them, each at the cost of a usual problem: its median duration. An undetermined
    episode is a false alarm in the one bound, and, if an operator acted on it, an avoided problem
    in the other. A problem that is not over costs until `until`, the end of the period, so that the
    same data give the same sum at any later time.
    """
    if costs is None:
        return None
    own = [
        (end - start).total_seconds() / 60
        for start, end in (*counted.missed, *counted.announced)
        if end is not None
    ]
    known = [minutes for minutes in (*own, *counted.earlier_minutes) if minutes > 0]
    usual = float(median(known)) if known else None
    problem = costs.miss + costs.miss_per_minute * (usual or 0.0)
    false_alarms = _times(
        costs.false_alarm, counted.false_alarms, counted.false_alarms + counted.undetermined
    )
    interventions = _times(costs.intervention, counted.interventions, counted.interventions)
    avoided = _times(problem, 0, counted.avoided + counted.undetermined_acted)
    return Money(
        currency=costs.currency,
        missed=_cost_of_problems(costs, counted.missed, until),
        announced=_cost_of_problems(costs, counted.announced, until),
        false_alarms=false_alarms,
        interventions=interventions,
        avoided=avoided,
        net=Amount(
            avoided.low - false_alarms.high - interventions.high,
            avoided.high - false_alarms.low - interventions.low,
        ),
        problem=problem,
        assumptions=tuple(_assumptions(costs, counted, usual)),
    )


def _times(cost: float, low: int, high: int) -> Amount:
    return Amount(cost * low, cost * high)


def _cost_of_problems(
    costs: Costs, problems: Sequence[tuple[datetime, datetime | None]], until: datetime
) -> Amount:
    total = costs.miss * len(problems) + costs.miss_per_minute * (
        sum(max(((end or until) - start).total_seconds(), 0.0) for start, end in problems) / 60
    )
    return Amount(total, total)


def _assumptions(costs: Costs, counted: CountedCosts, usual: float | None) -> Iterator[str]:
    yield translatable(
        "The definition states {problem} a problem and {minute} a minute of it, {alarm} a false "
        "alarm and {action} an intervention.",
        problem=_price(costs.miss, costs),
        minute=_price(costs.miss_per_minute, costs),
        alarm=_price(costs.false_alarm, costs),
        action=_price(costs.intervention, costs),
    )
    if counted.avoided or counted.undetermined_acted:
        yield translatable(
            "An operator acted and no problem came: the lower bound assumes that none would have "
            "come, the upper bound that one would have come each time."
        )
        if costs.miss_per_minute and usual is not None:
            yield translatable(
                "An avoided problem counts with the median duration of the problems seen: {usual}.",
                usual=Styled(usual, ".0f min"),
            )
        elif costs.miss_per_minute:
            yield translatable(
                "No problem was seen to its end, so an avoided one counts without its minutes."
            )
    if counted.undetermined:
        yield translatable(
            "Alarms without an outcome yet: {number}. The lower bound of false alarms counts none "
            "of them, the upper bound all.",
            number=counted.undetermined,
        )
    problems = (*counted.missed, *counted.announced)
    if costs.miss_per_minute and any(end == start for start, end in problems):
        yield translatable(
            "A problem without a duration, as one that only an operator reported, counts without "
            "minutes."
        )
    if any(end is None for _, end in problems):
        yield translatable("A problem that is not over counts until the end of the period.")
    if counted.announced:
        yield translatable(
            "Minutes that an alarm may have saved from a problem that came nevertheless are not "
            "counted."
        )


def _price(amount: float, costs: Costs) -> str:
    """Return a cost as it is stated, with all its digits: `EUR 900`, `EUR 0.4`."""
    shown = number(round(amount)) if amount == round(amount) else Styled(amount, ".15g")
    return translatable("{currency} {amount}", currency=costs.currency, amount=shown)


@dataclass(frozen=True)
class DefinitionNumbers:
    """Numbers of one definition over a period.

    `weeks`: evaluated asset-weeks. `problems`: those that could be announced. `announced`: how many
    of them were.
    """

    name: str
    title: str
    weeks: float
    episodes: int
    hits: int
    avoided: int
    false_alarms: int
    problems: int
    announced: int
    money: Money | None = None

    @property
    def decided(self) -> int:
        """Return of how many alarms the outcome is known."""
        return self.hits + self.avoided + self.false_alarms


@dataclass(frozen=True)
class MoneySums:
    """Sums of one currency: of problems that came, and what alarms were worth after the cost of
    false alarms and interventions."""

    currency: str
    lost: Amount
    net: Amount


_ADAPTER = TypeAdapter(DefinitionNumbers)


def read_summary(document: Any) -> DefinitionNumbers:
    """Return the numbers of a stored report. Raises pydantic.ValidationError if it is damaged."""
    return _ADAPTER.validate_python(document)


def sum_money(given: Sequence[Money]) -> list[MoneySums]:
    """Return the sums by currency; currencies are never added up."""

    def total(currency: str, *of: Callable[[Money], Amount]) -> Amount:
        amounts = [get(m) for m in given if m.currency == currency for get in of]
        return Amount(sum(a.low for a in amounts), sum(a.high for a in amounts))

    return [
        MoneySums(
            one,
            total(one, lambda m: m.missed, lambda m: m.announced),
            total(one, lambda m: m.net),
        )
        for one in sorted({m.currency for m in given})
    ]
