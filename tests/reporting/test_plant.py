from dataclasses import replace
from datetime import timedelta

from alerting.alarm_kpis.kpis import kpis
from alerting.definitions.model import Costs
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.definition.money import Amount, CountedCosts, Money, compute_money
from alerting.reporting.page.tables import tables
from alerting.reporting.plant.metrics import compute_plant
from alerting.reporting.plant.page import render_plant_page
from alerting.reporting.plant.sentences import plant_sentences
from alerting.reporting.plant.summary import summarise, summary_from_document, summary_to_document
from alerting.reporting.plant.tables import tables as plant_tables
from tests.helpers.plant_reports import plant, summary
from tests.report_material import CLASSIFIER, END, START, good_material


def test_a_summary_survives_its_storage():
    metrics = compute_metrics(good_material())
    found = summarise(metrics, conclude(metrics))
    assert (found.problems, found.announced, found.hits, found.avoided, found.false_alarms) == (
        9,
        7,
        7,
        1,
        2,
    )
    assert summary_from_document(summary_to_document(found)) == found


def test_answers_to_backfilled_episodes_are_not_among_those_of_the_episodes_with_a_notification():
    material = good_material()
    backfilled = [replace(e, backfilled=True) for e in material.episodes]
    metrics = compute_metrics(replace(material, episodes=[*backfilled[:9], *material.episodes[9:]]))
    found = summarise(metrics, conclude(metrics))
    # of the last two, one was answered; nine others were backfilled
    assert (found.answered, found.notified) == (
        1,
        2,
    )


def test_a_problem_that_is_not_over_costs_the_same_in_a_later_report_on_the_period():
    material = good_material()
    costs = Costs(currency="EUR", miss=0, miss_per_minute=1, false_alarm=0, intervention=0)
    lasting = material.problems.assign(
        end=material.problems["end"].mask(material.problems["end"].notna())
    )
    priced = replace(
        material, definition=CLASSIFIER.model_copy(update={"costs": costs}), problems=lasting
    )
    sums = [
        compute_metrics(replace(priced, as_of=END + days * timedelta(days=1))).money.missed
        for days in (1, 30)
    ]
    assert sums[0] == sums[1]
    assert sums[0].high <= 2 * 28 * 24 * 60


def test_definitions_rank_by_problems_announced_or_avoided_and_by_false_alarms():
    found = plant(
        summary("a", announced=2, avoided=0), summary("b", announced=3, avoided=1, false_alarms=9)
    )
    assert [(r.summary.name, r.value, r.nuisance) for r in found.ranked] == [
        ("b", 1, 1),
        ("a", 2, 2),
    ]


def test_money_of_one_currency_is_added_up_and_never_across_currencies():
    def money(currency, net):
        zero = Amount(0, 0)
        return Money(
            currency, Amount(10, 10), Amount(5, 5), zero, zero, zero, Amount(*net), 0.0, ()
        )

    found = plant(
        summary("a", money=money("EUR", (-5, 10))),
        summary("b", money=money("EUR", (1, 2))),
        summary("c", money=money("USD", (1, 1))),
    )
    assert [(m.currency, m.definitions, m.net, m.lost) for m in found.money] == [
        ("EUR", 2, Amount(-4, 12), Amount(30, 30)),
        ("USD", 1, Amount(1, 1), Amount(15, 15)),
    ]


def test_the_first_three_sentences_which_are_sent_name_what_to_decide():
    zero = Amount(0, 0)
    costs = Money("EUR", zero, zero, zero, zero, zero, zero, 0.0, ())
    found = plant(
        summary("belt", hits=0, avoided=0, false_alarms=9, announced=0, problems=0, money=costs)
    )
    first, proposed, money = plant_sentences(found)[:3]
    assert first == "No problem occurred; 1 alert raised 10 alarms: 0 right, 9 false."
    assert proposed == "Proposed: retire belt."
    assert "worth EUR 0" in money


def test_pages_and_tables_of_the_plant_and_of_a_definition_are_the_same_each_time():
    metrics = compute_metrics(good_material())
    assert tables(metrics) == tables(compute_metrics(good_material()))
    found = plant(summary())
    assert plant_tables(found)["definitions"].to_records()[0]["announced"] == 7
    assert render_plant_page(found) == render_plant_page(plant(summary()))
    assert "7 of 9 problems were predicted" in render_plant_page(found)


def test_a_plant_whose_definitions_state_no_problem_does_not_say_that_none_occurred():
    def first(*found):
        return plant_sentences(plant(*found))[0]

    hot = summary("hot", problems=0, announced=0, has_problem=False)
    moist = summary("moist", problems=0, announced=0)
    assert first(hot) == "1 alert raised 10 alarms: 8 right, 2 false."
    assert first(hot, moist).startswith(
        "No problem occurred of the 1 alert that states one; 2 alerts raised 20 alarms"
    )
    assert first(moist).startswith("No problem occurred; ")


def test_evaluations_that_were_late_are_stated():
    late = [(START, START + timedelta(hours=2)), (END - timedelta(hours=1), END)]
    none = kpis([], START, END)
    assert "Evaluation was late 2 times, for 3 h in all" in render_plant_page(
        compute_plant(START, END, END, (), none, late=late)
    )
    assert "The platform found no evaluation late." in render_plant_page(
        compute_plant(START, END, END, (), none)
    )


def test_where_no_alert_states_a_problem_only_what_false_alarms_cost_is_told():
    costs = Costs(currency="EUR", miss=100, false_alarm=40)
    counted = CountedCosts([], [], 2, 0, 1, 0, 3)
    money = compute_money(costs, counted, END)
    of_limits = plant(
        summary(kind="threshold", trained=False, has_problem=False, problems=0, money=money)
    )
    told = plant_sentences(of_limits)
    assert "The alerts that state their costs cost EUR 80 to 120 by false alarms" in " ".join(told)
    predicting = plant_sentences(plant(summary(money=money)))
    assert "were worth EUR -120 to -80" in " ".join(predicting)
