"""Definitions: plan and apply documents, and make revisions of documents edited directly in the
database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.checks.against_assets import faults_against_assets
from alerting.definitions.checks.inhibition import inhibition_faults
from alerting.definitions.faults import (
    DefinitionRefused,
    Fault,
    NotFound,
    UserError,
    shown,
    unknown_name,
)
from alerting.definitions.matching import AssetIndex
from alerting.definitions.model import Definition, Revision
from alerting.definitions.revisions import Plan, definition_document, next_revision, plan_change
from alerting.definitions.wording.language import template
from alerting.kinds.validation import parse_definition, readable_part
from alerting.ports import (
    Assets,
    Audit,
    Dags,
    DefinitionPorts,
    Definitions,
    Document,
    FaultyDocument,
    PlatformAlerts,
)
from alerting.usecases.definitions.platform_alerts import (
    forget_deleted,
    record_definition_faults,
    record_document_faults,
)

_BESIDE_ASSETS = ("archived_files", "event_types", "routes", "shelves", "sources")


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


def check(platform: DefinitionPorts, documents: Sequence[Document]) -> list[Definition]:
    """Read documents and check them against the known assets. Raises UserError with the faults of
    all of them."""
    read = [_read_definition(document) for document in documents]
    assets = _assets_of(
        platform.assets, [one.definition for one in read if one.definition is not None]
    )
    types = platform.assets.event_types()
    definitions = [one.definition for one in read if one.definition is not None and not one.faults]
    all_faults = [(one.name, _all_faults(one, assets, types)) for one in read]
    messages = [str(DefinitionRefused(name, faults)) for name, faults in all_faults if faults]
    messages += _inhibition_messages(platform, definitions, assets)
    names = [d.name for d in definitions]
    messages += [
        f"definition {n!r} occurs twice in these documents"
        for n in sorted({n for n in names if names.count(n) > 1})
    ]
    if messages:
        raise UserError("\n".join(messages))
    return definitions


class _Read(NamedTuple):
    """A document after reading: its definition, or of a faulty one what can be read of it, if
    anything, with the faults."""

    name: str
    definition: Definition | None
    faults: tuple[Fault, ...] = ()


def _read_definition(document: Document) -> _Read:
    try:
        definition = parse_definition(document)
    except DefinitionRefused as refusal:
        return _Read(refusal.name, readable_part(document, refusal.faults), tuple(refusal.faults))
    return _Read(definition.name, definition)


def _all_faults(read: _Read, assets: AssetIndex, types: Sequence[EventType]) -> list[Fault]:
    """Return the faults of a document, and those of its definition, or of its readable part, on the
    assets."""
    if read.definition is None or read.definition.state == "retired":
        return list(read.faults)
    paths = {fault.path for fault in read.faults}
    on_assets = faults_against_assets(read.definition, assets, types)
    return [*read.faults, *(fault for fault in on_assets if fault.path not in paths)]


def _parse(document: Document, assets: AssetIndex, types: Sequence[EventType]) -> Definition:
    """Return the definition of a document. Raises DefinitionRefused with all its faults, also those
    of the rest on the assets."""
    read = _read_definition(document)
    if read.definition is None or read.faults:
        raise DefinitionRefused(read.name, _all_faults(read, assets, types))
    return read.definition


def _assets_of(stored: Assets, definitions: Sequence[Definition]) -> AssetIndex:
    """Return the assets that decide about these definitions: without need not all of them, because
    there may be very many.

    All are needed to say what is near to an unknown or faulty one, and where other definitions that
    inhibit apply.
    """
    if any(d.suppression and d.suppression.inhibited for d in definitions):
        return all_assets(stored)
    patterns = {pattern for d in definitions for pattern in d.assets}
    found = AssetIndex(stored.find_matching(patterns))
    return found if all(map(found.names_like, patterns)) else all_assets(stored)


def _inhibition_messages(
    platform: DefinitionPorts, definitions: Sequence[Definition], assets: AssetIndex
) -> list[str]:
    """Return the faults of definitions that others inhibit, beside all definitions as they would
    then be in force."""
    if not any(d.suppression and d.suppression.inhibited for d in definitions):
        return []
    others = {r.name: r.definition for r in platform.definitions.latest_revisions()} | {
        d.name: d for d in definitions
    }
    found = [
        (d.name, list(inhibition_faults(d, others, assets)))
        for d in definitions
        if d.state != "retired"
    ]
    return [str(DefinitionRefused(name, faults)) for name, faults in found if faults]


def require_document(definitions: Definitions, name: str) -> Document:
    """Return the stored document of a definition, also a faulty one. Raises UserError with the
    names that may be meant."""
    found = next(
        (one for one in definitions.documents() if name in (one.get("name"), one.get("_label"))),
        None,
    )
    if found is None:
        raise UserError(
            unknown_name(
                "definition",
                name,
                [r.name for r in definitions.latest_revisions()],
                "apply one first",
            )
        )
    return {key: value for key, value in found.items() if not key.startswith("_")}


def plan(platform: DefinitionPorts, documents: Sequence[Document]) -> list[Plan]:
    """Return the changes that applying these documents makes. Raises the same UserError as
    `check`."""
    latest = {r.name: r for r in platform.definitions.latest_revisions()}
    return [plan_change(d, latest.get(d.name)) for d in check(platform, documents)]


def apply(
    platform: DefinitionPorts, documents: Sequence[Document], author: str, at: datetime, reason: str
) -> list[Plan]:
    """Apply documents, each with its revision. If one of them is refused, none is written."""
    plans = plan(platform, documents)
    for item in plans:
        if item.action != "unchanged":
            _store(platform, item.definition, author, at, reason)
    return plans


def _store(
    platform: DefinitionPorts, definition: Definition, author: str, at: datetime, reason: str
) -> Revision:
    platform.definitions.store_document(definition_document(definition))
    platform.definitions.mark_faulty(definition.name, [])
    record_definition_faults(platform.platform_alerts, definition.name, [], at)
    revision, before = _add_revision(
        platform.definitions, platform.dags, definition, author, at, reason
    )
    platform.audit.add(
        author,
        template("definition applied"),
        definition.name,
        at,
        before and before.number,
        revision.number,
        reason,
    )
    return revision


def _add_revision(
    definitions: Definitions,
    dags: Dags | None,
    definition: Definition,
    author: str,
    at: datetime,
    reason: str,
) -> tuple[Revision, Revision | None]:
    """Store the next revision. If another process stored that number first, take it if it is equal,
    else use the next number."""
    while True:
        before = definitions.newest_revision(definition.name)
        if before is not None and before.definition == definition:
            return before, before
        last_number = definitions.last_number(definition.name)
        revision = next_revision(definition, before, author, at, reason, last_number)
        if definitions.add_revision(revision):
            if dags is not None:
                dags.read_again(definition)
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
    latest_revisions, faulty_revisions = platform.definitions.read_revisions()
    valid, faulty_assets = platform.assets.read_all()
    faulty_documents = [
        *faulty_assets,
        *platform.documents.faulty(_BESIDE_ASSETS),
        *faulty_revisions,
    ]
    record_document_faults(platform.platform_alerts, faulty_documents, at)
    latest = {r.name: r for r in latest_revisions}
    known_faults = platform.definitions.faulty()
    assets = _index(valid, faulty_assets)
    types = platform.assets.event_types()
    new: list[Revision] = []
    faulty: dict[str, list[str]] = {}
    documented: set[str] = set()
    for marked in platform.definitions.documents():
        document = {k: v for k, v in marked.items() if not k.startswith("_")}
        name = str(marked.get("_label", document.get("name")))
        try:
            definition = _parse(document, assets, types)
            faults = _faults_in_force(definition, (*latest.values(), *new), assets, types)
        except DefinitionRefused as refusal:
            faults = list(refusal.faults)
        except Exception as error:  # any content of a document: no document stops the others
            faults = [
                Fault("document", f"cannot be read: {type(error).__name__}: {shown(str(error))}")
            ]
        if faults:
            faulty[name] = [str(f) for f in faults]
        elif name not in latest or latest[name].definition != definition:
            new.append(
                _add_revision(
                    platform.definitions,
                    platform.dags,
                    definition,
                    "database",
                    at,
                    "edited in the database",
                )[0]
            )
        _record_faults(
            platform.definitions,
            platform.audit,
            platform.platform_alerts,
            name,
            faulty.get(name, []),
            known_faults.get(name, []),
            at,
        )
        documented.add(name)
    forget_deleted(platform.platform_alerts, platform.definitions, documented, at)
    latest.update({revision.name: revision for revision in new})
    return Synced(tuple(latest[name] for name in sorted(latest)), tuple(new), faulty, assets)


def _faults_in_force(
    definition: Definition,
    revisions: Iterable[Revision],
    assets: AssetIndex,
    types: Sequence[EventType],
) -> list[Fault]:
    """Return the faults of an active definition against assets and other definitions."""
    if definition.state != "active":
        return []
    faults = faults_against_assets(definition, assets, types)
    if definition.suppression and definition.suppression.inhibited:
        faults += inhibition_faults(definition, {r.name: r.definition for r in revisions}, assets)
    return faults


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


def all_assets(assets: Assets) -> AssetIndex:
    """Return all valid assets, and the names of those whose documents are faulty."""
    return _index(*assets.read_all())


def _index(valid: Sequence[Asset], faulty: Sequence[FaultyDocument]) -> AssetIndex:
    return AssetIndex(valid, {document.name for document in faulty})


def newest_of_target(definitions: Definitions, name: str) -> Revision | None:
    """Return the newest valid revision of a definition for work on one of its targets, as an
    episode or a shelf; None without one.

    An account that sees this target, and not all assets of the definition, may do that work, while
    the definition itself (`require_revision`) does not exist for it.
    """
    return next(reversed(definitions.revisions(name)), None)


def require_revision(definitions: Definitions, name: str, number: int | None = None) -> Revision:
    """Return the newest (or the given) revision. Raises UserError if there is none; its message
    names the existing ones."""
    newest = definitions.newest_revision(name)
    if newest is None:
        raise NotFound(
            unknown_name(
                "definition",
                name,
                [r.name for r in definitions.latest_revisions()],
                "apply one first",
            )
        )
    if number in (None, newest.number):
        return newest
    found = next((r for r in definitions.revisions(name) if r.number == number), None)
    if found is None:
        raise UserError(
            f"definition {name!r} has no revision {number}; it has 1 to {newest.number}"
        )
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
