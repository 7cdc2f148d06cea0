"""Which variables move together, whatever else agrees by chance; and which of two follows."""

import numpy as np
import pytest

from alerting.learning.features.moving_together import group_columns, is_answer, slope

pytestmark = pytest.mark.models

N = 2_000
RANDOM = np.random.default_rng(0)


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
    assert [is_answer(crew, wet) for crew in answered] == [True] * 2
    assert [is_answer(belt, pressure) for pressure in followed] == [False] * 3
    assert slope(followed[0], belt) == pytest.approx(1.5, abs=0.05)
    assert slope(followed[0], np.full(N, 3.0)) == 0.0
