"""Find faults of groups of fields for training: across, with assets and event types."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from itertools import pairwise

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.checks.against_assets import event_faults
from alerting.definitions.faults import Fault, format_duration, name_hint, shown
from alerting.definitions.fields.learning import Dates, Periods
from alerting.definitions.model import OperatingPoint, TrainedDefinition
from alerting.definitions.wording.language import join_with_and, spoken_number


def training_faults(definition: TrainedDefinition) -> Iterable[Fault]:
    """Return the faults across the fields of features, periods and operating point."""
    if definition.is_of_unit:
        yield from _unit_faults(definition)
    if definition.features.stride is not None and definition.features.stride < timedelta(seconds=1):
        yield Fault("features.stride", "must be at least 1s")
    elif not definition.is_of_unit and definition.horizon < definition.stride:
        stride = format_duration(definition.stride)
        horizon = format_duration(definition.horizon)
        yield Fault(
            "horizon",
            f"{horizon} is shorter than the stride {stride}",
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
        hint = "write predict: state, or a horizon such as 30m"
        yield Fault(
            "problem.predict",
            "with horizon: 0s nothing lies ahead, so no onset can be predicted",
            hint,
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
    for name, period in by_name.items():
        if isinstance(period, timedelta) and period <= timedelta(0):
            yield Fault(f"periods.{name}", "must be longer than 0s")
    for outer, name, of_period in (("start", "train.from", "train"), ("end", "test.to", "test")):
        period = by_name[of_period]
        given = isinstance(period, Dates) and (outer == "start" or period.end is not None)
        if given and getattr(periods, outer) is not None:
            yield Fault(
                f"periods.{outer}",
                f"says the same as periods.{name}",
                "keep one of them",
            )
    dates = [("start", periods.start)]
    for name, period in by_name.items():
        if isinstance(period, Dates):
            dates += [(f"{name}.from", period.start), (f"{name}.to", period.end)]
    known = [(path, at) for path, at in (*dates, ("end", periods.end)) if at is not None]
    for (before, earlier), (after, later) in pairwise(known):
        touching = before.endswith(".to") and after.endswith(".from")
        if earlier > later or (earlier == later and not touching):
            hint = "train, validation and test follow one another and must not overlap"
            yield Fault(
                f"periods.{before}",
                f"must lie before periods.{after}",
                hint,
            )


def training_warnings(definition: TrainedDefinition, targets: Sequence[Asset]) -> list[str]:
    """Return what is allowed but probably not meant: fixed periods on a schedule, no advice."""
    found = list(advice_warnings(definition, targets))
    retrain = definition.schedule.retrain
    if retrain is not None and definition.periods.is_fixed:
        found.append(
            f"periods gives fixed dates, so every training by the schedule ({retrain}) "
            "validates and tests on the same days; give lengths, for example test: 14d, or set "
            "schedule.retrain: null"
        )
    return found


def advice_warnings(definition: TrainedDefinition, targets: Sequence[Asset]) -> Iterable[str]:
    """Yield what to declare where operators can set no variable, so none gets advice."""
    settable = any(limits.controllable for limits in definition.recommendation.variables.values())
    if (
        targets
        and not settable
        and not any(v.controllable for asset in targets for v in asset.variables.values())
    ):
        yield (
            "its alarms come without advice, because operators can set no variable of its "
            "assets; declare one with `controllable: true` in assets.yaml, then `alerting "
            "import assets assets.yaml`"
        )


def _operating_point_faults(wanted: OperatingPoint) -> Iterable[Fault]:
    by_cost = wanted.cost_of_miss is not None or wanted.cost_of_false_alarm is not None
    ways = {
        "false_alarms_per_week": wanted.false_alarms_per_week is not None,
        "cost_of_miss with cost_of_false_alarm": by_cost,
        "least_precision": wanted.least_precision is not None,
    }
    if sum(ways.values()) > 1:
        given = join_with_and(*(way for way, is_given in ways.items() if is_given))
        yield Fault(
            "operating_point",
            f"gives more than one way to choose the threshold: {given}",
            "keep one of them",
        )
    if by_cost and (wanted.cost_of_miss is None or wanted.cost_of_false_alarm is None):
        absent = "cost_of_miss" if wanted.cost_of_miss is None else "cost_of_false_alarm"
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
