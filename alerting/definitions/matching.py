"""Match definitions with assets without comparing every definition with every asset."""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition


class AssetIndex:
    """Known assets by name. `faulty`: names of other assets, whose documents cannot be read.

    The index caches the matches of a pattern, because many definitions share one.
    """

    def __init__(self, assets: Iterable[Asset], faulty: Collection[str] = ()) -> None:
        self.faulty = frozenset(faulty)
        self._by_name = {
            asset.name: asset for asset in sorted(assets, key=lambda asset: asset.name)
        }
        self._names: dict[str, list[str]] = {}

    @property
    def assets(self) -> list[Asset]:
        """Return all assets, sorted by name."""
        return list(self._by_name.values())

    @property
    def names(self) -> list[str]:
        """Return all names, sorted."""
        return list(self._by_name)

    def __getitem__(self, name: str) -> Asset:
        return self._by_name[name]

    def ancestors(self, asset: Asset) -> tuple[str, ...]:
        """Return the names of the known ancestors of an asset, the nearest first."""
        found: list[str] = []
        parent = self._by_name.get(asset.parent or "")
        while parent is not None and parent.name not in (asset.name, *found):
            found.append(parent.name)
            parent = self._by_name.get(parent.parent or "")
        return tuple(found)

    def at_or_below(self, name: str) -> frozenset[str]:
        """Return the names of an asset and of all below it."""
        return frozenset(a.name for a in self.assets if name in (a.name, *self.ancestors(a)))

    def names_like(self, pattern: str) -> list[str]:
        """Return the names that equal a pattern or match it with *, sorted."""
        if "*" not in pattern:
            return [pattern] if pattern in self._by_name else []
        if pattern not in self._names:
            self._names[pattern] = [name for name in self._by_name if fnmatchcase(name, pattern)]
        return self._names[pattern]

    def find_matching(self, patterns: Sequence[str]) -> list[Asset]:
        """Return the assets that match any of these names or patterns, sorted by name."""
        if len(patterns) == 1:
            return [self._by_name[name] for name in self.names_like(patterns[0])]
        return [
            self._by_name[name]
            for name in sorted({name for pattern in patterns for name in self.names_like(pattern)})
        ]


def matching_assets(definition: Definition, assets: Sequence[Asset] | AssetIndex) -> list[Asset]:
    """Return the assets that a definition names directly or by a pattern, sorted by name."""
    return index_assets(assets).find_matching(definition.assets)


def names_asset(definition: Definition, asset: str) -> bool:
    """Return whether a definition names an asset directly or by a pattern, known or not."""
    return any(fnmatchcase(asset, pattern) for pattern in definition.assets)


def index_assets(assets: Sequence[Asset] | AssetIndex) -> AssetIndex:
    """Return an index of these assets, or the given index."""
    return assets if isinstance(assets, AssetIndex) else AssetIndex(assets)
