"""Figures of the plant's page, its proposals, and when a refused one comes again."""

from dataclasses import replace

import pytest

from alerting.reporting.definition.money import Amount, Money
from alerting.reporting.definition.retune import Retune
from alerting.reporting.plant.offers import OfferBasis, has_changed, offers
from alerting.reporting.plant.overview import sum_plant
from tests.helpers.plant_reports import plant, summary
from tests.report_material import END, START

FEWER = Retune("above", 215.0, 217.0, 8, 3, 2, 2, 2)


def costs(currency="EUR", false_alarms=(0.0, 0.0), missed=0.0, avoided=(0.0, 0.0)):
    return Money(
        currency,
        missed=Amount(missed, missed),
        announced=Amount(50.0, 50.0),
        false_alarms=Amount(*false_alarms),
        interventions=Amount(5.0, 5.0),
        avoided=Amount(*avoided),
        net=Amount(0.0, 0.0),
        problem=100.0,
        assumptions=(),
    )


def test_the_figures_are_those_of_the_plants_report():
    numbers = [
        summary("a", money=costs(false_alarms=(10, 20), missed=300, avoided=(0, 900))),
        summary("b", problems=0, announced=0, avoided=0, money=costs(missed=7)),
        summary("c", money=costs("USD", avoided=(0, 5))),
        summary("d"),
    ]
    found = sum_plant(START, END, END, numbers)
    report = plant(*numbers)
    assert (found.problems, found.predicted, found.false_alarms, found.alarms) == (
        report.totals.problems,
        report.totals.announced,
        report.totals.false_alarms,
        report.totals.episodes,
    )
    assert (found.missed, found.avoided) == (6, 3)
    assert [(m.currency, m.definitions, m.avoided, m.false_alarms) for m in found.money] == [
        (m.currency, m.definitions, m.avoided, m.false_alarms) for m in report.money
    ]
    assert [m.missed for m in found.money] == [Amount(307, 307), Amount(0, 0)]
    assert found.predicted_share.value == 21 / 27


def test_the_proposal_worth_most_comes_first_and_those_without_costs_by_their_alarms():
    poor = {"hits": 2, "avoided": 0, "false_alarms": 8, "trained": False, "retune": FEWER}
    useless = {"hits": 0, "avoided": 0, "announced": 0, "problems": 0}
    found = offers(
        [
            summary("fine"),
            summary("few", **useless, false_alarms=6),
            summary("many", **useless, false_alarms=30),
            summary("costly", **poor, money=costs(false_alarms=(800, 800))),
            summary("moist", money=costs(missed=250), worse_than_promotion="event_recall"),
        ],
        waiting={"fine"},
    )
    assert [(o.definition, o.action) for o in found] == [
        ("costly", "retune"),
        ("moist", "retrain"),
        ("many", "retire"),
        ("few", "retire"),
        ("fine", "approve"),
    ]
    assert found[0].worth == Amount(500, 500)
    assert (found[0].retune, found[0].alarms, found[0].can_be_applied) == (FEWER, 5, True)
    assert found[1].worth == Amount(0, 250)


def test_a_limit_that_loses_problems_is_worth_less_at_worst():
    loses = replace(FEWER, right_then=1)
    (one,) = offers(
        [
            summary(
                hits=2,
                avoided=0,
                false_alarms=8,
                trained=False,
                retune=loses,
                money=costs(false_alarms=(800, 800)),
            )
        ]
    )
    assert one.worth == Amount(400, 500)


def test_without_a_limit_a_person_must_narrow_the_condition():
    (one,) = offers([summary(hits=2, avoided=0, false_alarms=8, trained=False)])
    assert (one.action, one.can_be_applied) == ("retune", False)


REFUSED = OfferBasis(weeks=4, false_alarms=8, right=2, decided=10, announced=7, problems=9)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"weeks": 8, "false_alarms": 16, "right": 4, "decided": 20}, False),
        ({"false_alarms": 10, "decided": 12}, False),
        ({"false_alarms": 30, "decided": 32}, True),
        ({"right": 9}, True),
        ({"announced": 1}, True),
        ({"weeks": 0}, False),
    ],
)
def test_a_refused_proposal_comes_again_when_its_figures_leave_their_bounds(changes, expected):
    assert has_changed(REFUSED, replace(REFUSED, **changes)) is expected
