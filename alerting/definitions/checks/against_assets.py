"""Find faults of a definition that only a comparison with the known assets and event types shows."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from alerting.definitions.assets import TYPES, Asset, EventType, VariableType
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import Fault, nearest
from alerting.definitions.limits import Level, levels_on, unknown_limits
from alerting.definitions.matching import AssetIndex, index_assets, matching_assets
from alerting.definitions.model import ClassifierDefinition, Definition, FromAttribute, ThresholdDefinition
from alerting.definitions.suppression import suppression_faults_on


def faults_against_assets(
    definition: Definition, assets: Sequence[Asset] | AssetIndex, event_types: Sequence[EventType]
) -> list[Fault]:
    """Return the faults of a definition beside the known assets and event types.

    These are unknown assets, variables, event types and attributes, and wrong types.
    """
    return list(_asset_faults(definition, index_assets(assets), event_types))


def _asset_faults(definition: Definition, assets: AssetIndex, event_types: Sequence[EventType]) -> Iterable[Fault]:
    for pattern in definition.assets:
        if pattern in assets.faulty:
            yield Fault("assets", f"the document of asset {pattern!r} is faulty and left out", "mend it in the database")
        elif not assets.names_like(pattern):
            yield Fault("assets", f"no asset is called {pattern!r}", nearest(pattern, assets.names, "known assets"))
    targets = matching_assets(definition, assets)
    if not targets:
        return
    types = {name: v.type for a in targets for name, v in a.variables.items()}
    if isinstance(definition, ThresholdDefinition):
        yield from _threshold_variable_faults(definition, types, targets)
    if definition.problem and definition.problem.variable:
        yield from _variable_faults("problem.variable", definition.problem.variable, types)
    yield from _event_faults(definition, event_types)
    if definition.suppression:
        yield from suppression_faults_on(definition.suppression, targets, assets.assets, event_types)
    if isinstance(definition, ClassifierDefinition):
        yield from _feature_faults(definition, types, targets)


def _variable_faults(path: str, name: str, types: Mapping[str, VariableType]) -> Iterable[Fault]:
    if name not in types:
        yield Fault(path, f"no watched asset has a variable {name!r}", nearest(name, types, "known variables"))
    elif types[name] == "category":
        yield Fault(path, f"{name!r} is a category; a limit needs a number")


def _threshold_variable_faults(
    definition: ThresholdDefinition, types: Mapping[str, VariableType], targets: Sequence[Asset]
) -> Iterable[Fault]:
    name = definition.variable
    if definition.equals is None or name not in types:
        yield from _variable_faults("variable", name, types)
    elif not isinstance(definition.equals, FromAttribute) and not isinstance(definition.equals, TYPES[types[name]][0]):
        wanted = TYPES[types[name]][1]
        yield Fault("equals", f"{definition.equals!r} can never be a value of {name!r}, a {types[name]}", f"write {wanted}")
    for asset in targets:
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
    """Return faults for limits in the wrong order on one asset.

    A definition with plain numbers in the wrong order is refused before.
    """
    for level in levels:
        ordered = (level.below, level.clear_below_at), (level.clear_above_at, level.above), (level.below, level.above)
        if any(low is not None and high is not None and low > high for low, high in (*ordered, *_bands(level))):
            yield Fault("assets", f"the limits stated by asset {asset.name!r} are in the wrong order: {_numbers(level)}")


def _bands(level: Level) -> Iterable[tuple[float | None, float | None]]:
    """Return pairs of numbers of which the first must not be greater than the second."""
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
    names = [t.name for t in event_types]
    for path, patterns in wanted.items():
        for pattern in patterns:
            if not any(fnmatchcase(n, pattern) for n in names):
                yield Fault(path, f"no event type is called {pattern!r}", nearest(pattern, names, "known event types"))


def _feature_faults(
    definition: ClassifierDefinition, types: Mapping[str, VariableType], targets: Sequence[Asset]
) -> Iterable[Fault]:
    for path, patterns in {"include": definition.include, "exclude": definition.exclude}.items():
        for pattern in patterns:
            if pattern != "*" and not any(fnmatchcase(n, pattern) for n in types):
                yield Fault(path, f"no variable matches {pattern!r}", nearest(pattern, types, "known variables"))
    attributes = {n for a in targets for n in a.attributes}
    for name in definition.features.attributes:
        if name not in attributes:
            yield Fault("features.attributes", f"no watched asset has an attribute {name!r}", nearest(name, attributes, "known"))
