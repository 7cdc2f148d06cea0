from datetime import UTC, datetime, timedelta

import pytest

from alerting.definitions.model import Costs
from alerting.definitions.wording.language import language
from alerting.reporting.definition.money import Amount, CountedCosts, compute_money

pytestmark = pytest.mark.fast

AT = datetime(2026, 3, 2, tzinfo=UTC)
COSTS = Costs(currency="EUR", miss=900, miss_per_minute=150, false_alarm=50, intervention=20)


def lasting(*minutes):
    return [(AT, None if m is None else AT + timedelta(minutes=m)) for m in minutes]


def counted(**changes):
    defaults = {
        "missed": lasting(10), "announced": lasting(4, 6), "false_alarms": 3, "avoided": 2,
        "undetermined": 4,
        "undetermined_acted": 1, "interventions": 5,
    }  # fmt: skip
    return CountedCosts(**defaults | changes)


def test_every_sum_follows_from_the_costs_of_the_definition():
    money = compute_money(COSTS, counted(), AT)
    assert money.missed == Amount(900 + 1500, 900 + 1500)
    assert money.announced == Amount(2 * 900 + 1500, 2 * 900 + 1500)
    assert money.false_alarms == Amount(150, 350)  # none and all of the four without an outcome
    assert money.interventions == Amount(100, 100)
    assert money.problem == 900 + 6 * 150  # 4, 6 and 10 minutes: 6 on median
    # none; both avoided ones, and the acted one without an outcome
    assert money.avoided == Amount(0, 3 * 1800)
    assert money.net == Amount(0 - 350 - 100, 5400 - 150 - 100)
    assert len(money.assumptions) == 5


def test_without_costs_there_is_no_sum():
    assert compute_money(None, counted(), AT) is None


def test_a_problem_that_is_not_over_costs_until_the_end_of_the_period_and_gives_no_usual_duration():
    money = compute_money(
        COSTS, counted(missed=lasting(None), announced=()), AT + timedelta(minutes=2)
    )
    assert money.missed == Amount(1200, 1200)
    assert money.problem == 900
    assert any("not over" in line for line in money.assumptions)
    assert any("without its minutes" in line for line in money.assumptions)


@pytest.mark.parametrize(("earlier", "usual"), [((), 6), ((20, 20), 10)])
def test_durations_of_the_period_before_count_for_the_usual_problem(earlier, usual):
    assert compute_money(COSTS, counted(earlier_minutes=earlier), AT).problem == 900 + 150 * usual


def test_costs_below_one_are_stated_with_their_digits_in_each_language():
    costs = Costs(currency="EUR", miss=12.5, miss_per_minute=0.4, false_alarm=50, intervention=0)
    stated = compute_money(costs, counted(), AT).assumptions[0]
    assert stated.startswith("The definition states EUR 12.5 a problem and EUR 0.4 a minute of it")
    assert "EUR 0,4" in language("de").translate(stated)
    assert "EUR 50" in stated
