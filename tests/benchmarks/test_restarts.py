"""One line of `make bench NAME=restarts`: nothing is scored before the windows lie after the
stop."""

import pytest

from benchmarks.kinds.restarts import ASKED, measure_anomaly, measure_chart

pytestmark = pytest.mark.models


def test_the_first_hour_of_a_day_is_scored_from_the_first_whole_window_on():
    counts, reached, oscillations = measure_anomaly(0)
    assert counts.first_of[1:-1].tolist() == [10] * (len(counts.first_of) - 2)
    assert ASKED / 3 < reached < 3 * ASKED
    assert oscillations >= 0.9


def test_points_are_charted_from_the_restart_on():
    assert measure_chart(0).first_of[1:-1].min() > 50
