"""Assets, definitions and targets of a plant, read again only after one of them has changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from alerting.definitions.assets import Asset
from alerting.definitions.model import Revision
from alerting.definitions.plants import AssetTree, Plants
from alerting.episodes.targets import EvaluationTarget
from alerting.operators.permissions import Scopes
from alerting.operators.tiles import PlantAsset, TileAssets, find_parts, find_tile_assets
from alerting.ports import EvaluationPorts
from alerting.usecases.access.visible import Later, RecentSources
from alerting.usecases.now.gaps import RecentCoverage
from alerting.usecases.platform_health.metrics import read_inventory

_MOST_PLANTS = 50


@dataclass(frozen=True)
class KnownPlant:
    """What is known of a plant. `latest`: newest revisions by name; `parts`: the part of each
    asset; `lines`: parts by name with their titles."""

    documents: Mapping[str, Asset]
    assets: Mapping[str, PlantAsset]
    parts: Mapping[str, str]
    positions: Mapping[str, str]
    latest: Mapping[str, Revision]
    targets: tuple[EvaluationTarget, ...]
    definition_counts: Mapping[str, int]
    recent_coverage: RecentCoverage

    @cached_property
    def tile_assets(self) -> TileAssets:
        """Return which assets have a definition."""
        return find_tile_assets(self.assets, self.parts, self.definition_counts)

    @cached_property
    def suppressible(self) -> frozenset[str]:
        """Return the names of the active definitions with suppression by design."""
        return frozenset(
            name
            for name, one in self.latest.items()
            if one.definition.suppression is not None and one.definition.state == "active"
        )

    @cached_property
    def lines(self) -> dict[str, str]:
        """Return the parts of the plant with an evaluated asset below them, titles by name; none if
        that is the whole plant. A part that is a single asset has its tile."""
        names = {name: self.parts[name] for name in self.definition_counts if name in self.parts}
        several = {part for name, part in names.items() if part != name}
        is_whole = len(set(names.values())) == 1
        return {} if is_whole else {name: self.assets[name].title for name in sorted(several)}

    @cached_property
    def plants(self) -> dict[str, str]:
        """Return the plants of the platform that are seen: titles by name."""
        return {name: one.title for name, one in Plants(self.documents.values()).by_name.items()}

    @cached_property
    def titles(self) -> dict[str, str]:
        """Return the title of each definition, by name."""
        return {name: one.definition.title or name for name, one in self.latest.items()}

    @cached_property
    def asset_titles(self) -> dict[str, str]:
        """Return the title of each asset, by name."""
        return {name: one.title for name, one in self.assets.items()}

    @cached_property
    def parents(self) -> dict[str, str | None]:
        """Return the parent of each asset, None of the topmost one of a part."""
        return {
            name: None if self.parts[name] == name else asset.parent
            for name, asset in self.assets.items()
        }


class KnownPlants:
    """Plants as people of different scopes see them, each read when it is first asked for."""

    def __init__(self, sources: RecentSources | None = None, later: Later | None = None) -> None:
        """`later`: begins work that need not be awaited (see `RecentCoverage`)."""
        self._sources = sources or RecentSources()
        self._known: dict[Scopes, tuple[str, KnownPlant]] = {}
        self._later = later

    def find(self, scopes: Scopes, platform: EvaluationPorts, now: datetime) -> KnownPlant:
        """Return the plant in scopes, at most a second old. `platform`: narrowed to them; `now`:
        the real time."""
        written = self._sources.find(platform.evaluation_plans, now)
        before, known = self._known.get(scopes, ("", None))
        if known is not None and written and before == written:
            return known
        if len(self._known) >= _MOST_PLANTS:
            self._known.clear()
        found = read_plant(platform, self._later)
        self._known[scopes] = written, found
        return found


def read_plant(platform: EvaluationPorts, later: Later | None = None) -> KnownPlant:
    """Return all assets, definitions and targets. `later`: see `RecentCoverage`."""
    inventory = read_inventory(platform)
    documents = {asset.name: asset for asset in platform.assets.all()}
    assets = {
        name: PlantAsset(name, one.title or name, one.parent) for name, one in documents.items()
    }
    tree = AssetTree(documents.values())
    definition_counts: dict[str, int] = {}
    for target in inventory.targets:
        definition_counts[target.asset] = definition_counts.get(target.asset, 0) + 1
    return KnownPlant(
        documents,
        assets,
        find_parts(assets),
        {name: tree.position(one) for name, one in documents.items()},
        {one.name: one for one in platform.definitions.latest_revisions()},
        inventory.targets,
        definition_counts,
        RecentCoverage(later),
    )
