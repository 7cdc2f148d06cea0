import numpy as np
import pytest

from alerting.detection.control_charts.phase_one import estimate

pytestmark = pytest.mark.fast

RANDOM = np.random.default_rng(5)
AT = np.arange(2000, dtype=np.int64) * 60_000
NOISE = RANDOM.normal(0, 2, 2000)


def test_a_stretch_out_of_control_and_single_points_are_left_out():
    values = 100 + NOISE
    values[800:1200] += 6
    values[50] = 1000
    found = estimate(AT, values, 600_000, residuals=True)
    (stretch,) = found.left_out
    assert (stretch.start / 60_000, stretch.end / 60_000) == (
        pytest.approx(800, abs=9),
        pytest.approx(1199, abs=9),
    )
    assert found.outliers >= 1
    assert (found.centre, found.sigma, found.coefficients) == (
        pytest.approx(100, abs=0.2),
        pytest.approx(2, abs=0.1),
        (),
    )


def test_dependence_is_fitted_unless_it_is_ignored():
    values = np.zeros(2000)
    for i in range(1, 2000):
        values[i] = 0.8 * values[i - 1] + NOISE[i]
    found = estimate(AT, values + 50, 600_000, residuals=True)
    assert (found.coefficients[0], found.sigma) == (
        pytest.approx(0.8, abs=0.05),
        pytest.approx(2, abs=0.1),
    )
    ignored = estimate(AT, values + 50, 600_000, residuals=False)
    assert (ignored.coefficients, ignored.sigma) == ((), pytest.approx(2 / 0.6, abs=0.3))


def test_too_few_readings_and_a_constant_have_no_limits():
    assert estimate(AT[:20], NOISE[:20], 600_000, residuals=False) is None
    assert estimate(AT, np.full(2000, 3.0), 600_000, residuals=True) is None
