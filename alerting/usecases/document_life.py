"""Documents that people write: one life for all kinds, from the check to the last revision.

A kind says how its documents are read, which faults they have beside the platform, which other
objects a change concerns, and which states there are. Each change is a revision.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from alerting.definitions.faults import (
    DocumentRefused,
    Fault,
    NotFound,
    UserError,
    name_hint,
    read_each,
    shown,
)
from alerting.definitions.revisions import flat_changes
from alerting.definitions.sources import new_host_paths
from alerting.definitions.wording.language import (
    in_english,
    joined,
    template,
    translatable,
    with_command,
)
from alerting.ports import (
    AUDIT_ORIGIN,
    Audit,
    DefinitionPorts,
    Document,
    DocumentRevision,
    DocumentStore,
)

Expected = int | Literal["new"]
"""The number of the newest revision that a change was made from, 0 for a document without any; or
that there is no such document."""
ChangeAction = Literal["new", "changed", "unchanged"]
EDITOR = "MongoDB"
"""The actor of an edit in the database: which of its users made it the platform cannot know."""
Changes = Mapping[str, tuple[Any, Any]]
"""Fields that differ, each with its value before and after."""
NO_CHANGES: Changes = {}
ANY_REVISION: Mapping[str, int] = {}


class Audited(Protocol):
    """Ports with an audit."""

    @property
    def audit(self) -> Audit: ...


class Named(Protocol):
    """The content of a valid document."""

    @property
    def name(self) -> str: ...


class ChangedMeanwhile(UserError):
    """Refusal of a change that was made from another revision than the newest.

    `newest`: None if there is no revision; `changes`: fields that the newest revision changed,
    before and after.
    """

    def __init__(
        self, message: str, newest: DocumentRevision | None = None, changes: Changes = NO_CHANGES
    ) -> None:
        self.newest = newest
        self.changes = changes
        super().__init__(message)

    @property
    def detail(self) -> str:
        """Return the message with the fields that changed, and what to do."""
        fields = "; ".join(
            f"{field}: {shown(before)} → {shown(after)}"
            for field, (before, after) in self.changes.items()
        )
        changed = f"; it changed {fields}" if fields else ""
        return in_english(
            "{message}{changed}; read it again and apply your change to its newest revision",
            message=self.message,
            changed=changed,
        )


P_contra = TypeVar("P_contra", bound=Audited, contravariant=True)
T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class StateChange:
    """An act on documents, such as `pause`: the state after it, and its entry in the audit."""

    state: str
    audited: str


@dataclass(frozen=True)
class DocumentReview(Generic[T]):
    """The effect that applying a document would have; a faulty document has faults alone.

    `effects`: further effects, for kinds that have such.
    """

    name: str
    action: ChangeAction
    faults: tuple[Fault, ...] = ()
    changes: Changes = field(default_factory=dict)
    read: T | None = None
    effects: object | None = None


@dataclass(frozen=True)
class StoredDocument(Generic[T]):
    """A document as people write it, with its revisions, oldest first. `read`: its content, None if
    it is faulty."""

    name: str
    document: Document
    read: T | None
    faults: tuple[str, ...]
    revisions: tuple[DocumentRevision, ...]

    @property
    def number(self) -> int:
        """Return the number of the newest revision, 0 without one."""
        return self.revisions[-1].number if self.revisions else 0


@dataclass(frozen=True, kw_only=True, eq=False)
class DocumentKind(Generic[P_contra, T]):
    """A kind of documents. `word`: the word for one document; `model`: the fields of a document, or
    `models`: returns the fields by the field `kind`; `applied`, `removed`: entries in the audit,
    the second for a kind whose documents can be removed.

    `complete`: adds the plant's values for fields that a document omits. `faults`: yields further
    faults of a new document. `effects`: further effects of a valid one. `prepare`: is called with
    the names of new documents before they are stored. `columns`: fields that tables of commands
    show. `most`: greatest number of documents, with a remedy. `unrecorded`: author and reason of a
    change that was made in the database.
    """

    word: str
    store: Callable[[P_contra], DocumentStore]
    parse: Callable[[Mapping[str, Any]], T]
    write: Callable[[T], Document]
    applied: str
    removed: str = ""
    model: type[BaseModel] | None = None
    models: Callable[[], Mapping[str, type[BaseModel]]] = dict
    acts: Mapping[str, StateChange] = field(default_factory=dict)
    complete: Callable[[P_contra, T], T] = lambda _, content: content
    faults: Callable[[P_contra, T], Iterable[Fault]] = lambda *_: ()
    effects: Callable[[P_contra, T, Changes], object | None] = lambda *_: None
    prepare: Callable[[P_contra, Sequence[str], datetime], None] = lambda *_: None
    columns: tuple[str, ...] = ("name", "kind", "state")
    most: tuple[int, str] | None = None
    unrecorded: tuple[str, str] = ("database", template("edited in the database"))

    def review(
        self, ports: P_contra, document: Mapping[str, Any], *, on_host: bool = False
    ) -> DocumentReview[T]:
        """Return the effect of a document, with all its faults. Writes nothing.

        `on_host`: whether it comes from a person on the host. From the console a document may name
        a path of the host only if the stored document names the path already, with the same kind
        and address; else people there could see or move any file of the host.
        """
        (review,) = self.review_all(ports, [document], on_host=on_host)
        return review

    def review_all(
        self, ports: P_contra, documents: Sequence[Mapping[str, Any]], *, on_host: bool
    ) -> list[DocumentReview[T]]:
        """Return the effect of each document as it would be beside the others. Writes nothing."""
        return [self._review_one(ports, document, on_host) for document in documents]

    def _review_one(
        self, ports: P_contra, document: Mapping[str, Any], on_host: bool
    ) -> DocumentReview[T]:
        try:
            content = self.complete(ports, self.parse(document))
        except DocumentRefused as refusal:
            return DocumentReview(refusal.name, "new", refusal.faults)
        faults = list(self.faults(ports, content))
        if not on_host:
            message = "a path on the host is given in a file on the host, not here"
            before = self.get(ports, content.name)
            faults += [Fault(path, message) for path in new_host_paths(content, before)]
        if faults:
            return DocumentReview(content.name, "new", tuple(faults))
        return self.compare(ports, content)

    def compare(self, ports: P_contra, content: T) -> DocumentReview[T]:
        """Return the effect of a valid document: how it changes the stored one."""
        stored = self.store(ports).find(content.name)
        before = self.get(ports, content.name)
        written = stored or {} if before is None else self.write(before)
        changes = flat_changes(written, self.write(content))
        if before is not None and not changes:
            return DocumentReview(content.name, "unchanged", (), {}, content)
        effects = self.effects(ports, content, changes)
        if stored is None:
            return DocumentReview(content.name, "new", (), {}, content, effects)
        return DocumentReview(content.name, "changed", (), changes, content, effects)

    def check(
        self,
        ports: P_contra,
        documents: Sequence[Mapping[str, Any]],
        origins: Sequence[str] = (),
    ) -> list[T]:
        """Read documents of a person on the host. Raises UserError with the faults of all."""
        reviews = self.plan(ports, documents, origins)
        return [review.read for review in reviews if review.read is not None]

    def plan(
        self,
        ports: P_contra,
        documents: Sequence[Mapping[str, Any]],
        origins: Sequence[str] = (),
        *,
        on_host: bool = True,
    ) -> list[DocumentReview[T]]:
        """Return the changes that `apply` would make. `origins`: the file of each document, for
        messages, empty for a stored one. Raises UserError with all faults."""
        reviews = self.review_all(ports, documents, on_host=on_host)
        count = len(reviews)
        if count == 1 and reviews[0].faults and not any(origins):
            raise DocumentRefused(reviews[0].name, reviews[0].faults, self.word)
        messages: list[str] = []
        positions: dict[str, list[str]] = {}
        for number, (document, review) in enumerate(zip(documents, reviews, strict=True), 1):
            origin = origins[number - 1] if origins else ""
            if not review.faults:
                place = f"{number} ({origin})" if origin else str(number)
                positions.setdefault(review.name, []).append(place)
                continue
            is_found_by_name = "name" in document or count == 1
            label = (
                review.name if is_found_by_name else f"{review.name}, document {number} of {count}"
            )
            refusal = DocumentRefused(label, review.faults, self.word).message
            messages.append(joined(": ", origin, refusal))
        messages += [
            f"{self.word} {name!r} occurs {len(numbers)} times in these documents: "
            f"{' and '.join(numbers)} of {count}"
            for name, numbers in sorted(positions.items())
            if len(numbers) > 1
        ]
        if messages:
            raise UserError(joined("\n", *messages))
        new = sum(review.action == "new" for review in reviews)
        if self.most and new and len(self.store(ports).documents()) + new > self.most[0]:
            raise UserError(f"there are at most {self.most[0]} {self.word}s; {self.most[1]}")
        return reviews

    def apply(
        self,
        ports: P_contra,
        documents: Sequence[Mapping[str, Any]],
        actor: str,
        at: datetime,
        reason: str = "",
        *,
        expected: Expected | None = None,
        on_host: bool = True,
        accepted: str = "",
    ) -> list[DocumentReview[T]]:
        """Apply all documents, or none. Raises ChangedMeanwhile if the newest revision of a
        document is not the expected one, and UserError for faulty documents.

        `accepted`: the reason to accept effects that the kind would refuse.
        """
        read = {
            name: self.require_revision(ports, name, expected, at)
            for name in (str(document.get("name")) for document in documents)
            if expected is not None
        }
        reviews = self.plan(ports, documents, on_host=on_host)
        self.apply_plan(ports, reviews, actor, at, reason, read=read, accepted=accepted)
        return reviews

    def apply_plan(
        self,
        ports: P_contra,
        reviews: Sequence[DocumentReview[T]],
        actor: str,
        at: datetime,
        reason: str = "",
        *,
        read: Mapping[str, int] = ANY_REVISION,
        accepted: str = "",
    ) -> None:
        """Store the changes of a plan, each with its revision. `read`: numbers of the revisions
        from which documents were changed, by name. Raises ChangedMeanwhile."""
        del accepted
        self.prepare(ports, [review.name for review in reviews if review.action == "new"], at)
        for review in reviews:
            if review.action != "unchanged" and review.read is not None:
                self._store(
                    ports, review.read, self.applied, actor, at, reason, read.get(review.name)
                )

    def change_state(
        self,
        ports: P_contra,
        name: str,
        act: str,
        actor: str,
        at: datetime,
        reason: str = "",
        *,
        expected: Expected | None = None,
        accepted: str = "",
    ) -> T:
        """Pause, resume or retire a document, as its kind allows. Idempotent. Raises UserError if
        it is unknown or faulty, ChangedMeanwhile if its newest revision is not the expected one."""
        del accepted
        content = self.find(ports, name)
        read = None if expected is None else self.require_revision(ports, name, expected, at)
        change = self.acts[act]
        changed = self.parse({**self.write(content), "state": change.state})
        if self.write(changed) != self.write(content):
            self._store(ports, changed, change.audited, actor, at, reason, read)
        return changed

    def restore(
        self,
        ports: P_contra,
        name: str,
        number: int,
        actor: str,
        at: datetime,
        reason: str = "",
        *,
        expected: Expected | None = None,
        accepted: str = "",
    ) -> DocumentReview[T]:
        """Make the document of an earlier revision the newest one. Raises NotFound, and UserError
        as a change at the console."""
        document = self.find_revision(ports, name, number).document
        why = reason or f"revision {number} restored"
        (made,) = self.apply(
            ports,
            [document],
            actor,
            at,
            why,
            expected=expected,
            on_host=False,
            accepted=accepted,
        )
        return made

    def remove(
        self,
        ports: P_contra,
        name: str,
        actor: str,
        at: datetime,
        reason: str = "",
        *,
        expected: Expected | None = None,
    ) -> None:
        """Remove a document, valid or not; its revisions stay. Raises NotFound,
        ChangedMeanwhile."""
        before = self._require(ports, name)
        if expected is not None:
            self.require_revision(ports, name, expected, at)
        self.store(ports).remove(name)
        ports.audit.add(actor, self.removed, name, at, before, why=reason)

    def get(self, ports: P_contra, name: str) -> T | None:
        """Return a document; None if it does not exist, or is faulty."""
        stored = self.store(ports).find(name)
        return None if stored is None else self.read_stored(ports, stored)

    def read_stored(self, ports: P_contra, document: Document) -> T | None:
        """Return the content of a stored document; None if it is faulty."""
        del ports
        return next(iter(read_each([document], self.parse)[0]), None)

    def find(self, ports: P_contra, name: str) -> T:
        """Return a document. Raises NotFound if it does not exist, and UserError if it is
        faulty."""
        self._require(ports, name)
        content = self.get(ports, name)
        if content is None:
            word = self.word
            text = f"{word} {name!r} is faulty and not used"
            raise UserError(with_command(text, f"alerting list {word}s"))
        return content

    def show(self, ports: P_contra, name: str, at: datetime) -> StoredDocument[T]:
        """Return a document, valid or not, with its revisions; an edit in the database gets its
        revision first. Raises NotFound."""
        stored = self._require(ports, name)
        self.record_edits(ports, at, [name])
        good, faults = read_each([stored], self.parse)
        return StoredDocument(
            name,
            self.write(good[0]) if good else stored,
            next(iter(good), None),
            tuple(fault for of_document in faults.values() for fault in of_document),
            tuple(self.store(ports).revisions(name)),
        )

    def read(self, ports: P_contra) -> tuple[list[T], dict[str, list[str]]]:
        """Return the valid documents, and the faults of the other documents by name. A faulty
        document does not stop the others."""
        return read_each(self.store(ports).documents(), self.parse)

    def find_revision(self, ports: P_contra, name: str, number: int) -> DocumentRevision:
        """Return a revision. Raises NotFound."""
        by_number = {revision.number: revision for revision in self.store(ports).revisions(name)}
        if number not in by_number:
            raise NotFound(f"{self.word} {name!r} has no revision {number}")
        return by_number[number]

    def record_edits(
        self, ports: P_contra, at: datetime, names: Sequence[str] | None = None
    ) -> list[str]:
        """Store a revision of every valid document, or of the documents of these names, that was
        edited in the database. Return their names. Idempotent."""
        store = self.store(ports)
        stored = store.documents() if names is None else map(store.find, names)
        edited = []
        for document in filter(None, stored):
            content = self.read_stored(ports, document)
            if content is not None and self.record_edit(ports, content, at):
                edited.append(content.name)
        return edited

    def record_edit(self, ports: P_contra, content: T, at: datetime) -> int:
        """Store a revision of a document that was edited in the database; return its number, 0 if
        the newest revision has the same content."""
        return self.add_revision(ports, content, self.unrecorded[0], at, self.unrecorded[1])

    def require_revision(self, ports: P_contra, name: str, expected: Expected, at: datetime) -> int:
        """Return the number of the newest revision, 0 without one. Raises ChangedMeanwhile if it is
        not the expected one. An edit of the document in the database gets its revision first."""
        self.record_edits(ports, at, [name])
        exists = self.store(ports).find(name) is not None
        newest = next(reversed(self.store(ports).revisions(name)), None)
        number = newest.number if newest else 0
        if expected == "new" and exists:
            message = translatable("there is already one of this name: {name}", name=name)
            raise ChangedMeanwhile(message, newest)
        if expected != "new" and not (exists and expected == number):
            raise self._changed_meanwhile(ports, name, expected)
        return number

    def _changed_meanwhile(self, ports: P_contra, name: str, read: int) -> ChangedMeanwhile:
        """Return the refusal of a change that was made from a revision that is not the newest."""
        revisions = self.store(ports).revisions(name)
        if not revisions:
            return ChangedMeanwhile(
                translatable("{name} has another content than expected", name=name)
            )
        newest = revisions[-1]
        message = translatable(
            "{name} was changed by {author} at {at} (revision {number}: {reason})",
            name=name,
            author=newest.actor,
            at=newest.at,
            number=str(newest.number),
            reason=newest.reason,
        )
        read_document = next(
            (revision.document for revision in revisions if revision.number == read),
            newest.document,
        )
        return ChangedMeanwhile(message, newest, flat_changes(read_document, newest.document))

    def add_revision(
        self,
        ports: P_contra,
        content: T,
        actor: str,
        at: datetime,
        reason: str,
        read: int | None = None,
    ) -> int:
        """Store a revision under the next free number; return the number, 0 if the newest revision
        has the same content. `read`: the number of the newest revision so far. Raises
        ChangedMeanwhile if another process stores the next revision first."""
        store = self.store(ports)
        document = self.write(content)
        while True:
            newest = next(reversed(store.revisions(content.name)), None)
            if newest is not None and not flat_changes(newest.document, document):
                return 0
            if read is not None and read != (newest.number if newest else 0):
                raise self._changed_meanwhile(ports, content.name, read)
            number = store.last_number(content.name) + 1
            if store.add_revision(
                DocumentRevision(content.name, number, at, actor, document, reason)
            ):
                return number

    def _store(
        self,
        ports: P_contra,
        changed: T,
        audited: str,
        actor: str,
        at: datetime,
        reason: str,
        read: int | None,
    ) -> None:
        store = self.store(ports)
        stored = store.find(changed.name)
        before = self.get(ports, changed.name)
        document = self.write(changed)
        store.store_document(document)
        try:
            number = self.add_revision(ports, changed, actor, at, reason, read)
        except ChangedMeanwhile as refusal:
            if refusal.newest is not None:  # whose document was written over a moment ago
                store.store_document(dict(refusal.newest.document))
            raise
        written = stored if before is None else self.write(before)
        after = {**document, "revision": number} if number else document
        ports.audit.add(actor, audited, changed.name, at, written, after, reason)

    def _require(self, ports: P_contra, name: str) -> Document:
        store = self.store(ports)
        stored = store.find(name)
        if stored is None:
            names = [shown(document.get("name")).strip("'") for document in store.documents()]
            hint = name_hint(name, names, f"{self.word}s") or "there are none yet"
            raise NotFound(f"there is no {self.word} {name!r}; {hint}")
        return stored


def list_history(revisions: Sequence[DocumentRevision]) -> list[tuple[DocumentRevision, list[str]]]:
    """Return the revisions, newest first, each with the fields that it changed."""
    before = [None, *(revision.document for revision in revisions)]
    return [
        (revision, [] if earlier is None else [*flat_changes(earlier, revision.document)])
        for earlier, revision in zip(before, revisions, strict=False)
    ][::-1]


def audit_edits(platform: DefinitionPorts, at: datetime) -> list[str]:
    """Audit edits made in the database since the last time; return these edits."""
    edits = platform.documents.edits()
    origin = AUDIT_ORIGIN.set(EDITOR)
    try:
        for edit in edits:
            audited = f"{edit.kind} changed"
            if edit.before is None:
                audited = f"{edit.kind} added"
            elif edit.after is None:
                audited = f"{edit.kind} removed"
            why = "edited in MongoDB"
            platform.audit.add(EDITOR, audited, edit.name, at, edit.before, edit.after, why)
            platform.documents.note(edit)
    finally:
        AUDIT_ORIGIN.reset(origin)
    return [f"{edit.collection}/{edit.name}" for edit in edits]
