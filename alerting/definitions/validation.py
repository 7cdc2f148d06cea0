"""Reading a definition: every fault at once, each with its place and a hint in plain words."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import pairwise
from typing import Any

from croniter import croniter
from pydantic import ValidationError

from alerting.definitions.assets import TYPES, Asset, EventType, VariableType
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import DefinitionRefused, Fault, nearest, shown, without
from alerting.definitions.limits import Level, level_limits, levels_on, unknown_limits
from alerting.definitions.matching import AssetIndex, indexed, matching_assets
from alerting.definitions.model import (
    DEFINITION,
    Band,
    ClassifierDefinition,
    Definition,
    FromAttribute,
    LevelLimits,
    OperatingPoint,
    Problem,
    Schedule,
    ThresholdDefinition,
)
from alerting.definitions.suppression import suppression_faults, suppression_faults_on
from alerting.definitions.wording.fault_messages import words_of

_KINDS = ("threshold", "classifier")
_SHORTEST = timedelta(minutes=1)
_A_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_GROUP = "FromAttribute"
_CHOICES = ("float", "bool", "str", _GROUP)  # as pydantic names the ways to write a limit


def parse_definition(document: Mapping[str, Any]) -> Definition:
    """Read one document. Raises DefinitionRefused with every fault that can be seen without knowing the assets."""
    definition, faults = _read(document)
    if faults or definition is None:
        raise DefinitionRefused(document.get("name", "without a name"), faults)
    return definition


def definition_document(definition: Definition) -> dict[str, Any]:
    """The document of a definition as people would write it: fields at their default are left out."""
    written: dict[str, Any] = DEFINITION.dump_python(definition, mode="json", by_alias=True, exclude_defaults=True)
    return written


def _read(document: Mapping[str, Any]) -> tuple[Definition | None, list[Fault]]:
    try:
        definition = DEFINITION.validate_python(dict(document))
    except ValidationError as error:
        meant = [e for e in error.errors() if not _other_choice(e)] or error.errors()[:1]
        faults = [_fault(e, document) for e in meant]
        return None, faults + _faults_of_the_rest(document, [f.path for f in faults])
    return definition, list(cross_faults(definition))


def _faults_of_the_rest(document: Mapping[str, Any], paths: Sequence[str]) -> list[Fault]:
    """Faults across fields that show once the faulty fields are taken away."""
    rest = without(document, paths)
    try:
        return [f for f in cross_faults(DEFINITION.validate_python(rest)) if f.path not in paths]
    except ValidationError:
        return []


def _other_choice(error: Any) -> bool:
    """Whether this fault is of a way to write a limit that was not meant: a number and a group are told apart by their looks."""
    choices = [p for p in map(_choice, error["loc"]) if p in _CHOICES]
    return (
        bool(choices) and isinstance(error["input"], Mapping) != (choices[-1] == _GROUP) and _choice(error["loc"][-1]) in _CHOICES
    )


def _choice(part: Any) -> Any:
    """A part of a place; a bounded text, which pydantic names after its checks, is `str`."""
    return "str" if str(part).startswith("function-after") else part


def _fault(error: Any, document: Mapping[str, Any]) -> Fault:
    path = [str(p) for p in map(_choice, error["loc"]) if p not in (*_KINDS, *_CHOICES)]
    place = ".".join(path) or "document"
    match error["type"]:
        case "extra_forbidden":
            return Fault(place, "is not a field", nearest(path[-1], _fields(document, path[:-1]), "fields here"))
        case "missing":
            return Fault(place, "is missing")
        case "union_tag_not_found":
            return Fault("kind", "is missing", "write kind: threshold or kind: classifier")
        case "union_tag_invalid":
            return Fault("kind", f"{shown(document.get('kind'))} is not a kind", "write threshold or classifier")
        case "string_pattern_mismatch":
            return Fault(place, f"{shown(error['input'])} is not a legal name", "letters, digits, - and _ only")
    return Fault(place, *words_of(error))


def _fields(document: Mapping[str, Any], path: Sequence[str]) -> list[str]:
    model: Any = ClassifierDefinition if document.get("kind") == "classifier" else ThresholdDefinition
    for key in (k for k in path if not k.isdigit()):  # a place in a list
        field = next((f for n, f in model.model_fields.items() if (f.alias or n) == key), None)
        inner = field.annotation if field else None
        arguments = [a for a in (*getattr(inner, "__args__", ()), inner) if hasattr(a, "model_fields")]
        if not arguments:
            return []
        model = arguments[0]
    return [f.alias or n for n, f in model.model_fields.items()]


def cross_faults(definition: Definition) -> Iterable[Fault]:
    """Faults across the fields of a definition."""
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
    """Whether it has five fields (or is a word such as @daily) and comes true at some time: never on 31 February."""
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
        if band is not None and _disordered(band.low, band.high, strictly=True):
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
    if limits.clear_above_at is not None and (above is None or _disordered(limits.clear_above_at, above)):
        yield Fault(f"{prefix}clear_above_at", "must not be greater than above, which must be given")
    if limits.clear_below_at is not None and (below is None or _disordered(below, limits.clear_below_at)):
        yield Fault(f"{prefix}clear_below_at", "must not be less than below, which must be given")


def _clear_band_faults(definition: ThresholdDefinition) -> Iterable[Fault]:
    inner, outer = definition.clear_inside, definition.outside
    if inner is not None and outer is None:
        yield Fault("clear_inside", "goes with outside", "after above and below it is clear_above_at and clear_below_at")
    elif inner is not None and (definition.clear_above_at is not None or definition.clear_below_at is not None):
        yield Fault("clear_inside", "says the same as clear_above_at and clear_below_at", "remove one of them")
    elif inner is not None and outer is not None and (_disordered(outer.low, inner.low) or _disordered(inner.high, outer.high)):
        yield Fault("clear_inside", "must lie within the band of outside")
    if definition.clear_outside is not None:
        yield from _clear_outside_faults(definition, definition.clear_outside)


def _clear_outside_faults(definition: ThresholdDefinition, band: Band) -> Iterable[Fault]:
    equals = definition.equals
    if definition.inside is None and (equals is None or isinstance(equals, bool | str)):
        yield Fault("clear_outside", "goes with inside, or with equals and a number", "after other limits see clear_above_at")
    inner = definition.inside or (Band(low=equals, high=equals) if isinstance(equals, float | FromAttribute) else None)
    if inner is not None and (_disordered(band.low, inner.low) or _disordered(inner.high, band.high)):
        yield Fault("clear_outside", "must contain what triggers", "between the two it stays as it was")


def _disordered(low: float | FromAttribute, high: float | FromAttribute, strictly: bool = False) -> bool:
    """Whether two numbers are in the wrong order; limits that assets state are compared per asset."""
    if isinstance(low, FromAttribute) or isinstance(high, FromAttribute):
        return False
    return low > high or (strictly and low == high)


def _nesting_faults(definition: ThresholdDefinition) -> Iterable[Fault]:
    for (less, inner), (more, outer) in pairwise(level_limits(definition)):
        if inner.above is not None and outer.above is not None and _disordered(inner.above, outer.above, strictly=True):
            yield Fault(f"levels.{more}.above", f"{outer.above} must be greater than that of {less}, {inner.above}")
        if inner.below is not None and outer.below is not None and _disordered(outer.below, inner.below, strictly=True):
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


def faults_against_assets(
    definition: Definition, assets: Sequence[Asset] | AssetIndex, event_types: Sequence[EventType]
) -> list[Fault]:
    """Faults that show only beside the known assets: unknown assets, variables, event types and attributes, wrong types."""
    return list(_asset_faults(definition, indexed(assets), event_types))


def _asset_faults(definition: Definition, assets: AssetIndex, event_types: Sequence[EventType]) -> Iterable[Fault]:
    for pattern in definition.assets:
        if pattern in assets.faulty:
            yield Fault("assets", f"the document of asset {pattern!r} is faulty and left out", "mend it in the database")
        elif not assets.named(pattern):
            yield Fault("assets", f"no asset is called {pattern!r}", nearest(pattern, assets.names, "known assets"))
    watched = matching_assets(definition, assets)
    if not watched:
        return
    types = {name: v.type for a in watched for name, v in a.variables.items()}
    if isinstance(definition, ThresholdDefinition):
        yield from _watched_variable_faults(definition, types, watched)
    if definition.problem and definition.problem.variable:
        yield from _variable_faults("problem.variable", definition.problem.variable, types)
    yield from _event_faults(definition, event_types)
    if definition.suppression:
        yield from suppression_faults_on(definition.suppression, watched, assets.assets, event_types)
    if isinstance(definition, ClassifierDefinition):
        yield from _feature_faults(definition, types, watched)


def _variable_faults(path: str, name: str, types: Mapping[str, VariableType]) -> Iterable[Fault]:
    if name not in types:
        yield Fault(path, f"no watched asset has a variable {name!r}", nearest(name, types, "known variables"))
    elif types[name] == "category":
        yield Fault(path, f"{name!r} is a category; a limit needs a number")


def _watched_variable_faults(
    definition: ThresholdDefinition, types: Mapping[str, VariableType], watched: Sequence[Asset]
) -> Iterable[Fault]:
    name = definition.variable
    if definition.equals is None or name not in types:
        yield from _variable_faults("variable", name, types)
    elif not isinstance(definition.equals, FromAttribute) and not isinstance(definition.equals, TYPES[types[name]][0]):
        wanted = TYPES[types[name]][1]
        yield Fault("equals", f"{definition.equals!r} can never be a value of {name!r}, a {types[name]}", f"write {wanted}")
    for asset in watched:
        yield from _limits_on_asset_faults(definition, asset)


def _limits_on_asset_faults(definition: ThresholdDefinition, asset: Asset) -> Iterable[Fault]:
    variable = asset.variables.get(definition.variable)
    missing = unknown_limits(definition, asset)
    yield from (Fault(path, message, _nearest_attribute(asset, message)) for path, message in missing)
    if not missing:
        yield from _resolved_faults(levels_on(definition, asset), asset)
    if variable and variable.sampling and definition.no_data != "ignore" and definition.stale_after < variable.sampling:
        short, usual = format_duration(definition.stale_after), format_duration(variable.sampling)
        hint = "lengthen it, or no condition would hold from one reading to the next"
        yield Fault(
            "stale_after", f"{short} is shorter than the sampling of {definition.variable!r} on {asset.name!r}, {usual}", hint
        )


def _nearest_attribute(asset: Asset, message: str) -> str:
    return "" if "needs a number" in message else "known attributes: " + (", ".join(sorted(asset.attributes)) or "none")


def _resolved_faults(levels: Sequence[Level], asset: Asset) -> Iterable[Fault]:
    """Limits in the wrong order on one asset; where they are plain numbers the definition alone has been refused before."""
    for level in levels:
        ordered = (level.below, level.clear_below_at), (level.clear_above_at, level.above), (level.below, level.above)
        if any(low is not None and high is not None and low > high for low, high in (*ordered, *_bands(level))):
            yield Fault("assets", f"the limits stated by asset {asset.name!r} are in the wrong order: {_numbers(level)}")


def _bands(level: Level) -> Iterable[tuple[float | None, float | None]]:
    """Pairs of which the first must not be greater than the second."""
    inner = (level.equals, level.equals) if isinstance(level.equals, float) else level.inside
    if inner is not None:
        yield inner
    if inner is not None and level.leave is not None:
        yield level.leave[0], inner[0]
        yield inner[1], level.leave[1]


def _numbers(level: Level) -> str:
    names = ("below", "clear_below_at", "clear_above_at", "above", "inside", "equals", "leave")
    return ", ".join(f"{name} {getattr(level, name)}" for name in names if getattr(level, name) is not None)


def _event_faults(definition: Definition, event_types: Sequence[EventType]) -> Iterable[Fault]:
    wanted = {"problem.event": [definition.problem.event] if definition.problem and definition.problem.event else []}
    if isinstance(definition, ClassifierDefinition):
        wanted["features.events"] = list(definition.features.events)
    known = [t.name for t in event_types]
    for path, patterns in wanted.items():
        for pattern in patterns:
            if not any(fnmatchcase(n, pattern) for n in known):
                yield Fault(path, f"no event type is called {pattern!r}", nearest(pattern, known, "known event types"))


def _feature_faults(
    definition: ClassifierDefinition, types: Mapping[str, VariableType], watched: Sequence[Asset]
) -> Iterable[Fault]:
    for path, patterns in {"include": definition.include, "exclude": definition.exclude}.items():
        for pattern in patterns:
            if pattern != "*" and not any(fnmatchcase(n, pattern) for n in types):
                yield Fault(path, f"no variable matches {pattern!r}", nearest(pattern, types, "known variables"))
    attributes = {n for a in watched for n in a.attributes}
    for name in definition.features.attributes:
        if name not in attributes:
            yield Fault("features.attributes", f"no watched asset has an attribute {name!r}", nearest(name, attributes, "known"))
