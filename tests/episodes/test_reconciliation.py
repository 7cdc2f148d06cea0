"""A re-evaluated episode is recognised among the stored ones."""

from dataclasses import replace

import pytest

from alerting.definitions.wording.language import Translatable, translatable
from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import Transition
from alerting.episodes.reconciliation import (
    EvaluatedEpisode,
    continuations,
    correct,
    is_of_late_data,
    match_episodes,
    reconcile,
    withdraw,
)
from tests.builders import at
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast

STORED = episode(10, condition="closed", closed_at=at(20))


def test_an_episode_that_overlaps_is_the_stored_one_and_one_that_only_touches_it_is_new():
    same = {(10, 15), (5, 12), (19, 30), (15, None)}
    others = {(20, 30), (20, None), (5, 10)}

    def matched(raised, closed):
        ended = None if closed is None else at(closed)
        return match_episodes([EvaluatedEpisode(at(raised), closed_at=ended)], [STORED])

    assert {one: matched(*one) for one in same | others} == {
        one: {at(one[0]): STORED} if one in same else {} for one in same | others
    }


def test_what_an_operator_has_closed_is_not_reopened_by_late_data():
    by_hand = replace(
        STORED, transitions=(Transition("closed", at(20), "ann", "the sensor is removed"),)
    )
    goes_on = EvaluatedEpisode(at(10))
    assert correct(STORED, goes_on, goes_on, at(30)).condition == "open"
    assert correct(by_hand, goes_on, goes_on, at(30)) == by_hand


def test_problem_known_late_happens_in_continuation_whose_prediction_ends_at_latest_with_window():
    """The continuation has a shorter horizon, and its problem is known after it."""
    closed = replace(STORED, is_prediction=True, valid_until=at(20))
    going_on = replace(episode(20, condition="open"), valid_until=at(25))
    evaluated = EvaluatedEpisode(at(10), happening_at=at(28))
    [(part, carrier)] = continuations([evaluated], {at(10): closed}, [closed, going_on]).values()
    assert carrier == going_on
    assert (part.raised_at, part.happening_at, part.prediction_ended_at) == (at(20), at(28), at(25))


def test_a_transition_of_late_data_is_known_by_its_reason_and_no_other_end_is_one():
    def last(episode):
        return episode.transitions[-1]

    goes_on = EvaluatedEpisode(at(10))
    earlier = EvaluatedEpisode(at(10), at(15))
    by_late_data = (
        correct(STORED, goes_on, goes_on, at(30)),
        correct(STORED, earlier, earlier, at(30)),
        correct(episode(10, condition="open"), earlier, earlier, at(30)),
        withdraw(STORED, at(30)),
        withdraw(STORED, at(30), episode(5)),
    )
    assert [is_of_late_data(last(one)) for one in by_late_data] == [True] * 5
    earlier_version = replace(last(by_late_data[3]), reason="late data: not found again")
    assert is_of_late_data(earlier_version)
    ordinary = episode(10).with_transition("closed", at(30), "ended", closed_at=at(20))
    again = episode(10).with_transition("corrected", at(30), "this past period was evaluated again")
    assert [is_of_late_data(last(one)) for one in (ordinary, again)] == [False] * 2


def test_a_reason_that_an_earlier_version_stored_in_other_words_is_no_correction():
    reason = translatable("too hot since {when}", when=at(5))
    stored = Translatable("too hot since 00:05", reason.template, reason.values)
    before = Evaluation(at(12), "triggered", stored, cause="high")
    held = replace(episode(10, condition="open"), renewals=(before,))
    found = EvaluatedEpisode(
        at(10), cause="high", renewals=(replace(before, reason=reason),), since=at(10)
    )
    assert correct(held, found, found, at(30)).transitions == held.transitions
    severer = replace(found, renewals=(replace(before, reason="much too hot"),))
    assert len(correct(held, severer, severer, at(30)).transitions) == len(held.transitions) + 1


def test_what_was_raised_before_the_end_continues_nothing():
    closed = replace(STORED, is_prediction=True, valid_until=at(20))
    beside = episode(15, condition="open")
    assert (
        continuations(
            [EvaluatedEpisode(at(10), happening_at=at(28))], {at(10): closed}, [closed, beside]
        )
        == {}
    )


def test_a_problem_known_late_reopens_no_prediction_that_late_data_closed_with_its_window():
    goes_on = EvaluatedEpisode(at(10), happening_at=at(28))
    by_late_data = (Transition("closed", at(40), "platform", "late data: it was over at 12:20"),)
    closed = replace(STORED, is_prediction=True, valid_until=at(20), transitions=by_late_data)
    begun_earlier = replace(closed, condition_started_at=at(7), closed_at=at(17))
    for stored in (closed, begun_earlier):
        after = correct(stored, goes_on, goes_on, at(50))
        assert (after.condition, after.closed_at, after.happening_at) == (
            "closed",
            stored.closed_at,
            at(28),
        )


def test_late_data_withdraw_what_is_live_past_times_what_is_backfilled_after_beginning_evaluation():
    before = episode(10)
    live = episode(30)
    past = replace(episode(40), backfilled=True)
    stored = [
        replace(e, condition="closed", closed_at=e.raised_at + (at(5) - at(0)))
        for e in (before, live, past)
    ]
    for backfilled, expected in ((False, at(30)), (True, at(40))):
        found = reconcile(stored, [], [], at(20), backfilled)
        assert [(e.raised_at, part_of) for e, part_of in found.withdrawn] == [(expected, None)]


def test_an_evaluated_episode_that_overlaps_a_stored_one_is_no_new_one():
    one = EvaluatedEpisode(at(8), at(40))
    other = EvaluatedEpisode(at(50))
    part = episode(30, condition="closed", closed_at=at(35))
    found = reconcile([STORED, part], [one, other], [one, other], at(0))
    assert [(c.stored, c.evaluated) for c in found.corrections] == [(STORED, one)]
    assert found.withdrawn == [(part, STORED)]
    assert found.new == {at(50)}
