"""Trainings that are due, by the questions and the newest training of each."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.faults import UserError
from alerting.ports import FixedClock, Training
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.sync import apply
from alerting.usecases.definitions.training_state import describe_trainings
from alerting.usecases.platform_health.check import check_platform
from alerting.usecases.platform_health.last_runs import last_runs
from alerting.usecases.training.due import (
    PAUSES,
    NotDue,
    begin_training,
    end_run,
    end_training,
    failure_recorded,
    find_due_trainings,
    next_attempt,
)
from alerting.usecases.training.progress import training_under_way
from tests.builders import at, oven, too_hot, too_moist

pytestmark = pytest.mark.fast

NAME = "too-moist"
HOUR = 60


@pytest.fixture
def platform():
    made = memory_platform()
    made.assets.store_assets([oven()])
    return at_time(made, 0)


def at_time(platform, minute):
    return replace(platform, clock=FixedClock(at(minute)))


def edit(platform, minute, **changes):
    apply(platform, [too_moist(**changes)], "engineer", at(minute), "test")


def due(platform, minute):
    return [(d.definition, d.attempt) for d in find_due_trainings(platform, at(minute))]


def fail(platform, minute):
    """Train the newest revision at a minute; it fails at once."""
    platform = at_time(platform, minute)
    end_training(
        platform,
        begin_training(platform, require_revision(platform.definitions, NAME), None),
        "too few rows",
    )


def succeed(platform, minute):
    platform = at_time(platform, minute)
    end_training(
        platform, begin_training(platform, require_revision(platform.definitions, NAME), None)
    )


def test_a_new_question_is_due_until_its_training_runs(platform):
    apply(platform, [too_hot()], "engineer", at(0), "test")
    edit(platform, 0)
    assert due(platform, 1) == [(NAME, 1)]
    begin_training(
        platform,
        require_revision(platform.definitions, NAME),
        find_due_trainings(platform, at(1))[0].run,
    )
    assert due(platform, 2) == []


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Moist"},
        {"severity": "low"},
        {"schedule": {"retrain": None}},
        {"learning": {"trials": 3}},
        {"features": {"windows": ["1h"]}},
        {"promotion": {"mode": "approval"}},
        {"operating_point": {"least_precision": 0.5}},
    ],
)
def test_a_change_that_leaves_the_question_alone_starts_no_training(platform, change):
    edit(platform, 0)
    succeed(platform, 1)
    edit(platform, 10, **change)
    assert due(platform, 11) == []


def test_a_changed_question_is_due_and_an_earlier_one_that_was_trained_is_not(platform):
    edit(platform, 0)
    succeed(platform, 1)
    edit(platform, 10, horizon="1h")
    assert due(platform, 11) == [(NAME, 1)]
    edit(platform, 12)
    assert due(platform, 13) == []


def test_a_question_trained_by_an_earlier_rule_of_alarms_is_trained_once_more(platform):
    edit(platform, 0)
    succeed(platform, 1)
    [done] = platform.trainings.for_definitions([NAME])
    platform.trainings.begin(replace(done, alarm_rule=1))
    assert due(platform, 2) == [(NAME, 2)]
    run = find_due_trainings(platform, at(2))[0].run
    revision = require_revision(platform.definitions, NAME)
    end_training(platform, begin_training(at_time(platform, 3), revision, run))
    assert due(platform, 4) == []


def test_only_definitions_in_service_are_due(platform):
    edit(platform, 0, state="draft")
    assert due(platform, 1) == []
    edit(platform, 2, state="retired")
    assert due(platform, 3) == []


def test_a_failed_training_is_tried_again_after_growing_pauses_and_then_waits_for_an_edit(platform):
    edit(platform, 0)
    minute = 1
    for attempt, pause in enumerate(PAUSES, 2):
        fail(platform, minute)
        minutes = pause.total_seconds() / 60
        assert due(platform, minute + minutes - 1) == []
        assert due(platform, minute + minutes) == [(NAME, attempt)]
        minute += minutes
    fail(platform, minute)
    assert due(platform, minute + 1000 * HOUR) == []
    said = describe_trainings(
        platform.definitions,
        platform.decisions,
        platform.trainings,
        platform.definitions.latest_revisions(),
        platform.zone,
    )
    assert "its training failed 4 times, last at 2026-01-05 02:36 UTC: too few rows" in said[NAME]

    edit(platform, minute + 1, periods={"test": 0.1})
    assert due(platform, minute + 1) == [(NAME, 5)]


def test_a_training_that_never_ends_counts_as_failed_after_a_day():
    begun = Training(NAME, "q", "question-q-1", 1, at(0))
    assert next_attempt(1, begun, at(24 * HOUR)) is None
    assert next_attempt(1, begun, at(24 * HOUR + 6)) == 2


def test_a_step_that_airflow_tries_again_is_the_same_attempt(platform):
    edit(platform, 0)
    run = find_due_trainings(platform, at(1))[0].run
    revision = require_revision(platform.definitions, NAME)
    with (
        pytest.raises(UserError),
        failure_recorded(platform, begin_training(platform, revision, run)),
    ):
        raise UserError("too few rows")
    assert begin_training(platform, revision, run).attempts == 1
    assert begin_training(platform, revision, None).attempts == 2


def test_a_run_that_was_started_for_another_question_says_so_and_ends(platform):
    edit(platform, 0)
    run = find_due_trainings(platform, at(1))[0].run
    edit(platform, 2, horizon="1h")
    with pytest.raises(NotDue, match="asks another question since revision 2"):
        begin_training(platform, require_revision(platform.definitions, NAME), run)
    assert due(platform, 3) == [(NAME, 1)]


def test_a_run_that_ended_before_it_was_recorded_counts_as_a_failed_attempt(platform):
    edit(platform, 0)
    run = find_due_trainings(platform, at(1))[0].run
    end_run(platform, NAME, run, "the database did not answer")
    assert due(platform, 5) == [(NAME, 2)]
    end_run(platform, NAME, run, "the database did not answer")
    assert due(platform, 5) == [(NAME, 2)], "recording it twice is one attempt"


def test_the_end_of_an_earlier_run_does_not_end_the_one_that_began_since(platform):
    edit(platform, 0)
    revision = require_revision(platform.definitions, NAME)
    first = begin_training(platform, revision, find_due_trainings(platform, at(0))[0].run)
    begin_training(platform, revision, None)
    end_training(platform, first, "killed")
    assert due(platform, 10) == []


def test_a_queued_run_ends_if_its_question_was_trained_by_another_run_meanwhile(platform):
    edit(platform, 0)
    run = find_due_trainings(platform, at(1))[0].run
    revision = require_revision(platform.definitions, NAME)
    end_training(platform, begin_training(platform, revision, "scheduled__2026-01-05"))
    with pytest.raises(NotDue, match="has been trained by the run scheduled__2026-01-05 since"):
        begin_training(platform, revision, run)
    assert due(platform, 2) == []


def test_a_failure_of_a_question_that_was_taken_back_is_no_fault_of_the_platform(platform):
    def faults(minute):
        return [f.kind for f in check_platform(platform, at(minute)) if f.kind == "training failed"]

    edit(platform, 0)
    succeed(platform, 1)
    edit(platform, 2, horizon="45m")
    fail(platform, 3)
    assert faults(4) == ["training failed"]
    edit(platform, 5)
    assert due(platform, 6) == []
    assert faults(6) == []
    assert last_runs(platform, platform.definitions.latest_revisions())[NAME].model != "failed"


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
