"""Trainings on noise, a part of `make bench NAME=chance`: twelve with four trials a family."""

from itertools import product

import pytest

from benchmarks.chance import RISE, SETTINGS, training

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]


def test_noise_is_not_promoted():
    results = [
        training(*setting, 0.0, seed, trials=4) for seed, setting in product(range(3), SETTINGS)
    ]
    assert sum(result["promoted"] for result in results) <= 1
    assert sum(result["ap"] > result["bound"] for result in results) <= 1


def test_a_real_signal_is_promoted():
    results = [training(noise, 40, RISE, 0, trials=4) for noise in ("ar", "white")]
    assert [result["promoted"] for result in results] == [True, True]
