"""Floods: alarm figures, the budget gate and the backtest count the same ones, under the platform's
own setting."""

from dataclasses import replace

import pytest

from alerting.definitions.platform_limits import AlarmBudget
from alerting.ports import ReadingRow
from alerting.usecases.alarm_load.alarm_metrics import alarm_quality
from alerting.usecases.alarm_load.budget_gate import forecasts
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, plan
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import in_memory_platform

DAY = 24 * 60
BURST = (
    600  # the minute at which seven alarms come within ten minutes, then four within the next ten
)


def plant(flood_above):
    """A platform on which a definition raised eleven alarms: seven in a ten-minute period, four in
    the one after it."""
    platform = replace(
        in_memory_platform(), budget=AlarmBudget(mode="warn", flood_above=flood_above, days=1)
    )
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(stale_after="2h")], "engineer", at(0), "test")
    rows = [ReadingRow("oven-1", at(m), {"temperature": 200.0}) for m in range(0, DAY + 1, 30)]
    for minute in [*range(BURST, BURST + 7), *range(BURST + 11, BURST + 15)]:
        rows += [
            ReadingRow("oven-1", at(minute + s / 60), {"temperature": v})
            for s, v in ((5, 230.0), (30, 200.0))
        ]
    add_readings(platform, rows, at(0))
    platform.clock.instant = at(DAY)
    evaluate(platform, None, at(DAY))
    return platform


@pytest.mark.parametrize(
    ("above", "floods", "periods"), [(10, 0, 0), (7, 0, 0), (6, 1, 2), (5, 1, 2), (3, 1, 2)]
)
def test_figures_gate_and_backtest_count_the_same_floods(above, floods, periods):
    platform = plant(above)
    figures = alarm_quality(platform, at(0), at(DAY)).kpis
    assert (figures.alarms, len(figures.floods), figures.time_in_flood) == (
        11,
        floods,
        pytest.approx(periods / 144),
    )
    [position] = alarm_quality(platform, at(0), at(DAY)).positions
    assert position.kpis.floods == figures.floods
    made = backtest(platform, named_subject(platform, "too-hot"), at(0), at(DAY))
    assert (made.load["episodes"], made.load["floods"], made.load["flood_above"]) == (
        11,
        floods,
        above,
    )
    assert f"more than {above}" in made.page
    again = plan(platform, [too_hot(name="again", stale_after="2h")])
    [forecast] = forecasts(platform, again, at(DAY))
    [load] = forecast.loads
    assert load.floods_now == pytest.approx(periods / 144)
