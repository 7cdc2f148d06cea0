"""Find faults of the groups of fields that training uses: across them, and beside the known assets and event types."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.checks.against_assets import event_faults
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import Fault, nearest
from alerting.definitions.model import OperatingPoint, TrainedDefinition


def training_faults(definition: TrainedDefinition) -> Iterable[Fault]:
    """Return the faults across the fields of features, periods and operating point."""
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
        yield Fault("operating_point", f"gives more than one way to choose the threshold: {given}", "keep one of them")
    if by_cost and (wanted.cost_of_miss is None or wanted.cost_of_false_alarm is None):
        absent = "cost_of_miss" if wanted.cost_of_miss is None else "cost_of_false_alarm"
        yield Fault(f"operating_point.{absent}", "is missing", "the two costs belong together")


def feature_faults(definition: TrainedDefinition, targets: Sequence[Asset], event_types: Sequence[EventType]) -> Iterable[Fault]:
    """Return the faults of the names of variables, attributes and event types that features use."""
    types = {name for asset in targets for name in asset.variables}
    for path, patterns in {"include": definition.include, "exclude": definition.exclude}.items():
        for pattern in patterns:
            if pattern != "*" and not any(fnmatchcase(n, pattern) for n in types):
                yield Fault(path, f"no variable matches {pattern!r}", nearest(pattern, types, "known variables"))
    yield from event_faults("features.events", definition.features.events, event_types)
    attributes = {n for a in targets for n in a.attributes}
    for name in definition.features.attributes:
        if name not in attributes:
            yield Fault(
                "features.attributes", f"none of the matched assets has an attribute {name!r}", nearest(name, attributes, "known")
            )
