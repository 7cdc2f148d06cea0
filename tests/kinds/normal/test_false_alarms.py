"""The rule by which false alarms on unseen normal time are too many."""

import pytest

from alerting.kinds.normal.training import compared_rows, is_too_many, share_interval

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("false_alarms", "allowed", "in_alarm", "expected"),
    [
        (0, 0.0, 0.0, False),
        (3, 1.0, 0.0, False),  # three or more of one: 8 %
        (4, 1.0, 0.0, True),  # 1.9 %
        (1, 1.0, 0.2, False),
        # one alarm that lasts for a fifth of the time counts once, and is too long
        (
            1,
            1.0,
            0.21,
            True,
        ),
    ],
)
def test_false_alarms_are_too_many_beyond_chance_or_when_they_last(
    false_alarms, allowed, in_alarm, expected
):
    assert is_too_many(false_alarms, allowed, in_alarm) is expected


def test_without_a_champion_its_side_of_the_table_is_a_dash():
    assert [*compared_rows(("a",), ("1",), None)] == [
        {"title": "a", "champion": "-", "challenger": "1"}
    ]


def test_alarms_that_come_together_count_as_fewer_instants():
    apart = share_interval(0.01, 0.01 * 0.99 / 10_000, 14)
    together = share_interval(0.01, 0.01 * 0.99 / 200, 14)
    assert together[0] < apart[0] < 0.01 < apart[1] < together[1]
    assert apart == pytest.approx((0.0082, 0.0122), abs=1e-4)  # Wilson, 100 of 10,000
    assert share_interval(0.0, 0.0, 14) == pytest.approx((0.0, 0.215), abs=1e-3)
