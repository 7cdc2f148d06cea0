"""Learned limits: quantiles of readings in groups, with the coarser groups that answer in their
place."""

import numpy as np

from alerting.definitions.asset_documents import Variable
from alerting.definitions.fields.condition_fields import Learned
from alerting.definitions.threshold_limits import key_of
from alerting.detection.evaluation_results_and_texts import limit_message
from alerting.detection.learned_limits import LearnedLimits, estimate_limits, least_readings
from alerting.detection.threshold import evaluate_series
from alerting.readings.variable_series import category_values, labels_at, series_of
from tests.builders import at, history, oven, threshold

OVEN = oven(temperature=Variable(unit="°C"), recipe=Variable(type="category"))
HALF = Learned(quantile=0.6, by=("recipe",))
LEARNED = {"above": {"learned": {"quantile": 0.6, "by": ["recipe"]}}, "clear_above_at": None}
# A: 1 to 7, quantile 0.6 at 5; B: three readings, too few; all: 10 readings, 1 to 7 and 20, 30, 40
TABLE = estimate_limits(
    HALF,
    np.array([*range(1, 8), 20.0, 30.0, 40.0]),
    [np.array([*"AAAAAAA", *"BBB"], object)],
    at(0),
    at(10),
    most_groups=100,
)


def in_force(table=TABLE):
    data = history([11, 15], OVEN, recipe=["A", "B"])
    categories = {"recipe": category_values(OVEN, "recipe", [data.readings])}
    return LearnedLimits(
        {key_of("temperature", HALF): table} if table else {}, "UTC", "no estimate", categories
    )


def evaluated(values, learned, minutes=None, **fields):
    definition = threshold(**{**LEARNED, **fields})
    data = history(minutes or range(11, 11 + len(values)), OVEN, temperature=values)
    series = series_of(definition, data)
    return definition, evaluate_series(
        definition, OVEN, series.ts, series.values, None, at(10), at(20), learned=learned
    )


def statuses(found):
    return [(one.status, one.fact, one.start) for one in found.intervals]


def test_a_quantile_needs_so_many_readings_that_one_lies_beyond_it_with_95_percent():
    least = {0.999: 2995, 0.001: 2995, 0.99: 299, 0.95: 59, 0.5: 5}
    assert {quantile: least_readings(quantile) for quantile in least} == least
    for quantile, count in least.items():
        within = max(quantile, 1 - quantile)
        assert 1 - within**count >= 0.95 > 1 - within ** (count - 1)


def test_each_group_with_enough_readings_has_its_own_quantile_and_others_the_coarser_one():
    assert {group: (one.readings, one.limit) for group, one in TABLE.groups.items()} == {
        (): (10, 6.0),
        ("A",): (7, 5.0),
        ("B",): (3, None),
    }
    answering = {("A",): ("A",), ("B",): (), ("never seen",): (), (): ()}
    assert {group: TABLE.answering(group) for group in answering} == answering
    rare = Learned(quantile=0.999)
    few = estimate_limits(rare, np.arange(100.0), [], at(0), at(1), most_groups=10)
    assert few.answering(()) is None


def test_hours_of_the_day_are_those_of_the_time_zone():
    ts = np.array([0, 3_600_000], np.int64)  # 1 January 1970, 00:00 and 01:00 UTC
    assert labels_at(["hour_of_day"], {}, "Europe/Berlin", ts)[0].tolist() == ["1", "2"]


def test_groups_narrow_in_order_in_which_they_are_written_and_end_before_the_first_unknown_one():
    labels = [np.array([*"AAAAAAA", None], object), np.array([*"0000000", "0"], object)]
    table = estimate_limits(
        Learned(quantile=0.6, by=("recipe", "hour_of_day")),
        np.arange(8.0),
        labels,
        at(0),
        at(1),
        100,
    )
    assert {group: one.readings for group, one in table.groups.items()} == {
        (): 8,
        ("A",): 7,
        ("A", "0"): 7,
    }


def test_of_too_many_groups_the_largest_are_kept_and_the_others_take_the_coarser_one():
    labels = [np.array([*"AAAAAAA", *"BBBBBB"], object)]
    table = estimate_limits(HALF, np.arange(13.0), labels, at(0), at(1), most_groups=2)
    assert set(table.groups) == {(), ("A",)}
    assert table.answering(("B",)) == ()


def test_a_reading_is_compared_with_the_limit_of_its_own_recipe():
    # recipe A from minute 11, B from minute 15
    _, found = evaluated([6, 6, 6, 4, 5, 5, 7], in_force())
    assert statuses(found) == [
        ("unknown", "waiting", found.intervals[0].start),
        ("triggered", None, at(11)),
        ("clear", None, at(14)),
        ("triggered", None, at(17)),
    ]


def test_the_sentence_names_limit_group_and_number_of_readings():
    definition, found = evaluated([6], in_force())
    text, limit = limit_message(definition, OVEN, found.reading_at(at(11)), "high")
    assert limit == 5
    assert text == "temperature is 6 °C, above 5 °C (quantile 0.6 of 7 readings, recipe A)"


def test_without_an_estimate_the_state_is_unknown_for_a_reason_and_a_fixed_limit_still_counts():
    _, found = evaluated([5, -3, 5], in_force(None), below=0)
    assert [(s, f) for s, f, _ in statuses(found)][1:] == [
        ("unknown", "no_limit"),
        ("triggered", None),
        ("unknown", "no_limit"),
    ]
    assert [one.description for one in found.reading_at(at(11)).learned] == ["no estimate"]


def test_an_unknown_limit_is_not_counted_among_the_last_readings():
    few = estimate_limits(
        HALF, np.arange(3.0), [np.array([*"AAA"], object)], at(0), at(1), most_groups=9
    )
    _, found = evaluated([-5, 5, -5], in_force(few), below=0, at_least={"readings": 2, "of": 2})
    assert [(s, a) for s, _, a in statuses(found)][-1] == ("triggered", at(13))
