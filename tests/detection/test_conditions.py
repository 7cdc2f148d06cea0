from datetime import timedelta
from itertools import groupby

import numpy as np
import pytest

from alerting.definitions.asset_documents import Variable
from alerting.detection.combined_conditions import (
    all_series,
    conditions_that_count,
    evaluate_combination,
    severity_of_missing,
    status_intervals,
    under_another_revision,
)
from alerting.detection.evaluation_results_and_texts import combined_message, unknown_message
from tests.builders import at, history, oven, several, threshold

pytestmark = pytest.mark.fast

HOT = {"variable": "temperature", "above": 215}
MOIST = {"variable": "moisture", "above": 4.5}


def series_of(minutes, **columns):
    """Readings of one minute each; a missing value is no reading of its variable."""
    return history(
        minutes, **{name: np.array(values, np.float64) for name, values in columns.items()}
    )


NAN = np.nan
COLD = {"variable": "temperature", "below": 180}
TWO_MINUTES = {"stale_after": "2m", "no_data": "alert"}
# conditions, temperature and moisture of each minute from 1 on, and the statuses from their minutes
STATUSES = {
    "all is true while each holds by its own last value": (
        {"all": [HOT, MOIST]},
        [210, 210, 220, 220, 220, 210, 210],
        [NAN, 5.0, NAN, NAN, NAN, 4.0, NAN],
        [(1, "clear", None), (3, "triggered", None), (6, "clear", None)],
    ),
    "any is true while one holds, and unknown while the only one that may is": (
        {"any": [HOT, MOIST]},
        [210, 210, 220, 220, 220, 210, 210],
        [NAN, 5.0, NAN, NAN, NAN, 4.0, NAN],
        [(2, "triggered", None), (6, "clear", None)],
    ),
    "a list within a list is one condition": (
        {"all": [MOIST, {"any": [HOT, COLD]}]},
        [200, 170, 220, 200],
        [5, 5, 5, 5],
        [(1, "clear", None), (2, "triggered", None), (4, "clear", None)],
    ),
    "each condition has its own staleness and hysteresis": (
        {
            "all": [
                {**HOT, "clear_above_at": 205, "stale_after": "2m"},
                {**MOIST, "no_data": "ignore"},
            ]
        },
        [220, 210, 204],
        [5, NAN, NAN],
        [(1, "triggered", None), (3, "clear", None), (5, "unknown", "stale")],
    ),
    # hot and moist; then both are stale; then moisture is below its limit, whatever the temperature
    # is; then it is stale, too
    "missing data raise only where the truth depends on them": (
        {"all": [HOT, MOIST], **TWO_MINUTES, "severity": "high"},
        [220],
        [5, NAN, NAN, 4],
        [
            (1, "triggered", None),
            (3, "triggered", "stale"),
            (4, "clear", None),
            (6, "triggered", "stale"),
        ],
    ),
    # temperature is above its limit, so that its list holds though moisture is stale; what is
    # unknown is the rate
    "missing data of a condition that decides nothing raise nothing": (
        {
            "all": [
                {"variable": "temperature", "above": 1, "rate_per": "5m"},
                {"any": [HOT, MOIST]},
            ],
            **TWO_MINUTES,
        },
        [220.0] * 4,
        [5, NAN, NAN, NAN],
        [(1, "unknown", "no_rate"), (6, "triggered", "stale")],
    ),
}


def readings(temperature, moisture):
    length = max(len(temperature), len(moisture))
    columns = {"temperature": temperature, "moisture": moisture}
    padded = {name: [*column, *[NAN] * (length - len(column))] for name, column in columns.items()}
    return series_of(range(1, length + 1), **padded)


def test_conditions_of_several_variables_give_statuses():
    def course(conditions, temperature, moisture, _):
        found = status_intervals(
            several(**conditions), readings(temperature, moisture), at(0), at(9)
        )
        runs = groupby(found, key=lambda s: (s.status, s.fact))
        return [
            ((next(run).start - at(0)) / timedelta(minutes=1), *what)
            for what, run in runs
            if what[1] != "waiting"
        ]

    assert {what: course(*row) for what, row in STATUSES.items()} == {
        what: expected for what, (*_, expected) in STATUSES.items()
    }


