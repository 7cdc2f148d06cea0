"""The lines of `make bench NAME=soft_sensor`, and what its peers know."""

from dataclasses import replace

import numpy as np

from benchmarks.helpers.quality_lines import LINES, measure, window_means
from benchmarks.soft_sensor import known_columns

FEW = next(line for line in LINES if line.name == "few")


def test_a_peer_knows_neither_the_result_that_it_predicts_nor_a_later_one():
    for delay_h in (0.0, 3.0):
        line = measure(replace(FEW, delay_h=delay_h))
        changed = line.values.copy()
        changed[100:] += 100
        now = known_columns(line)
        then = known_columns(replace(line, values=changed))
        np.testing.assert_array_equal(now[4:101], then[4:101])
        assert (now[101:, 0] != then[101:, 0]).all()


def test_a_late_laboratory_shows_an_older_result():
    prompt, late = (known_columns(measure(replace(FEW, delay_h=h)))[:, 0] for h in (0.0, 15.0))
    assert (late[5:] == prompt[4:-1]).mean() > 0.9


def test_means_of_variables_end_before_the_sample():
    line = measure(FEW)
    at = line.taken[:5]
    readings = line.history.readings.drop(columns="quality").dropna()
    [first, *_] = window_means(line, at, 1.0, 0.0)
    ts = readings.index.as_unit("ms").asi8
    inside = (ts >= at[0] - 3_600_000) & (ts < at[0])
    np.testing.assert_allclose(first, readings[inside].mean().to_numpy())
