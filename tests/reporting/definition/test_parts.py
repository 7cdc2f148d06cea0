"""Parts of a report: money, operators, why a model went into service or did not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.definitions.alert_definition import Costs
from alerting.definitions.wording.language import language
from alerting.episodes.episode import PresentAdvice, RecommendationResult
from alerting.learning.selection.decision_rules import explain
from alerting.reporting.definition.decision_reason import explain_waiting, summarise_decision
from alerting.reporting.definition.operators_and_money import (
    Amount,
    CountedCosts,
    compute_money,
    drivers,
    frequent_actions,
    verdict_metrics,
)
from tests.helpers.learning.proposals import carried_out, proposal
from tests.report_material import episode

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
    assert (money.net, len(money.assumptions)) == (Amount(0 - 350 - 100, 5400 - 150 - 100), 5)
    assert compute_money(None, counted(), AT) is None


def test_a_problem_that_is_not_over_costs_until_the_end_of_the_period_and_gives_no_usual_duration():
    money = compute_money(
        COSTS, counted(missed=lasting(None), announced=()), AT + timedelta(minutes=2)
    )
    assert (money.missed, money.problem) == (Amount(1200, 1200), 900)
    assert any("not over" in line for line in money.assumptions)
    assert any("without its minutes" in line for line in money.assumptions)


def test_durations_of_the_period_before_count_for_the_usual_problem():
    usual = {(): 900 + 150 * 6, (20, 20): 900 + 150 * 10}
    assert {
        earlier: compute_money(COSTS, counted(earlier_minutes=earlier), AT).problem
        for earlier in usual
    } == usual


def test_costs_below_one_are_stated_with_their_digits_in_each_language():
    costs = Costs(currency="EUR", miss=12.5, miss_per_minute=0.4, false_alarm=50, intervention=0)
    stated = compute_money(costs, counted(), AT).assumptions[0]
    assert stated.startswith("The definition states EUR 12.5 a problem and EUR 0.4 a minute of it")
    assert "EUR 0,4" in language("de").translate(stated)
    assert "EUR 50" in stated


ADVICE = RecommendationResult((), 0.8, 0.2, helps=True, message="lower zone 2")


def acted(hour, action, outcome, **changes):
    given = episode(hour, outcome=outcome, said=[(None, True, "anna")])
    feedback = tuple(replace(f, action=action, **changes) for f in given.feedback)
    return replace(given, feedback=feedback, recommendation=ADVICE)


def test_an_action_counts_once_an_episode_whatever_its_case_and_spaces():
    found = frequent_actions(
        [
            acted(1, "Lowered  zone 2", "no"),
            acted(2, "lowered zone 2", "in_time"),
            acted(3, "called", None),
        ]
    )
    assert [(a.action, a.times, a.helped, a.came) for a in found] == [
        ("Lowered zone 2", 2, 1, 1),
        ("called", 1, 0, 0),
    ]


def test_recommendations_are_compared_by_whether_they_were_followed():
    followed = [acted(h, "x", "no", recommendation_taken="yes") for h in (1, 2, 3)]
    came = acted(4, "x", "in_time", recommendation_taken="partly")
    left = acted(5, None, "in_time", recommendation_taken="no")
    advice = verdict_metrics([*followed, came, left, acted(6, "x", "no")]).advice
    assert (advice.given, advice.taken) == (6, {"no": 1, "partly": 1, "yes": 3})
    assert advice.prevented.basis == "3 of 4 followed recommendations with an outcome"
    assert advice.not_followed.basis == "0 of 1 recommendation without a change, with an outcome"
    assert advice.took_effect.value is None


def test_advice_took_effect_where_the_risk_came_down_to_under_the_threshold():
    def scored(hour, risk):
        given = acted(hour, "x", "no", recommendation_taken="yes")
        return replace(
            given, present=PresentAdvice(given.raised_at, given.raised_at, risk, 0.5, 2, (), ADVICE)
        )

    assert verdict_metrics([scored(1, 0.4), scored(2, 0.6)]).advice.took_effect.value == 0.5


def test_drivers_are_mean_sizes_over_the_episodes_with_reasons():
    one = episode(1)
    other = episode(2)
    other = replace(
        other, contributions=(replace(other.contributions[0], variable="steam", share=-0.1),)
    )
    earlier = replace(one, contributions=(replace(one.contributions[0], share=0.2),))
    found = drivers([one, other, replace(one, contributions=())], [earlier])
    assert [(d.variable, d.share, d.episodes, d.before) for d in found] == [
        ("zone_2", pytest.approx(0.155), 1, 0.2),
        ("steam", pytest.approx(0.05), 1, 0.0),
    ]
    assert drivers([one], None)[0].before is None


def test_variables_that_move_together_are_one_driver_whichever_comes_first_and_of_older_episodes():
    one = episode(1)
    (reason,) = one.contributions
    orders = (("zone_2", "steam", "fan"), ("steam", "fan", "zone_2"))
    several = [
        replace(one, contributions=(replace(reason, members=names, share=0.3),)) for names in orders
    ]
    parts = tuple(
        replace(reason, variable=name, share=share)
        for name, share in (("zone_2", 0.5), ("fan", -0.1))
    )
    (found,) = drivers(several, [replace(one, contributions=parts)])
    assert (found.names, found.variable) == (("fan", "steam", "zone_2"), "fan, steam, zone_2")
    assert (found.share, found.episodes, found.before) == (
        pytest.approx(0.3),
        2,
        pytest.approx(0.4),
    )


def test_a_decision_is_explained_by_its_stored_reason_and_by_who_approved_it():
    reason = explain("not_better", number=12)
    kept = carried_out(proposal(reason=reason, verdict="keep", promote=False))
    assert summarise_decision(kept) == reason
    approved = carried_out(proposal(reason=explain("better", number=1)), "ann")
    assert summarise_decision(approved) == (
        "It ranked better on 1 problem that neither model had seen. ann approved it."
    )
    older = replace(approved, reason="It is better. Approved by ann.")
    assert summarise_decision(older) == older.reason
    cut = {"cut_short": {"trials": {"random_forest": [3, 40]}}}
    assert summarise_decision(replace(kept, evidence=cut)).endswith(
        " Its search was cut short by the time budget (trials: random forest 3/40)."
    )


def test_a_first_model_is_explained_with_what_it_found_and_whether_to_rely_on_it():
    counts = {"n_events": 4, "n_found": 0, "n_false_alarms": 0, "days": 6.0}
    told = {
        "reason": explain("no_champion"),
        "verdict": "provisional",
        "evidence": {"test": counts},
    }
    first = carried_out(proposal(**told))
    assert summarise_decision(first) == (
        "It ranks better than chance. On 6 unseen days (test): 0 of 4 problems announced; no false "
        "alarm. Do not rely on it yet."
    )
    later = replace(first, champion_version=1)
    assert summarise_decision(later) == "It ranks better than chance."


def test_a_proposal_waits_for_its_objection_or_because_its_definition_wants_it():
    reason = explain("moved")
    assert explain_waiting(proposal(reason=reason, objection="moved")) == reason
    assert explain_waiting(proposal(reason=reason)) == (
        f"{reason} It goes into service only if a person approves."
    )
