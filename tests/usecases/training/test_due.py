"""Trainings that are due, by the questions and the newest training of each."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.ports import FixedClock, Training
from alerting.usecases.alarm_load.definition_overview import last_runs
from alerting.usecases.definitions.next_steps import describe_trainings
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.health.platform_health import check_platform
from alerting.usecases.training.due import (
    PAUSES,
    NotDue,
    begin_training,
    describe_steps,
    end_run,
    end_training,
    failure_recorded,
    find_due_trainings,
    newest_trainings,
    next_attempt,
    training_steps,
    training_under_way,
)
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.refusals import assert_refused
from tests.in_memory_platform import memory_platform

NAME = "too-moist"
HOUR = 60


@pytest.fixture
def platform():
    """A platform with a definition that was never trained."""
    made = replace(memory_platform(), clock=FixedClock(at(0)))
    made.assets.store_assets([oven()])
    apply(made, [too_hot()], "engineer", at(0), "test")
    edit(made, 0)
    return made


def edit(platform, minute, **changes):
    apply(platform, [too_moist(**changes)], "engineer", at(minute), "test")


def due(platform, minute):
    return [(d.definition, d.attempt) for d in find_due_trainings(platform, at(minute))]


def run_of(platform, minute=1):
    """Return the run that would be started at this minute."""
    return find_due_trainings(platform, at(minute))[0].run


def begin(platform, run=None, minute=0):
    platform = replace(platform, clock=FixedClock(at(minute)))
    return begin_training(platform, require_revision(platform.definitions, NAME), run)


def end(platform, minute, failure=None, run=None):
    """Train the newest revision at a minute; it ends at once, with this failure."""
    end_training(
        replace(platform, clock=FixedClock(at(minute))), begin(platform, run, minute), failure
    )


def test_a_new_question_is_due_until_its_training_runs(platform):
    assert due(platform, 1) == [(NAME, 1)]
    begin(platform, run_of(platform))
    assert due(platform, 2) == []


UNASKED = [
    {"title": "Moist"},
    {"severity": "low"},
    {"schedule": {"retrain": None}},
    {"learning": {"trials": 3}},
    {"features": {"windows": ["1h"]}},
    {"promotion": {"mode": "approval"}},
    {"operating_point": {"least_precision": 0.5}},
]


def test_only_a_changed_question_is_due_and_an_earlier_one_that_was_trained_is_not(platform):
    end(platform, 1)
    edit(platform, 10, horizon="1h")
    assert due(platform, 11) == [(NAME, 1)]
    started = []
    for minute, change in enumerate([{}, *UNASKED], 12):
        edit(platform, minute, **change)
        started += due(platform, minute)
    assert started == []


def test_only_definitions_in_service_are_due(platform):
    found = []
    for minute, state in enumerate(("draft", "retired"), 1):
        edit(platform, minute, state=state)
        found += due(platform, minute)
    assert found == []


def test_a_failed_training_is_tried_again_after_growing_pauses_and_then_waits_for_an_edit(platform):
    minute = 1
    for attempt, pause in enumerate(PAUSES, 2):
        end(platform, minute, "too few rows")
        again = minute + pause.total_seconds() / 60
        assert (due(platform, again - 1), due(platform, again)) == ([], [(NAME, attempt)])
        minute = again
    end(platform, minute, "too few rows")
    assert due(platform, minute + 1000 * HOUR) == []
    ports = platform.definitions, platform.decisions, platform.trainings
    said = describe_trainings(*ports, platform.definitions.latest_revisions())
    assert "its training failed 4 times, last at 2026-01-05 02:36 UTC: too few rows" in said[NAME]
    edit(platform, minute + 1, periods={"test": 0.1})
    assert due(platform, minute + 1) == [(NAME, 5)]


def test_a_training_that_never_ends_counts_as_failed_after_a_day():
    begun = Training(NAME, "q", "question-q-1", 1, at(0))
    assert [next_attempt(1, begun, at(24 * HOUR + minute)) for minute in (0, 6)] == [None, 2]


def test_a_step_that_airflow_tries_again_is_the_same_attempt(platform):
    run = run_of(platform)
    with pytest.raises(UserError), failure_recorded(platform, begin(platform, run)):
        raise UserError("too few rows")
    assert (begin(platform, run).attempts, begin(platform).attempts) == (1, 2)


def test_a_queued_run_ends_if_its_question_was_changed_or_trained_by_another_run_meanwhile(
    platform,
):
    run = run_of(platform)
    edit(platform, 2, horizon="1h")
    assert_refused("asks another question since revision 2", begin, platform, run, fault=NotDue)
    assert due(platform, 3) == [(NAME, 1)]
    run = run_of(platform, 3)
    end(platform, 3, run="scheduled__2026-01-05")
    assert_refused(
        "has been trained by the run scheduled__2026-01-05 since",
        begin,
        platform,
        run,
        fault=NotDue,
    )
    assert due(platform, 4) == []


def test_a_run_that_ended_before_it_was_recorded_counts_as_a_failed_attempt(platform):
    run = run_of(platform)
    for _ in range(2):
        end_run(platform, NAME, run, "the database did not answer")
        assert due(platform, 5) == [(NAME, 2)], "recording it twice is one attempt"


def test_the_end_of_an_earlier_run_does_not_end_the_one_that_began_since(platform):
    first = begin(platform, run_of(platform))
    begin(platform)
    end_training(platform, first, "killed")
    assert due(platform, 10) == []


def test_a_failure_of_a_question_that_was_taken_back_is_no_fault_of_the_platform(platform):
    def faults(minute):
        return [f.kind for f in check_platform(platform, at(minute)) if f.kind == "training failed"]

    end(platform, 1)
    edit(platform, 2, horizon="45m")
    end(platform, 3, "too few rows")
    assert faults(4) == ["training failed"]
    edit(platform, 5)
    assert (due(platform, 6), faults(6)) == ([], [])
    assert last_runs(platform, platform.definitions.latest_revisions())[NAME].model != "failed"


REAL = at(-10_000)  # the registry has real times, the simulated line others


def under_way(now, real, speed, started, last_sign, step=2):
    """Return when a training began, its last sign and whether it is silent; it is killed after half
    an hour."""
    running = {"started_at": started, "last_sign": last_sign, "step_number": step}
    return training_under_way(running | {"killed_after": timedelta(minutes=30)}, now, real, speed)


def real(minutes):
    return REAL + timedelta(minutes=minutes)


def test_a_training_without_progress_for_long_was_killed_also_on_a_simulated_line():
    """On a line of ten times the speed its real times are shown in those of the line; one that the
    registry does not know yet has times of the line."""
    assert {
        29: under_way(at(129), at(129), None, at(90), at(100)),
        30: under_way(at(130), at(130), None, at(90), at(100)),
        "simulated 5": under_way(at(0), REAL, 10.0, real(-6), real(-5)),
        "simulated 30": under_way(at(0), REAL, 10.0, real(-31), real(-30)),
        "unknown 299": under_way(at(299), REAL, 10.0, at(0), at(0), step=1),
        "unknown 300": under_way(at(300), REAL, 10.0, at(0), at(0), step=1),
        "none": training_under_way(None, at(0), REAL, None),
    } == {
        29: (at(90), at(100), False),
        30: (at(90), at(100), True),
        "simulated 5": (at(-60), at(-50), False),
        "simulated 30": (at(-310), at(-300), True),
        "unknown 299": (at(0), at(0), False),
        "unknown 300": (at(0), at(0), True),
        "none": None,
    }


TRAINING = Training("too-moist", "q", "question-q-1", 1, at(0))
FAILED = replace(TRAINING, ended_at=at(9), failure="too few rows")
ASKED = replace(FAILED, requested_by="ann", requested_at=at(20))


@pytest.mark.parametrize(
    ("training", "ends", "states", "present"),
    [
        (ASKED, (None, 3, None, None, None), "active waiting waiting waiting waiting", 20),
        (TRAINING, (0, None, None, None, None), "done active waiting waiting waiting", 0),
        (TRAINING, (0, 3, None, None, None), "done done active waiting waiting", 3),
        (FAILED, (0, 3, None, None, None), "done done failed waiting waiting", 9),
        (FAILED, (0, None, None, None, None), "done failed waiting waiting waiting", 9),
        (TRAINING, (0, None, None, 8, None), "done done done done active", 8),
        (TRAINING, (0, 3, 6, 8, 9), "done done done done done", None),
    ],
)
def test_the_step_after_the_last_known_one_is_under_way_or_failed(training, ends, states, present):
    instants = [None if end is None else at(end) for end in ends]
    steps = describe_steps(training, instants, 1, 2)
    assert " ".join(step.state for step in steps) == states
    since = next((step.at for step in steps if step.state in ("active", "failed")), None)
    assert since == (None if present is None else at(present))
    tuned = steps[2]
    assert (tuned.done, tuned.total) == (1, 2)


def test_where_nothing_was_new_the_decision_in_force_ends_the_training(platform):
    end(platform, 7)
    revisions = platform.definitions.revisions(NAME)
    training = newest_trainings(platform.trainings, revisions)[NAME]
    decided = training_steps(platform, training, (), lambda moment: moment)[-1]
    assert (decided.state, decided.at) == ("done", at(7))


def test_no_step_ends_before_its_training_began_also_while_a_simulated_line_stands_still(platform):
    training = begin(platform, run_of(platform), 7)
    platform.runs.start_run(NAME, "too-moist", {"training": training.run})
    steps = training_steps(platform, training, (), lambda _: at(-60))
    assert [step.at for step in steps[:2]] == [at(7), at(7)]
