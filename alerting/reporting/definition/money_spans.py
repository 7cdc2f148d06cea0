"""Money of a week, a month and a year, summed from the reports of calendar periods."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.reporting.definition.operators_and_money import Amount, Money, sum_money

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
    [total] = sum_money([period.money for period in periods])
    days = sum((period.end - period.start for period in periods), timedelta(0)) / timedelta(days=1)
    missed = [period.money.missed for period in periods]
    lost = Amount(sum(a.low for a in missed), sum(a.high for a in missed))
    return SpanMoney(total.currency, _whole(total.net), _whole(lost), round(days))


def _whole(amount: Amount) -> Amount:
    return Amount(round(amount.low), round(amount.high))


def add_spans(
    definitions: Iterable[Mapping[str, SpanMoney | None]],
) -> dict[str, dict[str, SpanMoney]]:
    """Return the sums of all definitions for each time, by currency; currencies are never added
    up."""
    totals: dict[str, dict[str, SpanMoney]] = {}
    for spans in definitions:
        for name, span in spans.items():
            if span is None:
                continue
            total = totals.setdefault(span.currency, {})
            before = total.get(name)
            total[name] = span if before is None else _add(before, span)
    return dict(sorted(totals.items()))


def _add(first: SpanMoney, second: SpanMoney) -> SpanMoney:
    net = Amount(first.net.low + second.net.low, first.net.high + second.net.high)
    lost = Amount(first.lost.low + second.lost.low, first.lost.high + second.lost.high)
    return SpanMoney(first.currency, net, lost, min(first.days, second.days))
