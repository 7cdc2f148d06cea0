"""Money of a week, a month and a year, summed from the reports of calendar periods."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.reporting.definition.operators_and_money import Amount, Money, add_amounts

MONEY_SPANS = {
    "week": timedelta(days=7, hours=1),
    "month": timedelta(days=31, hours=1),
    "year": timedelta(days=366, hours=1),
}
"""Times up to the newest report of a definition; clock changes may make them an hour longer."""


class PeriodMoney(NamedTuple):
    """The sums of a report on a calendar period."""

    start: datetime
    end: datetime
    money: Money


@dataclass(frozen=True)
class SpanMoney:
    """What alarms were worth, and what problems without an alarm in time cost, in whole units.
    `days`: that the reports cover; of a sum over definitions, the fewest."""

    currency: str
    net: Amount
    lost: Amount
    days: int


def money_by_span(periods: Sequence[PeriodMoney]) -> dict[str, SpanMoney | None]:
    """Return the sums of the reports that lie within each time; None for a time without any.

    `periods`: of one definition, of two reports on one period the newer one first. Of periods that
    overlap only the newest counts, and only sums in the currency of the newest.
    """
    counted: list[PeriodMoney] = []
    for period in sorted(periods, key=lambda p: (p.end, p.start), reverse=True):
        if not counted or period.end <= counted[-1].start:
            counted.append(period)
    counted = [p for p in counted if p.money.currency == counted[0].money.currency]
    return {
        name: _sum_span([p for p in counted if counted[0].end - p.start <= length])
        for name, length in MONEY_SPANS.items()
    }


def _sum_span(periods: Sequence[PeriodMoney]) -> SpanMoney | None:
    if not periods:
        return None
    days = sum((period.end - period.start for period in periods), timedelta(0)) / timedelta(days=1)
    net = add_amounts(period.money.net for period in periods)
    lost = add_amounts(period.money.missed for period in periods)
    return SpanMoney(
        periods[0].money.currency,
        Amount(round(net.low), round(net.high)),
        Amount(round(lost.low), round(lost.high)),
        round(days),
    )


def add_spans(
    definitions: Iterable[Mapping[str, SpanMoney | None]],
) -> dict[str, dict[str, SpanMoney]]:
    """Return the sums of all definitions for each time, by currency; currencies are never added
    up."""
    groups: dict[str, dict[str, list[SpanMoney]]] = defaultdict(lambda: defaultdict(list))
    for spans in definitions:
        for name, span in spans.items():
            if span is not None:
                groups[span.currency][name].append(span)
    return {
        currency: {
            name: SpanMoney(
                currency,
                add_amounts(span.net for span in spans),
                add_amounts(span.lost for span in spans),
                min(span.days for span in spans),
            )
            for name, spans in named.items()
        }
        for currency, named in sorted(groups.items())
    }
