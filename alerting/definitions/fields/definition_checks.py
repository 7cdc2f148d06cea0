"""Find faults of a definition: across its fields, and beside the known assets, event types and
other definitions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import pairwise

from croniter import croniter

from alerting.definitions.alert_definition import (
    AssetIndex,
    Definition,
    OperatingPoint,
    Problem,
    TrainedDefinition,
    index_assets,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import Fault, format_duration, name_hint, shown
from alerting.definitions.fields.condition_checks import (
    combination_faults_on,
    combined_problem_faults,
    order_faults,
    variable_faults,
)
from alerting.definitions.fields.learning import Dates, Periods
from alerting.definitions.fields.shared_fields import (
    REPORT_PERIODS,
    WEEKLY,
    Schedule,
    suppression_faults,
    suppression_faults_on,
)
from alerting.definitions.wording.language import join_with_and, joined, spoken_number

# croniter draws a number for R
_BY_CHANCE = re.compile(r"(?:^|[\s,])[rh](?:$|[\s,(/])", re.IGNORECASE)


def cross_faults(definition: Definition) -> Iterable[Fault]:
    """Return the faults across the fields of a definition."""
    yield from _schedule_faults(definition.schedule)
    if definition.suppression:
        yield from suppression_faults(definition.suppression)
    if definition.problem:
        if definition.has_alarm:
            yield from problem_faults(definition.problem)
        if definition.gap < timedelta(0):
            yield Fault("gap", "must not be negative")
        if (definition.problem.recovery or timedelta(0)) < timedelta(0):
            yield Fault("problem.recovery", "must not be negative")
        if definition.is_of_unit and not isinstance(definition, TrainedDefinition):
            yield Fault(
                "horizon",
                "must be longer than 0s",
                "write for example 30m",
            )
    if definition.blocks_production and definition.quality_problem is None:
        yield Fault(
            "blocks_production",
            "no sample shows which production is good",
            "write a problem: a variable and its limit",
        )
    yield from definition.faults()


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
            and croniter(expression, datetime(2026, 1, 1, tzinfo=UTC)).get_next(datetime)
            is not None
        )
    except (ValueError, KeyError, OverflowError):  # CroniterError is a ValueError
        return False


def problem_faults(problem: Problem) -> Iterable[Fault]:
    """Return the faults across the fields of a problem."""
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
    """Return the faults of the value at which a problem is over: it must lie within the problem's
    limits."""
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


ASSET_REMEDY = (
    "an asset exists with its first reading: send one, or import it with `alerting "
    "import assets FILE`"
)


def faults_against_assets(
    definition: Definition, assets: Sequence[Asset] | AssetIndex, event_types: Sequence[EventType]
) -> list[Fault]:
    """Return the faults of a definition beside the known assets and event types.

    It finds unknown assets, variables, event types and attributes, and wrong types.
    """
    return list(_asset_faults(definition, index_assets(assets), event_types))


def _asset_faults(
    definition: Definition, assets: AssetIndex, event_types: Sequence[EventType]
) -> Iterable[Fault]:
    for pattern in definition.assets:
        if pattern in assets.faulty:
            yield Fault(
                "assets",
                f"the document of asset {shown(pattern)} is faulty and not used",
                "correct it in the database",
            )
        elif not assets.names_like(pattern):
            yield Fault(
                "assets",
                f"no asset is called {shown(pattern)}",
                _asset_hint(pattern, assets.names),
            )
    targets = matching_assets(definition, assets)
    if not targets:
        return
    types = {name: v.type for a in targets for name, v in a.variables.items()}
    yield from definition.faults_on(targets, event_types)
    if definition.problem and definition.problem.variable:
        yield from variable_faults(
            "problem.variable", definition.problem.variable, types, definition.problem.equals
        )
    if definition.problem and definition.problem.combination is not None:
        yield from combination_faults_on(definition.problem, targets, "problem.")
    if definition.problem and definition.problem.event:
        yield from event_faults("problem.event", [definition.problem.event], event_types)
    if definition.suppression:
        yield from suppression_faults_on(
            definition.suppression, targets, assets.assets, event_types
        )


def _asset_hint(pattern: str, names: Iterable[str]) -> str:
    hint = name_hint(pattern, names, "known assets")
    if not hint:
        return ASSET_REMEDY
    return joined(" " if hint.endswith("?") else "; ", hint, ASSET_REMEDY)


def event_faults(
    path: str, patterns: Iterable[str], event_types: Sequence[EventType]
) -> Iterable[Fault]:
    """Return a fault for each pattern that no event type matches."""
    names = [t.name for t in event_types]
    for pattern in patterns:
        if not any(fnmatchcase(n, pattern) for n in names):
            yield Fault(
                path,
                f"no event type is called {shown(pattern)}",
                name_hint(pattern, names, "known event types"),
            )


def training_faults(definition: TrainedDefinition) -> Iterable[Fault]:
    """Return the faults across the fields of features, periods and operating point."""
    if definition.is_of_unit:
        yield from _unit_faults(definition)
    if definition.features.stride is not None and definition.features.stride < timedelta(seconds=1):
        yield Fault("features.stride", "must be at least 1s")
    elif not definition.is_of_unit and definition.horizon < definition.stride:
        stride = format_duration(definition.stride)
        yield Fault(
            "horizon",
            f"{format_duration(definition.horizon)} is shorter than the stride {stride}",
            "lengthen the horizon or shorten features.stride",
        )
    if any(w <= timedelta(0) for w in definition.features.windows or ()):
        yield Fault("features.windows", "every window must be longer than 0s")
    yield from _period_faults(definition.periods)
    yield from _operating_point_faults(definition.operating_point)
    for name, limits in definition.recommendation.variables.items():
        if limits.min is not None and limits.max is not None and limits.min > limits.max:
            yield Fault(
                f"recommendation.variables.{name}",
                f"min {spoken_number(limits.min)} is above max {spoken_number(limits.max)}",
            )


def _unit_faults(definition: TrainedDefinition) -> Iterable[Fault]:
    if definition.problem.predict == "onset":
        yield Fault(
            "problem.predict",
            "with horizon: 0s nothing lies ahead, so no onset can be predicted",
            "write predict: state, or a horizon such as 30m",
        )
    if definition.gap > timedelta(0):
        yield Fault(
            "gap",
            "with horizon: 0s the unit is already made, so there is no time to act before it",
            "remove gap",
        )
    if definition.problem.hold:
        yield Fault(
            "problem.for",
            "with horizon: 0s each unit is good or bad by itself, not for a time",
            "remove for",
        )
    if definition.problem.recovery is not None:
        yield Fault(
            "problem.recovery",
            "with horizon: 0s every unit counts",
            "remove recovery",
        )
    for field in ("clear", "merge_within"):
        if getattr(definition.problem, field) is not None:
            yield Fault(
                f"problem.{field}",
                "with horizon: 0s each unit is good or bad by itself",
                f"remove {field}",
            )


def _period_faults(periods: Periods) -> Iterable[Fault]:
    """Return faults of periods: order of dates, shares that leave nothing, empty lengths."""
    by_name = {"train": periods.train, "validation": periods.validation, "test": periods.test}
    shares = [period for period in by_name.values() if isinstance(period, float)]
    if sum(shares) >= 1:
        yield Fault(
            "periods",
            (
                f"validation {periods.validation!s} and test {periods.test!s} leave nothing "
                "to train on"
            ),
        )
    yield from (
        Fault(f"periods.{name}", "must be longer than 0s")
        for name, period in by_name.items()
        if isinstance(period, timedelta) and period <= timedelta(0)
    )
    for outer, name, of_period in (("start", "train.from", "train"), ("end", "test.to", "test")):
        period = by_name[of_period]
        has_date = isinstance(period, Dates) and (outer == "start" or period.end is not None)
        if has_date and getattr(periods, outer) is not None:
            yield Fault(
                f"periods.{outer}",
                f"says the same as periods.{name}",
                "keep one of them",
            )
    dates = [("start", periods.start)]
    for name, period in by_name.items():
        if isinstance(period, Dates):
            dates += [(f"{name}.from", period.start), (f"{name}.to", period.end)]
    stated = [(path, at) for path, at in (*dates, ("end", periods.end)) if at is not None]
    for (before, earlier), (after, later) in pairwise(stated):
        touching = before.endswith(".to") and after.endswith(".from")
        if earlier > later or (earlier == later and not touching):
            yield Fault(
                f"periods.{before}",
                f"must lie before periods.{after}",
                "train, validation and test follow one another and must not overlap",
            )


def training_warnings(definition: TrainedDefinition, targets: Sequence[Asset]) -> list[str]:
    """Return what is allowed but probably not meant: fixed periods on a schedule, no advice."""
    warnings = list(advice_warnings(definition, targets))
    retrain = definition.schedule.retrain
    if retrain is not None and definition.periods.is_fixed:
        warnings.append(
            f"periods gives fixed dates, so every training by the schedule ({retrain}) "
            "validates and tests on the same days; give lengths, for example test: 14d, or set "
            "schedule.retrain: null"
        )
    return warnings


def advice_warnings(definition: TrainedDefinition, targets: Sequence[Asset]) -> Iterable[str]:
    """Yield what to declare on assets without a variable that operators can set, which get no
    advice."""
    if (
        definition.has_alarm
        and targets
        and not any(limits.controllable for limits in definition.recommendation.variables.values())
        and not any(v.controllable for asset in targets for v in asset.variables.values())
    ):
        yield (
            "its alarms come without advice, because operators can set no variable of its "
            "assets; declare one with `controllable: true` in assets.yaml, then `alerting "
            "import assets assets.yaml`"
        )


def _operating_point_faults(point: OperatingPoint) -> Iterable[Fault]:
    by_cost = point.cost_of_miss is not None or point.cost_of_false_alarm is not None
    ways = {
        "false_alarms_per_week": point.false_alarms_per_week is not None,
        "cost_of_miss with cost_of_false_alarm": by_cost,
        "least_precision": point.least_precision is not None,
    }
    if sum(ways.values()) > 1:
        listed = join_with_and(*(way for way, is_given in ways.items() if is_given))
        yield Fault(
            "operating_point",
            f"gives more than one way to choose the threshold: {listed}",
            "keep one of them",
        )
    if by_cost and (point.cost_of_miss is None or point.cost_of_false_alarm is None):
        absent = "cost_of_miss" if point.cost_of_miss is None else "cost_of_false_alarm"
        yield Fault(
            f"operating_point.{absent}",
            "is missing",
            "the two costs belong together",
        )


def feature_faults(
    definition: TrainedDefinition, targets: Sequence[Asset], event_types: Sequence[EventType]
) -> Iterable[Fault]:
    """Return the faults of the names of variables, attributes and event types that features use."""
    types = {name for asset in targets for name in asset.variables}
    for path, patterns in {"include": definition.include, "exclude": definition.exclude}.items():
        for pattern in patterns:
            if pattern != "*" and not any(fnmatchcase(n, pattern) for n in types):
                yield Fault(
                    path,
                    f"no variable matches {shown(pattern)}",
                    name_hint(pattern, types, "known variables"),
                )
    yield from _lever_faults(definition, targets)
    yield from event_faults("features.events", definition.features.events, event_types)
    attributes = {n for a in targets for n in a.attributes}
    for name in definition.features.attributes:
        if name not in attributes:
            yield Fault(
                "features.attributes",
                f"none of the matched assets has an attribute {shown(name)}",
                name_hint(name, attributes, "known"),
            )


def _lever_faults(definition: TrainedDefinition, targets: Sequence[Asset]) -> Iterable[Fault]:
    """Return faults of variables with limits of advice that no asset lets operators set."""
    declared = [
        (name, variable.controllable)
        for asset in targets
        for name, variable in asset.variables.items()
    ]
    names = {name for name, _ in declared}
    can_be_set = {name for name, controllable in declared if controllable}
    for name, limits in definition.recommendation.variables.items():
        path = f"recommendation.variables.{name}"
        if name not in names:
            yield Fault(
                path,
                "none of the matched assets has this variable",
                name_hint(name, can_be_set, "controllable variables"),
            )
        elif name not in can_be_set and limits.controllable is None:
            yield Fault(
                path,
                "operators can set it in none of the matched assets",
                "declare it controllable: true in the asset",
            )


def inhibition_faults(
    definition: Definition, others: Mapping[str, Definition], assets: AssetIndex
) -> Iterable[Fault]:
    """Return faults of the alerts that inhibit a definition. `others`: all definitions in force, by
    name."""
    targets = {asset.name for asset in matching_assets(definition, assets)}
    for i, name in enumerate(inhibitors_of(definition)):
        path = f"suppression.while.{i}.definition"
        inhibitor = others.get(name)
        if name == definition.name:
            yield Fault(path, "is this definition itself", "name another one")
        elif inhibitor is None:
            yield Fault(
                path,
                f"there is no definition {shown(name)}",
                name_hint(name, others, "known definitions"),
            )
        elif inhibitor.state == "retired":
            yield Fault(
                path,
                f"{shown(name)} is retired, and raises nothing any more",
                "name another one, or remove it",
            )
        elif targets and targets.isdisjoint(
            asset.name for asset in matching_assets(inhibitor, assets)
        ):
            yield Fault(
                path,
                f"{shown(name)} is evaluated on none of these assets",
                "it inhibits on the same asset only",
            )
        elif (circle := _circle(definition, name, others)) is not None:
            yield Fault(
                path,
                f"inhibits in a circle: {circle}",
                "remove one of them, or no alert of the circle may be announced",
            )


def inhibitors_of(definition: Definition) -> list[str]:
    """Return the names of the alerts that inhibit a definition."""
    return (
        [alert.definition for alert in definition.suppression.inhibited]
        if definition.suppression
        else []
    )


def _circle(definition: Definition, first: str, others: Mapping[str, Definition]) -> str | None:
    """Return the chain of inhibitors from a definition, through its first one, back to itself; None
    without such a circle."""
    ways = [[definition.name, first]]
    seen = set[str]()
    while ways:
        way = ways.pop()
        if way[-1] == definition.name:
            return " \u2192 ".join(way)
        if way[-1] in others and way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, name] for name in inhibitors_of(others[way[-1]])]
    return None
