"""The simulation behind docs/scaling.md: it knows queues, and reproduces the measured ticks."""

import re
from pathlib import Path

import pytest

from benchmarks.helpers.queues import Job, Step, simulate
from benchmarks.scaling import (
    LEARNED,
    MOST_ERROR,
    PREDICTED,
    RECORDED,
    Machines,
    Plant,
    Size,
    compare,
    costs_of,
    simulate_tick,
)

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
TWENTY = Plant(9_900, 100, 1_000, 250_000)


def jobs(number, *seconds, after=()):
    steps = tuple(Step("machine", one) for one in seconds)
    return [Job(f"job {n}", steps, "all", after) for n in range(number)]


@pytest.mark.parametrize(
    ("number", "cores", "slots", "end"),
    [
        (1, 2, 9, 1.0),  # no job uses two cores
        (4, 2, 9, 2.0),
        (4, 2, 1, 4.0),  # one after the other
        (3, 2, 2, 2.0),  # two at once, then one
        (3, 2, 3, 1.5),
    ],
)
def test_jobs_share_cores_evenly_and_wait_for_slots(number, cores, slots, end):
    course = simulate(jobs(number, 1.0), {"machine": cores}, {"all": slots})
    assert course.end == pytest.approx(end)
    assert course.used["machine"] == pytest.approx(number)


def test_a_scheduler_that_starts_two_a_second_is_the_limit():
    course = simulate(jobs(6, 0.1), {"machine": 8}, {"all": 8}, starts_per_s=2.0)
    assert list(course.began.values()) == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    assert course.end == pytest.approx(2.6)


def test_steps_of_a_job_follow_one_another_on_their_hosts():
    steps = (Step("database", 1.0), Step("worker", 2.0), Step("database", 1.0))
    pair = [Job(name, steps, "all") for name in ("a", "b")]
    course = simulate(pair, {"worker": 2, "database": 1}, {"all": 2})
    assert course.end == pytest.approx(6.0)
    assert course.used == pytest.approx({"worker": 4.0, "database": 4.0})


def test_a_job_waits_for_others_and_for_its_time():
    first = Job("first", (Step("machine", 1.0),), "all", ready_s=3.0)
    second = Job("second", (Step("machine", 1.0),), "all", after=("first",))
    course = simulate([second, first], {"machine": 1}, {"all": 2})
    assert course.ended == pytest.approx({"first": 4.0, "second": 5.0})
    with pytest.raises(ValueError, match="second"):
        simulate([second], {"machine": 1}, {"all": 1})


def test_it_reproduces_the_ticks_that_it_has_not_seen_within_a_fifth():
    evaluator, database = costs_of(RECORDED)
    unseen = [size for size in RECORDED if tuple(size) not in LEARNED]
    assert len(unseen) == len(PREDICTED)
    for size in unseen:
        case = compare(size, RECORDED[size], evaluator, database)
        assert abs(case["cpu_error"]) <= MOST_ERROR, case
        assert abs(case["wall_error"]) <= MOST_ERROR, case


def test_a_slow_plant_delays_no_tick_of_another():
    """A plant whose shards take minutes holds its own slots alone."""
    others = [
        Job(f"shard {n}", (Step("machine", 1.0),), "evaluation", ready_s=0.0) for n in range(3)
    ]
    slow = Job("slow", (Step("machine", 300.0),), "evaluation")
    course = simulate([slow, *others], {"machine": 4}, {"evaluation": 4})
    assert max(course.ended[job.name] for job in others) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("plants", "machines"),
    [(1, Machines(2, 2, 2)), (20, Machines(8, 4, 20)), (20, Machines(16, 8, 20))],
)
def test_the_page_states_what_the_simulation_says(plants, machines):
    plant = TWENTY if plants > 1 else Plant(9_900, 100, 1_000, 60_000)
    course = simulate_tick(plants, plant, machines, *costs_of(RECORDED))
    row = (
        rf"\| {plants} plants? \| {machines.worker_cores} \| {machines.database_cores} \| "
        rf"{machines.slots} \| {course.end:.0f} \| {course.used['workers']:.0f} \|"
    )
    assert re.search(row, PAGE.read_text(encoding="utf-8")), row


def test_more_processes_read_assets_again():
    assert Size(1_000, 2).assets_of_each == 500
    assert 990 < Size(10_000, 2).assets_of_each < 1_000
