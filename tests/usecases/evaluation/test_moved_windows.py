"""The prediction window of an open episode moves with its risk."""

from dataclasses import replace

import pytest

from alerting.usecases.evaluation.compose import with_window
from tests.builders import at
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast

OPEN = replace(episode(10, condition="open"), valid_until=at(40), is_prediction=True)


@pytest.mark.parametrize(
    ("due", "due_afterwards"),
    [(None, at(31)), (at(41), at(41))],
    ids=["determined by the window of before", "waits for its data"],
)
def test_an_outcome_is_due_again_only_if_the_window_of_before_determined_it(due, due_afterwards):
    moved = with_window(replace(OPEN, outcome_due_at=due), at(60), at(31))
    assert (moved.valid_until, moved.outcome_due_at) == (at(60), due_afterwards)


def test_an_episode_that_predicts_nothing_has_no_window():
    none = replace(OPEN, valid_until=None)
    assert with_window(none, at(60), at(31)) is none
