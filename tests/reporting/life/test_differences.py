"""Differences between two revisions of a report."""

import pytest

from alerting.reporting.life.differences import (
    Difference,
    find_reasons,
    list_differences,
    without_view,
)

pytestmark = pytest.mark.fast


def episode(id, outcome="undetermined", verdict=None, comment=""):
    return {"id": id, "outcome": outcome, "verdict": verdict, "comment": comment}


def test_figures_that_differ_are_listed_with_before_after_and_why():
    before = {"right": "1", "false alarms": "2", "gone": "3"}
    after = {"false alarms": "2", "right": "2", "new": "4"}
    assert list_differences(before, after, ["1 answer late"]) == (
        Difference("right", "1", "2", "1 answer late"),
        Difference("new", "", "4", "1 answer late"),
        Difference("gone", "3", "", "1 answer late"),
    )
    assert list_differences(before, after, ())[0].message == "right: 1 → 2"


def test_a_change_in_details_alone_is_said():
    assert list_differences({"right": "1"}, {"right": "1"}, ["1 answer late"]) == (
        Difference("details", "", "changed", "1 answer late"),
    )


def test_reasons_are_counted_from_the_metrics_of_both_revisions():
    before = {
        "episodes": [episode("a"), episode("b", "hit"), episode("c")],
        "problems": [{"asset": "o", "start": "1"}],
    }
    after = {
        "episodes": [
            episode("a", "false_alarm", "false_alarm"),
            episode("b", "false_alarm", comment="no"),
            episode("d"),
        ],
        "problems": [{"asset": "o", "start": "1"}, {"asset": "o", "start": "2"}],
    }
    assert find_reasons(before, after) == (
        "2 answers late",
        "1 outcome became known",
        "1 outcome changed",
        "1 episode found in late data",
        "1 episode withdrawn after late data",
        "late data changed the problems",
    )
    told = {**before, "reported_misses": [{"id": "m"}], "problems": after["problems"]}
    assert find_reasons(before, told) == ("1 miss reported",)
    assert find_reasons(before, before) == ()


def test_the_instant_of_the_view_alone_makes_no_difference():
    first = {"as_of": 1, "rows": [{"as_of": 1, "n": 2}]}
    second = {"as_of": 9, "rows": [{"as_of": 8, "n": 2}]}
    assert without_view(first) == without_view(second) == {"rows": [{"n": 2}]}
