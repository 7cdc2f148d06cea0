"""Remaining lives: ends, censoring, levels and calibration with known answers."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from alerting.definitions.alert_definition import LifeEnds
from alerting.definitions.asset_documents import EventType, Variable
from alerting.definitions.wording.language import language
from alerting.episodes.remaining_life import RemainingLife
from alerting.learning.features.life_features import (
    build_life_features,
    life_columns,
    lives_of_rows,
)
from alerting.learning.features.lives import ages, find_lives, life_windows, row_lives
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.learning.models import life_model
from alerting.learning.models.life_model import (
    LifeLevels,
    LifeModel,
    hazards_of,
    level_at,
    time_to,
)
from alerting.learning.selection import life_training
from alerting.learning.selection.life_training import (
    FEWEST_LIVES,
    LifeExperiment,
    LifeRows,
    calibrate,
    check_lives,
    gains_beyond_chance,
    interval_edges,
    keep_level,
    level_quantile,
    person_periods,
    rows_of_lives,
)
from alerting.readings.history import no_events, to_millis
from tests.builders import at, history, oven

MINUTE = 60_000
ENDS = LifeEnds("failure-*", 30 * MINUTE, "replaced", 240 * MINUTE)
PLAN = FeaturePlan(
    10 * MINUTE,
    (10 * MINUTE,),
    ("last",),
    (NumberSource("moisture", 10 * MINUTE),),
    delay_ms=20 * MINUTE,
    life_windows_ms=(30 * MINUTE, 60 * MINUTE),
)


@pytest.mark.parametrize(
    ("minute", "age", "time_left", "failed", "life"),
    [
        (40, np.nan, 60, 1, 0),  # nobody knows when the first part was put in
        (100, 0, 150, 1, 1),  # its repair 20 min later ends no life
        (200, 80, 50, 1, 1),
        (260, 140, 140, 0, 2),  # the failure of minute 250 is known an hour later
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
    row = row_lives(ENDS, line, np.array([to_millis(at(minute))]))[0]
    expected = (age * MINUTE, time_left * MINUTE, failed, life)
    np.testing.assert_array_equal(row, expected)
    before = ENDS._replace(replaced_by=None)
    assert row_lives(before, line, np.array([to_millis(at(300))]))[0, 1] == 300 * MINUTE
    assert lives_of_rows(None, PLAN, [line], np.array([0]), np.array(["a"])).shape == (1, 0)


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
    _, interval, ended = person_periods(np.array([time_left]), np.array([failed]), (10, 20, 30))
    assert list(zip(interval.tolist(), ended.tolist(), strict=True)) == intervals


def test_levels_and_times_are_inverse_and_beyond_the_longest_life_nothing_is_known():
    edges = (10.0, 20.0, 40.0)
    hazards = np.cumsum(-np.log1p(-np.array([[0.1, 0.5, 0.5], [1e-9, 1e-9, 1e-9]])), axis=1)
    level = level_at(hazards, edges, np.array([10.0, 15.0]))
    assert level[0] == pytest.approx(0.1)
    assert time_to(hazards, edges, np.array([0.1, 0.1]))[0] == pytest.approx(10)
    assert time_to(hazards, edges, np.array([0.55, 0.1]))[0] == pytest.approx(20)
    for level in (0.9, 1.0):
        assert np.isnan(time_to(hazards, edges, np.full(2, level))).all()
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


@pytest.mark.parametrize(("unknown", "is_apart"), [(200, True), (FEWEST_LIVES - 1, False)])
def test_parts_of_unknown_age_have_levels_of_their_own_from_enough_lives_on(unknown, is_apart):
    """Ends of parts of known age lie in the middle of their distributions, the others anywhere."""
    level = np.append(np.linspace(0.3, 0.7, 100), np.linspace(0.01, 0.99, unknown))
    hazards = -np.log1p(-level)[:, None]
    age = np.where(np.arange(len(level)) < 100, 5.0, np.nan)
    rows = life_rows(age, np.ones(len(level)), np.arange(len(level)))
    known, ageless = calibrate(hazards, rows, (1.0,), ENDS)
    assert known[:3] == pytest.approx((0.34, 0.5, 0.66), abs=0.01)
    assert known.keep is not None
    assert ageless.keep is None, "never advice for a part of unknown age"
    expected = (0.1, 0.5, 0.9) if is_apart else (0.33, 0.5, 0.67)
    assert ageless[:3] == pytest.approx(expected, abs=0.02)
    fair = SimpleNamespace(margin_of=lambda matrix: np.zeros(len(matrix)))
    levels = LifeLevels(0.5, 0.75, 0.75, None), LifeLevels(0.75, 0.75, 0.875, None)
    model = LifeModel((fair,), (10.0, 20.0, 30.0), *levels, 0)
    times = model.times(np.zeros((2, 1)), np.array([[5.0], [np.nan]]), ENDS)
    np.testing.assert_allclose(times[:, :3], [[10, 20, 20], [20, 20, 30]])


def test_rows_are_expanded_by_cells_so_that_many_columns_need_no_more_memory(monkeypatch):
    cells = []

    def margin(matrix):
        cells.append(matrix.size)
        return matrix[:, 0] / 100

    matrix = np.arange(300.0).reshape(50, 6)
    arguments = SimpleNamespace(margin_of=margin), (10.0, 20.0), matrix, np.zeros((50, 2))
    whole = hazards_of(*arguments)
    monkeypatch.setattr(life_model, "MOST_CELLS", 100)
    np.testing.assert_array_equal(hazards_of(*arguments), whole)
    assert cells[0] == 50 * 2 * 10
    assert max(cells[1:]) == 100


@pytest.mark.parametrize(("lives", "expected"), [(48, None), (49, 0.005), (99, 0.01), (149, 0.015)])
def test_advice_against_the_plan_needs_lives_enough_to_prove_two_percent(lives, expected):
    level = np.repeat(np.arange(1, lives + 1) / 100, 2)
    life = np.repeat(np.arange(lives), 2)
    kept = keep_level(level, life)
    assert kept is None if expected is None else kept == pytest.approx(expected, abs=1e-6)


def life_rows(age, time_left, life, failed=True):
    size = len(age)
    failed = np.broadcast_to(failed, size)
    features = np.array(age, float)[:, None]
    columns = features, np.array(time_left), failed, np.array(life), np.arange(size)
    return LifeRows(np.arange(size), *columns, np.ones(size, bool))


def test_the_check_counts_by_life_and_names_what_was_wrong():
    hours = np.array([4.0, 2.0, 6.0]) * 60 * MINUTE
    nothing = np.nan
    high = np.array([9.0, 3.0, nothing]) * 60 * MINUTE
    keep = np.array([nothing, 3.0, 6.0]) * 60 * MINUTE
    times = np.column_stack([hours - 3, hours, high, keep])
    rows = life_rows(
        np.array([1.0, 3.0, 2.0]) * 60 * MINUTE,
        hours + np.array([0, 0, 2 * 60 * MINUTE]),
        [7, 7, 9],
    )
    seen = life_rows(np.zeros(2), np.array([2.0, 10.0]) * 60 * MINUTE, [1, 2])
    check = check_lives(rows, times, ENDS, seen)
    assert (check.is_calibrated, check.is_wrong) == (True, True)
    # half of the lives that lasted longer lasted 10 h at 3 h and 2 h, 6 h at 1 h
    assert (check.error, check.error_by_age) == (1 * 60 * MINUTE, 1.5 * 60 * MINUTE)
    assert check.message == (
        "Remaining life: on 2 unseen lives the interval held 100 % of the time (80 % stated); its "
        "middle is 1 h off on average, a guess by the age alone 1 h 30 min. Advice to keep "
        "the part longer than planned: in 2 of 2 lives that lasted longer than the plan, wrong in "
        "1 of 2 lives."
    )
    missed = np.column_stack([np.full(3, 9e9), hours, high, keep])
    assert not check_lives(rows, missed, ENDS, seen).is_calibrated


def test_a_failure_that_is_known_late_makes_no_life_of_unknown_age():
    """The first rows of a part are of unknown age until the failure before it is known."""
    level = np.append(np.linspace(0.3, 0.7, 100), np.linspace(0.9, 0.99, 100))
    hazards = -np.log1p(-level)[:, None]
    age = np.where(np.arange(200) < 100, 5.0, np.nan)
    rows = life_rows(age, np.ones(200), np.arange(200) % 100)
    known, ageless = calibrate(hazards, rows, (1.0,), ENDS)
    assert known[:3] == pytest.approx((0.34, 0.5, 0.66), abs=0.01)
    pooled = level_quantile(level, rows.failed, rows.weight, 0.5, 0.0)
    assert ageless.median == pooled < 0.71


@pytest.mark.parametrize("failing", [5, 7])
def test_each_fold_learns_from_failures_whichever_lives_failed(failing):
    number = np.repeat(np.arange(8 * failing), 3)
    time_left = np.tile([30.0, 20.0, 10.0], 8 * failing)
    rows = life_rows(40 - time_left, time_left, number, failed=number % failing == 0)
    plan = replace(PLAN, life_windows_ms=())
    experiment = LifeExperiment(rows, np.zeros((len(number), 1)), plan, (10.0, 20.0, 30.0), 0)
    hazards = experiment.out_of_fold({"family": "logistic_regression"})
    assert (np.diff(hazards, axis=1) > 0).all()


def test_where_memory_is_short_some_intervals_stand_for_all_and_every_life_keeps_its_rows(
    monkeypatch,
):
    number = np.repeat(np.arange(40), 30)
    time_left = np.tile(np.arange(30.0, 0, -1), 40)
    rows = life_rows(40 - time_left, time_left, number)
    plan = replace(PLAN, life_windows_ms=())
    edges = tuple(np.arange(1.0, 31))
    experiment = LifeExperiment(rows, np.zeros((len(number), 1)), plan, edges, 0)
    every = np.arange(len(number))
    fitted = []

    def fit(params, columns, rows, seed):
        fitted.append(rows)
        return "fitted"

    family = SimpleNamespace(fit=fit, defaults={}, of_lives={})
    monkeypatch.setattr(life_training, "get_family", lambda name: family)
    for cells in (life_training.MOST_CELLS, 10_000):
        monkeypatch.setattr(life_training, "MOST_CELLS", cells)
        experiment.refit({"family": "one"}, every)
    whole, thin = fitted
    ended = whole.label == 1
    assert thin.label.sum() == ended.sum() == len(number), "every end is learned"
    assert thin.matrix.size < 4 * 10_000 + ended.sum() * whole.matrix.shape[1] < whole.matrix.size
    share = [rows.weight[rows.label == 1].sum() / rows.weight.sum() for rows in fitted]
    assert share[1] == pytest.approx(share[0], rel=0.02)
    age = [np.bincount(rows.matrix[:, 1].astype(int)) > 0 for rows in fitted]
    assert (age[0] == age[1]).all(), "parts of every age"


def test_lives_of_two_assets_are_never_one_however_many_there_are():
    lives = np.array([[1.0, 5.0, 1.0, 1_000_000.0], [1.0, 5.0, 1.0, 0.0], [2.0, 4.0, 1.0, 0.0]])
    asset = np.array(["a", "b", "b"], dtype=object)
    features = lives[:, :1]
    dataset = SimpleNamespace(
        lives=lives, life_features=features, asset=asset, part=asset, at=np.arange(3)
    )
    number = rows_of_lives(dataset).life
    assert [number[0] == number[1], number[1] == number[2]] == [False, True]


def test_a_repair_is_known_before_its_failure_and_events_of_one_instant_end_one_life():
    late = EventType(name="failure-b", duration="instant", delay=timedelta(hours=1))
    events = [("failure-b", 250, 250), ("replaced", 260, 260)]
    line = history([0, 600], events=events, event_types=[late], moisture=[1.0, 2.0])
    lives = find_lives(ENDS, line)
    instants = np.array([to_millis(at(minute)) for minute in (255, 290, 320)])
    np.testing.assert_array_equal(ages(lives, instants), [np.nan, 30 * MINUTE, 60 * MINUTE])
    together = [("replaced-a", 300, 300), ("replaced-b", 300, 300), ("failure-a", 300, 300)]
    several = ENDS._replace(replaced_by="replaced-*")
    for events, failed in ((together, [True]), (together[:2], [False])):
        line = history([0, 600], events=events, moisture=[1.0, 2.0])
        assert find_lives(several, line).failed.tolist() == failed


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_a_part_is_compared_with_its_first_window_from_when_that_is_over(offset):
    """The failure of minute 95 is known at minute 125, the values after 20 minutes: the first
    window with values of the new part alone ends at the stride after minute 175."""
    minutes = np.arange(0, 400, 10)
    moisture = np.where(minutes > 95, offset + (minutes - 100) / 10, 7.0)
    late = EventType(name="failure-a", duration="instant", delay=timedelta(minutes=30))
    asset = oven(moisture=Variable(delay=timedelta(minutes=20)))
    events = [("failure-a", 95, 95)]
    line = history(minutes, asset, events, [late], moisture=moisture)
    at_minutes = [120, 130, 170, 180, 190, 300]
    instants = np.array([to_millis(at(minute)) for minute in at_minutes])
    seen = build_life_features(PLAN, ENDS, line, instants, lambda *_: line)
    assert life_columns(PLAN) == (
        "life/age",
        "life/moisture.mean.30m",
        "life/moisture.mean.1h",
        "life/moisture.mean.30m.from_new",
        "life/moisture.mean.1h.from_new",
    )
    age, short, long, short_from_new, from_new = seen.T
    np.testing.assert_array_equal(age, np.array([np.nan, 35, 75, 85, 95, 205]) * MINUTE)
    np.testing.assert_allclose(short[3:], offset + np.array([5.0, 6.0, 17.0]))
    np.testing.assert_allclose(long[3:], offset + np.array([3.5, 4.5, 15.5]))
    np.testing.assert_allclose(from_new, [np.nan, np.nan, np.nan, 0, 1, 12])
    np.testing.assert_allclose(short_from_new, from_new + 1.5)
    # the same from readings that begin with the windows, and those of the first window apart
    known = replace(line, readings=line.readings[at(220) :])
    begin = replace(line, readings=line.readings[at(80) : at(180)], events=no_events())
    alone = build_life_features(PLAN, ENDS, known, instants[-1:], lambda *_: begin)
    np.testing.assert_array_equal(alone[0], seen[-1])


@pytest.mark.parametrize(
    ("sampling", "numbers", "expected"),
    [
        (1, 1, (20, 120)),
        (0.001, 1, (20, 72)),
        (0.001, 20, (20, 50)),
        (0.001, 1_000, (1,)),
        (100, 1_000, (20, 120)),
    ],
)
def test_windows_fit_the_usual_life_and_have_no_more_readings_than_evaluation_reads(
    sampling, numbers, expected
):
    hours = [0, 600, 1_200, 1_800, 4_000]
    events = [("failure-a", 60 * hour, 60 * hour) for hour in hours]
    line = history([0, 60 * 4_000], events=events, moisture=[1.0, 2.0])
    found = life_windows(ENDS, [line], 60 * MINUTE, int(sampling * 60 * MINUTE), numbers)
    assert found == tuple(hour * 60 * MINUTE for hour in expected)
    assert life_windows(None, [line], 60 * MINUTE, 0, 1) == ()
    once = history([0, 60], events=events[:1], moisture=[1.0, 2.0])
    assert life_windows(ENDS, [once], 60 * MINUTE, 0, 1) == ()


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


def test_two_families_are_averaged_only_if_that_is_better_beyond_chance():
    noise = np.random.default_rng(0).normal(0, 1, 26)
    assert gains_beyond_chance(noise - noise.mean() + 0.5)
    assert not gains_beyond_chance(noise - noise.mean() + 0.2)
    assert not gains_beyond_chance(np.zeros(26))
