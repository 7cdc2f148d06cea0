"""Remaining lives: ends, censoring, levels and calibration with known answers."""

from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.alert_definition import LifeEnds
from alerting.definitions.asset_documents import EventType
from alerting.definitions.wording.language import language
from alerting.episodes.remaining_life import RemainingLife
from alerting.learning.features.lives import RowLives, lives_of_rows, row_lives
from alerting.learning.models.life_model import (
    KnownLives,
    LifeTimes,
    check_lives,
    level_at,
    time_to,
)
from alerting.learning.selection.life_training import (
    interval_edges,
    keep_level,
    level_quantile,
    person_periods,
)
from alerting.readings.history import to_millis
from tests.builders import at, history

MINUTE = 60_000
ENDS = LifeEnds("failure-*", timedelta(minutes=30), "replaced", timedelta(hours=4))


@pytest.mark.parametrize(
    ("minute", "age", "time_left", "failed", "life"),
    [
        (40, np.nan, 60, 1, 0),  # nobody knows when the first part was put in
        (100, 0, 150, 1, 1),  # its repair 20 min later ends no life
        (200, 100, 50, 1, 1),
        (260, 160, 140, 0, 2),  # the failure of minute 250 is known an hour later
        (320, 70, 80, 0, 2),
        (500, 100, 100, 0, 3),  # up to the last reading
    ],
)
def test_a_life_ends_with_a_failure_or_a_planned_replacement_and_age_is_what_was_known(
    minute, age, time_left, failed, life
):
    events = [
        ("failure-a", 100, 100),
        ("replaced", 120, 120),
        ("failure-b", 250, 250),
        ("replaced", 400, 400),
        ("error", 450, 450),
    ]
    late = EventType(name="failure-b", duration="instant", delay=timedelta(hours=1))
    line = history([0, 600], events=events, event_types=[late], moisture=[1.0, 2.0])
    row = RowLives(*row_lives(ENDS, line, np.array([to_millis(at(minute))]))[0])
    expected = (age * MINUTE, time_left * MINUTE, failed, life)
    np.testing.assert_array_equal(row, expected)
    before = ENDS._replace(replaced_by=None)
    assert RowLives(*row_lives(before, line, np.array([to_millis(at(300))]))[0]).time_left == (
        300 * MINUTE
    )
    assert lives_of_rows(None, [line], np.array([0]), np.array(["a"])).shape == (1, 0)


@pytest.mark.parametrize(
    ("time_left", "failed", "intervals"),
    [
        (15, True, [(0, 0), (1, 1)]),
        (10, True, [(0, 1)]),
        (15, False, [(0, 0)]),  # of the interval in which it was replaced nothing is known
        (30, False, [(0, 0), (1, 0), (2, 0)]),
        (99, True, [(0, 0), (1, 0), (2, 0)]),
        (5, False, []),
    ],
)
def test_a_row_is_at_risk_in_the_intervals_that_its_part_survived(time_left, failed, intervals):
    periods = person_periods(np.array([time_left]), np.array([failed]), (10, 20, 30))
    assert list(zip(periods.interval.tolist(), periods.ended.tolist(), strict=True)) == intervals


def test_levels_and_times_are_inverse_and_beyond_the_longest_life_nothing_is_known():
    edges = (10.0, 20.0, 40.0)
    hazards = np.cumsum(-np.log1p(-np.array([[0.1, 0.5, 0.5], [1e-9, 1e-9, 1e-9]])), axis=1)
    level = level_at(hazards, edges, np.array([10.0, 15.0]))
    assert level[0] == pytest.approx(0.1)
    assert time_to(hazards, edges, 0.1)[0] == pytest.approx(10)
    assert time_to(hazards, edges, 0.55)[0] == pytest.approx(20)
    assert time_to(hazards, edges, 0.9).tolist() == [np.inf, np.inf]
    assert level_at(hazards, edges, np.array([40.0, 99.0]))[0] == pytest.approx(0.775)
    longest = interval_edges(np.array([600.0, 1.0]), 10)
    assert (longest[0], longest[-1]) == (pytest.approx(10), pytest.approx(600))


def test_calibration_takes_the_quantile_of_lives_and_counts_one_that_may_lie_anywhere():
    level = np.arange(1, 100) / 100
    one = np.ones(99)
    every = np.ones(99, bool)
    assert level_quantile(level, every, one, 0.1, 0.5) == pytest.approx(0.09)
    assert level_quantile(level, every, one, 0.9, 0.5) == pytest.approx(0.9)
    assert level_quantile(level, every, one, 0.5, 0.0) == pytest.approx(0.5)
    four = (level[:4], every[:4], one[:4])
    assert level_quantile(*four, 0.1, 0.5) == 0.0
    assert level_quantile(*four, 0.9, 0.5) == 1.0
    # by hand (Kaplan and Meier): 1 of 4 ends, one is replaced, then 1 of 2 of what is~time_left
    failed = np.array([True, False, True, True])
    assert level_quantile(np.array([0.1, 0.2, 0.3, 0.4]), failed, np.ones(4), 0.6, 0.0) == 0.3
    assert level_quantile(np.array([0.1, 0.2, 0.3, 0.4]), failed, np.ones(4), 0.7, 0.0) == 0.4


@pytest.mark.parametrize(("lives", "expected"), [(48, None), (49, 0.005), (99, 0.01), (149, 0.015)])
def test_advice_against_the_plan_needs_lives_enough_to_prove_two_percent(lives, expected):
    level = np.repeat(np.arange(1, lives + 1) / 100, 2)
    life = np.repeat(np.arange(lives), 2)
    kept = keep_level(level, life)
    assert kept is None if expected is None else kept == pytest.approx(expected, abs=1e-6)


def test_the_check_counts_by_life_and_compares_with_the_mean_life():
    hours = np.array([4.0, 2.0, 6.0])
    times = LifeTimes(hours - 3, hours, np.array([9.0, 3.0, np.inf]), np.array([0.0, 3.0, 6.0]))
    lives = KnownLives(np.array([1.0, 3.0, 2.0]), np.array([4.0, 2.0, 8.0]), np.array([7, 7, 9]))
    check = check_lives(times, lives, every_ms=4, mean_life=6.0)
    assert check.coverage.tolist() == [1.0, 1.0]
    assert (check.error_ms, check.trivial_ms) == (1.0, 2.5)
    assert (check.outlived, check.advised, check.wrong) == (2, 2, 1)
    assert check.is_calibrated
    missed = check._replace(coverage=np.full(8, 0.5) + np.arange(8) / 100)
    assert not missed.is_calibrated
    assert "wrong in 1 of 2 lives" in check.message


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("life", "sentence"),
    [
        ((6.4 * HOUR, 9 * HOUR, 13.2 * HOUR), "6 h to 14 h (four of five times)"),
        ((50 * HOUR, 70 * HOUR, 72 * HOUR), "2 d 2 h to 3 d (four of five times)"),
        ((0.5 * HOUR, 0.7 * HOUR, 0.75 * HOUR), "30 min to 45 min (four of five times)"),
        ((120 * HOUR, None, None), "more than 5 d (nine of ten times)"),
    ],
)
def test_sentences_round_away_from_the_middle_and_name_no_number_beyond_what_was_seen(
    life, sentence
):
    assert RemainingLife(at(0), *life).sentence == sentence
    stored = RemainingLife(at(0), *life, keep_until=at(60))
    assert RemainingLife.from_times(at(0), stored.times_ms) == stored
    assert "do not replace before" in stored.message
    assert "nicht" in language("de").translate(stored.message)
    assert RemainingLife.from_times(at(0), None) is None
