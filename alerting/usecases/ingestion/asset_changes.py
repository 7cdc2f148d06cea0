"""Changes of one asset by people at the console: their effect before they are applied, and how."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from alerting.definitions.assets import (
    Asset,
    AssetRefused,
    AssetTree,
    EventType,
    Variable,
    asset_document,
    is_type_open,
    parse_asset,
)
from alerting.definitions.checks.against_assets import faults_against_assets
from alerting.definitions.faults import Fault, NotFound, name_hint, shown
from alerting.definitions.matching import AssetIndex, matching_assets
from alerting.definitions.model import Definition
from alerting.definitions.wording.language import template, translatable
from alerting.ports import Assets, Document, IngestionPorts
from alerting.usecases.definitions.checking import all_assets
from alerting.usecases.definitions.edits import NEW, content_tag, require_content
from alerting.usecases.ingestion.assets import asset_changes, faults_beside

_VARIABLES = "variables."


@dataclass(frozen=True)
class AffectedDefinition:
    """A definition that a change of an asset concerns. `variables`: changed ones that it reads;
    `applies`: if it begins or ends to watch the asset; `faults`: those that the change causes."""

    name: str
    title: str
    state: str
    variables: tuple[str, ...]
    applies: Literal["begins", "ends", "stays"]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class AssetReview:
    """The effect that applying a document of an asset would have; a faulty one has faults alone.

    `changes`: field to its value before and after; `dropped`: variables that it declares no more,
    whose readings stay.
    """

    name: str
    action: Literal["new", "changed", "unchanged"]
    faults: tuple[Fault, ...] = ()
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    affected: tuple[AffectedDefinition, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[AffectedDefinition, ...]:
        """Return the definitions that would become faulty."""
        return tuple(one for one in self.affected if one.faults)


def require_asset(assets: Assets, name: str) -> Asset:
    """Return an asset that is listed. Raises NotFound for any other."""
    found = assets.get_many([name]).get(name)
    if found is None:
        raise NotFound(f"there is no asset {name!r}")
    return found


def asset_as_written(asset: Asset) -> Document:
    """Return the document of an asset as people would write it: without fields at their default,
    with the type of a number only where nothing else states it."""
    document: Document = asset.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name, variable in asset.variables.items():
        written = document["variables"][name]
        if not is_type_open(variable) and is_type_open(Variable.model_validate(written)):
            document["variables"][name] = {"type": variable.type, **written}
    return document


def tag_of_asset(asset: Asset) -> str:
    """Return the content tag of a stored asset."""
    return content_tag(asset_document(asset))


def review_asset(plant: IngestionPorts, document: Mapping[str, Any]) -> AssetReview:
    """Return the effect of a document of an asset, with all its faults. Writes nothing."""
    return _review(plant, document)[0]


def apply_asset(
    plant: IngestionPorts,
    document: Mapping[str, Any],
    expected: str,
    actor: str,
    now: datetime,
    reason: str,
) -> AssetReview:
    """Store an asset that was made from the expected content, a tag or `new`; return what it
    changed. Fields that the document leaves out are removed.

    Raises AssetRefused with all faults, and ChangedMeanwhile for another stored content.
    """
    review, asset = _review(plant, document)
    if asset is None:
        raise AssetRefused(review.name, review.faults)
    stored = plant.assets.get_many([asset.name]).get(asset.name)
    before = None if stored is None else asset_document(stored)
    require_content(plant.audit, "asset", asset.name, before, expected)
    if review.action != "unchanged":
        plant.assets.store_assets([asset])
        written = None if stored is None else asset_as_written(stored)
        applied = template("asset applied")
        plant.audit.add(actor, applied, asset.name, now, written, asset_as_written(asset), reason)
    return review


def _review(plant: IngestionPorts, document: Mapping[str, Any]) -> tuple[AssetReview, Asset | None]:
    try:
        asset = parse_asset(document)
    except AssetRefused as refusal:
        return AssetReview(refusal.name, NEW, refusal.faults), None
    known = all_assets(plant.assets)
    stored = known[asset.name] if asset.name in known.names else None
    after = AssetIndex([*(a for a in known.assets if a.name != asset.name), asset], known.faulty)
    faults = [
        *_parent_faults(asset, after),
        *faults_beside(asset, stored, plant.readings),
    ]
    if faults:
        return AssetReview(asset.name, NEW, tuple(faults)), None
    changes = {c.field: (c.before, c.after) for c in asset_changes(stored, asset)}
    is_same = stored is not None and asset_document(stored) == asset_document(asset)
    action: Literal["changed", "unchanged"] = "unchanged" if is_same else "changed"
    affected = [] if is_same else _affected(plant, asset.name, known, after, changes)
    dropped = () if stored is None else tuple(sorted({*stored.variables} - {*asset.variables}))
    review = AssetReview(
        asset.name, NEW if stored is None else action, (), changes, tuple(affected), dropped
    )
    return review, asset


def _parent_faults(asset: Asset, assets: AssetIndex) -> list[Fault]:
    if asset.parent is None:
        return []
    if asset.parent not in assets.names:
        hint = name_hint(asset.parent, assets.names, translatable("known assets"))
        return [
            Fault(
                "parent",
                translatable("there is no asset {parent}", parent=shown(asset.parent)),
                hint,
            )
        ]
    line = AssetTree(assets.assets).asset_and_ancestors(assets[asset.parent])
    if any(one.name == asset.name for one in line):
        return [
            Fault(
                "parent",
                translatable("{parent} belongs to this asset itself", parent=shown(asset.parent)),
            )
        ]
    return []


def _affected(
    plant: IngestionPorts,
    name: str,
    before: AssetIndex,
    after: AssetIndex,
    changes: Iterable[str],
) -> list[AffectedDefinition]:
    """Return the definitions, drafts among them, that watch the asset before or after its change,
    and those that become faulty by it."""
    types = plant.assets.event_types()
    changed = {
        path.removeprefix(_VARIABLES).partition(".")[0]
        for path in changes
        if path.startswith(_VARIABLES)
    }
    found = []
    for revision in plant.definitions.latest_revisions():
        definition = revision.definition
        if definition.state == "retired":
            continue
        was = any(one.name == name for one in matching_assets(definition, before))
        will = any(one.name == name for one in matching_assets(definition, after))
        faults = _new_faults(definition, before, after, types)
        if was or will or faults:
            read = _read_variables(definition, (before if was else after)[name]) & changed
            found.append(
                AffectedDefinition(
                    definition.name,
                    definition.title or definition.name,
                    definition.state,
                    tuple(sorted(read)) if was or will else (),
                    "stays" if was == will else "begins" if will else "ends",
                    faults,
                )
            )
    return sorted(found, key=lambda one: (not one.faults, not one.variables, one.name))


def _read_variables(definition: Definition, asset: Asset) -> frozenset[str]:
    return frozenset(asset.with_parts(definition.variables_read(asset)))


def _new_faults(
    definition: Definition, before: AssetIndex, after: AssetIndex, types: Sequence[EventType]
) -> tuple[Fault, ...]:
    faults = faults_against_assets(definition, after, types)
    if not faults:
        return ()
    known = faults_against_assets(definition, before, types)
    return tuple(fault for fault in faults if fault not in known)
