"""Sources: the life of their documents."""

from collections.abc import Sequence

from alerting.definitions.sources.source import (
    Source,
    folder_faults,
    parse_source,
    source_kinds,
)
from alerting.definitions.sources.streamed import StreamedSource
from alerting.definitions.sources.union import kind_document
from alerting.definitions.wording.language import template
from alerting.ports import SourcePorts
from alerting.usecases.documents import DocumentKind, DocumentReview, StateChange

SOURCES: DocumentKind[SourcePorts, Source] = DocumentKind(
    word="source",
    store=lambda plant: plant.sources,
    models=source_kinds,
    parse=parse_source,
    write=kind_document,
    applied=template("source applied"),
    acts={
        "pause": StateChange("paused", template("source paused")),
        "resume": StateChange("active", template("source active")),
        "retire": StateChange("retired", template("source retired")),
    },
    faults=lambda _, source: folder_faults(source),
    columns=("name", "kind", "delivers", "state"),
)


def subscribed_by_stream(reviews: Sequence[DocumentReview[Source]]) -> list[str]:
    """Return the new and changed sources to whose broker the stream service subscribes, by name."""
    sources = [review.read for review in reviews if review.action != "unchanged"]
    return [
        s.name
        for s in sources
        if isinstance(s, StreamedSource) and s.state == "active" and not s.is_sent_once
    ]
