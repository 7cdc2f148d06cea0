"""Rows in memory by their id, each replaced only by its next version."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Generic, Protocol, TypeVar

from alerting.ports import Document, DocumentRevision


class Row(Protocol):
    """A value with an identity and a version."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=Row)


class MemoryTable(Generic[R]):
    """Rows by their id, in the order of their insertion."""

    def __init__(self) -> None:
        self.rows: dict[str, R] = {}

    def insert(self, row: R) -> bool:
        """Insert; return False if this id exists, or the row may not stand beside the others."""
        if row.id in self.rows or not self.is_free(row):
            return False
        self.rows[row.id] = row
        return True

    def replace(self, row: R) -> bool:
        """Write the next version; return False unless the stored one is `row.version - 1`."""
        stored = self.rows.get(row.id)
        if stored is None or stored.version != row.version - 1 or not self.is_free(row):
            return False
        self.rows[row.id] = row
        return True

    def get(self, id: str) -> R | None:
        return self.rows.get(id)

    def is_free(self, row: R) -> bool:  # noqa: ARG002 - for rows that exclude each other
        """Return whether no other row takes the place of this one."""
        return True


def plain(value: Any) -> Any:
    """Return a value as a store gives it back: lists, plain numbers, texts as keys."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


class MemoryDocumentStore:
    """Port `DocumentStore`."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._revisions: dict[str, dict[int, DocumentRevision]] = {}

    def documents(self) -> list[Document]:
        return deepcopy([self._documents[name] for name in sorted(self._documents)])

    def find(self, name: str) -> Document | None:
        return deepcopy(self._documents.get(name))

    def store_document(self, document: Document) -> None:
        self._documents[document["name"]] = deepcopy(document)

    def remove(self, name: str) -> bool:
        return self._documents.pop(name, None) is not None

    def add_revision(self, revision: DocumentRevision) -> bool:
        numbers = self._revisions.setdefault(revision.name, {})
        return numbers.setdefault(revision.number, revision) is revision

    def revisions(self, name: str) -> list[DocumentRevision]:
        return [revision for _, revision in sorted(self._revisions.get(name, {}).items())]
