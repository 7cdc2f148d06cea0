"""Readings and events that a definition uses on an asset, and the latency of its evaluation."""

from datetime import timedelta
from fnmatch import fnmatchcase

from alerting.definitions.assets import Asset
from alerting.definitions.model import ClassifierDefinition, Definition, ThresholdDefinition


def variables_read(definition: Definition, asset: Asset) -> frozenset[str]:
    """Return the variables of the asset whose values change an evaluation or an outcome."""
    problem = {definition.problem.variable} if definition.problem and definition.problem.variable else set()
    if isinstance(definition, ClassifierDefinition):
        return frozenset(problem | {v for v in asset.variables if _may_see(definition, v)})
    return frozenset(problem | {definition.variable})


def events_read(definition: Definition) -> tuple[str, ...]:
    """Return the event types (with *) that change an evaluation or an outcome."""
    problem = (definition.problem.event,) if definition.problem and definition.problem.event else ()
    return problem + (definition.features.events if isinstance(definition, ClassifierDefinition) else ())


def latency(definition: Definition, asset: Asset) -> timedelta:
    """Return how long the evaluation of a definition waits for readings of an asset: the latency of its slowest variable.

    The problem of a threshold alert determines outcomes only, and delays no evaluation.
    """
    evaluated = {definition.variable} if isinstance(definition, ThresholdDefinition) else variables_read(definition, asset)
    waits = (asset.variables[v].latency for v in evaluated if v in asset.variables)
    return max(waits, default=timedelta(0))


def _may_see(definition: ClassifierDefinition, variable: str) -> bool:
    def matches(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(variable, p) for p in patterns)

    return matches(definition.include) and not matches(definition.exclude)
