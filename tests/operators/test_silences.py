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

pytestmark = pytest.mark.fast
OVEN = ("oven-1", "line-1", "plant")


def made(kind="silence", start=10, end=60, role="admin", event=None, reason="belt change", **scope):
    until = None if end is None else at(end)
    chosen = SilenceScope(**(scope or {"part": "line-1"}))
    return new_silence(kind, chosen, at(start), until, event, reason, ("log",), "ada", role, at(0))


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
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
    ],
)
def test_every_given_field_narrows_what_is_covered(scope, covered):
    one = made(**scope)
    found = find_silence([one], "too-hot", OVEN, "medium", at(30))
    assert (found == one) == covered


@pytest.mark.parametrize(
    ("minute", "phase"),
    [(0, "planned"), (9, "planned"), (10, "present"), (59, "present"), (60, "over"), (90, "over")],
)
def test_it_begins_and_ends_by_itself(minute, phase):
    one = made()
    assert one.phase(at(minute)) == phase
    found = find_silence([one], "too-hot", OVEN, "medium", at(minute))
    assert (found is not None) == (phase == "present")


@pytest.mark.parametrize(
    ("silences", "mark"),
    [
        ([made()], ("silence", True)),
        ([made("maintenance", definition="too-hot")], ("maintenance", False)),
        ([made(up_to="medium")], ("silence", False)),
        ([made(), made("maintenance", up_to="low")], ("silence", True)),
        ([made(), made("maintenance")], ("maintenance", True)),
        ([made(part="line-2"), made(definition="too-moist"), made(start=20)], None),
    ],
)
def test_an_asset_is_marked_with_what_is_silenced_on_it(silences, mark):
    lines = {"oven-1": OVEN, "fan": ("fan", "plant")}
    found = find_marks(silences, lines, {"oven-1": {"too-hot"}}, at(15))
    assert found.get("oven-1") == (mark and SilenceMark(*mark))


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


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"reason": "  "}, "a reason is required"),
        ({"reason": "x" * 501}, "at most 500"),
        ({"end": 10}, "begin before it ends"),
        ({"end": None}, "an end is required"),
        ({"start": 91 * 24 * 60, "end": 92 * 24 * 60}, "at most 90 days"),
        ({"part": None}, "say what is silenced"),
    ],
)
def test_it_needs_a_scope_a_reason_and_a_time(changes, refusal):
    with pytest.raises(UserError, match=refusal):
        made(**changes)


def test_a_role_may_silence_as_long_as_it_may_shelve():
    assert made(end=10 + 8 * 60, role="operator")
    for role, hours in (("operator", 9), ("engineer", 8 * 24), ("viewer", 1)):
        with pytest.raises(NotAllowed, match="at most"):
            made(end=10 + 60 * hours, role=role)
