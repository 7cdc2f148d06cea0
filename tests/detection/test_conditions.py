import numpy as np
import pytest

from alerting.definitions.assets import Variable
from alerting.detection.conditions import (
    all_series,
    conditions_that_count,
    evaluate_combination,
    status_intervals,
    under_another_revision,
)
from alerting.detection.messages.condition_messages import combined_message, unknown_message
from tests.builders import at, history, oven, several, threshold

pytestmark = pytest.mark.fast

HOT = {"variable": "temperature", "above": 215}
MOIST = {"variable": "moisture", "above": 4.5}


def statuses(definition, data, until=10):
    return [
        (s.status, s.start, s.end) for s in status_intervals(definition, data, at(0), at(until))
    ][:-1]


def series_of(minutes, **columns):
    """Readings of one minute each; a missing value is no reading of its variable."""
    return history(
        minutes, **{name: np.array(values, np.float64) for name, values in columns.items()}
    )


NAN = np.nan
# temperature each minute, moisture at 2 and 6
DATA = series_of(
    [1, 2, 3, 4, 5, 6, 7],
    temperature=[210, 210, 220, 220, 220, 210, 210],
    moisture=[NAN, 5.0, NAN, NAN, NAN, 4.0, NAN],
)


def test_all_is_true_while_each_holds_by_its_own_last_value():
    found = statuses(several(all=[HOT, MOIST]), DATA)
    assert [(s, a) for s, a, _ in found][1:] == [("clear", at(1)), ("triggered", at(3))]
    assert found[-1][2] == at(6)


def test_any_is_true_while_one_holds_and_unknown_while_the_only_one_that_may_is():
    found = statuses(several(any=[HOT, MOIST]), DATA)
    # minute 1: not hot, moisture not known yet; minute 2 to 6: moist; then neither
    assert [(s, a) for s, a, _ in found][1:] == [("triggered", at(2))]
    assert found[-1][2] == at(6)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("any", {"TT": "T", "TF": "T", "TU": "T", "FF": "F", "FU": "U", "UU": "U"}),
        ("all", {"TT": "T", "TF": "F", "TU": "U", "FF": "F", "FU": "F", "UU": "U"}),
    ],
)
def test_truth_is_three_valued_in_either_order(how, expected):
    values = {"T": 5.0, "F": 4.0, "U": NAN}
    words = {"T": "triggered", "F": "clear", "U": "unknown"}
    for (one, other), truth in [
        *expected.items(),
        *((pair[::-1], truth) for pair, truth in expected.items()),
    ]:
        data = series_of([1], temperature=[values[one]], moisture=[values[other]])
        members = [{"variable": "temperature", "above": 4.5}, MOIST]
        (*_, last) = status_intervals(several(**{how: members}), data, at(0), at(1))
        assert last.status == words[truth], (one, other)


def test_a_list_within_a_list_is_one_condition():
    definition = several(all=[MOIST, {"any": [HOT, {"variable": "temperature", "below": 180}]}])
    data = series_of([1, 2, 3], temperature=[200, 170, 220], moisture=[5, 5, 5])
    assert [s for s, *_ in statuses(definition, data, 4)][1:] == ["clear"]
    assert status_intervals(definition, data, at(0), at(4))[-1].status == "triggered"


def test_each_condition_has_its_own_staleness_and_hysteresis():
    hot = {**HOT, "clear_above_at": 205, "stale_after": "2m"}
    definition = several(all=[hot, {**MOIST, "no_data": "ignore"}])
    data = series_of([1, 2, 3], temperature=[220, 210, 204], moisture=[5, NAN, NAN])
    assert [(s, a) for s, a, _ in statuses(definition, data, 9)][1:] == [
        ("triggered", at(1)),
        ("clear", at(3)),
    ]
    # stale two minutes after the last one
    assert status_intervals(definition, data, at(0), at(9))[-1].start == at(5)
    assert status_intervals(definition, data, at(0), at(9))[-1].status == "unknown"


def test_missing_data_raise_only_where_the_truth_depends_on_them():
    data = series_of([1, 4], temperature=[220, NAN], moisture=[5, 4])
    definition = several(all=[HOT, MOIST], stale_after="2m", no_data="alert", severity="high")
    found = status_intervals(definition, data, at(0), at(9))
    triggered = [(s.start, s.fact) for s in found if s.status == "triggered"]
    # hot and moist; then both are stale; then moisture is below its limit, whatever the temperature
    # is; then it is stale, too
    assert triggered == [(at(1), None), (at(3), "stale"), (at(6), "stale")]
    assert [s.start for s in found if s.status == "clear"] == [at(4)]


def test_the_reason_names_the_conditions_that_hold_with_their_values():
    definition = several(
        any=[HOT, MOIST, {"variable": "temperature", "below": 100}], **{"for": "5m"}
    )
    data = series_of([1, 2], temperature=[220, 221], moisture=[NAN, 5])
    combination = definition.combination
    found = evaluate_combination(
        combination, oven(), all_series(combination, data), None, at(0), at(3)
    )
    expected = (
        "Zone 2 temperature is 221 °C, above 215 °C and moisture is 5 %, above 4.5 % for 5 min"
    )
    assert combined_message(definition, oven(), found.conditions_at(at(2))) == expected
    assert (
        unknown_message(oven(), found.conditions_at(at(1)))
        == "no reading of moisture since this alert is evaluated"
    )


