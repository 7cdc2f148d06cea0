"""Ports for what people write: alert definitions, assets, event types, routes."""

from collections.abc import Collection, Sequence
from typing import Protocol

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.model import Revision
from alerting.pipelines.ports.documents import Document


class Definitions(Protocol):
    """Current documents, as people left them, and their immutable revisions."""

    def documents(self) -> list[Document]:
        """All current documents without `_id`, sorted by name, valid or not; with `_faults` where marked faulty."""
        ...

    def put(self, document: Document) -> None:
        """Insert or replace the current document of that name. Raises Refused when the server refuses it."""
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

    def latest(self, having: str | None = None) -> list[Revision]:
        """The newest revision of every definition, sorted by name; of those alone where it has this field, if one is named."""
        ...


class Assets(Protocol):
    """Assets and event types."""

    def all(self) -> list[Asset]: ...

    def get(self, name: str) -> Asset | None: ...

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
