import pytest

from alerting.learning.metrics.confidence import wilson_interval
from alerting.reporting.base.estimates import Cases, median, rate_per_week, share

pytestmark = pytest.mark.fast


def cases(one, several):
    share_of = f"{{count}} of {{number}} {one}", f"{{count}} of {{number}} {several}"
    return Cases((f"{{number}} {one}", f"{{number}} {several}"), share_of, f"no {several}")


PROBLEMS = cases("problem", "problems")
FALSE_ALARMS = cases("false alarm", "false alarms")


def test_a_share_says_what_it_rests_on():
    estimate = share(7, 9, PROBLEMS)
    assert estimate.value == pytest.approx(7 / 9)
    # Wilson's interval, worked by hand
    assert (round(estimate.low, 3), round(estimate.high, 3)) == (
        0.453,
        0.937,
    )
    assert estimate.basis == "7 of 9 problems"
    assert not estimate.doubt


def test_fewer_than_five_cases_are_doubtful_and_still_show_their_interval():
    estimate = share(3, 4, PROBLEMS)
    assert estimate.doubt == "only 4 problems"
    assert estimate.low < 0.4
    assert estimate.high > 0.9


def test_nothing_to_count_has_no_value():
    estimate = share(0, 0, PROBLEMS)
    assert estimate.value is None
    assert estimate.doubt == "no problems"


def test_an_interval_never_leaves_zero_and_one():
    assert wilson_interval(0, 6)[0] == 0.0
    assert wilson_interval(6, 6)[1] == 1.0
    assert 0.3 < wilson_interval(0, 6)[1] < 0.45


def test_a_rate_has_the_exact_poisson_interval():
    estimate = rate_per_week(2, 4.0, FALSE_ALARMS)
    assert estimate.value == 0.5
    # the tabled bounds for two cases
    assert (round(estimate.low * 4, 3), round(estimate.high * 4, 3)) == (
        0.242,
        7.225,
    )
    assert rate_per_week(0, 4.0, FALSE_ALARMS).low == 0.0


def test_a_rate_over_less_than_a_week_is_doubtful():
    assert rate_per_week(2, 0.5, FALSE_ALARMS).doubt == "only 3.5 asset-days were evaluated"
    assert rate_per_week(2, 0.0, FALSE_ALARMS).value is None


def test_the_median_has_the_interval_of_its_order_statistics():
    estimate = median([float(v) for v in range(1, 11)], "s", PROBLEMS)
    # ranks 2 and 9 of 10: the tabled ones
    assert (estimate.value, estimate.low, estimate.high) == (
        5.5,
        2.0,
        9.0,
    )
    assert median([1.0, 9.0], "s", PROBLEMS).doubt == "only 2 problems"


def test_one_case_is_said_in_the_singular():
    assert (
        share(1, 1, cases("episode with an outcome", "episodes with an outcome")).doubt
        == "only 1 episode with an outcome"
    )
    assert share(0, 2, PROBLEMS).basis == "0 of 2 problems"
    assert rate_per_week(1, 2.0, FALSE_ALARMS).basis == "1 false alarm in 2.0 asset-weeks"
