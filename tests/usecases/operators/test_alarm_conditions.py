"""The states of alarms as other systems show them, and what is told of them."""

from dataclasses import replace

import pytest

from alerting.definitions.model import SEVERITIES
from alerting.definitions.wording.language import language
from alerting.episodes.episode import ActorStamp
from alerting.operators.shelves import new_shelf
from alerting.usecases.operators.alarm_conditions import (
    MOST_RECENT_EVENTS,
    SEVERITY_NUMBERS,
    AlarmBook,
    alarm_state,
)
from tests.builders import at
from tests.helpers.episodes import closed, episode

pytestmark = pytest.mark.fast

OPEN = episode(10).with_transition("raised", at(10), "too hot")


def acknowledged(one, minute=12, actor="anna"):
    return one.with_transition(
        "acknowledged", at(minute), "seen", actor, acknowledged=ActorStamp(actor, at(minute))
    )


def told(book, *episodes, now=None, shelves=()):
    """Return what a book tells of episodes."""
    book.note_shelves(shelves)
    book.note([alarm_state(one) for one in episodes])
    return book.changes(now or at(60))


def shelf_of(one, kind="shelved", until=120):
    return new_shelf(one.definition, one.asset, kind, at(20), at(until), "cleaning", "anna", 0)


def test_severities_rise_from_1_to_1000():
    numbers = [SEVERITY_NUMBERS[one] for one in SEVERITIES]
    assert numbers == sorted(set(numbers))
    assert 1 <= numbers[0] <= 333 < numbers[1] <= 666 < numbers[2] < numbers[3] <= 1000


def test_a_state_has_the_words_of_the_episode():
    state = alarm_state(acknowledged(OPEN))
    assert state.message == "Too hot: Above 215."
    assert (state.comment, state.commented_by, state.commented_at) == ("seen", "anna", at(12))
    assert (state.is_active, state.is_acknowledged, state.is_retained) == (True, True, True)
    assert (state.raised_at, state.changed_at) == (at(10), at(12))


def test_texts_are_in_the_language_of_the_plant():
    one = replace(OPEN, guidance={})
    assert alarm_state(one, language=language("de")).message.startswith("Too hot: ")


def test_an_episode_found_in_past_times_is_no_alarm():
    assert alarm_state(replace(OPEN, backfilled=True)) is None


def test_a_withdrawn_episode_needs_no_answer():
    assert not alarm_state(closed(OPEN, withdrawn=True)).is_retained


@pytest.mark.parametrize(
    ("muted_by", "suppressed", "silenced"),
    [(None, False, False), ("suppression:2026", True, False), ("silence-7", False, True)],
)
def test_what_mutes_is_told(muted_by, suppressed, silenced):
    state = alarm_state(replace(OPEN, muted_by=muted_by))
    assert (state.suppressed, state.silenced) == (suppressed, silenced)


def test_an_event_is_the_same_in_every_process_and_another_for_every_state():
    states = [
        alarm_state(one)
        for one in (
            OPEN,
            replace(OPEN, severity="critical"),
            replace(OPEN, muted_by="suppression:1"),
            replace(OPEN, muted_by="x"),
            acknowledged(OPEN),
            acknowledged(OPEN, actor="bob"),
            closed(OPEN),
            replace(OPEN, title="Hot"),
            episode(11),
        )
    ]
    assert len({one.event_id for one in states}) == len(states)
    assert alarm_state(OPEN).event_id == states[0].event_id
    assert {len(one.event_id) for one in states} == {20}


def test_a_change_is_told_once():
    book = AlarmBook()
    assert [one.is_active for one in told(book, OPEN)] == [True]
    assert told(book, OPEN) == []
    assert [one.is_acknowledged for one in told(book, acknowledged(OPEN))] == [True]
    (over,) = told(book, acknowledged(closed(OPEN)))
    assert not over.is_retained
    assert told(book, acknowledged(closed(OPEN))) == []
    assert book.present() == []
    assert book.episodes == frozenset()


def test_what_is_over_and_answered_before_it_was_told_is_never_told():
    assert told(AlarmBook(), acknowledged(closed(OPEN))) == []


def test_an_alarm_that_is_over_stays_until_it_is_acknowledged():
    book = AlarmBook()
    told(book, closed(OPEN))
    assert [one.episode for one in book.present()] == [OPEN.id]


def test_an_older_unacknowledged_episode_is_a_branch():
    book = AlarmBook()
    older = closed(episode(1))
    told(book, older)
    states = {one.episode: one.is_branch for one in told(book, older, OPEN)}
    assert states == {older.id: True, OPEN.id: False}
    (over,) = told(book, acknowledged(older), OPEN)
    assert (over.is_branch, over.is_retained) == (True, False)


def test_a_shelf_is_told_when_it_begins_and_when_its_time_is_over():
    book = AlarmBook()
    told(book, OPEN, now=at(15))
    shelf = shelf_of(OPEN)
    (shelved,) = told(book, OPEN, now=at(21), shelves=[shelf])
    assert (shelved.is_shelved, shelved.shelved_until) == (True, at(120))
    assert told(book, OPEN, now=at(119), shelves=[shelf]) == []
    (free,) = told(book, OPEN, now=at(120), shelves=[shelf])
    assert not free.is_shelved
    assert free.changed_at > shelved.changed_at


def test_an_alarm_out_of_service_stays_though_it_is_over():
    book = AlarmBook()
    told(book, OPEN)
    done = acknowledged(closed(OPEN))
    (state,) = told(book, done, shelves=[shelf_of(OPEN, "out_of_service")])
    assert (state.out_of_service, state.is_retained) == (True, True)


def test_events_of_a_target_are_known_while_they_are_recent():
    book = AlarmBook()
    told(book, OPEN)
    first = alarm_state(OPEN).event_id
    target = (OPEN.definition, OPEN.asset)
    assert book.find_event(target, first).episode == OPEN.id
    assert book.find_event(("too-hot", "oven-2"), first) is None
    assert book.find_event(target, b"") is None
    one = OPEN
    for minute in range(MOST_RECENT_EVENTS):
        one = one.with_transition("commented", at(20 + minute), f"note {minute}", "anna")
        told(book, one)
    assert book.find_event(target, first) is None
    assert book.find_event(target, alarm_state(one).event_id) is not None


def test_an_episode_that_is_stored_no_longer_is_forgotten():
    book = AlarmBook()
    told(book, OPEN)
    book.note([], all_of_them=True)
    assert (book.present(), book.changes(at(61))) == ([], [])


def test_a_thousand_changes_are_told_in_their_order():
    book = AlarmBook()
    many = [episode(minute, asset=f"oven-{minute}") for minute in range(1000)]
    found = told(book, *reversed(many))
    assert [one.raised_at for one in found] == [at(minute) for minute in range(1000)]
    assert told(book, *many) == []
