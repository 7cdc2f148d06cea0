"""Sources: check and apply their documents, all of them or none, pause and retire them. Each change
is a revision."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

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
from alerting.ports import SourcePorts, Sources
from alerting.usecases.sources.revised import DocumentForm, DocumentPlan

SOURCE_FORM: DocumentForm[Source] = DocumentForm(
    "source",
    parse_source,
    source_document,
    SourceRefused,
    template("source applied"),
    {
        "active": template("source active"),
        "paused": template("source paused"),
        "retired": template("source retired"),
    },
    folder_faults,
)
SourcePlan = DocumentPlan[Source]


def check_sources(documents: Sequence[Mapping[str, Any]]) -> list[Source]:
    """Read documents. Raises UserError with the faults of all of them."""
    return SOURCE_FORM.check(documents)


def plan_sources(sources: Sources, documents: Sequence[Mapping[str, Any]]) -> list[SourcePlan]:
    """Return the changes that `apply_sources` would make. Raises UserError for faulty documents."""
    return SOURCE_FORM.plan(sources, documents)


def apply_sources(
    plant: SourcePorts, documents: Sequence[Mapping[str, Any]], actor: str, at: datetime
) -> list[SourcePlan]:
    """Apply sources, all of them or none. Raises UserError for faulty documents."""
    return SOURCE_FORM.apply(plant.audit, plant.sources, documents, actor, at)


def subscribed_by_stream(plans: Sequence[SourcePlan]) -> list[str]:
    """Return the new and changed sources to whose broker the stream service subscribes, by name."""
    sources = [plan.document for plan in plans if plan.action != "unchanged"]
    return [
        s.name
        for s in sources
        if isinstance(s, StreamedSource) and s.state == "active" and not s.is_sent_once
    ]


def set_state(
    plant: SourcePorts, name: str, state: SourceState, actor: str, at: datetime
) -> Source:
    """Pause, resume or retire a source. Idempotent. Raises UserError for an unknown source."""
    return SOURCE_FORM.set_state(plant.audit, plant.sources, name, state, actor, at)


def find_source(sources: Sources, name: str) -> Source:
    """Return a source. Raises NotFound if there is none of this name, and UserError if its document
    is faulty."""
    return SOURCE_FORM.find(sources, name)


def read_sources(sources: Sources) -> tuple[list[Source], dict[str, list[str]]]:
    """Return the valid sources, and the faults of the others by name. A faulty source does not stop
    the others."""
    return SOURCE_FORM.read(sources)


def record_edits(sources: Sources, at: datetime) -> list[str]:
    """Store a revision of every valid source that was edited in the database. Return their names.
    Idempotent."""
    return SOURCE_FORM.record_edits(sources, at)
