"""The tree of assets, and its plants: which assets belong to which, and what is true of each.

A plant is an asset with settings of a plant and everything below it. Without one the platform is
one plant; beside some, assets outside of all of them are a plant without a name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import cached_property
from types import MappingProxyType

from alerting.definitions.assets import Asset
from alerting.definitions.faults import Fault, shown
from alerting.definitions.fields.plant import PlantSettings
from alerting.definitions.upkeep import AlarmBudget
from alerting.definitions.wording.language import LanguageCode, translatable

NO_POSITION = "operators"
NO_PLANT = ""
"""Name of the plant of assets outside of all plants, and of the whole platform without any."""


class AssetTree:
    """All assets by name, to find what is above one; made once, for there may be many."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._by_name = {asset.name: asset for asset in assets}

    def asset_and_ancestors(self, asset: Asset) -> list[Asset]:
        """Return the asset, its parent, the parent's parent and so on, as far as known."""
        chain = [asset]
        while (
            parent := self._by_name.get(chain[-1].parent or "")
        ) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def position(self, asset: Asset) -> str:
        """Return the operator position of an asset: its own, or the nearest one above it.

        Assets without any share one, in a plant one of the plant.
        """
        line = self.asset_and_ancestors(asset)
        own = next((one.position for one in line if one.position is not None), None)
        plant = self.plant(asset)
        return own or (f"{NO_POSITION}-{plant}" if plant else NO_POSITION)

    def plant(self, asset: Asset) -> str:
        """Return the name of the plant of an asset; empty outside of all plants."""
        line = self.asset_and_ancestors(asset)
        return next((one.name for one in line if one.plant is not None), NO_PLANT)

    def line(self, asset: Asset) -> str:
        """Return the name of the outermost asset above an asset, its line, or its own name."""
        return self.asset_and_ancestors(asset)[-1].name


@dataclass(frozen=True)
class Plant:
    """A plant: its name, that of its uppermost asset, and its settings."""

    name: str
    title: str
    settings: PlantSettings = field(default_factory=PlantSettings)

    def zone(self, usual: tzinfo) -> tzinfo:
        """Return its time zone; `usual`: that of the platform."""
        return self.settings.zone(usual)

    def language(self, usual: LanguageCode) -> LanguageCode:
        """Return its language; `usual`: that of the platform."""
        return self.settings.language or usual

    def budget(self, usual: AlarmBudget) -> AlarmBudget:
        """Return its alarm budget; `usual`: that of the platform, whose numbers of single positions
        stay."""
        return replace(
            usual,
            per_day=self.settings.alarms_per_day or usual.per_day,
            flood_above=self.settings.flood_above or usual.flood_above,
        )


PLATFORM = Plant(NO_PLANT, NO_PLANT)
"""Settings outside of all plants: those of the platform."""


class Plants:
    """The plants of some assets."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._assets = {asset.name: asset for asset in assets}
        self._names: dict[str, str] = {}

    @cached_property
    def by_name(self) -> Mapping[str, Plant]:
        """Return all plants by name, sorted."""
        return MappingProxyType({
            name: Plant(name, asset.title or name, asset.plant)
            for name, asset in sorted(self._assets.items())
            if asset.plant is not None
        })  # fmt: skip

    @cached_property
    def _tree(self) -> AssetTree:
        return AssetTree(self._assets.values())

    def name_for(self, asset: str) -> str:
        """Return the name of the plant of an asset, `NO_PLANT` outside of all."""
        if asset not in self._names:
            known = self._assets.get(asset)
            found = NO_PLANT if known is None or not self.by_name else self._tree.plant(known)
            self._names[asset] = found
        return self._names[asset]

    def asset_title(self, asset: str) -> str:
        """Return the title of an asset for people; its name without one."""
        known = self._assets.get(asset)
        return (known.title if known else None) or asset

    def for_asset(self, asset: str | None) -> Plant:
        """Return the plant of an asset; outside of all, and without an asset, `PLATFORM`."""
        return self.by_name.get(self.name_for(asset), PLATFORM) if asset else PLATFORM


def budgets_by_position(usual: AlarmBudget, assets: Iterable[Asset]) -> dict[str, AlarmBudget]:
    """Return the budget of each position in a plant. One that several plants share has `usual`."""
    known = list(assets)
    tree = AssetTree(known)
    plants = Plants(known)
    found: dict[str, set[str]] = {}
    for asset in known if plants.by_name else ():
        found.setdefault(tree.position(asset), set()).add(plants.name_for(asset.name))
    return {
        position: plants.by_name.get(names.pop(), PLATFORM).budget(usual)
        for position, names in found.items()
        if len(names) == 1
    }


def nested_plants(assets: Iterable[Asset], changed: Iterable[str]) -> list[Fault]:
    """Return a fault for each plant inside another one by a change of these assets.

    Any of them may be the outer plant, the inner one, or stand between the two.
    """
    known = list(assets)
    tree = AssetTree(known)
    names = set(changed)
    found = []
    for inner in known:
        if inner.plant is None:
            continue
        line = tree.asset_and_ancestors(inner)
        outer = next((above for above in line[1:] if above.plant is not None), None)
        if outer is not None and not names.isdisjoint(one.name for one in line):
            found.append(
                Fault(
                    f"{inner.name}.plant",
                    translatable(
                        "{asset} lies in the plant {plant}",
                        asset=shown(inner.name),
                        plant=shown(outer.name),
                    ),
                    translatable(
                        "a plant cannot lie in another one: leave out `plant` in one of them"
                    ),
                )
            )
    return found
