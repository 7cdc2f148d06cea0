"""A predicted problem of several variables, live: its words, its end, its outcome, late data, and
any way of evaluating it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.usecases.episodes.outcomes import current_progress, determine_due_outcomes
from alerting.usecases.explain import why
from alerting.usecases.make_reports import make_report
from alerting.usecases.notification.episode_values import chart_of
from tests.helpers.coming_true import NORMAL, Line, at, last_humidity, warned

__all__ = ["last_humidity"]  # a fixture
pytestmark = pytest.mark.usefixtures("last_humidity")
BOTH = {
    "all": [
        {"variable": "moisture", "above": 5.0},
        {"variable": "belt", "below": 1.5, "stale_after": "15m"},
    ],
    "for": "10m",
}


def slow_belt(line):
    """Moisture is too high from 25 to 69, and the belt too slow from 30 to 50."""
    line.feed([*range(1, 30), *range(51, 90)], now=1, belt=2.0)
    line.feed(range(30, 51), belt=1.2)
    return line


def lives(line):
    return [
        (e.raised_at, e.happening_at, e.prediction_ended_at, e.closed_at) for e in line.episodes
    ]


def test_it_happens_while_all_conditions_hold_and_every_message_names_them():
    line = slow_belt(warned(Line(**BOTH)))
    line.feed(range(70, 90), moisture=4.5)
    line.run(*range(5, 45, 5))
    assert (
        "Moisture is 5.5 %, above 5 %"
        in current_progress(line.platform, line.episodes[0], at(44)).message
    )
    line.run(*range(45, 90, 5))
    assert lives(line) == [(at(10), at(40), at(40), at(51))]
    assert [m.text.splitlines()[1] for m in line.mail.messages] == [
        "Moisture above 5 % and belt speed below 1.5 m/min will probably occur within 30 min (100 "
        "%; alarm at 50 %).",
        "Moisture is 5.5 %, above 5 % and belt speed is 1.2 m/min, below 1.5 m/min since Thu 1 "
        "Jan 00:30.",
        "Thu 1 Jan 00:10 to 00:51 (41 min): the problem is over.",
    ]
    determine_due_outcomes(line.platform, at(200))
    assert line.episodes[0].outcome_record.outcome == "hit"
    panels = chart_of(line.platform, line.episodes[0], at(89)).panels
    limits = [(p.name, level.value) for p in panels for level in p.levels if level.is_limit]
    assert limits == [("Risk", 0.5), ("Moisture", 5), ("belt speed", 1.5)]
    assert [level.label for level in panels[3].levels] == ["usual from", "usual to"]  # the reason
    report = make_report(line.platform, "too-moist", at(0), at(90), at(200))
    assert report.metrics["outcomes"]["hit"] == 1
    assert why(line.platform, "too-moist", "oven-1", at(60)).verdict == "normal"
    # late values of one variable are evaluated again
    line.feed(range(45, 51), now=201, belt=2.0)
    line.run(205)
    assert lives(line)[0] == (at(10), at(40), at(40), at(45))


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(1, 18), max_size=8), st.sampled_from(["all", "any"]))
def test_live_in_any_chunks_is_one_batch(chunks, how):
    conditions = {**BOTH, "all": None} | {how: BOTH["all"]}

    def run(minutes):
        line = slow_belt(
            warned(Line(**{key: value for key, value in conditions.items() if value is not None}))
        )
        line.feed(range(70, 100), moisture=NORMAL)
        line.run(*minutes)
        return line

    live = run([*(5 * chunk for chunk in sorted(chunks)), 99])
    batch = run([99])
    assert lives(live) == lives(batch)
