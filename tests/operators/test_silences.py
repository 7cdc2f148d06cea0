"""Silences: what they cover, when, and which are refused."""

from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.operators.actions import NotAllowed
from alerting.operators.silences import (
    SilenceMark,
    SilenceScope,
    find_marks,
    find_silence,
    new_silence,
)
from tests.builders import at
from tests.helpers.refusals import lacking, refusal_of

pytestmark = pytest.mark.fast
OVEN = ("oven-1", "line-1", "plant")


def made(kind="silence", start=10, end=60, role="admin", event=None, reason="belt change", **scope):
    until = None if end is None else at(end)
    chosen = SilenceScope(**(scope or {"part": "line-1"}))
    return new_silence(kind, chosen, at(start), until, event, reason, ("log",), "ada", role, at(0))


SCOPES = [
    ({"part": "oven-1"}, True),
    ({"part": "line-1"}, True),
    ({"part": "plant"}, True),
    ({"part": "line-2"}, False),
    ({"definition": "too-hot"}, True),
    ({"definition": "too-moist"}, False),
    ({"up_to": "medium"}, True),
    ({"up_to": "high"}, True),
    ({"up_to": "low"}, False),
    ({"part": "line-1", "definition": "too-hot", "up_to": "high"}, True),
    ({"part": "line-1", "definition": "too-moist"}, False),
    ({"part": "line-1", "up_to": "low"}, False),
]
MARKS = [
    ([made()], SilenceMark("silence", True)),
    ([made("maintenance", definition="too-hot")], SilenceMark("maintenance", False)),
    ([made(up_to="medium")], SilenceMark("silence", False)),
    ([made(), made("maintenance", up_to="low")], SilenceMark("silence", True)),
    ([made(), made("maintenance")], SilenceMark("maintenance", True)),
    ([made(part="line-2"), made(definition="too-moist"), made(start=20)], None),
]


def covers(one, minute=30):
    return find_silence([one], "too-hot", OVEN, "medium", at(minute)) == one


def test_every_given_field_narrows_what_is_covered():
    assert [(scope, covers(made(**scope))) for scope, _ in SCOPES] == SCOPES


def test_it_begins_and_ends_by_itself():
    found = [(minute, made().phase(at(minute))) for minute in (0, 9, 10, 59, 60, 90)]
    assert found == [
        *((0, "planned"), (9, "planned"), (10, "present"), (59, "present"), (60, "over")),
        (90, "over"),
    ]
    assert [covers(made(), minute) for minute, _ in found] == [p == "present" for _, p in found]


def test_an_asset_is_marked_with_what_is_silenced_on_it():
    lines = {"oven-1": OVEN, "fan": ("fan", "plant")}
    found = [find_marks(one, lines, {"oven-1": {"too-hot"}}, at(15)) for one, _ in MARKS]
    assert [marks.get("oven-1") for marks in found] == [mark for _, mark in MARKS]


def test_one_that_was_ended_early_or_cancelled_covers_nothing_more():
    early = made().ended(at(20), "ada", "done")
    cancelled = made().ended(at(5), "ada", "not needed")
    assert [early.phase(at(m)) for m in (19, 20)] == ["present", "over"]
    assert [cancelled.phase(at(m)) for m in (6, 15)] == ["over", "over"]


def test_of_several_maintenance_counts_and_then_the_one_that_ends_last():
    maintenance = made("maintenance", end=20)
    longer = made(end=90)
    shorter = made(end=30)
    every = [shorter, longer, maintenance]
    assert find_silence(every, "too-hot", OVEN, "low", at(15)) == maintenance
    assert find_silence(every, "too-hot", OVEN, "low", at(25)) == longer


def test_without_a_begin_it_begins_now_and_never_in_the_past():
    assert made(start=-30, end=10).since == at(0)
    scope = SilenceScope(part="oven-1")
    now = new_silence("silence", scope, None, at(9), None, "r", (), "ada", "operator", at(0))
    assert (now.since, now.until) == (at(0), at(9))


def test_until_an_event_it_lasts_a_day_or_as_long_as_the_role_may_mute():
    event = ("start", "oven-1")
    assert made(end=None, event=event).until == at(10) + timedelta(hours=24)
    assert made(end=None, event=event, role="operator").until == at(10) + timedelta(hours=8)
    with pytest.raises(UserError, match="24 hours"):
        made(end=10 + 25 * 60, event=event)


def test_it_needs_a_scope_a_reason_and_a_time():
    refused = {
        "a reason is required": {"reason": "  "},
        "at most 500": {"reason": "x" * 501},
        "begin before it ends": {"end": 10},
        "an end is required": {"end": None},
        "at most 90 days": {"start": 91 * 24 * 60, "end": 92 * 24 * 60},
        "say what is silenced": {"part": None},
    }
    found = {words: refusal_of(made, **changes) for words, changes in refused.items()}
    assert lacking(found, {words: words for words in refused}) == {}


def test_a_role_may_silence_as_long_as_it_may_shelve():
    assert made(end=10 + 8 * 60, role="operator")
    for role, hours in (("operator", 9), ("engineer", 8 * 24), ("viewer", 1)):
        with pytest.raises(NotAllowed, match="at most"):
            made(end=10 + 60 * hours, role=role)
