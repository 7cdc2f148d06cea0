"""A prediction that comes true, found by evaluating past times: the same instants as live, without
notifications."""

import pytest

from alerting.usecases.evaluation.rounds import evaluate_past
from tests.helpers.coming_true import Line, at, warned

pytestmark = pytest.mark.usefixtures("last_humidity")


def over_at_70():
    line = warned(Line())
    line.feed(range(70, 90), moisture=4.5)
    return line


def again(line, until):
    line.platform.clock.instant = at(400)
    evaluate_past(line.platform, "too-moist", at(0), at(until), revision="latest", model="1")
    [one] = line.episodes
    return one.raised_at, one.happening_at, one.prediction_ended_at, one.closed_at


WHOLE = (at(10), at(35), at(35), at(70))


def test_it_has_the_instants_that_live_evaluation_gives_and_nobody_is_notified():
    live = over_at_70()
    live.run(*range(5, 90, 5))
    line = over_at_70()
    assert again(line, 89) == WHOLE
    [one], [same] = ([*each.episodes] for each in (line, live))
    assert (same.raised_at, same.happening_at, same.prediction_ended_at, same.closed_at) == WHOLE
    past, lived = ([t for t in e.transitions if t.kind != "outcome"] for e in (one, same))
    assert past == lived
    assert [t.kind for t in lived] == ["raised", "happening", "closed"]
    assert (one.backfilled, one.phase, one.outcome_record.outcome) == (True, "over", "hit")
    assert line.mail.messages == []


def test_what_is_open_at_the_end_is_closed_there_and_a_longer_evaluation_corrects_it():
    for until, expected in (
        (30, (at(10), None, None, at(30))),
        (60, (at(10), at(35), at(35), at(60))),
        (80, WHOLE),
    ):
        line = over_at_70()
        assert again(line, until) == expected
        assert again(line, 89) == WHOLE
        before = line.episodes
        again(line, 89)
        assert line.episodes == before
