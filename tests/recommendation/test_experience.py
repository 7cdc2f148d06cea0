"""Whether a recommendation was followed, as set-points in readings show it."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.episodes.episode import (
    Change,
    Contribution,
    Feedback,
    OutcomeRecord,
    Quantity,
    RecommendationResult,
)
from alerting.recommendation.similar_episodes import (
    SettingChange,
    find_similar,
    recognise,
    summarise,
)
from tests.builders import at
from tests.helpers.episodes import closed, episode


def outcome(name):
    return OutcomeRecord(name, "", name == "hit", None, False, True, 1)


def like(minute, shares, action=None, came_of_it="avoided", taken=None, **changes):
    contributions = tuple(
        Contribution(name, abs(share), 10.0 if share > 0 else -10.0, 0.0, "")
        for name, share in shares.items()
    )
    made = closed(episode(minute, contributions=contributions), **changes)
    if action is None and taken is None:
        return made
    said = Feedback(made.id, None, True, action, None, "anna", at(minute + 3), None, taken)
    return closed(
        made, feedback=(said,), outcome_record=came_of_it and outcome(came_of_it), **changes
    )


WET = {"dough": 0.5, "belt": 0.1}
HOT = {"zone_2": 0.6, "belt": 0.1}


def test_the_most_similar_have_the_same_reasons_in_the_same_direction():
    earlier = [like(1, WET), like(2, HOT), like(3, {"dough": -0.5}), like(4, WET), like(5, HOT)]
    found = find_similar(like(9, {"dough": 0.4, "belt": 0.09}), earlier)
    assert [one.episode.raised_at for one in found] == [at(4), at(1)]
    assert all(one.likeness > 0.99 for one in found)


def with_levels(minute, humidity, slope=0.0):
    """A burner that contributes most, and air whose share is small."""
    rise = Quantity("slope", timedelta(minutes=15), slope, 0.0, "%/h", False, -10.0, 10.0)
    contributions = (
        Contribution("burner", 0.4, 75.0, 61.0, "", 58.0, 64.0, rise),
        Contribution("humidity", 0.01, humidity, 50.0, "", 46.0, 54.0),
    )
    return closed(episode(minute, contributions=contributions))


def test_of_equal_main_reasons_those_with_the_same_level_and_course_are_most_similar():
    usual = {"humidity": 51.0, "slope": 0.0}
    # a second variable, and the course of the first one
    for own, other in (({"humidity": 58.0}, {"humidity": 50.0}), ({"slope": 30.0}, {"slope": 8.0})):
        earlier = [with_levels(1, **usual | own), with_levels(2, **usual | other)]
        found = find_similar(with_levels(9, **usual | own), earlier)
        assert [one.episode.raised_at for one in found] == [at(1), at(2)]
        assert found[0].likeness > 0.99 > found[1].likeness


def test_values_far_beyond_their_range_count_alike():
    near, far = (find_similar(with_levels(9, 62.0), [with_levels(1, h)]) for h in (62.0, 95.0))
    assert near[0].likeness == pytest.approx(far[0].likeness)


def test_later_ones_withdrawn_ones_and_those_of_other_alerts_do_not_count():
    other = like(1, WET)
    others = [
        like(10, WET),
        like(2, WET, withdrawn=True),
        closed(episode(3, "other", contributions=other.contributions)),
    ]
    assert find_similar(like(9, WET), others) == []


def test_without_reasons_all_of_the_same_asset_are_alike():
    earlier = [closed(episode(1)), closed(episode(2, asset="oven-2"))]
    assert [s.episode for s in find_similar(episode(9), earlier)] == [earlier[0]]


def test_what_was_done_is_counted_with_what_came_of_it_and_by_whom():
    earlier = [
        *(like(n, WET, "slow the belt") for n in (1, 2, 3)),
        like(4, WET, "raise zone 3", "hit"),
        like(5, WET, "Raise zone 3", "hit"),
    ]
    found = summarise(find_similar(like(9, WET), earlier))
    assert found.is_enough
    [best, *_] = found.actions
    assert (best.action, best.uses, best.avoided, best.came) == ("slow the belt", 3, 3, 0)
    assert (best.actors, best.took) == (("anna",), timedelta(minutes=5))
    assert best.is_advice


def experience(*outcomes, **answer):
    earlier = [like(n, WET, came_of_it=name, **answer) for n, name in enumerate(outcomes, start=1)]
    return summarise(find_similar(like(9, WET), earlier))


def test_an_action_of_few_uses_or_that_mostly_did_not_help_is_no_advice():
    found = {
        outcomes: experience(*outcomes, action="slow the belt").actions[0]
        for outcomes in (
            ("avoided",),
            ("avoided",) * 2,
            ("avoided",) * 3,
            ("avoided", "hit", "hit", "hit"),
        )
    }
    assert [(one.uses, one.is_advice) for one in found.values()] == [
        (1, False),
        (2, False),
        (3, True),
        (4, False),
    ]


def test_below_three_answered_alarms_nothing_is_said():
    earlier = [like(1, WET, "slow the belt"), like(2, WET, "slow the belt"), like(3, WET)]
    assert not summarise(find_similar(like(9, WET), earlier)).is_enough


def test_experience_contradicts_advice_that_was_followed_in_vain():
    expected = {
        ("hit", "hit", "hit"): True,
        ("hit", "hit", "avoided"): True,
        ("avoided", "avoided", "hit"): False,
        ("hit", "hit"): False,
    }
    found = {outcomes: experience(*outcomes, taken="yes").contradicts for outcomes in expected}
    assert found == expected


RAISED = datetime(2026, 1, 1, tzinfo=UTC)
OVEN = Asset(
    name="oven-1",
    variables={
        "belt": Variable(controllable=True, min=6, max=10, step=0.1),
        "damper": Variable(controllable=True, min=0, max=100),
        "recipe": Variable(type="category", controllable=True),
    },
)
AT_RAISE = {"belt": 8.0, "damper": 40.0, "recipe": "rusk"}


def advice(**after):
    changes = tuple(Change(name, AT_RAISE[name], value, None) for name, value in after.items())
    return RecommendationResult(changes, 0.8, 0.2, bool(changes), "Set it")


def readings(**columns):
    length = max(len(values) for values in columns.values())
    index = pd.DatetimeIndex([RAISED + timedelta(minutes=m + 1) for m in range(length)])
    return pd.DataFrame(columns, index=index)


def test_settings_are_compared_with_the_advised_ones_and_only_a_change_towards_them_is_proposed():
    rows = [
        # advised, seen, taken, proposed
        ({"belt": 7.4}, {"belt": [8.0, 7.4]}, "yes", "yes"),
        ({"belt": 7.4}, {"belt": [8.0, 7.5]}, "yes", "yes"),
        ({"belt": 7.4}, {"belt": [8.0, 7.0]}, "yes", "yes"),
        ({"belt": 7.4}, {"belt": [8.0, 7.7]}, "partly", "partly"),
        ({"belt": 7.4, "damper": 60.0}, {"belt": [7.4], "damper": [40.0]}, "partly", "partly"),
        ({"belt": 7.4, "damper": 60.0}, {"belt": [7.4], "damper": [58.2]}, "yes", "yes"),
        ({"belt": 7.4}, {"belt": [8.4]}, "other", None),
        ({"belt": 7.4}, {"belt": [8.0], "damper": [60.0]}, "other", None),
        ({"belt": 7.4}, {"belt": [8.0, 8.04]}, "no", None),
        ({"belt": 7.9}, {"belt": [8.0]}, "no", None),
        ({"belt": 7.4}, {"belt": [7.4, 8.0]}, "no", None),
        ({"recipe": "toast"}, {"recipe": ["rusk", "toast"]}, "yes", "yes"),
        ({}, {"belt": [7.0]}, "other", None),
    ]
    found = [
        recognise([advice(**advised)], OVEN, AT_RAISE, readings(**seen))
        for advised, seen, *_ in rows
    ]
    answers = [[one.taken, one.proposed] for one in found]
    assert answers == [expected for _, _, *expected in rows]


def test_the_advice_that_was_followed_best_counts_and_it_names_what_changed_and_since_when():
    advised = [advice(damper=60.0), advice(belt=7.0)]
    found = recognise(advised, OVEN, AT_RAISE, readings(belt=[8.0, 7.6, 7.0]))
    changed = SettingChange("belt", 8.0, 7.0, RAISED + timedelta(minutes=2))
    assert (found.taken, found.changes) == ("yes", (changed,))


def test_nothing_is_proposed_where_nothing_is_known():
    assert recognise([advice()], OVEN, AT_RAISE, readings(belt=[8.0])) is None
    assert recognise([advice(belt=7.4)], OVEN, {"belt": None}, readings(belt=[7.4])) is None


def of_group(minute, members, variable="speed", share=0.5):
    """An episode of a reason of variables that move together."""
    reason = Contribution(variable, share, 10.0, 0.0, "", -5.0, 5.0, members=members)
    water = Contribution("water", 0.2, 10.0, 0.0, "", -5.0, 5.0)
    return closed(episode(minute, contributions=(reason, water)))


def test_a_reason_of_several_is_the_same_whichever_an_operator_can_set_and_as_older_single_ones():
    now = of_group(9, ("speed", "pressure", "current"))
    other_lever = of_group(1, ("current", "speed", "pressure"))
    singles = (("pressure", 0.3, 400.0), ("speed", 0.15, 10.0), ("current", 0.05, 3.0))
    parts = tuple(Contribution(n, s, v, 0.0, "", -5.0, 5.0) for n, s, v in singles)
    older = closed(episode(2, contributions=(*parts, now.contributions[1])))
    unlike = like(3, {"dough": 0.5, "water": 0.2})
    found = find_similar(now, [other_lever, older, unlike])
    assert [(one.episode.raised_at, round(one.likeness, 2)) for one in found] == [
        (at(2), 1.0),
        (at(1), 1.0),
    ]
