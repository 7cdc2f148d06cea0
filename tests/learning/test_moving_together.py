"""Which variables move together, whatever else agrees by chance; and which of two follows."""

import numpy as np
import pytest

from alerting.learning.features import moving_together
from alerting.learning.features.moving_together import gain_within, is_answer

pytestmark = pytest.mark.models

N = 2_000
ONE = np.zeros(N, int)
RANDOM = np.random.default_rng(0)


def group_columns(values, asset=None):
    asset = np.zeros(len(values), int) if asset is None else asset
    return moving_together.group_columns(values, asset)


def steps(levels, shares=None, length=20):
    return np.repeat(RANDOM.choice(np.array(levels, float), N // length, p=shares), length)


def noise(spread=1.0):
    return RANDOM.normal(0, spread, N)


def test_what_follows_a_set_point_is_of_its_group_however_few_its_levels():
    many = steps(range(70, 94, 3))
    few = steps([80, 90], [0.9, 0.1])
    assert group_columns(np.column_stack([1.5 * many + noise(), noise(), many])) == ((0, 2),)
    assert group_columns(np.column_stack([few, noise(), 1.5 * few + noise()])) == ((0, 2),)
    assert group_columns(np.column_stack([many, -many + noise(0.5)])) == ((0, 1),), "against it"
    gaps = np.where(RANDOM.random(N) < 0.05, np.nan, many)
    assert group_columns(np.column_stack([gaps, many])) == ((0, 1),)


def test_what_agrees_by_chance_is_no_group():
    stopped = np.column_stack([50 + noise() for _ in range(4)])
    stopped[:300] = 0
    drifts = np.column_stack([np.arange(N) + noise(300), np.arange(N) + noise(300)])
    rare = noise()
    switch = np.where(rare > np.sort(rare)[-10], 1.0, 0.0)
    rows = {
        "a standstill": stopped,
        "drifts": drifts,
        "a switch of few rows": np.column_stack([rare, switch]),
        "a constant": np.column_stack([np.full(N, 3.0), noise()]),
        "few rows": np.arange(80.0)[:, None].repeat(2, 1),
        "one column": noise()[:, None],
    }
    assert {name: group_columns(values) for name, values in rows.items()} == dict.fromkeys(rows, ())


def test_an_answer_comes_after_what_it_answers():
    wet = steps([8, 14], [0.75, 0.25]) + noise(0.3)
    belt = steps([70, 80, 90])
    answered = [20 - np.round(np.roll(wet, later)) for later in (1, 3)]
    followed = [1.5 * np.roll(belt, later) + noise(3) for later in (0, 1, 3)]
    assert [is_answer(crew, wet, ONE) for crew in answered] == [True] * 2
    assert [is_answer(belt, pressure, ONE) for pressure in followed] == [False] * 3
    assert not is_answer(belt, -2 * belt, ONE), "a copy follows"
    assert gain_within(followed[0], belt, ONE) == pytest.approx(1.5, abs=0.05)
    assert gain_within(followed[0], np.full(N, 3.0), ONE) == 0.0


def lines(gains, rows, noise_of=0.1):
    """Return rows of lines one after the other, each at levels of its own, on which the second
    column follows the first by these gains; and the number of each row's line."""
    asset = np.repeat(np.arange(len(gains)), rows)
    moved = RANDOM.normal(0, 1, len(asset))
    follower = np.array(gains)[asset] * moved + RANDOM.normal(0, noise_of, len(asset))
    level = RANDOM.permutation(len(gains))[asset]
    return np.column_stack([10.0 * level + moved, 150 - 50.0 * level + follower]), asset


def test_offsets_between_lines_are_no_movement():
    values, asset = lines((1.0, 1.0), N // 2)
    assert group_columns(values, asset) == ((0, 1),)
    assert gain_within(*values.T[::-1], asset) == pytest.approx(1.0, abs=0.02)
    many, asset = lines((0.0,) * 50, N // 50)
    assert group_columns(many, asset) == ()
    assert group_columns(many) == ((0, 1),), "as one line they would be"


def test_where_lines_differ_in_sign_nothing_follows_and_a_line_at_rest_does_not_matter():
    values, asset = lines((1.0,) * 19 + (-1.0,), N // 20)
    assert gain_within(*values.T[::-1], asset) == 0.0
    values, asset = lines((1.0,) * 20, N // 20)
    rest = asset == 7
    values[rest] = RANDOM.normal(0, 0.1, (rest.sum(), 2))
    assert gain_within(*values.T[::-1], asset) == pytest.approx(1.0, abs=0.02)


def test_a_line_at_rest_whose_values_drift_does_not_matter():
    for seed in range(20):
        drift = np.random.default_rng(seed).normal(0, 1, (2, N // 20)).cumsum(axis=1)
        values, asset = lines((1.0,) * 20, N // 20)
        values[asset == 7] = 0.1 * drift.T
        assert gain_within(*values.T[::-1], asset) == pytest.approx(1.0, abs=0.05)


def test_levels_are_counted_within_lines():
    """A set-point of three levels, at other values on each line, mostly at one of them."""
    asset = np.repeat(np.arange(10), N // 10)
    level = steps([0, 10, 20], [0.9, 0.05, 0.05], length=4)
    values = np.column_stack([level + 100.0 * asset, 1.5 * level + noise()])
    assert group_columns(values, asset) == ((0, 1),)


def test_rows_without_one_of_both_do_not_count():
    driver = noise()
    follower = 1.5 * driver + noise(0.1)
    for column in (follower, driver):
        column[RANDOM.random(N) < 0.4] = np.nan
    assert group_columns(np.column_stack([follower, driver])) == ((0, 1),)
    assert gain_within(follower, driver, ONE) == pytest.approx(1.5, abs=0.02)
    follower[~np.isnan(driver)] = np.nan
    assert gain_within(follower, driver, ONE) == 0.0
    assert group_columns(np.column_stack([follower, driver])) == ()
