"""Find faults across the fields of a definition."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from croniter import croniter

from alerting.definitions.checks.combinations import combined_problem_faults
from alerting.definitions.checks.limits import order_faults
from alerting.definitions.faults import Fault, format_duration, shown
from alerting.definitions.fields.common import REPORT_PERIODS, WEEKLY, Schedule
from alerting.definitions.model import (
    Definition,
    Problem,
    TrainedDefinition,
)
from alerting.definitions.suppression import suppression_faults
from alerting.definitions.wording.language import spoken_number

_A_DAY = datetime(2026, 1, 1, tzinfo=UTC)
# croniter draws a number for R
_BY_CHANCE = re.compile(r"(?:^|[\s,])[rh](?:$|[\s,(/])", re.IGNORECASE)


def cross_faults(definition: Definition) -> Iterable[Fault]:
    """Return the faults across the fields of a definition."""
    yield from _schedule_faults(definition.schedule)
    if definition.suppression:
        yield from suppression_faults(definition.suppression)
    if definition.problem:
        if definition.has_alarm:
            yield from _problem_faults(definition.problem)
        yield from _negative_faults(
            {"gap": definition.gap, "problem.recovery": definition.problem.recovery or timedelta(0)}
        )
        if definition.is_of_unit and not isinstance(definition, TrainedDefinition):
            yield Fault(
                "horizon",
                "must be longer than 0s",
                "write for example 30m",
            )
    yield from definition.faults()


def _negative_faults(durations: Mapping[str, timedelta]) -> Iterable[Fault]:
    for path, value in durations.items():
        if value < timedelta(0):
            yield Fault(path, "must not be negative")


def _schedule_faults(schedule: Schedule) -> Iterable[Fault]:
    if schedule.every < timedelta(minutes=1):
        yield Fault(
            "schedule.every",
            f"{format_duration(schedule.every)} is too short",
            "the shortest is 1m",
        )
    retrain = schedule.retrain
    report = schedule.report
    if retrain is not None and retrain != WEEKLY:
        yield from _cron_faults("schedule.retrain", retrain, "e.g. 0 3 * * 0 for Sunday 03:00")
    if report is not None and report not in REPORT_PERIODS:
        yield from _cron_faults(
            "schedule.report",
            report,
            f"write one of {', '.join(REPORT_PERIODS)}",
        )


def _cron_faults(path: str, expression: str, hint: str) -> Iterable[Fault]:
    if _BY_CHANCE.search(expression):
        yield Fault(
            path,
            f"{shown(expression)} has a time by chance, which differs at every look",
            f"write a number, {hint}",
        )
    elif not _is_cron(expression):
        yield Fault(
            path,
            f"{shown(expression)} is not a cron expression",
            hint,
        )


@lru_cache(maxsize=10_000)  # a definition is parsed in a sixth of the CPU
def _is_cron(expression: str) -> bool:
    """Return whether a cron expression is valid and occurs at some time: never on 31 February.

    It has five fields or is a word such as @daily.
    """
    if len(expression.split()) != 5 and not expression.startswith("@"):
        return False
    try:
        return (
            bool(croniter.is_valid(expression))
            and croniter(expression, _A_DAY).get_next(datetime) is not None
        )
    except (ValueError, KeyError, OverflowError):  # CroniterError is a ValueError
        return False


def _problem_faults(problem: Problem) -> Iterable[Fault]:
    yield from _clear_faults(problem)
    if problem.any is not None or problem.all is not None:
        yield from combined_problem_faults(problem)
        return
    if (problem.variable is None) == (problem.event is None):
        yield Fault("problem", "needs either a variable with a limit, or an event type")
    limited = problem.above is not None or problem.below is not None
    if problem.variable is not None and not limited and problem.equals is None:
        yield Fault(
            "problem",
            f"has no limit for {problem.variable}",
            "add above:, below: or equals:",
        )
    if problem.equals is not None and limited:
        yield Fault(
            "problem.equals",
            "cannot stand beside above or below",
            "keep one of them",
        )
    if problem.event is not None and (limited or problem.equals is not None or problem.hold):
        yield Fault(
            "problem",
            "an event has no limit, no value and no `for`",
            "remove above, below, equals and for",
        )
    yield from order_faults("problem", problem.above, problem.below)


def _clear_faults(problem: Problem) -> Iterable[Fault]:
    """Return the faults of the value at which a problem is over: it lies within its limits."""
    if problem.clear is None:
        return
    above = problem.above
    below = problem.below
    clear = problem.clear_limits
    if above is None and below is None:
        yield Fault(
            "problem.clear",
            "goes with a variable and its limit above or below",
            "remove clear; problems near each other are one by merge_within",
        )
    elif above is not None and below is not None:
        if isinstance(problem.clear, float):
            yield Fault(
                "problem.clear",
                "one value cannot clear both above and below",
                "write the difference to both, clear: {difference: …}",
            )
        elif below < above and clear.below > clear.above:
            yield Fault(
                "problem.clear",
                f"no value lies {spoken_number(problem.clear.difference)} within both limits",
                f"write less than {spoken_number((above - below) / 2)}",
            )
    elif above is not None and clear.above > above:
        yield Fault(
            "problem.clear",
            f"{spoken_number(clear.above)} lies beyond the limit above {spoken_number(above)}",
            "the good side is below the limit",
        )
    elif below is not None and clear.below < below:
        yield Fault(
            "problem.clear",
            f"{spoken_number(clear.below)} lies beyond the limit below {spoken_number(below)}",
            "the good side is above the limit",
        )
