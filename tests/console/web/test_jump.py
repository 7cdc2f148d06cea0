"""The search for an alarm, an alert or an asset."""

import pytest

from alerting.console.alarms.episode_pages import JumpTarget, matching_targets

HOT = JumpTarget("Zone 2 is too hot", "Oven 1", "alarm", "/episodes/a1")
LIMIT = JumpTarget("Zone 2 is too hot", "oven-too-hot", "alert", "/definitions/oven-too-hot")
OVEN = JumpTarget("Oven 1", "oven-1", "asset", "/assets/oven-1")
TARGETS = (HOT, LIMIT, OVEN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [HOT, LIMIT, OVEN]),
        ("hot ZONE", [HOT, LIMIT]),
        ("oven", [OVEN, HOT, LIMIT]),  # a title that begins so is first
        ("oven-too", [LIMIT]),
        ("  oven 1 ", [OVEN, HOT]),
        ("cooler", []),
    ],
)
def test_all_words_of_a_search_are_in_its_results(text, expected):
    assert matching_targets(TARGETS, text) == expected
