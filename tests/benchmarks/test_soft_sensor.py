"""The lines of `make bench NAME=soft_sensor`, and what its peers know."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.helpers.quality_lines import LINES, measure, window_means
from benchmarks.soft_sensor import predict_by_peers

pytestmark = pytest.mark.models
FEW = next(line for line in LINES if line.name == "few")


def test_a_peer_does_not_know_the_result_that_it_predicts_nor_a_later_one():
    line = measure(FEW)
    shown = line.known + 20
    others = line.values.copy()
    others[shown:] += 100
    now = predict_by_peers(line)
    then = predict_by_peers(replace(line, values=others))
    for name, predicted in now.items():
        assert (predicted[: shown - line.known + 1] == then[name][: shown - line.known + 1]).all()
    assert not (now["last_value"] == then["last_value"]).all()


def test_a_laboratory_with_a_delay_shows_an_older_result():
    known = measure(replace(FEW, delay_h=0.0)), measure(replace(FEW, delay_h=15.0))
    prompt, late = (predict_by_peers(line)["last_value"] for line in known)
    assert (late[1:] == prompt[:-1]).mean() > 0.9


def test_means_of_variables_end_before_the_sample():
    line = measure(FEW)
    at = line.taken[:5]
    readings = line.history.readings.drop(columns="quality").dropna()
    [first, *_] = window_means(line, at, 1.0, 0.0)
    ts = readings.index.as_unit("ms").asi8
    inside = (ts >= at[0] - 3_600_000) & (ts < at[0])
    np.testing.assert_allclose(first, readings[inside].mean().to_numpy())
