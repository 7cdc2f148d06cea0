"""Ports for documents that people write: alert definitions, assets, event types, routes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.model import Definition, Revision
from alerting.learning.features.planning import DerivedFeatures

Document = dict[str, Any]
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class FaultyDocument:
    """A document that cannot be read and is left out, with the reasons."""

    collection: str
    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class DocumentRevision:
    """An immutable, numbered copy of a document: author, time and reason of the change."""

    name: str
    number: int
    at: datetime
    actor: str
    document: Mapping[str, Any]
    reason: str = ""


class DocumentStore(Protocol):
    """Documents of a kind, as people wrote them, and their revisions."""

    def documents(self) -> list[Document]:
        """Return all documents without `_id`, sorted by name, valid or not."""

    def find(self, name: str) -> Document | None:
        """Return the document of a name, valid or not; None without one."""

    def store_document(self, document: Document) -> None:
        """Insert or replace the document of that name. Raises UserError if the server refuses
        it."""

    def remove(self, name: str) -> bool:
        """Remove a document; return False if there was none. Its revisions stay."""

    def add_revision(self, revision: DocumentRevision) -> bool:
        """Store a revision; return False if that number exists already."""

    def revisions(self, name: str) -> list[DocumentRevision]:
        """Return all valid revisions of one, oldest first."""

    def last_number(self, name: str) -> int:
        """Return the highest number of its revisions, valid or not; 0 if it has none."""


ParseRevisions = Callable[[Mapping[str, Definition]], tuple[list[Revision], list[FaultyDocument]]]
"""Returns the newest valid revision of every definition, sorted by name, and all revisions that
cannot be read; takes valid definitions by name, which are not parsed again where a revision stores
the same."""


@dataclass(frozen=True)
class DocumentEdit:
    """A document that was added, changed or removed in the database itself.

    `what`: a definition, asset, event type, route or source. `before`: as the platform last wrote
    or read it. None: there was, or is, none.
    """

    collection: str
    what: str
    name: str
    before: Document | None
    after: Document | None


class Documents(Protocol):
    """Documents of collections that people may edit in the database."""

    def edits(self) -> list[DocumentEdit]:
        """Return edits that were not noted yet."""

    def note(self, edit: DocumentEdit) -> None:
        """Take an edit as known, so that it is not found again."""

    def faulty(self, collections: Collection[str] | None = None) -> list[FaultyDocument]:
        """Return omitted documents of these collections; by default of all except definitions and
        their revisions."""


class NoDocuments:
    """Port `Documents` of a platform without edited documents."""

    def faulty(self, collections: Collection[str] | None = None) -> list[FaultyDocument]:  # noqa: ARG002
        return []

    def edits(self) -> list[DocumentEdit]:
        return []

    def note(self, edit: DocumentEdit) -> None:
        """Do nothing: there is no edit."""


NOT_EDITED = NoDocuments()


class Definitions(Protocol):
    """Current documents, as people wrote them, and their immutable revisions."""

    def documents(self, names: Collection[str] | None = None) -> list[Document]:
        """Return all current documents, or those of these names, without `_id`, sorted by name,
        valid or not.

        `_faults`: the faults of a marked document; `_label`: the name of its mark, if the document
        has no name.
        """

    def store_document(self, document: Document) -> None:
        """Insert or replace the current document of that name. Raises UserError if the server
        refuses it."""

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        """Mark the current document as faulty, or unmark it without faults; its text does not
        change."""

    def faulty(self) -> dict[str, list[str]]:
        """Return faults by definition name."""

    def add_revision(self, revision: Revision) -> bool:
        """Store a revision; return False if that number exists already."""

    def revisions(self, name: str) -> list[Revision]:
        """Return all valid revisions of a definition, oldest first."""

    def newest_revision(self, name: str) -> Revision | None:
        """Return the newest valid revision of a definition, None without one; reads one
        document."""

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        """Return all valid revisions of each of these definitions, oldest first; a definition
        without any is absent."""

    def last_number(self, name: str) -> int:
        """Return the highest number of its revisions, valid or not; 0 if it has none."""

    def load_revisions(self) -> ParseRevisions:
        """Load all revisions; documents that are read after this call are not older than they."""

    def latest_revisions(self, having: str | None = None) -> list[Revision]:
        """Return the newest revision of every definition, sorted by name; with `having` only those
        with this field."""


class Assets(DocumentStore, Protocol):
    """Assets and event types."""

    def all(self) -> list[Asset]: ...

    def read_all(self) -> tuple[list[Asset], list[FaultyDocument]]:
        """Return all valid assets, sorted by name, and the documents that cannot be read, by one
        read."""

    def find_matching(self, patterns: Collection[str]) -> list[Asset]:
        """Return the valid assets of these names or patterns with *, and all known ones above them,
        sorted by name.

        The cost depends on how many these are, not on how many there are in all.
        """

    def get(self, name: str) -> Asset | None: ...

    def get_many(self, names: Collection[str]) -> dict[str, Asset]:
        """Return the valid assets of these names, by name."""

    def store_assets(self, assets: Sequence[Asset]) -> None: ...

    def event_types(self) -> list[EventType]: ...

    def put_event_types(self, types: Sequence[EventType]) -> None: ...


class DerivedFeatureStore(Protocol):
    """Stride and windows derived for a question of a definition; once stored, they never change."""

    def get(self, definition: str, question: str) -> DerivedFeatures | None: ...

    def fix(self, definition: str, question: str, derived: DerivedFeatures) -> DerivedFeatures:
        """Store the values unless some are stored already; return the stored ones."""