def test_a_condition_that_holds_in_a_list_that_does_not_is_no_reason():
    cold = {"variable": "temperature", "below": 235}
    definition = several(any=[MOIST, {"all": [HOT, cold]}])
    data = series_of([1, 2], temperature=[210, 220], moisture=[5, 4])
    found = evaluate_combination(
        definition.combination, oven(), all_series(definition.combination, data), None, at(0), at(3)
    )

    def counted(minute):
        of_combination = conditions_that_count(
            definition.combination, found.conditions_at(at(minute))
        )
        return [one.condition.variable for one in of_combination], combined_message(
            definition, oven(), of_combination
        )

    assert counted(1) == (["moisture"], "moisture is 5 %, above 4.5 %")
    assert counted(2)[0] == ["temperature", "temperature"]


def test_the_reason_of_missing_data_names_nothing_of_a_list_that_does_not_hold():
    cold = {"variable": "temperature", "below": 215}
    definition = several(any=[MOIST, {"all": [HOT, cold]}], stale_after="2m", no_data="alert")
    data = series_of([1, 2, 3, 4], temperature=[220] * 4, moisture=[4, NAN, NAN, NAN])
    combination = definition.combination
    found = evaluate_combination(
        combination, oven(), all_series(combination, data), None, at(0), at(5), "medium"
    )
    assert found.is_missing(at(4))
    counted = conditions_that_count(combination, found.conditions_at(at(4)))
    assert (
        combined_message(definition, oven(), counted, True) == "no reading of moisture within 2 min"
    )


def test_missing_data_of_a_condition_that_decides_nothing_raise_nothing():
    """Temperature is above its limit, so that its list holds though moisture is stale; what is
    unknown is the rate."""
    rising = {"variable": "speed", "above": 1, "rate_per": "5m"}
    definition = several(all=[rising, {"any": [HOT, MOIST]}], stale_after="2m", no_data="alert")
    asset = oven(speed=Variable())
    data = history(
        [1, 2, 3, 4],
        asset=asset,
        temperature=[220.0] * 4,
        moisture=[5, NAN, NAN, NAN],
        speed=[1.0] * 4,
    )
    found = [(s.start, s.status, s.fact) for s in status_intervals(definition, data, at(0), at(4))]
    assert found[-1] == (at(1), "unknown", "no_rate")


def test_the_reason_of_missing_data_names_them_beside_what_holds():
    definition = several(all=[HOT, MOIST], stale_after="2m", no_data="alert")
    data = series_of([1, 2, 3, 4], temperature=[220] * 4, moisture=[NAN, 5, NAN, NAN])
    combination = definition.combination
    found = evaluate_combination(
        combination, oven(), all_series(combination, data), None, at(0), at(5), "medium"
    )
    assert (found.is_missing(at(3)), found.is_missing(at(4))) == (False, True)
    reason = combined_message(
        definition, oven(), found.conditions_at(at(4)), found.is_missing(at(4))
    )
    assert (
        reason == "Zone 2 temperature is 220 °C, above 215 °C; no reading of moisture within 2 min"
    )


def test_another_revision_keeps_the_side_of_each_limit_apart():
    very_hot = {"variable": "temperature", "above": 300, "clear_above_at": 210}
    combination = several(all=[HOT, very_hot]).combination
    data = series_of([1], temperature=[220])
    leaves = list(combination.leaves())
    carried = evaluate_combination(
        combination, oven(), all_series(combination, data), None, at(0), at(1)
    ).carried
    assert [part.beyond for part in under_another_revision(leaves, carried)] == [
        ("medium.above",),
        (),
    ]
    assert [part.beyond for part in under_another_revision(leaves[1:], carried)] == [()], (
        "of which of both is not known"
    )


def test_a_category_that_is_sent_when_it_changes_counts_until_then():
    asset = oven(recipe=Variable(type="category"))
    data = history(
        [1, 100],
        asset=asset,
        recipe=np.array(["rye", None], object),
        temperature=np.array([NAN, 220.0]),
    )
    definition = several(all=[{"variable": "recipe", "equals": "rye", "no_data": "ignore"}, HOT])
    assert status_intervals(definition, data, at(0), at(101))[-1].status == "triggered"


BAND = {"low": 210, "high": 220}
WIDE = {"low": 205, "high": 225}
FIELDS = [
    ({}, {"above": 218}),
    ({}, {"below": 209}),
    ({}, {"clear_above_at": 209}),
    ({"below": 209}, {"below": 209, "clear_below_at": 213}),
    ({}, {"above": None, "outside": BAND}),
    ({}, {"above": None, "inside": BAND}),
    ({}, {"above": None, "equals": 222}),
    (
        {"above": None, "outside": BAND},
        {"above": None, "outside": BAND, "clear_inside": {"low": 215, "high": 216}},
    ),
    ({"above": None, "inside": BAND}, {"above": None, "inside": BAND, "clear_outside": WIDE}),
    ({"above": 9}, {"above": 9, "rate_per": "1m"}),
    ({}, {"stale_after": "90s"}),
    ({}, {"no_data": "ignore"}),
]


@pytest.mark.parametrize(("before", "after"), FIELDS)
def test_a_field_of_one_among_several_does_what_it_does_alone(before, after):
    data = history(
        [1, 2, 3, 4, 5, 6, 9], temperature=np.array([211.0, 216, 210, 222, 219, 204, 212])
    )

    def found(**fields):
        return [
            (s.status, s.start, s.fact)
            for s in status_intervals(several(**fields), data, at(0), at(30))
        ]

    def alone(fields):
        return [
            (s.status, s.start, s.fact)
            for s in status_intervals(threshold(**fields), data, at(0), at(30))
        ]

    member = {key: value for key, value in {**HOT, **after}.items() if value is not None}
    never = {**HOT, "above": 900, "no_data": "ignore"}
    always = {**HOT, "above": -900, "no_data": "ignore"}
    assert alone(before) != alone(after)
    assert (
        found(any=[member, never])[1:]
        == found(all=[always, {"any": [never, member]}])[1:]
        == alone(after)[1:]
    )
