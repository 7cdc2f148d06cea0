"""Documents that people apply, pause and retire: sources and sinks. Each change is a revision."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from alerting.definitions.faults import (
    ChangedMeanwhile,
    DocumentRefused,
    Fault,
    NotFound,
    UserError,
    name_hint,
    read_each,
    shown,
)
from alerting.definitions.sources.mapping import SourceState
from alerting.definitions.sources.union import new_host_paths
from alerting.ports import Audit, Document, SourceRevision

Expected = int | Literal["new"]
"""The number of the newest revision that a change was made from; or that there is no such document.
"""


class Stated(Protocol):
    """A document with a name and a state."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> SourceState: ...

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...


T = TypeVar("T", bound=Stated)
T_co = TypeVar("T_co", bound=Stated, covariant=True)


class RevisedDocuments(Protocol[T_co]):
    """Documents as people wrote them, and their revisions."""

    def documents(self) -> list[Document]:
        """Return all documents without `_id`, sorted by name, valid or not."""

    def get(self, name: str) -> T_co | None:
        """Return one; None if there is none of this name, or if its document is faulty."""

    def store_document(self, document: Document) -> None:
        """Insert or replace the document of that name."""

    def add_revision(self, revision: SourceRevision) -> bool:
        """Store a revision; return False if that number exists already."""

    def revisions(self, name: str) -> list[SourceRevision]:
        """Return all revisions of one, oldest first."""


@dataclass(frozen=True)
class DocumentPlan(Generic[T]):
    """The change that applying a document makes."""

    name: str
    action: Literal["new", "changed", "unchanged"]
    document: T


