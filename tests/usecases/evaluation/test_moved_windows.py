"""The prediction window of an open episode moves with its risk."""

from dataclasses import replace

import pytest

from alerting.usecases.evaluation.new_episodes import with_window
from tests.builders import at
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast

OPEN = replace(episode(10, condition="open"), valid_until=at(40), is_prediction=True)


def test_an_outcome_that_was_determined_by_the_window_of_before_is_due_again():
    moved = with_window(replace(OPEN, outcome_due_at=None), at(60), at(31))
    assert (moved.valid_until, moved.outcome_due_at) == (at(60), at(31))


def test_one_that_waits_for_its_data_is_not_determined_at_every_move():
    moved = with_window(replace(OPEN, outcome_due_at=at(41)), at(60), at(31))
    assert (moved.valid_until, moved.outcome_due_at) == (at(60), at(41))


def test_an_episode_that_predicts_nothing_has_no_window():
    none = replace(OPEN, valid_until=None)
    assert with_window(none, at(60), at(31)) is none
