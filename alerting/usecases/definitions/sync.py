"""Definitions: the life of their documents, and revisions of documents edited directly in the
database."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from alerting.definitions.alert_definition import AssetIndex, Definition, Revision
from alerting.definitions.asset_documents import EventType
from alerting.definitions.faults import Fault
from alerting.definitions.fields.definition_checks import inhibitors_of
from alerting.definitions.revisions import definition_document, in_plant_zone, next_revision
from alerting.definitions.wording.language import template
from alerting.kinds.registry import definition_types
from alerting.kinds.validation import parse_definition
from alerting.ports import (
    DefinitionPorts,
    Definitions,
    Document,
    DocumentRevision,
    FaultyDocument,
)
from alerting.usecases.definitions.checking import (
    check_each,
    faults_in_force,
    index_assets,
    label_of,
    read_documents,
)
from alerting.usecases.definitions.platform_alerts import (
    forget_deleted,
    record_definition_faults,
    record_document_faults,
)
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.documents import (
    DocumentKind,
    DocumentReview,
    StateChange,
    StoredDocument,
)

P_contra = TypeVar("P_contra", bound=DefinitionPorts, contravariant=True)
_BESIDE_ASSETS = ("event_types", "mutes", "routes", "sinks", "sources")


@dataclass(frozen=True)
class Synced:
    """Result of reading the current documents.

    `latest`: the newest revision of every definition that was read, sorted by name; `new`: those of
    them made now; `faulty`: definitions marked faulty, with their reasons; `assets`: all assets
    beside which they were read; `linked`: names of definitions that inhibit others or are
    inhibited; `has_faulty_revisions`: whether a stored revision cannot be read.
    """

    latest: tuple[Revision, ...]
    new: tuple[Revision, ...]
    faulty: dict[str, list[str]]
    assets: AssetIndex
    linked: frozenset[str] = frozenset()
    has_faulty_revisions: bool = False


class DefinitionDocuments:
    """Port `DocumentStore` of definitions, whose revisions hold every field."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def documents(self) -> list[Document]:
        return [_without_marks(document) for document in self._definitions.documents()]

    def find(self, name: str) -> Document | None:
        """Return the document of a name; if that was removed in the database, its revision that
        stays in force."""
        document = next(map(_without_marks, self._definitions.documents([name])), None)
        newest = None if document else self._definitions.newest_revision(name)
        return document if newest is None else definition_document(newest.definition)

    def store_document(self, document: Document) -> None:
        self._definitions.store_document(document)

    def remove(self, name: str) -> bool:
        """Remove nothing: a definition is retired."""
        del name
        return False

    def add_revision(self, revision: DocumentRevision) -> bool:
        definition = parse_definition(revision.document)
        before = self._definitions.newest_revision(revision.name)
        made = next_revision(definition, before, revision.actor, revision.at, revision.reason)
        return self._definitions.add_revision(made.model_copy(update={"number": revision.number}))

    def revisions(self, name: str) -> list[DocumentRevision]:
        return [_as_document(revision) for revision in self._definitions.revisions(name)]

    def last_number(self, name: str) -> int:
        return self._definitions.last_number(name)


class DefinitionKind(DocumentKind[P_contra, Definition]):
    """The life of definitions, which are checked beside each other and the assets. What is in force
    is the newest valid revision."""

    def review_all(
        self, ports: P_contra, documents: Sequence[Mapping[str, Any]], *, on_host: bool
    ) -> list[DocumentReview[Definition]]:
        """Return the effect of each document as it would be beside the others. Writes nothing."""
        del on_host  # no definition names a path of the host
        return [
            DocumentReview(one.name, "new", one.faults)
            if one.faults or one.definition is None
            else self.compare(ports, one.definition)
            for one in check_each(ports, [dict(document) for document in documents])
        ]

    def get(self, ports: P_contra, name: str) -> Definition | None:
        """Return the definition that is in force."""
        newest = ports.definitions.newest_revision(name)
        return None if newest is None else newest.definition

    def read_stored(self, ports: P_contra, document: Document) -> Definition | None:
        """Return what a stored document says; None of a faulty one. Its clock times without a zone
        are in that of the revision in force, so that those of before stay what they were."""
        try:
            (found,) = check_each(ports, [document], "UTC")
        except Exception:  # any content of a document, as in `sync`, which marks it as faulty
            return None
        if found.definition is None or found.faults:
            return None
        before = self.get(ports, found.name)
        return in_plant_zone(found.definition, str(ports.zone), before)

    def show(self, ports: P_contra, name: str, at: datetime) -> StoredDocument[Definition]:
        """Return a definition, valid or not, with its revisions. Raises NotFound."""
        del at  # an edit in the database gets its revision from `sync`
        return StoredDocument(
            name,
            self._require(ports, name),
            self.get(ports, name),
            tuple(ports.definitions.faulty().get(name, ())),
            tuple(self.store(ports).revisions(name)),
        )

    def _store(
        self,
        ports: P_contra,
        changed: Definition,
        what: str,
        actor: str,
        at: datetime,
        reason: str,
        read: int | None,
    ) -> None:
        super()._store(ports, changed, what, actor, at, reason, read)
        record_definition_faults(ports.platform_alerts, changed.name, [], at)
        ports.definitions.mark_faulty(changed.name, [])


def _as_document(revision: Revision) -> DocumentRevision:
    document = definition_document(revision.definition)
    return DocumentRevision(
        revision.name, revision.number, revision.at, revision.author, document, revision.reason
    )


def _without_marks(document: Document) -> Document:
    return {key: value for key, value in document.items() if not key.startswith("_")}


