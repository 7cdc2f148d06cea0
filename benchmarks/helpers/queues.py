"""A model of a tick: jobs that wait for a start and a slot, and then compute on hosts in turn.

A host shares its cores evenly among the jobs that compute on it; no job uses more than one core at
a time. A job waits for its database as a program does that sends a query and waits for the answer:
its steps follow one another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_NOTHING_LEFT = 1e-9


class Step(NamedTuple):
    """Seconds of one core that a job needs on a host."""

    host: str
    cpu_s: float


@dataclass(frozen=True)
class Job:
    """A task: its steps, the pool whose slot it holds meanwhile, and the jobs that it waits for.

    `ready_s`: when it may begin at the earliest.
    """

    name: str
    steps: tuple[Step, ...]
    pool: str
    after: tuple[str, ...] = ()
    ready_s: float = 0.0


@dataclass
class Course:
    """What became of jobs: begin and end of each, and the core-seconds used on each host."""

    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)

    @property
    def end(self) -> float:
        """Return when the last job ended."""
        return max(self.ended.values(), default=0.0)


@dataclass
class _Running:
    job: Job
    step: int
    left: float


def simulate(
    jobs: Sequence[Job],
    cores: Mapping[str, float],
    slots: Mapping[str, int],
    starts_per_s: float | None = None,
) -> Course:
    """Return the course of jobs, begun in their order as soon as they may.

    `cores`: of each host; `slots`: of each pool; `starts_per_s`: how many jobs a scheduler starts
    in a second, None: without limit. Raises ValueError for jobs that can never begin.
    """
    course = Course(used=dict.fromkeys(cores, 0.0))
    waiting = list(jobs)
    running: list[_Running] = []
    now = 0.0
    next_start = 0.0
    while waiting or running:
        startable = _startable(waiting, running, course, slots, now)
        if startable is not None and now >= next_start - _NOTHING_LEFT:
            waiting.remove(startable)
            course.began[startable.name] = now
            running.append(_Running(startable, 0, startable.steps[0].cpu_s))
            next_start = now + (0.0 if starts_per_s is None else 1.0 / starts_per_s)
            continue
        rates = _rates(running, cores)
        moments = [one.left / rates[one.job.steps[one.step].host] for one in running]
        if startable is not None:
            moments.append(next_start - now)
        moments += [job.ready_s - now for job in waiting if job.ready_s > now]
        if not moments:
            raise ValueError(f"these jobs can never begin: {[job.name for job in waiting]}")
        passed = max(min(moments), 0.0)
        now += passed
        for one in running:
            host = one.job.steps[one.step].host
            one.left -= passed * rates[host]
            course.used[host] += passed * rates[host]
        running = _advance(running, course, now)
    return course


def _startable(
    waiting: Sequence[Job],
    running: Sequence[_Running],
    course: Course,
    slots: Mapping[str, int],
    now: float,
) -> Job | None:
    """Return the first job that may begin now."""
    held = dict.fromkeys(slots, 0)
    for one in running:
        held[one.job.pool] += 1
    for job in waiting:
        is_ready = job.ready_s <= now and all(name in course.ended for name in job.after)
        if is_ready and held[job.pool] < slots[job.pool]:
            return job
    return None


def _rates(running: Sequence[_Running], cores: Mapping[str, float]) -> dict[str, float]:
    """Return the share of a core that each job on a host gets."""
    computing = dict.fromkeys(cores, 0)
    for one in running:
        computing[one.job.steps[one.step].host] += 1
    return {host: min(1.0, cores[host] / max(number, 1)) for host, number in computing.items()}


def _advance(running: Sequence[_Running], course: Course, now: float) -> list[_Running]:
    """Return what goes on, each in its present step; record what has ended."""
    going_on = []
    for one in running:
        while one.left <= _NOTHING_LEFT and one.step + 1 < len(one.job.steps):
            one.step += 1
            one.left = one.job.steps[one.step].cpu_s
        if one.left <= _NOTHING_LEFT:
            course.ended[one.job.name] = now
        else:
            going_on.append(one)
    return going_on
