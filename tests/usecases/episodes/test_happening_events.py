"""A prediction of an event that comes true: of an instant one, of a lasting one with and without
its end, of overlapping ones."""

import pytest

from alerting.definitions.assets import EventType
from alerting.definitions.faults import UserError
from alerting.usecases.episodes.happening import current_progress
from alerting.usecases.operators import operate
from tests.helpers.coming_true import CRITICAL, NORMAL, Line, at
from tests.helpers.stores import states_of

pytestmark = pytest.mark.usefixtures("last_humidity")
DURATIONS = {"failure": "instant", "stop": "lasting", "stop-2": "lasting"}
TYPES = [EventType(name=name, duration=duration) for name, duration in DURATIONS.items()]


def warned_of(event, until=300):
    """The model warns at 10 of an event."""
    line = Line(event_types=TYPES, event=event)
    line.feed(range(1, 21), humidity=CRITICAL)
    line.feed(range(21, until), humidity=NORMAL)
    return line


def kinds(line):
    return [subject.partition(":")[0] for subject in line.subjects()]


def times(line):
    return [
        (e.raised_at, e.happening_at, e.prediction_ended_at, e.closed_at) for e in line.episodes
    ]


def test_an_instant_event_has_happened_and_is_over_at_once():
    line = warned_of("failure")
    line.run(5, 10, 15)
    line.event("failure", 23)
    line.run(25, 30, 60, 90)
    assert times(line) == [(at(10), at(23), at(23), at(23))]
    assert line.episodes[0].outcome_record.outcome == "hit"
    assert kinds(line) == ["MEDIUM", "It happened"]
    assert states_of(line.platform, "too-moist", ["oven-1"])["oven-1"].raised_at is None


def test_a_lasting_event_is_happening_until_its_end_however_long_that_is():
    line = warned_of("stop")
    line.run(5, 10)
    line.event("stop", 23)
    line.run(25)
    assert (line.episodes[0].phase, kinds(line)) == ("happening", ["MEDIUM", "It is happening"])
    line.run(*range(30, 236, 5))
    assert (line.episodes[0].phase, line.episodes[0].happening_at) == ("happening", at(23))
    line.event("stop", 23, 238, now=238)
    line.run(240, 245)
    assert times(line) == [(at(10), at(23), at(23), at(238))]
    assert kinds(line) == ["MEDIUM", "It is happening", "Over"]


@pytest.mark.parametrize("every", [5, 35])
def test_events_nearer_than_merge_within_are_one_problem_however_it_is_evaluated(every):
    line = Line(event_types=TYPES, event="stop", merge_within="30m")
    line.feed(range(1, 300), humidity=NORMAL)
    line.feed([*range(1, 21), *range(61, 66)], humidity=CRITICAL)
    for start, end in ((23, 30), (50, 60), (89, 92), (140, 150)):
        line.event("stop", start, end, now=0)
    line.run(10, *range(15, 300, every), 300)
    assert times(line) == [(at(10), at(23), at(23), at(122))]


def test_an_event_without_an_end_goes_on_and_nobody_closes_it_by_hand():
    line = warned_of("stop")
    line.event("stop", 23)
    line.run(*range(5, 291, 15))
    [one] = line.episodes
    progress = current_progress(line.platform, one, at(290))
    assert (one.phase, progress.is_known) == ("happening", True)
    with pytest.raises(UserError, match="Its event has no end yet"):
        operate.close(line.platform, one.id, operate.Actor("ann", "operator"), at(290), "it runs")


def test_events_that_overlap_are_one_problem_that_ends_with_the_last():
    line = warned_of("stop*")
    line.event("stop", 23, 60)
    line.event("stop-2", 40, 90)
    line.run(*range(5, 121, 5))
    assert times(line) == [(at(10), at(23), at(23), at(90))]


def test_events_before_the_raise_and_after_the_window_are_not_what_was_predicted():
    line = Line(event_types=TYPES, event="failure", recovery="0s", every=5)
    line.feed(range(1, 8), humidity=NORMAL)
    line.feed(range(8, 11), humidity=CRITICAL)
    line.feed(range(11, 100), humidity=NORMAL)
    line.event("failure", 4)
    line.event("failure", 55)
    line.run(*range(5, 91, 5))
    assert times(line) == [(at(10), None, at(25), at(25))]
    assert kinds(line) == ["MEDIUM", "Over"]
