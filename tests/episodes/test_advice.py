"""The present advice of an episode: since when it is the same, what it replaced, and that it stays
bounded."""

from dataclasses import replace

import pytest

from alerting.episodes.advice import MOST_EARLIER, split_reasons, with_present_advice
from alerting.episodes.episode import Change, Contribution, Quantity, RecommendationResult
from tests.builders import at
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast


def advice(after=None, risk=0.8):
    changes = () if after is None else (Change("belt", 8.0, after, "m/min"),)
    return RecommendationResult(
        changes, risk, 0.2 if changes else risk, bool(changes), f"Set {after}"
    )


def advised(one, minute, recommendation, risk=0.8):
    return with_present_advice(one, at(minute), risk, 0.5, 1, (), recommendation)


RAISED = replace(episode(), raised_at=at(0), recommendation=advice(7.4), present=None)


def test_the_same_advice_keeps_its_beginning():
    one = advised(advised(RAISED, 1, advice(7.4)), 2, advice(7.4, risk=0.7), risk=0.7)
    assert (one.present.at, one.present.since, one.present.risk, one.present.earlier) == (
        at(2),
        at(0),
        0.7,
        (),
    )
    assert one.recommendation == RAISED.recommendation


def test_other_advice_begins_now_and_what_it_replaced_is_kept():
    one = advised(advised(RAISED, 1, advice(7.2), risk=0.7), 2, advice(7.0), risk=0.9)
    assert one.present.since == at(2)
    assert [(e.since, e.until, e.risk, e.changes[0].after) for e in one.present.earlier] == [
        (at(0), at(1), 0.8, 7.4),
        (at(1), at(2), 0.7, 7.2),
    ]


def test_an_instant_without_advice_takes_none_away_and_leaves_its_reasons_and_its_time():
    because = (Contribution("humidity", 0.4, 16.0, 8.0, "humid"),)
    raised = replace(RAISED, contributions=because)
    lower = advised(raised, 2, advice(risk=0.006), risk=0.006)
    assert (lower.advice.changes[0].after, lower.present.contributions, lower.advised_at) == (
        7.4,
        because,
        at(0),
    )
    assert (lower.present.at, lower.present.risk, lower.present.since, lower.present.earlier) == (
        at(2),
        0.006,
        at(0),
        (),
    )
    newer = advised(lower, 3, advice(7.2))
    assert (newer.advice.changes[0].after, newer.advised_at) == (7.2, at(3))
    none_again = advised(newer, 4, advice(risk=0.9), risk=0.9)
    assert (none_again.advice.changes[0].after, none_again.advised_at, none_again.present.risk) == (
        7.4,
        at(0),
        0.9,
    )
    at_once = advised(raised, 4, advice(risk=0.9), risk=0.9)
    assert (at_once.advice, at_once.present.contributions) == (
        none_again.advice,
        none_again.present.contributions,
    )


def test_advice_that_the_raise_did_not_have_is_not_taken_away_either():
    late = advised(replace(RAISED, recommendation=advice(risk=0.9)), 1, advice(7.2))
    one = advised(late, 2, advice(risk=0.3), risk=0.3)
    assert (one.advice.changes[0].after, one.advised_at, one.present.at, one.present.since) == (
        7.2,
        at(1),
        at(2),
        at(1),
    )


def test_no_need_and_no_help_are_different_where_nothing_was_advised():
    nothing = replace(RAISED, recommendation=advice(risk=0.9))
    one = advised(advised(nothing, 1, advice(risk=0.9)), 2, advice(risk=0.3))
    assert (one.present.since, one.advised_at) == (at(2), at(2))


def test_an_instant_before_the_present_one_changes_nothing_and_the_same_again_neither():
    one = advised(RAISED, 3, advice(7.2))
    assert advised(one, 2, advice(7.0)) == one
    assert advised(one, 3, advice(7.2)) is one


def test_the_replaced_advice_is_bounded():
    one = RAISED
    for minute in range(1, 3 * MOST_EARLIER):
        one = advised(one, minute, advice(float(minute)))
    assert len(one.present.earlier) == MOST_EARLIER
    assert one.present.earlier[-1].changes[0].after == 3.0 * MOST_EARLIER - 2


def reason(share, is_unusual):
    return Contribution(
        "v", share, 1.0, 1.0, "", quantity=Quantity("last", None, 1.0, 1.0, None, is_unusual)
    )


def test_what_moved_comes_before_what_is_as_usual_and_raises_the_risk_only_with_others():
    usual = reason(0.4, False)
    moved = reason(0.3, True)
    slightly = reason(0.1, True)
    lowers = reason(-0.05, False)
    assert split_reasons((usual, moved, slightly, lowers)) == ([moved, slightly, lowers], [usual])
    assert split_reasons((usual, lowers)) == ([usual, lowers], []), (
        "nothing moved: the combination is the reason"
    )


def test_what_moved_but_hardly_counts_does_not_hide_a_reason_that_counts():
    moved = reason(0.52, True)
    together = reason(0.15, False)
    trifle = reason(0.007, True)
    lowers = reason(-0.009, False)
    assert split_reasons((trifle, moved, lowers, together)) == (
        [moved, together, lowers],
        [trifle],
    )
