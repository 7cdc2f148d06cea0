"""Sources: check and apply their documents, all of them or none, pause and retire them. Each change
is a revision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from alerting.definitions.faults import NotFound, UserError, name_hint, read_each, shown
from alerting.definitions.sources.mapping import SourceState
from alerting.definitions.sources.source import (
    Source,
    SourceRefused,
    folder_faults,
    parse_source,
    source_document,
)
from alerting.definitions.sources.streamed import StreamedSource
from alerting.definitions.wording.language import template
from alerting.ports import Audit, Document, SourcePorts, SourceRevision, Sources

_CHANGED: Mapping[SourceState, str] = {
    "active": template("source active"),
    "paused": template("source paused"),
    "retired": template("source retired"),
}


@dataclass(frozen=True)
class SourcePlan:
    """The change that applying a source makes."""

    name: str
    action: Literal["new", "changed", "unchanged"]
    source: Source


def check_sources(documents: Sequence[Mapping[str, Any]]) -> list[Source]:
    """Read documents. Raises UserError with the faults of all of them."""
    good = []
    refusals = []
    for document in documents:
        try:
            good.append(source := parse_source(document))
            if faults := list(folder_faults(source)):
                raise SourceRefused(source.name, faults)
        except SourceRefused as refusal:
            refusals.append(str(refusal))
    names = [source.name for source in good]
    refusals += [
        f"source {name!r} is given {names.count(name)} times"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    if refusals:
        raise UserError("\n".join(refusals))
    return good


def plan_sources(sources: Sources, documents: Sequence[Mapping[str, Any]]) -> list[SourcePlan]:
    """Return the changes that `apply_sources` would make. Raises UserError for faulty documents."""
    existing = {document.get("name"): document for document in sources.documents()}
    plans = []
    for source in check_sources(documents):
        before = existing.get(source.name)
        change: Literal["changed", "unchanged"] = (
            "unchanged" if before == source_document(source) else "changed"
        )
        plans.append(SourcePlan(source.name, "new" if before is None else change, source))
    return plans


def apply_sources(
    plant: SourcePorts, documents: Sequence[Mapping[str, Any]], actor: str, at: datetime
) -> list[SourcePlan]:
    """Apply sources, all of them or none. Raises UserError for faulty documents."""
    plans = plan_sources(plant.sources, documents)
    for plan in plans:
        if plan.action != "unchanged":
            _store(
                plant.audit,
                plant.sources,
                plan.source,
                template("source applied"),
                actor,
                at,
            )
    return plans


def subscribed_by_stream(plans: Sequence[SourcePlan]) -> list[str]:
    """Return the new and changed sources to whose broker the stream service subscribes, by name."""
    sources = [plan.source for plan in plans if plan.action != "unchanged"]
    return [
        s.name
        for s in sources
        if isinstance(s, StreamedSource) and s.state == "active" and not s.is_sent_once
    ]


def set_state(
    plant: SourcePorts, name: str, state: SourceState, actor: str, at: datetime
) -> Source:
    """Pause, resume or retire a source. Idempotent. Raises UserError for an unknown source."""
    source = find_source(plant.sources, name)
    if source.state != state:
        source = source.model_copy(update={"state": state})
        _store(plant.audit, plant.sources, source, _CHANGED[state], actor, at)
    return source


def find_source(sources: Sources, name: str) -> Source:
    """Return a source. Raises NotFound if there is none of this name, and UserError if its document
    is faulty."""
    source = sources.get(name)
    if source is not None:
        return source
    names = [shown(document.get("name")).strip("'") for document in sources.documents()]
    if name in names:
        raise UserError(f"source {name!r} is faulty and not used; see: alerting source list")
    raise NotFound(
        f"there is no source {name!r}; {name_hint(name, names, 'sources') or 'there are none yet'}"
    )


def read_sources(sources: Sources) -> tuple[list[Source], dict[str, list[str]]]:
    """Return the valid sources, and the faults of the others by name. A faulty source does not stop
    the others."""
    return read_each(sources.documents(), parse_source)


def record_edits(sources: Sources, at: datetime) -> list[str]:
    """Store a revision of every valid source that was edited in the database. Return their names.
    Idempotent."""
    edited = []
    for source in read_sources(sources)[0]:
        revisions = sources.revisions(source.name)
        document = source_document(source)
        if not revisions or dict(revisions[-1].document) != document:
            _add_revision(sources, source.name, document, "database", at)
            edited.append(source.name)
    return edited


def _store(
    audit: Audit,
    sources: Sources,
    source: Source,
    what: str,
    actor: str,
    at: datetime,
) -> None:
    revisions = sources.revisions(source.name)
    document = source_document(source)
    sources.store_document(document)
    _add_revision(sources, source.name, document, actor, at)
    audit.add(actor, what, source.name, at, revisions[-1].document if revisions else None, document)


def _add_revision(
    sources: Sources, name: str, document: Document, actor: str, at: datetime
) -> None:
    """Store a revision under the next free number."""
    while True:
        number = max((revision.number for revision in sources.revisions(name)), default=0) + 1
        if sources.add_revision(SourceRevision(name, number, at, actor, document)):
            return