DEFINITION_DOCUMENTS: DefinitionKind[DefinitionPorts] = DefinitionKind(
    word="definition",
    store=lambda platform: DefinitionDocuments(platform.definitions),
    models=definition_types,
    parse=parse_definition,
    write=definition_document,
    applied=template("definition applied"),
    acts={
        "activate": StateChange("active", template("definition applied")),
        "retire": StateChange("retired", template("definition applied")),
    },
    columns=("name", "kind", "assets", "state"),
)
"""Definitions without the effects of a change on the alarm load."""
check = DEFINITION_DOCUMENTS.check
plan = DEFINITION_DOCUMENTS.plan
apply = DEFINITION_DOCUMENTS.apply


def sync(platform: DefinitionPorts, at: datetime) -> Synced:
    """Store a revision of every edited document, and mark invalid documents as faulty; their last
    valid revision stays in force.

    A faulty document and the reasons are audited once, when they change. Faulty documents of other
    collections, which are left out, cause platform alerts, too.
    """
    parse_revisions = platform.definitions.load_revisions()
    beside = _read_beside(platform)
    documents = platform.definitions.documents()
    read = read_documents(documents, beside.assets, beside.types)
    latest, faulty_revisions = parse_revisions(
        {name: found for name, found in read.items() if isinstance(found, Definition)}
    )
    faulty_documents = [*beside.faulty, *faulty_revisions]
    record_document_faults(platform.platform_alerts, faulty_documents, at)
    synced = _take_documents(platform, documents, read, latest, beside, at)
    forget_deleted(platform.platform_alerts, platform.definitions, read.keys(), at)
    return replace(synced, has_faulty_revisions=bool(faulty_revisions))


def sync_edited(
    platform: DefinitionPorts, names: Collection[str], latest: Sequence[Revision], at: datetime
) -> Synced | None:
    """Do the same for the documents of these definitions alone, and return what was read of them.

    `latest`: their newest revisions. None, and nothing is written, if one of them is suppressed by
    others.
    """
    beside = _read_beside(platform)
    documents = platform.definitions.documents(names)
    read = read_documents(documents, beside.assets, beside.types)
    if any(isinstance(found, Definition) and inhibitors_of(found) for found in read.values()):
        return None
    record_document_faults(platform.platform_alerts, beside.faulty, at)
    synced = _take_documents(platform, documents, read, latest, beside, at)
    forget_deleted(platform.platform_alerts, platform.definitions, None, at)
    return synced


class _Beside(NamedTuple):
    """Assets and event types, beside which definitions are read, and faulty documents of all other
    collections."""

    assets: AssetIndex
    types: Sequence[EventType]
    faulty: Sequence[FaultyDocument]


def _read_beside(platform: DefinitionPorts) -> _Beside:
    valid, faulty = platform.assets.read_all()
    others = platform.documents.faulty(_BESIDE_ASSETS)
    return _Beside(index_assets(valid, faulty), platform.assets.event_types(), [*faulty, *others])


def _take_documents(
    platform: DefinitionPorts,
    documents: Sequence[Document],
    read: Mapping[str, Definition | list[Fault]],
    latest_revisions: Sequence[Revision],
    beside: _Beside,
    at: datetime,
) -> Synced:
    """Store a revision of every definition that differs from its latest, and record all faults."""
    latest = {r.name: r for r in latest_revisions}
    in_force = {r.name: r.definition for r in latest_revisions}
    new: list[Revision] = []
    faulty: dict[str, list[str]] = {}
    waiting: dict[str, Definition] = {}

    def take(name: str, definition: Definition) -> None:
        """Store a changed definition, unless it is faulty; one that others inhibit then waits."""
        before = latest[name].definition if name in latest else None
        definition = in_plant_zone(definition, str(platform.zone), before)
        found = faults_in_force(definition, in_force, beside.assets, beside.types)
        faulty[name] = [str(fault) for fault in found]
        if faulty[name] and inhibitors_of(definition):
            waiting[name] = definition
        elif not faulty[name] and (name not in latest or latest[name].definition != definition):
            DEFINITION_DOCUMENTS.record_edit(platform, definition, at)
            revision = require_revision(platform.definitions, name)
            new.append(revision)
            in_force[revision.name] = revision.definition

    for name, found in read.items():
        if isinstance(found, Definition):
            take(name, found)
        else:
            faulty[name] = [str(fault) for fault in found]
    looked_at = len(waiting) + 1
    while len(waiting) < looked_at:  # what inhibits them may be in force only since this look
        looked_at = len(waiting)
        again = dict(waiting)
        waiting.clear()
        for name, definition in again.items():
            take(name, definition)
    marked = {label_of(one): one["_faults"] for one in documents if "_faults" in one}
    for name, faults in faulty.items():
        _record_faults(platform, name, faults, marked.get(name, []), at)
    latest.update({one.name: one for one in new})
    definitions = [found for found in read.values() if isinstance(found, Definition)]
    return Synced(
        tuple(latest[name] for name in sorted(latest)),
        tuple(new),
        {name: faults for name, faults in faulty.items() if faults},
        beside.assets,
        _find_linked([*definitions, *in_force.values()]),
    )


def _find_linked(definitions: Iterable[Definition]) -> frozenset[str]:
    return frozenset(
        name
        for definition in definitions
        if (inhibitors := inhibitors_of(definition))
        for name in (definition.name, *inhibitors)
    )


def _record_faults(
    platform: DefinitionPorts, name: str, faults: list[str], earlier: list[str], at: datetime
) -> None:
    if faults == earlier:
        return
    # Before the mark: after an interruption between the two both are done again.
    record_definition_faults(platform.platform_alerts, name, faults, at)
    platform.definitions.mark_faulty(name, faults)
    what = template("definition is valid again")
    if faults:
        what = template("definition is faulty; its last valid revision stays in force")
    platform.audit.add("platform", what, name, at, earlier, faults)
