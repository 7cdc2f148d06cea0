"""Shares, points and titles as operators read them."""

from datetime import timedelta

import pytest

from alerting.definitions.wording.language import (
    ENGLISH,
    digits_beside,
    spoken_about,
    spoken_false_alarms,
    spoken_number,
)

pytestmark = pytest.mark.fast


POINTS = [
    (0.634, "63 points"),
    (0.1, "10 points"),
    (0.025, "2.5 points"),
    (0.01, "1 point"),
    (0.0, "0 points"),
    (1.0, "100 points"),
]
DURATIONS = [
    (0, "0 s"),
    (59.6, "1 min"),
    (36_000, "10 h"),
    (37_230, "10 h 20 min"),
    (183_600, "2 d 3 h"),
    (86_460, "1 d"),
    (-90, "-1 min 30 s"),
]
NUMBERS = [
    (1234567.0, "g", "1234567"),
    (1234999.0, "g", "1234999"),
    (-12345.0, ".3g", "-12345"),
    (4.5, "g", "4.5"),
    (0.0000123, ".3g", "0.0000123"),
    (1e-12, "g", "1e-12"),
    (1e20, "g", "1e+20"),
]
BESIDE_LIMITS = [
    (216.853, (200.0,), "217"),
    (216.853, (), "217"),
    (215.004, (215.0,), "215.004"),
    (215.3, (215.0,), "215.3"),
    (214.96, (215.0,), "214.96"),
    (215.00004, (215.0, None), "215.00004"),
    (215.0, (215.0,), "215"),
    (216.5, (216.5,), "216.5"),
    (4.5312, (4.0, 4.53), "4.531"),
    (1013.25, (1000.0,), "1013"),
    (0.0000251234, (0.00002,), "0.0000251"),
]


def test_a_difference_of_risks_is_given_in_points_with_a_decimal_below_ten():
    assert [(one, ENGLISH.points(one)) for one, _ in POINTS] == POINTS


def test_a_measured_duration_has_its_two_largest_units():
    assert [(one, spoken_about(timedelta(seconds=one))) for one, _ in DURATIONS] == DURATIONS


def test_false_alarms_of_several_assets_are_those_of_all_together():
    assert (
        spoken_false_alarms(2, 20) == "40 false alarms a week on all 20 assets together (2 on each)"
    )
    assert spoken_false_alarms(2.5, 1) == "2.5 false alarms a week"


def test_a_large_number_is_written_out_and_no_two_limits_look_alike():
    assert [(one, style, spoken_number(one, style)) for one, style, _ in NUMBERS] == NUMBERS


def test_a_value_has_the_digits_that_show_on_which_side_of_a_limit_it_lies():
    shown = [
        spoken_number(one, f".{digits_beside(one, *limits)}g") for one, limits, _ in BESIDE_LIMITS
    ]
    assert shown == [text for *_, text in BESIDE_LIMITS]
