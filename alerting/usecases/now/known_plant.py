"""Assets, definitions and targets of a plant, read again only after one of them has changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from alerting.definitions.assets import Asset, AssetTree
from alerting.definitions.model import Revision
from alerting.episodes.targets import EvaluationTarget
from alerting.operators.tiles import PlantAsset, TileAssets, find_parts, find_tile_assets
from alerting.ports import EvaluationPlans, EvaluationPorts
from alerting.usecases.now.gaps import Later, RecentCoverage
from alerting.usecases.platform_health.metrics import read_inventory

_RECENT = timedelta(seconds=1)
_SOON = timedelta(seconds=0.5)
"""After this time the hash of the sources is found again, before anyone waits for it."""


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


class RecentPlant:
    """The plant, at most a second old, read again only after an asset, a definition or a revision
    has changed."""

    def __init__(self, later: Later | None = None) -> None:
        """`later`: begins work that need not be awaited; None: the next who asks waits."""
        self._later = later
        self._hash: tuple[datetime, str] | None = None
        self._begun: tuple[datetime, str] | None = None
        self._known: tuple[str, KnownPlant] | None = None

    def find(self, platform: EvaluationPorts, now: datetime) -> KnownPlant:
        """Return the plant. `now`: the real time."""
        written = self._find_hash(platform.evaluation_plans, now)
        if self._known is None or not written or self._known[0] != written:
            self._known = written, read_plant(platform, self._later)
        return self._known[1]

    def _find_hash(self, plans: EvaluationPlans, now: datetime) -> str:
        """Return the hash of all sources of the plant, empty where there is none."""

        def read() -> str:
            written = plans.source_hash()
            self._hash = now, written
            return written

        found = self._hash
        if found is None or not timedelta(0) <= now - found[0] < _RECENT:
            return read()
        if self._later is not None and now - found[0] >= _SOON and self._begun is not found:
            self._begun = found
            self._later(read)
        return found[1]


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
