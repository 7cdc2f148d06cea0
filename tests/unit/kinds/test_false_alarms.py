"""The rule by which false alarms on unseen normal time are too many."""

import pytest

from alerting.kinds.normal.training import compared_rows, is_too_many


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
