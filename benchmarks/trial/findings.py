"""Compare two walked lines: each problem, avoided or not; each intervention, needed or not; totals
by day."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from alerting.demo.chance import DAY
from alerting.demo.disturbances import Disturbance
from alerting.ports import Progress
from alerting.readings.history import to_millis
from benchmarks.trial.operator import release_at
from benchmarks.trial.readings import LineReadings
from benchmarks.trial.records import (
    DayTotals,
    Findings,
    Intervention,
    Occurrence,
    Problem,
    Raised,
    TrueAlert,
)
from benchmarks.trial.truth import SAME, SHOWN_BY, cause_of, is_avoidable, problems_of
from benchmarks.trial.walk import Lines


def find(lines: Lines, progress: Progress) -> Findings:
    """Compare both lines after the last week."""
    arguments = lines.arguments
    weeks = lines.weeks
    disturbances = lines.left.schedule.disturbances(max(0, lines.first - DAY), lines.left.minute)
    left, acted = (
        _problems(lines, readings) for readings in (lines.left_readings, lines.acted_readings)
    )
    interventions = tuple(i for week in weeks for i in week.interventions)
    served = [r for week in weeks for r in week.left]
    naive = [r for week in weeks for r in week.naive]
    raised = [r for week in weeks for r in week.acted]
    problems = []
    for done, problem in enumerate(left):
        progress("simulating the best action against each problem", done, len(left))
        cause = cause_of(disturbances, problem.start)
        avoidable = _is_avoidable(lines, problem, problem.start - lines.window + arguments.delay)
        happened = any(is_same_problem(problem, other) for other in acted)
        changed = [
            i.acted
            for i in interventions
            if i.acted <= problem.end and i.released > problem.start - lines.window
        ]
        problems.append(
            Problem(
                problem.start,
                problem.end,
                cause.cause if cause else None,
                avoidable=avoidable,
                happened=happened,
                alerted=in_time(raised, problem, lines),
                intervened=bool(changed),
                too_late=avoidable
                and happened
                and bool(changed)
                and not _is_avoidable(lines, problem, min(changed)),
                warned=in_time(served, problem, lines),
                warned_naively=in_time(naive, problem, lines),
            )
        )
    needed = tuple(is_needed(i, left) for i in interventions)
    true = [
        r
        for r in served
        if any(0 < p.start - r.at - _gap(lines) <= lines.window - _gap(lines) for p in left)
    ]
    ranked = [ranked_cause(r, disturbances) for r in true]
    retrained = arguments.retrain and arguments.weeks > arguments.retrain
    false = [
        r for r in raised if not any(p.start <= r.at + lines.window and p.end > r.at for p in left)
    ]
    return Findings(
        arguments=arguments,
        problems=tuple(problems),
        caused=tuple(p for p in acted if not any(is_same_problem(other, p) for other in left)),
        true_alerts=tuple(alert for alert in ranked if alert is not None),
        without_cause=sum(alert is None for alert in ranked),
        left_alone=_totals(lines, lines.left_readings, left, (), (), ()),
        acted_upon=_totals(lines, lines.acted_readings, acted, interventions, needed, false),
        interventions=interventions,
        needed=needed,
        alerts=len(raised),
        ignored=sum(week.ignored for week in weeks),
        without_advice=sum(week.without_advice for week in weeks),
        retrained_after=lines.first + arguments.retrain * 7 * DAY if retrained else None,
        trained=tuple(note for week in weeks for note in week.trained),
    )


def is_same_problem(problem: Occurrence, other: Occurrence) -> bool:
    """Return whether a problem of the other line is the same one: it overlaps it, or is less than
    half an hour from it."""
    return other.start < problem.end + SAME and other.end > problem.start - SAME


def is_needed(intervention: Intervention, left: Sequence[Occurrence]) -> bool:
    """Return whether the line left alone had a problem at any time between the alert and the end of
    the intervention."""
    return any(p.start <= intervention.released and p.end > intervention.alert for p in left)


def in_time(raised: Sequence[Raised], problem: Occurrence, lines: Lines) -> bool:
    """Return whether an alert was raised within the warning time of a problem: gap to gap + horizon
    before it."""
    return any(_gap(lines) < problem.start - r.at <= lines.window for r in raised)


def ranked_cause(raised: Raised, disturbances: Sequence[Disturbance]) -> TrueAlert | None:
    """Return the rank, from 1, of the first variable that shows the true cause of an alert; None
    for an alert without a cause."""
    cause = cause_of(disturbances, raised.at)
    if cause is None:
        return None
    shown = SHOWN_BY[cause.cause]
    rank = next((i for i, name in enumerate(raised.ranked, start=1) if name in shown), None)
    return TrueAlert(raised.at, cause.cause, rank)


def _gap(lines: Lines) -> int:
    return int(lines.definition.gap / timedelta(minutes=1))


def _problems(lines: Lines, readings: LineReadings) -> list[Occurrence]:
    """Return the problems that begin in the weeks of the trial, but for those of its first half
    hour: their cause is older."""
    variable = lines.definition.problem.variable
    history = readings.load(
        lines.asset, lines.left.instant(lines.first - DAY), None, [variable] if variable else []
    )
    found = problems_of(lines.definition, history, to_millis(lines.left.origin))
    return [p for p in found if p.start >= lines.first + lines.window]


def _is_avoidable(lines: Lines, problem: Occurrence, begin: int) -> bool:
    """Simulate the best actions that begin at a minute, from the newest stored state before it."""
    earlier = max((s for s in lines.snapshots if s.minute <= begin), key=lambda s: s.minute)
    release = max(release_at(lines.left.schedule, begin, lines.window), problem.end)
    return is_avoidable(lines.definition, lines.asset, earlier, problem, begin, release - begin)


def _totals(
    lines: Lines,
    readings: LineReadings,
    problems: Sequence[Occurrence],
    interventions: Sequence[Intervention],
    needed: Sequence[bool],
    false: Sequence[Raised],
) -> tuple[DayTotals, ...]:
    problem = lines.definition.problem
    days = []
    for first in range(lines.first, lines.left.minute, DAY):
        start = lines.left.instant(first)
        end = lines.left.instant(first + DAY)
        belt = np.nan_to_num(readings.values("belt_speed", start, end))
        moisture = readings.values(problem.variable or "", start, end)
        good = ~(moisture > (np.inf if problem.above is None else problem.above)) & ~np.isnan(
            moisture
        )
        of_day = [
            (i, n)
            for i, n in zip(interventions, needed, strict=True)
            if first <= i.acted < first + DAY
        ]
        days.append(
            DayTotals(
                metres=float(belt.sum()),
                good_metres=float(belt[good].sum()),
                problem_minutes=sum(
                    max(0, min(p.end, first + DAY) - max(p.start, first)) for p in problems
                ),
                problems=sum(first <= p.start < first + DAY for p in problems),
                interventions=len(of_day),
                needless=sum(not n for _, n in of_day),
                false_alarms=sum(first <= r.at < first + DAY for r in false),
            )
        )
    return tuple(days)
