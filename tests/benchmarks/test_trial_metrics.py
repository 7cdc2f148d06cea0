"""Figures of a trial from hand-made findings: shares, means, money, and the reason why a problem
was not avoided."""

from dataclasses import replace

import pytest

from alerting.definitions.fields.costs import Costs
from alerting.demo.disturbances import Disturbance
from benchmarks.trial.findings import is_needed, is_same_problem, ranked_cause
from benchmarks.trial.records import (
    DayTotals,
    Findings,
    Intervention,
    Occurrence,
    Problem,
    Raised,
    TrialArguments,
    TrueAlert,
)
from benchmarks.trial.result import mean, money, share, summarise, why_not_avoided

pytestmark = pytest.mark.fast

AVOIDED = Problem(
    100,
    160,
    "wet-dough",
    avoidable=True,
    happened=False,
    alerted=True,
    intervened=True,
    too_late=False,
    warned=True,
    warned_naively=False,
)
HAPPENED = replace(AVOIDED, happened=True)
MISSED = replace(AVOIDED, happened=True, alerted=False, intervened=False, warned=False)
NOT_AVOIDABLE = replace(HAPPENED, avoidable=False)
QUIET = DayTotals(metres=1000, good_metres=900, problem_minutes=0, problems=0)


def test_a_share_has_the_interval_of_draws_of_its_cases():
    figure = share([True] * 8 + [False] * 2)
    assert (figure.value, figure.cases) == (0.8, 10)
    assert figure.low == pytest.approx(0.5, abs=0.11)
    assert figure.high == 1.0


def test_a_share_of_equal_cases_is_not_certain_and_that_of_none_has_no_value():
    assert share([True] * 10).low == pytest.approx(10 / (10 + 1.959964**2))
    assert share([True] * 10).high == 1.0
    assert share([]).value is None


def test_a_mean_lies_within_its_interval_and_is_the_same_each_time():
    figure = mean([0.0, 1.0, 2.0, 5.0], "a day")
    assert figure.value == 2.0
    assert figure.low <= 2.0 <= figure.high
    assert figure == mean([0.0, 1.0, 2.0, 5.0], "a day")


def test_money_adds_problems_minutes_false_alarms_and_interventions():
    costs = Costs(miss=900, miss_per_minute=150, false_alarm=40, intervention=20)
    day = DayTotals(
        metres=1,
        good_metres=1,
        problem_minutes=10,
        problems=2,
        interventions=3,
        needless=1,
        false_alarms=1,
    )
    assert money(costs, day) == 2 * 900 + 10 * 150 + 40 + 3 * 20


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (AVOIDED, None),
        (NOT_AVOIDABLE, None),
        (HAPPENED, "the change was too small or a wrong one"),
        (replace(HAPPENED, too_late=True), "any change came too late"),
        (MISSED, "no alert came in time"),
        (replace(MISSED, alerted=True), "an alert came in time without a change"),
        (replace(MISSED, happened=False), "it did not happen, without an intervention"),
    ],
)
def test_an_avoidable_problem_that_was_not_avoided_has_a_reason(problem, why):
    assert why_not_avoided(problem) == why


def test_problems_of_both_lines_are_the_same_within_half_an_hour():
    assert is_same_problem(Occurrence(100, 160), Occurrence(150, 200))
    assert is_same_problem(Occurrence(100, 160), Occurrence(189, 200))
    assert not is_same_problem(Occurrence(100, 160), Occurrence(190, 200))
    assert not is_same_problem(Occurrence(100, 160), Occurrence(20, 70))


def test_an_intervention_is_needed_if_the_line_left_alone_has_a_problem_before_its_release():
    intervention = Intervention(alert=50, acted=53, released=110, changes=(), helps=True)
    assert is_needed(intervention, [Occurrence(100, 160)])
    assert is_needed(intervention, [Occurrence(20, 60)])
    assert not is_needed(intervention, [Occurrence(111, 160)])
    assert not is_needed(intervention, [Occurrence(20, 50)])


def test_the_true_cause_has_the_rank_of_the_first_variable_that_shows_it():
    wet = Disturbance("wet-dough", start=100, ramp=10, hold=30, fade=10, size=6.0)
    assert ranked_cause(Raised(120, ("moisture", "dough_moisture")), [wet]) == TrueAlert(
        120, "wet-dough", 2
    )
    assert ranked_cause(Raised(120, ("moisture",)), [wet]) == TrueAlert(120, "wet-dough", None)
    assert ranked_cause(Raised(90, ("dough_moisture",)), [wet]) is None


def findings(seed: int) -> Findings:
    done = Intervention(alert=50, acted=53, released=110, changes=(), helps=True)
    return Findings(
        arguments=TrialArguments(weeks=1, seed=seed),
        problems=(AVOIDED, AVOIDED, HAPPENED, NOT_AVOIDABLE),
        caused=(),
        true_alerts=(TrueAlert(80, "wet-dough", 1), TrueAlert(300, "fast-belt", 4)),
        without_cause=1,
        left_alone=(replace(QUIET, problems=4, problem_minutes=200, good_metres=600),),
        acted_upon=(
            replace(
                QUIET,
                metres=950,
                problems=2,
                problem_minutes=100,
                interventions=2,
                needless=1,
                false_alarms=1,
            ),
        ),
        interventions=(done, done),
        needed=(True, False),
        alerts=3,
        ignored=1,
        without_advice=0,
        retrained_after=90,
        trained=("week 1: trained",),
    )


def test_several_trials_are_summarised_together():
    result = summarise([findings(1), findings(2)], Costs(miss=100, false_alarm=10, intervention=5))
    metrics = result.metrics
    assert result.seeds == (1, 2)
    assert metrics["avoidable_avoided"].value == pytest.approx(4 / 6)
    assert metrics["avoided_before_retraining"].value is None
    assert metrics["avoided_after_retraining"].value == pytest.approx(4 / 6)
    assert metrics["needless_per_day"].value == 1.0
    assert metrics["cause_in_first_three"].value == 0.5
    assert metrics["belt_metres_change"].value == pytest.approx(-5.0)
    assert metrics["good_metres_change"].value == pytest.approx(50.0)
    assert metrics["saved"].value == 7 * (400 - (200 + 10 + 2 * 5))
    assert metrics["recall_after_retraining"].value == 1.0
    assert metrics["recall_after_naive_retraining"].value == 0.0
    assert result.counts["not_avoidable"] == 2
    assert result.why_not == {"the change was too small or a wrong one": 2}
    assert result.ranks["fast-belt"] == {"1": 0, "2": 0, "3": 0, "later": 2}


def test_a_problem_that_came_too_late_for_any_change_is_not_held_against_the_advice():
    late = replace(findings(1), problems=(AVOIDED, replace(HAPPENED, too_late=True), MISSED))
    metrics = summarise([late], None).metrics
    assert metrics["avoidable_avoided"].value == pytest.approx(1 / 3)
    assert metrics["avoided_by_timely_advice"].value == 1.0


def test_without_costs_there_is_no_money():
    assert (
        not {"saved", "cost_left_alone", "cost_acted_upon"}
        & summarise([findings(1)], None).metrics.keys()
    )
