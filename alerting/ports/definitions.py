"""Ports for what people write: alert definitions, assets, event types, routes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.model import Revision
from alerting.ports.documents import Document


@dataclass(frozen=True)
class FaultyDocument:
    """A document that cannot be read and is left out, with the reasons."""

    collection: str
    name: str
    reasons: tuple[str, ...]


class Documents(Protocol):
    """What people may have edited straight in the database, document by document."""

    def faulty(self, collections: Collection[str] | None = None) -> list[FaultyDocument]:
        """Documents that are left out, of these collections or of all but `alert_definitions`, whose marks say it."""
        ...


class NoDocuments:
    """Port `Documents` where nothing is edited."""

    def faulty(self, collections: Collection[str] | None = None) -> list[FaultyDocument]:  # noqa: ARG002
        return []


NOT_EDITED = NoDocuments()


class Definitions(Protocol):
    """Current documents, as people left them, and their immutable revisions."""

    def documents(self) -> list[Document]:
        """All current documents without `_id`, sorted by name, valid or not.

        `_faults` where marked faulty; `_label` where there is no name, the one under which it is marked.
        """
        ...

    def put(self, document: Document) -> None:
        """Insert or replace the current document of that name. Raises UserError when the server refuses it."""
        ...

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        """Mark (or with no faults unmark) the current document without changing what people wrote."""
        ...

    def faulty(self) -> dict[str, list[str]]:
        """Faults by definition name."""
        ...

    def add_revision(self, revision: Revision) -> bool:
        """Keep a revision; False if that number exists already."""
        ...

    def revisions(self, name: str) -> list[Revision]:
        """All revisions of a definition, oldest first."""
        ...

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        """All revisions of each of these definitions, oldest first; one without any is absent."""
        ...

    def last_number(self, name: str) -> int:
        """The highest number of its revisions, valid or not; 0 without one."""
        ...

    def latest(self, having: str | None = None) -> list[Revision]:
        """The newest revision of every definition, sorted by name; of those alone where it has this field, if one is named."""
        ...


class Assets(Protocol):
    """Assets and event types."""

    def all(self) -> list[Asset]: ...

    def get(self, name: str) -> Asset | None: ...

    def faulty(self) -> dict[str, list[str]]:
        """Why the documents of assets that are left out are faulty, by name."""
        ...

    def put(self, assets: Sequence[Asset]) -> None: ...

    def event_types(self) -> list[EventType]: ...

    def put_event_types(self, types: Sequence[EventType]) -> None: ...


class Routes(Protocol):
    """Documents that say who is told."""

    def documents(self) -> list[Document]:
        """All of them without `_id`, sorted by name, valid or not."""
        ...

    def put(self, document: Document) -> None:
        """Insert or replace the route of that name."""
        ...

    def remove(self, name: str) -> bool:
        """False if there was none."""
        ...
