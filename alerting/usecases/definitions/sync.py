"""Definitions: plan and apply documents, and make revisions of documents edited directly in the
database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from alerting.definitions.faults import (
    ChangedMeanwhile,
    NotFound,
    UserError,
    shown,
    unknown_definition,
)
from alerting.definitions.matching import AssetIndex
from alerting.definitions.model import Definition, Revision
from alerting.definitions.revisions import (
    Plan,
    definition_document,
    next_revision,
    plan_change,
    recorded_change,
)
from alerting.definitions.wording.language import template, translatable
from alerting.ports import Audit, DefinitionPorts, Definitions, Document, PlatformAlerts
from alerting.usecases.definitions.checking import (
    check,
    check_each,
    faults_in_force,
    index_assets,
    read_documents,
)
from alerting.usecases.definitions.platform_alerts import (
    forget_deleted,
    record_definition_faults,
    record_document_faults,
)

Expected = int | Literal["new"]
"""The number of the newest revision that a change was made from, 0 for a document without any; or
that there is no such definition."""
_BESIDE_ASSETS = ("archived_files", "event_types", "routes", "shelves", "sinks", "sources")


@dataclass(frozen=True)
class Synced:
    """Result of reading the current documents.

    `latest`: the newest revision of every definition, sorted by name; `new`: those of them made
    now; `faulty`: definitions marked faulty, with their reasons; `assets`: all assets beside which
    they were read.
    """

    latest: tuple[Revision, ...]
    new: tuple[Revision, ...]
    faulty: dict[str, list[str]]
    assets: AssetIndex


def require_document(definitions: Definitions, name: str) -> Document:
    """Return the stored document of a definition, also a faulty one. Raises UserError with the
    names that may be meant."""
    found = next(
        (one for one in definitions.documents() if name in (one.get("name"), one.get("_label"))),
        None,
    )
    if found is None:
        names = [r.name for r in definitions.latest_revisions()]
        raise UserError(unknown_definition(name, names))
    return {key: value for key, value in found.items() if not key.startswith("_")}


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
    document = next((d for d in platform.definitions.documents() if d.get("name") == name), None)
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
        (found,) = check_each(platform, [read])
    except Exception:  # any content of a document, as in `sync`, which marks it as faulty
        return None
    is_new = newest is None or newest.definition != found.definition
    return found.definition if is_new and not found.faults else None


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
    valid, faulty_assets = platform.assets.read_all()
    assets = index_assets(valid, faulty_assets)
    types = platform.assets.event_types()
    read = read_documents(platform.definitions.documents(), assets, types)
    latest_revisions, faulty_revisions = parse_revisions(
        {name: found for name, found in read.items() if isinstance(found, Definition)}
    )
    faulty_documents = [
        *faulty_assets,
        *platform.documents.faulty(_BESIDE_ASSETS),
        *faulty_revisions,
    ]
    record_document_faults(platform.platform_alerts, faulty_documents, at)
    latest = {r.name: r for r in latest_revisions}
    in_force = {r.name: r.definition for r in latest_revisions}
    known_faults = platform.definitions.faulty()
    new: list[Revision] = []
    faulty: dict[str, list[str]] = {}
    waiting: dict[str, Definition] = {}

    def take(name: str, definition: Definition) -> None:
        """Store a changed definition, unless it is faulty; one that others inhibit then waits."""
        faulty[name] = [str(f) for f in faults_in_force(definition, in_force, assets, types)]
        if faulty[name] and definition.suppression and definition.suppression.inhibited:
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
    for name, faults in faulty.items():
        _record_faults(
            platform.definitions,
            platform.audit,
            platform.platform_alerts,
            name,
            faults,
            known_faults.get(name, []),
            at,
        )
    forget_deleted(platform.platform_alerts, platform.definitions, faulty.keys(), at)
    latest.update({one.name: one for one in new})
    return Synced(
        tuple(latest[name] for name in sorted(latest)),
        tuple(new),
        {name: faults for name, faults in faulty.items() if faults},
        assets,
    )


def _record_faults(
    definitions: Definitions,
    audit: Audit,
    platform_alerts: PlatformAlerts,
    name: str,
    faults: list[str],
    earlier: list[str],
    at: datetime,
) -> None:
    if faults == earlier:
        return
    # Before the mark: after an interruption between the two both are done again.
    record_definition_faults(platform_alerts, name, faults, at)
    definitions.mark_faulty(name, faults)
    what = template("definition is valid again")
    if faults:
        what = template("definition is faulty; its last valid revision stays in force")
    audit.add("platform", what, name, at, earlier, faults)


def newest_of_target(definitions: Definitions, name: str) -> Revision | None:
    """Return the newest valid revision for work on a target of a definition, as an episode or a
    shelf, which an account may do that does not see all its assets; None without one."""
    return next(reversed(definitions.revisions(name)), None)


def require_revision(definitions: Definitions, name: str, number: int | None = None) -> Revision:
    """Return the newest (or the given) revision. Raises UserError if there is none; its message
    names the existing ones, or the faults of this one."""
    newest = definitions.newest_revision(name)
    if newest is None and (faults := definitions.faulty().get(name)):
        raise NotFound(
            translatable(
                "the definition {name} has faults and no valid revision yet: {faults}",
                name=shown(name),
                faults="; ".join(faults),
            )
        )
    if newest is None:
        names = [r.name for r in definitions.latest_revisions()]
        raise NotFound(unknown_definition(name, names))
    if number in (None, newest.number):
        return newest
    found = next((r for r in definitions.revisions(name) if r.number == number), None)
    if found is None:
        raise NotFound(f"definition {name!r} has no revision {number}; it has 1 to {newest.number}")
    return found


def active(definitions: Definitions) -> list[Revision]:
    """Return the newest revisions of the definitions in service, sorted by name."""
    return [r for r in definitions.latest_revisions() if r.definition.state == "active"]


def summary(revision: Revision, faults: Sequence[str]) -> dict[str, Any]:
    """Return one line of a list of definitions."""
    d = revision.definition
    return {
        "name": d.name,
        "kind": d.kind,
        "state": "faulty" if faults else d.state,
        "revision": revision.number,
        "assets": ", ".join(d.assets),
        "severity": d.severity,
        "since": revision.at.isoformat(),
        "faults": list(faults),
    }