@dataclass(frozen=True)
class DocumentForm(Generic[T]):
    """How documents of a sort are read and changed.

    `word`: what one is called. `faults`: yields what is refused of a new one, and read of a stored
    one. `applied`, `changed`: entries of the audit.
    """

    word: str
    parse: Callable[[Mapping[str, Any]], T]
    write: Callable[[T], Document]
    refused: type[DocumentRefused]
    applied: str
    changed: Mapping[SourceState, str]
    faults: Callable[[T], Iterable[Fault]] = lambda _: ()

    def check(self, documents: Sequence[Mapping[str, Any]]) -> list[T]:
        """Read documents. Raises UserError with the faults of all of them."""
        good = list[T]()
        refusals = list[str]()
        for document in documents:
            try:
                good.append(one := self.parse(document))
                if faults := list(self.faults(one)):
                    raise self.refused(one.name, faults)
            except DocumentRefused as refusal:
                refusals.append(str(refusal))
        names = [one.name for one in good]
        refusals += [
            f"{self.word} {name!r} is given {names.count(name)} times"
            for name in sorted(set(names))
            if names.count(name) > 1
        ]
        if refusals:
            raise UserError("\n".join(refusals))
        return good

    def plan_from_console(
        self, store: RevisedDocuments[T], document: Mapping[str, Any]
    ) -> DocumentPlan[T]:
        """Return the change that a document of a person at the console makes. Raises UserError for
        a faulty one, and as `require_known_paths`."""
        (plan,) = self.plan(store, [document])
        self.require_known_paths(store, plan.document)
        return plan

    def require_known_paths(self, store: RevisedDocuments[T], given: T) -> None:
        """Require that a document names no path of the host but those that it uses already, each at
        the same place: kind, address and path.

        At the console others are refused, for its people may not see or move any file of the host.
        Raises UserError.
        """
        if wrong := new_host_paths(given, store.get(given.name)):
            raise UserError(
                f"{self.word} {given.name!r}: {', '.join(wrong)}: a path on the host is given "
                "there: `alerting apply FILE`"
            )

    def plan(
        self, store: RevisedDocuments[T], documents: Sequence[Mapping[str, Any]]
    ) -> list[DocumentPlan[T]]:
        """Return the changes that `apply` would make. Raises UserError for faulty documents."""
        existing = {
            name: document
            for document in store.documents()
            if isinstance(name := document.get("name"), str)
        }
        plans = []
        for one in self.check(documents):
            before = existing.get(one.name)
            change: Literal["changed", "unchanged"] = (
                "unchanged" if before == self.write(one) else "changed"
            )
            plans.append(DocumentPlan(one.name, "new" if before is None else change, one))
        return plans

    def apply(
        self,
        audit: Audit,
        store: RevisedDocuments[T],
        documents: Sequence[Mapping[str, Any]],
        actor: str,
        at: datetime,
    ) -> list[DocumentPlan[T]]:
        """Apply documents, all of them or none. Raises UserError for faulty ones."""
        plans = self.plan(store, documents)
        for plan in plans:
            if plan.action != "unchanged":
                self._store(audit, store, plan.document, self.applied, actor, at)
        return plans

    def set_state(
        self,
        audit: Audit,
        store: RevisedDocuments[T],
        name: str,
        state: SourceState,
        actor: str,
        at: datetime,
    ) -> T:
        """Pause, resume or retire one. Idempotent. Raises UserError for an unknown one."""
        found = self.find(store, name)
        if found.state != state:
            found = found.model_copy(update={"state": state})
            self._store(audit, store, found, self.changed[state], actor, at)
        return found

    def find(self, store: RevisedDocuments[T], name: str) -> T:
        """Return one. Raises NotFound if there is none of this name, and UserError if its document
        is faulty."""
        found = store.get(name)
        if found is not None:
            return found
        word = self.word
        names = [shown(document.get("name")).strip("'") for document in store.documents()]
        if name in names:
            raise UserError(f"{word} {name!r} is faulty and not used; see: alerting list {word}s")
        hint = name_hint(name, names, f"{word}s") or "there are none yet"
        raise NotFound(f"there is no {word} {name!r}; {hint}")

    def read(self, store: RevisedDocuments[T]) -> tuple[list[T], dict[str, list[str]]]:
        """Return the valid ones, and the faults of the others by name. A faulty one does not stop
        the others."""
        return read_each(store.documents(), self.parse)

    def record_edits(self, store: RevisedDocuments[T], at: datetime) -> list[str]:
        """Store a revision of every valid document that was edited in the database. Return their
        names. Idempotent."""
        edited = []
        for one in self.read(store)[0]:
            revisions = store.revisions(one.name)
            document = self.write(one)
            if not revisions or dict(revisions[-1].document) != document:
                _add_revision(store, one.name, document, "database", at)
                edited.append(one.name)
        return edited

    def require_revision(
        self, store: RevisedDocuments[T], name: str, expected: Expected, now: datetime
    ) -> None:
        """Raise ChangedMeanwhile if the newest revision is not the expected one. An edit of the
        document in the database gets its revision first."""
        self.record_edits(store, now)
        revisions = store.revisions(name)
        newest = revisions[-1] if revisions else None
        exists = newest is not None or store.get(name) is not None
        if (not exists) if expected == "new" else (newest.number if newest else 0) == expected:
            return
        if newest is None:
            raise ChangedMeanwhile(f"{self.word} {name!r} has another state than expected")
        raise ChangedMeanwhile(
            f"{self.word} {name!r} was changed by {newest.actor} at "
            f"{newest.at.isoformat(timespec='seconds')} (revision {newest.number})"
        )

    def _store(
        self,
        audit: Audit,
        store: RevisedDocuments[T],
        changed: T,
        what: str,
        actor: str,
        at: datetime,
    ) -> None:
        revisions = store.revisions(changed.name)
        document = self.write(changed)
        store.store_document(document)
        _add_revision(store, changed.name, document, actor, at)
        before = revisions[-1].document if revisions else None
        audit.add(actor, what, changed.name, at, before, document)


def _add_revision(
    store: RevisedDocuments[T], name: str, document: Document, actor: str, at: datetime
) -> None:
    """Store a revision under the next free number."""
    while True:
        number = max((revision.number for revision in store.revisions(name)), default=0) + 1
        if store.add_revision(SourceRevision(name, number, at, actor, document)):
            return
