"""Money of a week, a month and a year from the reports of calendar periods."""

from datetime import UTC, datetime, timedelta

import pytest

from alerting.reporting.definition.money_spans import PeriodMoney, add_spans, money_by_span
from alerting.reporting.definition.operators_and_money import Amount, Money

pytestmark = pytest.mark.fast
END = datetime(2026, 11, 2, tzinfo=UTC)
NOTHING = Amount(0, 0)


def report(start, end, worth, currency="EUR"):
    """A report from `start` to `end` days before the end, worth so much; one lost 10."""
    net = Amount(worth, worth + 0.4)
    sums = (Amount(10, 10), NOTHING, NOTHING, NOTHING, NOTHING, net)
    days = [END - timedelta(days=ago) for ago in (start, end)]
    return PeriodMoney(*days, Money(currency, *sums, 5.0, ()))


WEEKS = [report(7 * n + 7, 7 * n, 100) for n in range(60)]
ALONE = {
    "weeks": (WEEKS, (100, 400, 5200), (7, 28, 364)),
    "a month": ([report(31, 0, 70)], (None, 70, 70), (None, 31, 31)),
    "a week again, and a month over it": (
        [report(7, 0, 1), report(7, 0, 90), report(31, 0, 70)],
        (1, 1, 1),
        (7, 7, 7),
    ),
    "other money before": ([*WEEKS[:1], report(14, 7, 9, "USD")], (100, 100, 100), (7, 7, 7)),
    "none": ([], (None, None, None), (None, None, None)),
}


@pytest.mark.parametrize("name", ALONE)
def test_reports_add_up_once_and_say_how_many_days_they_cover(name):
    periods, worth, days = ALONE[name]
    spans = money_by_span(periods).values()
    assert tuple(s and s.net.low for s in spans) == worth
    assert tuple(s and s.days for s in spans) == days


def test_the_sum_row_is_the_sum_of_the_shown_cells_by_currency():
    rows = [[report(7, 0, 0.4)], [report(7, 0, 0.4)], [report(7, 0, 9, "USD")], [report(31, 0, 5)]]
    spans = [money_by_span(row) for row in rows]
    totals = add_spans(spans)
    assert [*totals] == ["EUR", "USD"]
    for name in ("week", "month", "year"):
        shown = [s[name] for s in spans if s[name] and s[name].currency == "EUR"]
        total = totals["EUR"][name]
        assert total.net == Amount(sum(s.net.low for s in shown), sum(s.net.high for s in shown))
        assert total.lost.low == 10 * len(shown)
