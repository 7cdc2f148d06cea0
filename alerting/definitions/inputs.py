"""What a definition reads of an asset, and how long evaluation waits for it."""

from datetime import timedelta
from fnmatch import fnmatchcase

from alerting.definitions.assets import Asset
from alerting.definitions.model import ClassifierDefinition, Definition, ThresholdDefinition


def variables_read(definition: Definition, asset: Asset) -> frozenset[str]:
    """Variables of the asset whose values change what is judged, or how an outcome is settled."""
    problem = {definition.problem.variable} if definition.problem and definition.problem.variable else set()
    if isinstance(definition, ClassifierDefinition):
        return frozenset(problem | {v for v in asset.variables if _may_see(definition, v)})
    return frozenset(problem | {definition.variable})


def events_read(definition: Definition) -> tuple[str, ...]:
    """Event types (with *) that change what is judged, or how an outcome is settled."""
    problem = (definition.problem.event,) if definition.problem and definition.problem.event else ()
    return problem + (definition.features.events if isinstance(definition, ClassifierDefinition) else ())


def latency(definition: Definition, asset: Asset) -> timedelta:
    """How long the evaluation of this definition waits for readings of this asset: as long as its slowest variable needs.

    The problem of a threshold alert settles outcomes only, and holds nothing back.
    """
    judged = {definition.variable} if isinstance(definition, ThresholdDefinition) else variables_read(definition, asset)
    waits = (asset.variables[v].latency for v in judged if v in asset.variables)
    return max(waits, default=timedelta(0))


def _may_see(definition: ClassifierDefinition, variable: str) -> bool:
    def named(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(variable, p) for p in patterns)

    return named(definition.include) and not named(definition.exclude)
