"""Definitions with their revisions, assets and event types in memory."""

from collections.abc import Collection, Sequence
from copy import deepcopy

from alerting.adapters.memory.episodes import MemoryDocumentStore
from alerting.definitions.assets import Asset, EventType, asset_document, parse_asset
from alerting.definitions.model import AssetIndex, Revision
from alerting.learning.features.planning import DerivedFeatures
from alerting.ports import Document, FaultyDocument, ParseRevisions


class MemoryDefinitions:
    """Port `Definitions`."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._faults: dict[str, list[str]] = {}
        self._revisions: dict[str, dict[int, Revision]] = {}

    def documents(self, names: Collection[str] | None = None) -> list[Document]:
        marks = self.faulty()
        wanted = self._documents.keys() if names is None else self._documents.keys() & set(names)
        found = deepcopy([self._documents[name] for name in sorted(wanted)])
        return [
            {
                **document,
                **({"_faults": marks[name]} if (name := document["name"]) in marks else {}),
            }
            for document in found
        ]

    def store_document(self, document: Document) -> None:
        self._documents[document["name"]] = deepcopy(
            {key: value for key, value in document.items() if key not in ("_faults", "_label")}
        )

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        self._faults[name] = list(faults)

    def faulty(self) -> dict[str, list[str]]:
        return {
            name: faults
            for name, faults in self._faults.items()
            if faults and name in self._documents
        }

    def add_revision(self, revision: Revision) -> bool:
        numbered = self._revisions.setdefault(revision.name, {})
        return numbered.setdefault(revision.number, revision) is revision

    def revisions(self, name: str) -> list[Revision]:
        return [revision for _, revision in sorted(self._revisions.get(name, {}).items())]

    def newest_revision(self, name: str) -> Revision | None:
        return next(reversed(self.revisions(name)), None)

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        return {name: self.revisions(name) for name in names if name in self._revisions}

    def last_number(self, name: str) -> int:
        return max(self._revisions.get(name, ()), default=0)

    def load_revisions(self) -> ParseRevisions:
        latest = self.latest_revisions()
        return lambda _: (latest, [])

    def latest_revisions(self, having: str | None = None) -> list[Revision]:
        newest = [self.revisions(name)[-1] for name in sorted(self._revisions)]
        return [r for r in newest if having is None or getattr(r.definition, having) is not None]


class MemoryAssets(MemoryDocumentStore):
    """Port `Assets`."""

    def __init__(self) -> None:
        super().__init__()
        self._assets: dict[str, Asset] = {}
        self._types: dict[str, EventType] = {}

    def all(self) -> list[Asset]:
        return [self._assets[name] for name in sorted(self._assets)]

    def documents(self) -> list[Document]:
        return [asset_document(self._assets[name]) for name in sorted(self._assets)]

    def find(self, name: str) -> Document | None:
        return asset_document(self._assets[name]) if name in self._assets else None

    def store_document(self, document: Document) -> None:
        self._assets[document["name"]] = parse_asset(document)

    def read_all(self) -> tuple[list[Asset], list[FaultyDocument]]:
        return self.all(), []

    def find_matching(self, patterns: Collection[str]) -> list[Asset]:
        index = AssetIndex(self.all())
        found = {asset.name for asset in index.find_matching([*patterns])}
        found.update(above for name in tuple(found) for above in index.ancestors(index[name]))
        return [index[name] for name in sorted(found)]

    def get(self, name: str) -> Asset | None:
        return self._assets.get(name)

    def get_many(self, names: Collection[str]) -> dict[str, Asset]:
        return {name: self._assets[name] for name in names if name in self._assets}

    def store_assets(self, assets: Sequence[Asset]) -> None:
        self._assets |= {asset.name: asset for asset in assets}

    def event_types(self) -> list[EventType]:
        return [self._types[name] for name in sorted(self._types)]

    def put_event_types(self, types: Sequence[EventType]) -> None:
        self._types |= {type_.name: type_ for type_ in types}


class MemoryDerivedFeatures:
    """Port `DerivedFeatureStore`."""

    def __init__(self) -> None:
        self._derived: dict[tuple[str, str], DerivedFeatures] = {}

    def get(self, definition: str, question: str) -> DerivedFeatures | None:
        return self._derived.get((definition, question))

    def fix(self, definition: str, question: str, derived: DerivedFeatures) -> DerivedFeatures:
        return self._derived.setdefault((definition, question), derived)
