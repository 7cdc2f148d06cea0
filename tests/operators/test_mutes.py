"""Mutes: what they cover, when, which are refused, and the flags that follow from them."""

from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.operators.actions_and_mutes import (
    LONGEST_MUTE,
    EndingEvent,
    Flags,
    MuteMark,
    NotAllowed,
    current_flags,
    find_marks,
    find_mutes,
)
from tests.builders import at
from tests.helpers.episodes import closed, episode
from tests.helpers.mutes import mute
from tests.helpers.refusals import lacking, refusal_of

pytestmark = pytest.mark.fast
OVEN = ("oven-1", "line-1", "plant")
TARGET = {"asset": "oven-1", "definition": "too-hot"}


def made(kind="plain", start=10, end=60, **more):
    return mute(start, end, kind, made=0, **{"part": "line-1", **more})


MATCHERS = [
    ({"part": "oven-1"}, True),
    ({"part": "line-1"}, True),
    ({"part": "plant"}, True),
    ({"part": "line-2"}, False),
    ({"part": None, "asset": "oven-1"}, True),
    ({"part": None, "asset": "line-1"}, False),
    ({"part": None, **TARGET}, True),
    ({"part": None, "definition": "too-hot"}, True),
    ({"part": None, "definition": "too-moist"}, False),
    ({"part": None, "up_to": "medium"}, True),
    ({"part": None, "up_to": "high"}, True),
    ({"part": None, "up_to": "low"}, False),
    ({"definition": "too-hot", "up_to": "high"}, True),
    ({"definition": "too-moist"}, False),
    ({"up_to": "low"}, False),
]
MARKS = [
    ([made()], MuteMark("plain", True)),
    ([made("maintenance", definition="too-hot")], MuteMark("maintenance", False)),
    ([made(up_to="medium")], MuteMark("plain", False)),
    ([made(), made("maintenance", up_to="low")], MuteMark("plain", True)),
    ([made(), made("maintenance")], MuteMark("maintenance", True)),
    ([made(part="line-2"), made(definition="too-moist"), made(start=20)], None),
]


def covers(one, minute=30):
    return find_mutes([one], "too-hot", OVEN, "medium", at(minute)) == [one]


def test_every_given_field_narrows_what_is_covered():
    assert [(fields, covers(made(**fields))) for fields, _ in MATCHERS] == MATCHERS
    targets = [fields for fields, _ in MATCHERS if made(**fields).is_target]
    assert targets == [{"part": None, **TARGET}]


def test_it_begins_and_ends_by_itself():
    found = [(minute, made().phase(at(minute))) for minute in (0, 9, 10, 59, 60, 90)]
    assert found == [
        *((0, "planned"), (9, "planned"), (10, "present"), (59, "present"), (60, "over")),
        (90, "over"),
    ]
    assert [covers(made(), minute) for minute in (9, 10, 59, 60)] == [False, True, True, False]
    assert covers(made("out_of_service", end=None, part=None, **TARGET), 1e6)


def test_assets_are_marked_with_what_is_muted_on_them():
    lines = {"oven-1": OVEN, "oven-2": ("oven-2",)}
    known = {"oven-1": {"too-hot"}}
    found = [find_marks(one, lines, known, at(15)) for one, _ in MARKS]
    assert [marks.get("oven-1") for marks in found] == [mark for _, mark in MARKS]


def test_one_that_was_ended_early_or_cancelled_covers_nothing_more():
    early = made().ended(at(20), "ada", "done")
    cancelled = made().ended(at(5), "ada", "not needed")
    assert [early.phase(at(m)) for m in (19, 20)] == ["present", "over"]
    assert [cancelled.phase(at(m)) for m in (6, 15)] == ["over", "over"]


def test_of_several_maintenance_counts_and_then_the_one_that_ends_last():
    maintenance = made("maintenance", end=20)
    longer = made(end=90)
    endless = made("out_of_service", end=None, part=None, **TARGET)
    every = [made(end=30), longer, maintenance]
    assert find_mutes(every, "too-hot", OVEN, "low", at(15))[:2] == [maintenance, longer]
    assert find_mutes(every, "too-hot", OVEN, "low", at(25))[0] == longer
    assert find_mutes([*every, endless], "too-hot", OVEN, "low", at(25))[0] == endless


def test_without_a_begin_it_begins_now_and_never_in_the_past():
    assert mute(-30, 10, made=0).since == at(0)


def test_until_an_event_it_lasts_a_day_or_as_long_as_the_role_may_mute():
    event = EndingEvent("start", "oven-1")
    assert made(end=None, event=event).until == at(10) + timedelta(hours=24)
    assert made(end=None, event=event, role="operator").until == at(10) + timedelta(hours=8)
    with pytest.raises(UserError, match="24 hours"):
        made(end=10 + 25 * 60, event=event)


def test_it_needs_alarms_a_reason_and_a_time():
    refused = {
        "a reason is required": {"reason": "  "},
        "at most 500": {"reason": "x" * 501},
        "is not after the begin": {"end": 10},
        "an end is required": {"end": None},
        "at most 90 days": {"start": 91 * 24 * 60, "end": 92 * 24 * 60},
        "say what is muted": {"part": None},
        "name both": {"kind": "out_of_service"},
    }
    found = {words: refusal_of(made, **changes) for words, changes in refused.items()}
    assert lacking(found, {words: words for words in refused}) == {}


def test_each_role_has_a_longest_mute_to_the_second():
    most = {role: longest.total_seconds() / 60 for role, longest in LONGEST_MUTE.items() if longest}
    found = {
        role: [
            "at most" in refusal_of(made, end=10 + minutes + more, role=role, **kind)
            for more, kind in ((0, {}), (1 / 60, {}), (1 / 60, {"kind": "maintenance"}))
        ]
        for role, minutes in most.items()
    }
    assert [*found.items()] == [
        (role, [False, True, True]) for role in ("operator", "engineer", "admin")
    ]
    with pytest.raises(NotAllowed, match="at most"):
        made(role="viewer")


def test_flags_come_from_the_newest_episode_and_from_what_mutes_now():
    one = episode(0)
    out = made("out_of_service", end=None, part=None, **TARGET)
    assert current_flags(None, [], False) == Flags()
    assert current_flags(one, [made()], False) == Flags(True, False, True, False)
    assert current_flags(one, [made("maintenance")], False) == Flags(True, False, True, False)
    assert current_flags(closed(one), [out], False) == Flags(False, False, False, True)
    assert current_flags(closed(one, backfilled=True), [], False) == Flags()
    assert current_flags(one, [], True) == Flags(True, False, suppressed=True)
