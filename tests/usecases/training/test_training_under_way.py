"""The progress of a training on the page of a definition's models."""

from datetime import timedelta

import pytest

from alerting.usecases.training.progress import training_under_way
from tests.builders import at

pytestmark = pytest.mark.fast
REAL = at(-10_000)  # the registry has real times, the simulated line others


def unfinished(started, sign, step=2):
    return {
        "started_at": started,
        "last_sign": sign,
        "step_number": step,
        "killed_after": timedelta(minutes=30),
    }


def shift(minutes):
    return REAL + timedelta(minutes=minutes)


@pytest.mark.parametrize(("minutes", "is_silent"), [(29, False), (30, True)])
def test_a_training_without_progress_for_long_was_killed(minutes, is_silent):
    now = at(100 + minutes)
    found = training_under_way(unfinished(at(90), at(100)), now, now, None)
    assert found == (at(90), at(100), is_silent)


@pytest.mark.parametrize(("minutes", "is_silent"), [(5, False), (30, True)])
def test_on_a_simulated_line_its_real_times_are_shown_in_those_of_the_line(minutes, is_silent):
    running = unfinished(shift(-minutes - 1), shift(-minutes))
    found = training_under_way(running, at(0), REAL, 10.0)
    assert found == (at(-10 * (minutes + 1)), at(-10 * minutes), is_silent)


@pytest.mark.parametrize(("minutes", "is_silent"), [(299, False), (300, True)])
def test_a_training_that_the_registry_does_not_know_yet_has_times_of_the_line(minutes, is_silent):
    running = unfinished(at(0), at(0), step=1)
    assert training_under_way(running, at(minutes), REAL, 10.0) == (at(0), at(0), is_silent)


def test_without_one_there_is_none():
    assert training_under_way(None, at(0), REAL, None) is None