def test_truth_is_three_valued_in_either_order():
    values = {"T": 5.0, "F": 4.0, "U": NAN}
    words = {"T": "triggered", "F": "clear", "U": "unknown"}
    members = [{"variable": "temperature", "above": 4.5}, MOIST]
    table = {
        "any": {"TT": "T", "TF": "T", "TU": "T", "FF": "F", "FU": "U", "UU": "U"},
        "all": {"TT": "T", "TF": "F", "TU": "U", "FF": "F", "FU": "F", "UU": "U"},
    }

    def truth(how, one, other):
        data = series_of([1], temperature=[values[one]], moisture=[values[other]])
        return status_intervals(several(**{how: members}), data, at(0), at(1))[-1].status

    for how, expected in table.items():
        found = {pair: {truth(how, *pair), truth(how, *pair[::-1])} for pair in expected}
        assert (how, found) == (how, {pair: {words[one]} for pair, one in expected.items()})


def test_the_reason_names_the_conditions_that_count_with_their_values():
    """A condition that holds in a list that does not is no reason; missing data are named beside
    what holds."""
    not_too_hot = {"any": [MOIST, {"all": [HOT, {"variable": "temperature", "below": 235}]}]}
    hot_or_moist = {"any": [HOT, MOIST, {"variable": "temperature", "below": 100}], "for": "5m"}
    both = {"all": [HOT, MOIST], **TWO_MINUTES}
    moist_or_mild = {"any": [MOIST, {"all": [HOT, {**HOT, "above": None, "below": 215}]}]}
    hot = "Zone 2 temperature is 220 °C, above 215 °C"
    table = [
        (
            hot_or_moist,
            [220, 221],
            [NAN, 5],
            2,
            "Zone 2 temperature is 221 °C, above 215 °C and moisture is 5 %, above 4.5 % for 5 min",
        ),
        (not_too_hot, [210, 220], [5, 4], 1, "moisture is 5 %, above 4.5 %"),
        (
            not_too_hot,
            [210, 220],
            [5, 4],
            2,
            f"{hot} and Zone 2 temperature is 220 °C, below 235 °C",
        ),
        (
            moist_or_mild | TWO_MINUTES,
            [220] * 4,
            [4, NAN, NAN, NAN],
            4,
            "no reading of moisture within 2 min",
        ),
        (both, [220] * 4, [NAN, 5, NAN, NAN], 3, f"{hot} and moisture is 5 %, above 4.5 %"),
        (
            both,
            [220] * 4,
            [NAN, 5, NAN, NAN],
            4,
            f"{hot}; no reading of moisture within 2 min",
        ),
    ]

    def reason(conditions, temperature, moisture, minute, _):
        definition = several(**conditions)
        combination = definition.combination
        series = all_series(combination, readings(temperature, moisture))
        found = evaluate_combination(
            combination,
            oven(),
            series,
            None,
            at(0),
            at(minute + 1),
            severity_of_missing(definition),
        )
        counted = conditions_that_count(combination, found.conditions_at(at(minute)))
        return combined_message(definition, oven(), counted, found.is_missing(at(minute)))

    assert [reason(*row) for row in table] == [expected for *_, expected in table]
    combination = several(**hot_or_moist).combination
    series = all_series(combination, readings([220, 221], [NAN, 5]))
    found = evaluate_combination(combination, oven(), series, None, at(0), at(3))
    assert (
        unknown_message(oven(), found.conditions_at(at(1)))
        == "moisture has no reading since this alert is in service"
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


def test_a_field_of_one_among_several_does_what_it_does_alone():
    minutes = [1, 2, 3, 4, 5, 6, 9]
    data = history(minutes, temperature=np.array([211.0, 216, 210, 222, 219, 204, 212]))
    never = {**HOT, "above": 900, "no_data": "ignore"}
    always = {**HOT, "above": -900, "no_data": "ignore"}

    def statuses(definition):
        found = status_intervals(definition, data, at(0), at(30))
        return [(one.status, one.start, one.fact) for one in found]

    for before, after in FIELDS:
        member = {key: value for key, value in {**HOT, **after}.items() if value is not None}
        alone = statuses(threshold(**after))
        assert statuses(threshold(**before)) != alone, after
        among = several(any=[member, never]), several(all=[always, {"any": [never, member]}])
        assert [statuses(one)[1:] for one in among] == [alone[1:]] * 2, after
