from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.episodes.episode import ActorStamp, Feedback, OutcomeRecord
from alerting.episodes.misses import ReportedMiss
from alerting.kinds.validation import parse_definition
from alerting.operators.handovers import (
    LONGEST_NOTE,
    MOST_NOTES,
    ShiftNote,
    add_note,
    new_handover,
    sign,
)
from alerting.operators.shelves import new_shelf
from alerting.operators.shift_summary import MOST_LISTED, ShiftSummary, summarise_shift
from alerting.operators.shifts import Shift
from tests.builders import at, revision, too_hot
from tests.helpers.episodes import closed, episode

pytestmark = pytest.mark.fast
NIGHT = Shift("night", at(480), at(960))
EMPTY = new_handover("line-1", NIGHT)


def note(text="belt squeaks", minute=500):
    return ShiftNote(text, "anna", at(minute))


def signed_by(handover, side, actor, minute=950):
    return sign(handover, side, ActorStamp(actor, at(minute)), ShiftSummary(at(minute)))


def test_notes_are_appended_and_never_changed():
    found = add_note(add_note(EMPTY, note("a")), note("b", 510))
    assert [one.text for one in found.notes] == ["a", "b"]


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        (note("  "), "empty"),
        (note("x" * (LONGEST_NOTE + 1)), "2000 at most"),
        (note(minute=479), "has not begun"),
    ],
)
def test_a_note_that_helps_no_one_is_refused(wrong, because):
    with pytest.raises(UserError, match=because):
        add_note(EMPTY, wrong)


def test_the_notes_of_a_shift_are_bounded():
    full = replace(EMPTY, notes=(note(),) * MOST_NOTES)
    with pytest.raises(UserError, match="takes no more"):
        add_note(full, note())


def test_two_people_sign_and_what_the_first_signed_stays():
    found = signed_by(signed_by(EMPTY, "leaving", "anna"), "coming", "ben", 965)
    assert (found.left, found.taken) == (ActorStamp("anna", at(950)), ActorStamp("ben", at(965)))
    assert found.signed == ShiftSummary(at(950))


def test_the_coming_person_may_sign_alone():
    found = signed_by(EMPTY, "coming", "ben", 965)
    assert (found.left, found.signed) == (None, ShiftSummary(at(965)))


def test_one_person_cannot_sign_both_sides_and_signs_once():
    found = signed_by(EMPTY, "leaving", "anna")
    assert signed_by(found, "leaving", "anna", 955) == found
    with pytest.raises(UserError, match="another person must sign"):
        signed_by(found, "coming", "anna")
    with pytest.raises(UserError, match="anna has signed this already"):
        signed_by(found, "leaving", "eve")


def test_a_shift_that_has_not_begun_cannot_be_signed():
    with pytest.raises(UserError, match="has not begun"):
        signed_by(EMPTY, "leaving", "anna", 479)


def test_each_part_and_shift_has_a_hand_over_of_its_own():
    others = [new_handover(None, NIGHT), new_handover("line-1", replace(NIGHT, name="late"))]
    others.append(new_handover("line-1", replace(NIGHT, end=at(961))))
    assert len({EMPTY.id, *(one.id for one in others)}) == 4


# What is handed over


def answered(one, minute, **given):
    values = {"verdict": None, "acted": False, "action": None, "comment": None} | given
    feedback = Feedback(one.id, actor="anna", at=at(minute), **values)
    return replace(one, feedback=(*one.feedback, feedback))


def summary_of(*episodes, misses=(), shelves=(), revisions=(), now=950):
    return summarise_shift(NIGHT, at(now), episodes, misses, shelves, revisions)


def raised(minute, asset="oven-1", **changes):
    return replace(episode(minute, asset=asset), **changes)


def test_open_ended_and_earlier_alarms_are_told_apart():
    old_open = raised(100)
    new_open = raised(500, "oven-2")
    ended = closed(raised(600, "oven-3"))
    ended_now = replace(closed(raised(200, "oven-4")), closed_at=at(700))
    unanswered = replace(closed(raised(210, "oven-5")), closed_at=at(220))
    right = answered(
        replace(closed(raised(211, "oven-6")), closed_at=at(220)), 230, verdict="true_alarm"
    )
    of_next = raised(960, "oven-7")
    withdrawn = raised(510, "oven-8", withdrawn=True)
    found = summary_of(old_open, new_open, ended, ended_now, unanswered, right, of_next, withdrawn)
    assert {a.asset for a in found.open} == {"oven-1", "oven-2"}
    assert {a.asset for a in found.over} == {"oven-3", "oven-4"}
    assert [a.asset for a in found.left] == ["oven-5"]
    assert found.raised == 2
    assert found.questions == 5


def test_an_alarm_says_who_has_taken_it():
    seen = raised(500, acknowledged=ActorStamp("ben", at(501)))
    assert summary_of(seen).open[0].taken_by == "ben"
    assert summary_of(replace(seen, assigned_to="carla")).open[0].taken_by == "carla"
    assert summary_of(raised(500)).open[0].taken_by is None


def test_muted_alarms_ask_nothing_and_come_last():
    found = summary_of(raised(500, muted_by="shelf"), raised(490, "oven-2"))
    assert [a.asset for a in found.open] == ["oven-2", "oven-1"]
    assert found.questions == 1


def test_what_was_done_names_the_person_the_action_and_what_came_of_it():
    record = OutcomeRecord("avoided", "no problem", False, None, False, True, 1)
    one = answered(raised(500), 520, acted=True, action="belt slowed")
    one = replace(closed(one), outcome_record=record)
    earlier = answered(raised(300, "oven-2"), 310, acted=True, action="not in this shift")
    talked = raised(510, "oven-3").with_transition("commented", at(530), "damper sticks", "ben")
    taken = replace(raised(520, "oven-4"), assigned_to="eve")
    taken = taken.with_transition("assigned", at(540), "to eve", "ben")
    miss = ReportedMiss("too-hot", "oven-5", at(100), "it burned", "carla", at(545))
    late = replace(miss, at=at(970))
    found = summary_of(one, earlier, talked, taken, misses=[miss, late])
    assert [(d.kind, d.actor, d.text, d.outcome) for d in found.deeds] == [
        ("acted", "anna", "belt slowed", "avoided"),
        ("commented", "ben", "damper sticks", None),
        ("took over", "eve", "", None),
        ("missed", "carla", "it burned", None),
    ]


def test_what_is_muted_until_when_and_why_and_what_was_changed():
    shelf = new_shelf("too-hot", "oven-1", "shelved", at(900), at(1000), "cleaning", "ann", 0)
    over = new_shelf("too-hot", "oven-2", "shelved", at(800), at(940), "done", "ann", 0)
    changed = revision(parse_definition(too_hot()))
    found = summary_of(
        shelves=[shelf, over],
        revisions=[
            changed.model_copy(update={"at": at(600)}),
            changed.model_copy(update={"at": at(400)}),
        ],
    )
    assert [(m.until, m.reason) for m in found.muted] == [(at(1000), "cleaning")]
    assert [c.at for c in found.changes] == [at(600)]


def test_a_summary_is_bounded_and_counts_the_rest():
    many = [raised(500, f"oven-{n}") for n in range(MOST_LISTED + 7)]
    found = summary_of(*many)
    assert (len(found.open), found.omitted) == (MOST_LISTED, 7)
    assert found.raised == found.open_count == found.questions == MOST_LISTED + 7
    assert found.at == at(0) + timedelta(minutes=950)
