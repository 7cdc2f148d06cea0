"""A prediction that comes true, found by evaluating past times: the same instants as live, without
notifications."""

import pytest

from alerting.usecases.evaluation.evaluate import evaluate_past
from tests.helpers.coming_true import Line, at, warned

pytestmark = pytest.mark.usefixtures("last_humidity")


def again(line, until):
    line.platform.clock.instant = at(400)
    evaluate_past(line.platform, "too-moist", at(0), at(until), revision="latest", model="1")
    return line


def times(line):
    return [
        (e.raised_at, e.happening_at, e.prediction_ended_at, e.closed_at) for e in line.episodes
    ]


def test_it_has_the_instants_that_live_evaluation_gives_and_nobody_is_notified():
    live = warned(Line())
    line = warned(Line())
    for each in (live, line):
        each.feed(range(70, 90), moisture=4.5)
    live.run(*range(5, 90, 5))
    again(line, 89)
    assert times(line) == times(live) == [(at(10), at(35), at(35), at(70))]
    [one] = line.episodes
    [same] = live.episodes
    assert [t for t in one.transitions if t.kind != "outcome"] == [
        t for t in same.transitions if t.kind != "outcome"
    ]
    assert (one.backfilled, one.phase, one.outcome_record.outcome) == (True, "over", "hit")
    assert line.mail.messages == []


@pytest.mark.parametrize(
    ("until", "expected"),
    [(30, (None, None, at(30))), (60, (at(35), at(35), at(60))), (80, (at(35), at(35), at(70)))],
)
def test_what_is_open_at_the_end_is_closed_there_and_a_longer_evaluation_corrects_it(
    until, expected
):
    line = warned(Line())
    line.feed(range(70, 90), moisture=4.5)
    again(line, until)
    assert times(line) == [(at(10), *expected)]
    again(line, 89)
    assert times(line) == [(at(10), at(35), at(35), at(70))]
    before = line.episodes
    again(line, 89)
    assert line.episodes == before
