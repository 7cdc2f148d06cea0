"""Definitions: plan and apply documents, and make revisions of documents edited directly in the
database."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from alerting.definitions.assets import EventType
from alerting.definitions.checks.inhibition import inhibitors_of
from alerting.definitions.faults import (
    ChangedMeanwhile,
    Fault,
    UserError,
    shown,
)
from alerting.definitions.model import AssetIndex, Definition, Revision
from alerting.definitions.revisions import (
    Plan,
    definition_document,
    in_plant_zone,
    next_revision,
    plan_change,
    recorded_change,
)
from alerting.definitions.wording.language import template, translatable
from alerting.ports import DefinitionPorts, Definitions, Document, FaultyDocument
from alerting.usecases.definitions.checking import (
    check,
    check_each,
    faults_in_force,
    index_assets,
    label_of,
    read_documents,
)
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.platform_alerts import (
    forget_deleted,
    record_definition_faults,
    record_document_faults,
)
from alerting.usecases.documents import Expected

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


def plan(
    platform: DefinitionPorts, documents: Sequence[Document], origins: Sequence[str] = ()
) -> list[Plan]:
    """Return the changes that applying these documents makes. Raises the same UserError as
    `check`."""
    latest = {r.name: r for r in platform.definitions.latest_revisions()}
    return [plan_change(d, latest.get(d.name)) for d in check(platform, documents, origins)]


def apply(
    platform: DefinitionPorts,
    documents: Sequence[Document],
    author: str,
    at: datetime,
    reason: str,
    expected: Expected | None = None,
) -> list[Plan]:
    """Apply documents, each with its revision. If one of them is refused, none is written.

    `expected`: of a single document. Raises ChangedSince if its newest revision is another one.
    """
    plans = plan(platform, documents)
    for item in plans:
        if expected is not None:
            require_expected(platform, item.name, expected, at)
        if item.action != "unchanged":
            _store(platform, item.definition, author, at, reason, expected)
    return plans


class ChangedSince(ChangedMeanwhile):
    """Refusal of a change that was made from another revision than the newest.

    `newest`: None if there is none; `changes`: fields that it changed, before and after.
    """

    def __init__(
        self, name: str, newest: Revision | None, changes: Mapping[str, tuple[Any, Any]]
    ) -> None:
        self.newest = newest
        self.changes = changes
        if newest is None:
            what = translatable("definition {name} has another state than expected", name=name)
        else:
            what = translatable(
                "definition {name} was changed by {author} at {at} (revision {number}: {reason})",
                name=name,
                author=newest.author,
                at=newest.at.isoformat(timespec="seconds"),
                number=str(newest.number),
                reason=newest.reason,
            )
        super().__init__(what)

    @property
    def detail(self) -> str:
        """Return the message with the fields that changed, and what to do."""
        fields = "; ".join(
            f"{field}: {shown(before)} → {shown(after)}"
            for field, (before, after) in self.changes.items()
        )
        what = f"; it changed {fields}" if fields else ""
        return f"{self.message}{what}; read it again and apply your change to its newest revision"


def require_expected(
    platform: DefinitionPorts, name: str, expected: Expected, at: datetime
) -> Revision | None:
    """Return the newest revision of a definition if it is the expected one. Raises ChangedSince.

    A document that was edited in the database gets its revision first, as `sync` does.
    """
    document = next(iter(platform.definitions.documents([name])), None)
    newest = platform.definitions.newest_revision(name)
    if document is not None:
        edited = _edited(platform, document, newest)
        if edited is not None:
            newest = _add_edited(platform, edited, at)
    if expected == "new":
        if document is not None or newest is not None:
            raise ChangedSince(name, newest, {})
    elif (newest.number if newest else 0) != expected:
        raise _changed_since(platform.definitions, name, newest, expected)
    return newest


def _changed_since(
    definitions: Definitions, name: str, newest: Revision | None, expected: Expected
) -> ChangedSince:
    known = next((r for r in definitions.revisions(name) if r.number == expected), None)
    compared = plan_change(newest.definition, known) if newest and known else None
    return ChangedSince(name, newest, compared.changes if compared else {})


def _edited(
    platform: DefinitionPorts, document: Document, newest: Revision | None
) -> Definition | None:
    """Return the definition of a valid document without its own revision, None of any other."""
    read = {key: value for key, value in document.items() if not key.startswith("_")}
    try:
        (found,) = check_each(platform, [read], "UTC")
    except Exception:  # any content of a document, as in `sync`, which marks it as faulty
        return None
    if found.definition is None or found.faults:
        return None
    definition = _in_own_zone(platform, found.definition, newest)
    return definition if newest is None or newest.definition != definition else None


def _in_own_zone(
    platform: DefinitionPorts, definition: Definition, newest: Revision | None
) -> Definition:
    """Return the definition of a stored document: its clock times without a zone are in that of the
    revision in force, so that those of before stay what they were."""
    return in_plant_zone(definition, str(platform.zone), newest.definition if newest else None)


def _add_edited(platform: DefinitionPorts, definition: Definition, at: datetime) -> Revision:
    return _add_revision(
        platform.definitions, definition, "database", at, "edited in the database"
    )[0]


def _store(
    platform: DefinitionPorts,
    definition: Definition,
    author: str,
    at: datetime,
    reason: str,
    expected: Expected | None = None,
) -> Revision:
    platform.definitions.store_document(definition_document(definition))
    platform.definitions.mark_faulty(definition.name, [])
    record_definition_faults(platform.platform_alerts, definition.name, [], at)
    try:
        revision, before = _add_revision(
            platform.definitions, definition, author, at, reason, expected
        )
    except ChangedSince as changed:
        if changed.newest is not None:  # whose document was written over a moment ago
            platform.definitions.store_document(definition_document(changed.newest.definition))
        raise
    platform.audit.add(
        author,
        template("definition applied"),
        definition.name,
        at,
        *recorded_change(before, revision),
        reason,
    )
    return revision


def _add_revision(
    definitions: Definitions,
    definition: Definition,
    author: str,
    at: datetime,
    reason: str,
    expected: Expected | None = None,
) -> tuple[Revision, Revision | None]:
    """Store the next revision. If another process stored that number first, take it if it is equal,
    else use the next number; raise ChangedSince where the number before it is not as expected."""
    while True:
        before = definitions.newest_revision(definition.name)
        if before is not None and before.definition == definition:
            return before, before
        number = before.number if before is not None else 0
        if expected is not None and number != (0 if expected == "new" else expected):
            raise _changed_since(definitions, definition.name, before, expected)
        last_number = definitions.last_number(definition.name)
        revision = next_revision(definition, before, author, at, reason, last_number)
        if definitions.add_revision(revision):
            return revision, before


def retire(
    platform: DefinitionPorts, name: str, author: str, at: datetime, reason: str
) -> Revision:
    """Retire a definition; its history stays. Raises UserError if there is none, or if it is
    retired already."""
    revision = require_revision(platform.definitions, name)
    if revision.definition.state == "retired":
        raise UserError(f"definition {name!r} is already retired, since revision {revision.number}")
    return _store(
        platform, revision.definition.model_copy(update={"state": "retired"}), author, at, reason
    )


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
        definition = _in_own_zone(platform, definition, latest.get(name))
        found = faults_in_force(definition, in_force, beside.assets, beside.types)
        faulty[name] = [str(fault) for fault in found]
        if faulty[name] and inhibitors_of(definition):
            waiting[name] = definition
        elif not faulty[name] and (name not in latest or latest[name].definition != definition):
            revision = _add_edited(platform, definition, at)
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
