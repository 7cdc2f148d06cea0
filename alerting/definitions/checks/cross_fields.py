"""Find faults across the fields of a definition."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from croniter import croniter

from alerting.definitions.durations import format_duration
from alerting.definitions.faults import Fault
from alerting.definitions.fields.common import Schedule
from alerting.definitions.limits import level_limits
from alerting.definitions.model import (
    Band,
    ClassifierDefinition,
    Definition,
    FromAttribute,
    LevelLimits,
    OperatingPoint,
    Problem,
    ThresholdDefinition,
)
from alerting.definitions.suppression import suppression_faults

_SHORTEST = timedelta(minutes=1)
_A_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def cross_faults(definition: Definition) -> Iterable[Fault]:
    """Return the faults across the fields of a definition."""
    yield from _schedule_faults(definition.schedule)
    if definition.suppression:
        yield from suppression_faults(definition.suppression)
    if definition.problem:
        yield from _problem_faults(definition.problem)
        yield from _negative_faults({"gap": definition.gap, "problem.recovery": definition.problem.recovery})
        if definition.horizon <= timedelta(0):
            yield Fault("horizon", "must be longer than 0s", "write for example 30m")
    if isinstance(definition, ThresholdDefinition):
        yield from _threshold_faults(definition)
    else:
        yield from _classifier_faults(definition)


def _negative_faults(durations: Mapping[str, timedelta]) -> Iterable[Fault]:
    for path, value in durations.items():
        if value < timedelta(0):
            yield Fault(path, "must not be negative")


def _schedule_faults(schedule: Schedule) -> Iterable[Fault]:
    if schedule.every < _SHORTEST:
        yield Fault("schedule.every", f"{format_duration(schedule.every)} is too short", "the shortest is 1m")
    for field in ("retrain", "report"):
        cron = getattr(schedule, field)
        if cron is not None and not _is_cron(cron):
            yield Fault(f"schedule.{field}", f"{cron!r} is not a cron expression", "e.g. 0 3 * * 0 for Sunday 03:00")


@lru_cache(maxsize=10_000)
def _is_cron(expression: str) -> bool:
    """Return whether a cron expression is valid and occurs at some time: never on 31 February.

    It has five fields or is a word such as @daily.
    """
    if len(expression.split()) != 5 and not expression.startswith("@"):
        return False
    try:
        return bool(croniter.is_valid(expression)) and croniter(expression, _A_DAY).get_next(datetime) is not None
    except (ValueError, KeyError, OverflowError):  # CroniterError is a ValueError
        return False


def _problem_faults(problem: Problem) -> Iterable[Fault]:
    if (problem.variable is None) == (problem.event is None):
        yield Fault("problem", "needs either a variable with a limit, or an event type")
    if problem.variable is not None and problem.above is None and problem.below is None:
        yield Fault("problem", f"has no limit for {problem.variable}", "add above: or below:")
    if problem.event is not None and (problem.above is not None or problem.below is not None or problem.hold):
        yield Fault("problem", "an event has no limit and no `for`", "remove above, below and for")
    if problem.event is not None and problem.predict == "state":
        yield Fault("problem.predict", "an event can only be predicted as onset")
    yield from _order_faults("problem", problem.above, problem.below)


def _order_faults(path: str, above: float | None, below: float | None) -> Iterable[Fault]:
    if above is not None and below is not None and below >= above:
        yield Fault(path, f"below {below} must be less than above {above}", "the good range lies between them")


def _threshold_faults(definition: ThresholdDefinition) -> Iterable[Fault]:
    yield from _condition_faults(definition)
    for name in ("outside", "inside", "clear_inside", "clear_outside"):
        band = getattr(definition, name)
        if band is not None and _is_disordered(band.low, band.high, strictly=True):
            yield Fault(f"{name}.low", f"{band.low} must be less than high {band.high}")
    yield from _limit_faults("", definition)
    yield from _clear_band_faults(definition)
    for severity, limits in level_limits(definition):
        yield from _limit_faults(f"levels.{severity}.", limits)
        if limits.above is None and limits.below is None:
            yield Fault(f"levels.{severity}", "a limit is missing", "add above: or below:")
    yield from _nesting_faults(definition)
    yield from _time_faults(definition)
    if definition.at_least and definition.at_least.readings > definition.at_least.of:
        yield Fault("at_least.readings", f"{definition.at_least.readings} of {definition.at_least.of} readings can never be")


def _condition_faults(definition: ThresholdDefinition) -> Iterable[Fault]:
    ways = {"above or below": definition.above is not None or definition.below is not None}
    ways |= {name: getattr(definition, name) is not None for name in ("outside", "inside", "equals", "levels")}
    given = [name for name, there in ways.items() if there]
    if not given:
        yield Fault("above", "a limit is missing", "add above: or below:")
    if len(given) > 1:
        yield Fault(given[-1], f"cannot stand beside {' and '.join(given[:-1])}", "one condition per definition; see levels")
    if definition.levels is not None and not level_limits(definition):
        yield Fault("levels", "has no level", "write for example levels: {medium: {above: 215}, critical: {above: 230}}")


def _limit_faults(prefix: str, limits: ThresholdDefinition | LevelLimits) -> Iterable[Fault]:
    band = getattr(limits, "outside", None)
    above, below = (band.high, band.low) if band else (limits.above, limits.below)
    if not band and isinstance(above, float) and isinstance(below, float):
        yield from _order_faults(f"{prefix}below", above, below)
    if limits.clear_above_at is not None and (above is None or _is_disordered(limits.clear_above_at, above)):
        yield Fault(f"{prefix}clear_above_at", "must not be greater than above, which must be given")
    if limits.clear_below_at is not None and (below is None or _is_disordered(below, limits.clear_below_at)):
        yield Fault(f"{prefix}clear_below_at", "must not be less than below, which must be given")


def _clear_band_faults(definition: ThresholdDefinition) -> Iterable[Fault]:
    inner, outer = definition.clear_inside, definition.outside
    if inner is not None and outer is None:
        yield Fault("clear_inside", "goes with outside", "after above and below it is clear_above_at and clear_below_at")
    elif inner is not None and (definition.clear_above_at is not None or definition.clear_below_at is not None):
        yield Fault("clear_inside", "says the same as clear_above_at and clear_below_at", "remove one of them")
    elif (
        inner is not None
        and outer is not None
        and (_is_disordered(outer.low, inner.low) or _is_disordered(inner.high, outer.high))
    ):
        yield Fault("clear_inside", "must lie within the band of outside")
    if definition.clear_outside is not None:
        yield from _clear_outside_faults(definition, definition.clear_outside)


def _clear_outside_faults(definition: ThresholdDefinition, band: Band) -> Iterable[Fault]:
    equals = definition.equals
    if definition.inside is None and (equals is None or isinstance(equals, bool | str)):
        yield Fault("clear_outside", "goes with inside, or with equals and a number", "after other limits see clear_above_at")
    inner = definition.inside or (Band(low=equals, high=equals) if isinstance(equals, float | FromAttribute) else None)
    if inner is not None and (_is_disordered(band.low, inner.low) or _is_disordered(inner.high, band.high)):
        yield Fault("clear_outside", "must contain what triggers", "between the two it stays as it was")


def _is_disordered(low: float | FromAttribute, high: float | FromAttribute, strictly: bool = False) -> bool:
    """Return whether two numbers are in the wrong order; limits that assets state are compared per asset."""
    if isinstance(low, FromAttribute) or isinstance(high, FromAttribute):
        return False
    return low > high or (strictly and low == high)


def _nesting_faults(definition: ThresholdDefinition) -> Iterable[Fault]:
    for (less, inner), (more, outer) in pairwise(level_limits(definition)):
        if inner.above is not None and outer.above is not None and _is_disordered(inner.above, outer.above, strictly=True):
            yield Fault(f"levels.{more}.above", f"{outer.above} must be greater than that of {less}, {inner.above}")
        if inner.below is not None and outer.below is not None and _is_disordered(outer.below, inner.below, strictly=True):
            yield Fault(f"levels.{more}.below", f"{outer.below} must be less than that of {less}, {inner.below}")


def _time_faults(definition: ThresholdDefinition) -> Iterable[Fault]:
    ignore = definition.no_data == "ignore"
    if definition.stale_after <= timedelta(0):
        yield Fault("stale_after", "must be longer than 0s")
    if definition.rate_per is not None:
        if definition.rate_per <= timedelta(0):
            yield Fault("rate_per", "must be longer than 0s")
        if definition.equals is not None:
            yield Fault("rate_per", "a rate has limits; equals is for values", "use inside: for a small band of rates")
        if ignore:
            yield Fault("rate_per", "needs readings that keep coming", "remove no_data: ignore")
    if definition.frozen_after is not None:
        if ignore:
            yield Fault("frozen_after", "changes nothing with no_data: ignore", "remove one of them")
        if definition.frozen_after <= definition.hold:
            yield Fault("frozen_after", "must be longer than `for`", "a constant value would be frozen before it could raise")


def _classifier_faults(definition: ClassifierDefinition) -> Iterable[Fault]:
    if definition.features.stride is not None and definition.features.stride < timedelta(seconds=1):
        yield Fault("features.stride", "must be at least 1s")
    elif definition.horizon < definition.stride:
        stride, horizon = format_duration(definition.stride), format_duration(definition.horizon)
        yield Fault(
            "horizon", f"{horizon} is shorter than the stride {stride}", "lengthen the horizon or shorten features.stride"
        )
    if any(w <= timedelta(0) for w in definition.features.windows or ()):
        yield Fault("features.windows", "every window must be longer than 0s")
    periods = definition.periods
    if periods.validation + periods.test >= 1:
        yield Fault("periods", f"validation {periods.validation} and test {periods.test} leave nothing to train on")
    if periods.start and periods.end and periods.start >= periods.end:
        yield Fault("periods.start", "must lie before periods.end")
    yield from _operating_point_faults(definition.operating_point)


def _operating_point_faults(wanted: OperatingPoint) -> Iterable[Fault]:
    by_cost = wanted.cost_of_miss is not None or wanted.cost_of_false_alarm is not None
    ways = {
        "false_alarms_per_week": wanted.false_alarms_per_week is not None,
        "cost_of_miss with cost_of_false_alarm": by_cost,
        "least_precision": wanted.least_precision is not None,
    }
    if sum(ways.values()) > 1:
        given = " and ".join(way for way, is_given in ways.items() if is_given)
        yield Fault("operating_point", f"gives more than one way to put the threshold: {given}", "keep one of them")
    if by_cost and (wanted.cost_of_miss is None or wanted.cost_of_false_alarm is None):
        absent = "cost_of_miss" if wanted.cost_of_miss is None else "cost_of_false_alarm"
        yield Fault(f"operating_point.{absent}", "is missing", "a cost says something only beside the other one")
