"""Which stored episode a re-evaluated one is."""

from dataclasses import replace

import pytest

from alerting.episodes.episode import Transition
from alerting.episodes.reconciliation import EvaluatedEpisode, continuations, correct, match_episodes
from tests.builders import at
from tests.helpers.episodes import episode

STORED = episode(10, condition="closed", closed_at=at(20))


@pytest.mark.parametrize(
    ("raised", "closed", "same"),
    [(10, 15, True), (5, 12, True), (19, 30, True), (15, None, True), (20, 30, False), (20, None, False), (5, 10, False)],
)
def test_an_episode_that_overlaps_is_the_stored_one_and_one_that_only_touches_it_is_new(raised, closed, same):
    found = match_episodes([EvaluatedEpisode(at(raised), closed_at=None if closed is None else at(closed))], [STORED])
    assert found == ({at(raised): STORED} if same else {})


def test_what_an_operator_has_closed_is_not_reopened_by_late_data():
    by_hand = replace(STORED, transitions=(Transition("closed", at(20), "ann", "the sensor is removed"),))
    goes_on = EvaluatedEpisode(at(10))
    assert correct(STORED, goes_on, goes_on, at(30)).condition == "open"
    assert correct(by_hand, goes_on, goes_on, at(30)) == by_hand


def test_a_problem_known_late_happens_in_the_continuation_whose_prediction_ends_at_the_latest_with_its_window():
    """The continuation has a shorter horizon, and its problem is known after it."""
    closed = replace(STORED, transitions=(Transition("closed", at(20), "platform", "the horizon has passed"),))
    going_on = replace(episode(20, condition="open"), valid_until=at(25))
    evaluated = EvaluatedEpisode(at(10), happening_at=at(28))
    [(part, carrier)] = continuations([evaluated], {at(10): closed}, [closed, going_on]).values()
    assert carrier == going_on
    assert (part.raised_at, part.happening_at, part.prediction_ended_at) == (at(20), at(28), at(25))


def test_what_was_raised_before_the_end_continues_nothing():
    closed = replace(STORED, transitions=(Transition("closed", at(20), "platform", "the horizon has passed"),))
    beside = episode(15, condition="open")
    assert continuations([EvaluatedEpisode(at(10), happening_at=at(28))], {at(10): closed}, [closed, beside]) == {}
