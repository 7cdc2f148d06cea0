"""Find faults of a definition that only the known assets and event types show."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.checks.combinations import combination_faults_on
from alerting.definitions.checks.limits import variable_faults
from alerting.definitions.faults import Fault, name_hint, shown
from alerting.definitions.model import AssetIndex, Definition, index_assets, matching_assets
from alerting.definitions.suppression import suppression_faults_on
from alerting.definitions.wording.language import joined

ASSET_REMEDY = (
    "an asset exists with its first reading: send one, or import it with `alerting "
    "import assets FILE`"
)


def faults_against_assets(
    definition: Definition, assets: Sequence[Asset] | AssetIndex, event_types: Sequence[EventType]
) -> list[Fault]:
    """Return the faults of a definition beside the known assets and event types.

    These are unknown assets, variables, event types and attributes, and wrong types.
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
    known = name_hint(pattern, names, "known assets")
    if not known:
        return ASSET_REMEDY
    return joined(" " if known.endswith("?") else "; ", known, ASSET_REMEDY)


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
