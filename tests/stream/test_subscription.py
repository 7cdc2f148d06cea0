"""Every event in every state of a source does what the sentences here say."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from alerting.stream.subscription import RULES, Event, Subscription, advance
from tests.builders import at

pytestmark = pytest.mark.fast

NOW = at(10)
PHASES = ("closed", "open", "ending")
CAUSES = ("wanted", "unwanted", "not_opened", "broken", "stored", "full", "away", "emptied")
STATES = [
    Subscription(once, timedelta(minutes=history), phase, opened, fault)
    for once, history, phase, opened, fault in product(
        (False, True), (0, 5), PHASES, (None, at(9)), (None, "", "away")
    )
]
EVENTS = [
    Event(cause, why, count, read_until)
    for cause, why, count, read_until in product(
        CAUSES, (None, "away", "other"), (0, 3), (None, at(3), at(6))
    )
]


def shown(state, event):
    """The fault is shown once; stored messages have ended an earlier one."""
    before = None if event.count else state.fault
    return [] if event.why == before else [("show_fault", event.why)]


def gap(state, event):
    """Values were lost unless the history reaches back to that."""
    if (
        None in (state.opened_at, event.read_until)
        or state.opened_at - event.read_until <= state.history
    ):
        return []
    return [("note_gap", event.read_until)]


READ = [("note_read", NOW)]

# The table once more, as sentences say it and independent of how it is written there:
# phase and event -> (phase after, what is done), or nothing where the state stays as it is.
EXPECTED = {
    ("closed", "wanted"): lambda s, e: ("open", ["open"]),
    ("open", "not_opened"): lambda s, e: ("closed", shown(s, e)),
    ("open", "broken"): lambda s, e: ("open", shown(s, e)),
    ("open", "wanted"): lambda s, e: (
        "open",
        (
            gap(s, e) + READ
            if s.is_sent_once
            else READ * (s.opened_at is None and (s.fault is None or e.count > 0))
        )
        + ["record_losses"],
    ),
    ("open", "stored"): lambda s, e: (
        "open",
        shown(s, e)
        + [("note_opening", s.opened_at)] * (s.opened_at is not None and not s.is_sent_once),
    ),
    ("open", "full"): lambda s, e: (
        "closed",
        ["pause", *shown(s, e), "close", *["drop_rest"] * s.is_sent_once],
    ),
    ("open", "away"): lambda s, e: None if s.is_sent_once else ("closed", ["close"]),
    ("open", "unwanted"): lambda s, e: (
        ("ending", ["close"]) if s.is_sent_once else ("closed", ["close", "record_losses"])
    ),
    ("ending", "emptied"): lambda s, e: (
        ("closed", gap(s, e) + READ + ["record_losses"]) if s.is_sent_once else None
    ),
}


def told(effect, event):
    """Return an effect as the table has it: with its fault, its instant, or neither."""
    if effect.work == "show_fault":
        return effect.work, effect.why
    if effect.work == "note_gap":
        assert f"from {event.read_until.isoformat()} to {at(9).isoformat()}" in effect.why
        return effect.work, event.read_until
    return (effect.work, effect.at) if effect.work.startswith("note") else effect.work


@pytest.mark.parametrize(("phase", "cause"), list(product(PHASES, CAUSES)))
def test_every_event_in_every_state_does_what_the_table_says_or_nothing(phase, cause):
    expected = EXPECTED.get((phase, cause), lambda s, e: None)
    states = [state for state in STATES if state.phase == phase]
    for state, event in product(states, [event for event in EVENTS if event.cause == cause]):
        after, effects = advance(state, event, NOW)
        wanted = expected(state, event)
        if wanted is None:
            assert (after, effects) == (state, ()), state
        else:
            assert (after.phase, [told(one, event) for one in effects]) == wanted, (state, event)


def test_the_expectation_covers_every_rule():
    assert {(rule.phase, rule.cause) for rule in RULES} == set(EXPECTED)


@pytest.mark.parametrize("is_sent_once", [False, True])
def test_an_opening_is_remembered_until_it_is_noted(is_sent_once):
    opened = advance(Subscription(is_sent_once), Event("wanted"), NOW)[0]
    assert opened.opened_at == NOW
    assert advance(opened, Event("broken", "away"), at(11))[0].opened_at == NOW
    answered = advance(opened, Event("stored", count=1), at(11))[0]
    assert answered.opened_at == (NOW if is_sent_once else None)
    assert advance(answered, Event("wanted"), at(12))[0].opened_at is None


def test_a_fault_outlives_a_connection_and_is_shown_once():
    state = Subscription()
    shown_faults = []
    for cause, why in (("wanted", None), ("not_opened", "no client")) * 3 + (
        ("wanted", None), ("stored", None), ("stored", None)
    ):  # fmt: skip
        state, effects = advance(state, Event(cause, why), NOW)
        shown_faults += [one.why for one in effects if one.work == "show_fault"]
    assert shown_faults == ["no client", None]


def test_a_source_that_is_given_up_can_be_wanted_again():
    state = replace(Subscription(), phase="open", fault=None)
    given_up, _ = advance(state, Event("full", "too many"), NOW)
    again, effects = advance(given_up, Event("wanted"), NOW)
    assert (again.phase, again.opened_at, [one.work for one in effects]) == ("open", NOW, ["open"])
