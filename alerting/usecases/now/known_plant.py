"""Assets, definitions and targets of a plant, read again only after one of them has changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from alerting.definitions.assets import Asset
from alerting.definitions.model import Revision
from alerting.definitions.plants import AssetTree, Plants
from alerting.episodes.targets import EvaluationTarget
from alerting.operators.permissions import Scopes
from alerting.operators.tiles import PlantAsset, find_parts
from alerting.ports import EvaluationPorts
from alerting.usecases.definitions.targets import source_hash_of
from alerting.usecases.now.gaps import Later, RecentCoverage
from alerting.usecases.platform_health.metrics import read_inventory

_MOST_PLANTS = 50
_RECENT = timedelta(seconds=1)


@dataclass(frozen=True)
class KnownPlant:
    """What is known of a plant. `latest`: newest revisions by name; `parts`: the part of each
    asset; `lines`: parts by name with their titles; `written`: identity of all that was read."""

    written: str
    documents: Mapping[str, Asset]
    assets: Mapping[str, PlantAsset]
    parts: Mapping[str, str]
    positions: Mapping[str, str]
    latest: Mapping[str, Revision]
    targets: tuple[EvaluationTarget, ...]
    definition_counts: Mapping[str, int]
    recent_coverage: RecentCoverage

    @cached_property
    def lines(self) -> dict[str, str]:
        """Return the parts of the plant with an evaluated asset: titles by name."""
        names = {self.parts[name] for name in self.definition_counts if name in self.parts}
        return {name: self.assets[name].title for name in sorted(names)}

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

    def __init__(self, later: Later | None = None) -> None:
        """`later`: begins work that need not be awaited (see `RecentCoverage`)."""
        self._known: dict[Scopes, KnownPlant] = {}
        self._written: tuple[datetime, str] | None = None
        self._later = later

    def find(self, scopes: Scopes, platform: EvaluationPorts, now: datetime) -> KnownPlant:
        """Return the plant in scopes, at most a second old. `platform`: narrowed to them; `now`:
        the real time."""
        known = self._known.get(scopes)
        written = self._find_written(platform, now)
        if known is not None and written and known.written == written:
            return known
        if len(self._known) >= _MOST_PLANTS:
            self._known.clear()
        self._known[scopes] = found = read_plant(platform, self._later)
        self._written = (now, found.written)
        return found

    def _find_written(self, platform: EvaluationPorts, now: datetime) -> str:
        """Return the identity of all documents of the whole plant, which all scopes share."""
        if self._written is not None and timedelta(0) < now - self._written[0] < _RECENT:
            return self._written[1]
        written = source_hash_of(platform)
        self._written = (now, written)
        return written


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
        inventory.written,
        documents,
        assets,
        find_parts(assets),
        {name: tree.position(one) for name, one in documents.items()},
        {one.name: one for one in platform.definitions.latest_revisions()},
        inventory.targets,
        definition_counts,
        RecentCoverage(later),
    )
