"""The part of the plant that an account with a scope sees: assets, definitions, sources."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import NamedTuple

from alerting.definitions.assets import Asset
from alerting.definitions.matching import AssetIndex
from alerting.definitions.model import Revision
from alerting.definitions.plants import NO_PLANT, PLATFORM, AssetTree, Plant, Plants
from alerting.operators.permissions import Scopes, in_scope, visible_assets
from alerting.ports import Assets, Definitions, EvaluationPlans

_MOST_PARTS = 200
_RECENT = timedelta(seconds=1)
_SOON = timedelta(seconds=0.5)
"""After this time the hash of the sources is found again, before anyone waits for it."""
Later = Callable[[Callable[[], object]], object]
"""Begins work that need not be awaited."""


@dataclass(frozen=True)
class VisiblePart:
    """The things in some scopes, of all known assets and the newest revision of each definition.

    `assets`: names of the visible assets. `above`: their other ancestors, whose events and states
    count for them too; they are read for that, and never listed. `plant`: in which all of them
    lie; `PLATFORM` if there is none.
    """

    assets: frozenset[str]
    above: frozenset[str]
    positions: Mapping[str, str]
    plant: Plant
    _index: AssetIndex = field(repr=False)
    _latest: Mapping[str, Revision] = field(repr=False)

    @cached_property
    def plants(self) -> frozenset[str]:
        """Return the names of the plants that are visible as a whole."""
        return frozenset(one.name for one in self._index.assets if one.plant) & self.assets

    @cached_property
    def plants_met(self) -> frozenset[str]:
        """Return the names of the plants in which a visible asset lies."""
        plants = Plants(self._index.assets)
        return frozenset(map(plants.name_for, self.assets)) - {NO_PLANT}

    @cached_property
    def definitions(self) -> frozenset[str]:
        """Return the names of the definitions of which every asset is visible."""
        return frozenset(
            name for name, one in self._latest.items() if self.covers(one.definition.assets)
        )

    @cached_property
    def definitions_met(self) -> frozenset[str]:
        """Return the names of the definitions of which one asset is visible, or more."""
        return frozenset(
            name for name, one in self._latest.items() if self.meets(one.definition.assets)
        )

    def is_taken(self, definition: str) -> bool:
        """Return whether a definition of this name exists out of scope."""
        return definition in self._latest and definition not in self.definitions

    def covers(self, patterns: object) -> bool:
        """Return whether the assets of a definition, names or patterns with *, are all visible."""
        matched = self._matched(patterns)
        return matched is not None and in_scope(self.assets, matched)

    def meets(self, patterns: object) -> bool:
        """Return whether one of the assets of a definition is visible."""
        matched = self._matched(patterns)
        return matched is not None and not matched.isdisjoint(self.assets)

    def _matched(self, patterns: object) -> frozenset[str] | None:
        """Return the assets that are meant, unknown names among them; None for no patterns."""
        if not isinstance(patterns, list | tuple):
            return None
        texts = [pattern for pattern in patterns if isinstance(pattern, str)]
        if len(texts) < len(patterns):
            return None
        named = {text for text in texts if "*" not in text}
        return frozenset(named | {asset.name for asset in self._index.find_matching(texts)})

    def with_position(self, asset: Asset) -> Asset:
        """Return a visible asset with the position that it has from an ancestor out of scope."""
        position = self.positions.get(asset.name)
        return asset if position is None else asset.model_copy(update={"position": position})

    def without_position(self, asset: Asset) -> Asset:
        """Return a visible asset without the position that `with_position` adds."""
        if asset.position != self.positions.get(asset.name):
            return asset
        return asset.model_copy(update={"position": None})


def find_visible(
    scopes: Scopes, assets: Iterable[Asset], latest: Iterable[Revision]
) -> VisiblePart:
    """Return the part in scopes, of which there is at least one."""
    index = AssetIndex(assets)
    visible = visible_assets(scopes, {a.name: a.parent for a in index.assets}) or frozenset()
    tree = AssetTree(index.assets)
    own = [asset for asset in index.assets if asset.name in visible]
    above = {name for asset in own for name in index.ancestors(asset)} - visible
    positions = dict[str, str]()
    for asset in own:
        line = tree.asset_and_ancestors(asset)
        holder = next((one for one in line if one.position is not None), None)
        if holder is not None and holder.position is not None and holder.name in above:
            positions[asset.name] = holder.position
    plants = Plants(index.assets)
    names = {plants.name_for(asset.name) for asset in own}
    plant = plants.by_name.get(names.pop(), PLATFORM) if len(names) == 1 else PLATFORM
    return VisiblePart(
        visible, frozenset(above), positions, plant, index, {one.name: one for one in latest}
    )


class RecentSources:
    """The hash of all assets, definitions and revisions, at most a second old, shared by all who
    compare it."""

    def __init__(self, later: Later | None = None) -> None:
        """`later`: finds the hash again before it is too old; None: the next who asks waits."""
        self._later = later
        self._found: _KnownHash | None = None
        self._begun: _KnownHash | None = None

    def find(self, plans: EvaluationPlans, now: datetime) -> str:
        """Return the hash, empty where there is none. `now`: the real time."""
        found = self._found
        if found is None or not timedelta(0) <= now - found.at < _RECENT:
            return self._read(plans, now)
        if self._later is not None and now - found.at >= _SOON and self._begun is not found:
            self._begun = found
            self._later(partial(self._read, plans, now))
        return found.written

    def _read(self, plans: EvaluationPlans, now: datetime) -> str:
        written = plans.source_hash()
        self._found = _KnownHash(now, written)
        return written


class VisibleParts:
    """Visible parts by scopes, at most a second old, made again only if an asset, a definition or a
    revision has changed."""

    def __init__(self, sources: RecentSources | None = None) -> None:
        self._sources = sources or RecentSources()
        self._made: dict[Scopes, _Made] = {}

    def find(
        self,
        scopes: Scopes,
        assets: Assets,
        definitions: Definitions,
        plans: EvaluationPlans,
        now: datetime,
    ) -> VisiblePart:
        """Return what lies in scopes. `now`: the real time."""
        known = self._made.get(scopes)
        written = self._sources.find(plans, now)
        if known is not None and written and known.written == written:
            return known.part
        part = find_visible(scopes, assets.all(), definitions.latest_revisions())
        if len(self._made) >= _MOST_PARTS:
            self._made.clear()
        self._made[scopes] = _Made(written, part)
        return part


class _KnownHash(NamedTuple):
    """A hash of the sources, and since when it is known."""

    at: datetime
    written: str


class _Made(NamedTuple):
    """A visible part, and the hash of what it was made of."""

    written: str
    part: VisiblePart
