"""Sources: the life of their documents, and what engineers see of one beside its document."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerting.definitions.sources.source import (
    FilesSource,
    Source,
    SqlSource,
    folder_faults,
    parse_source,
    source_kinds,
)
from alerting.definitions.sources.streamed import StreamedSource
from alerting.definitions.sources.union import kind_document
from alerting.definitions.wording.language import template
from alerting.ports import DeadMessage, SourcePorts
from alerting.usecases.documents import DocumentKind, DocumentReview, StateChange

DEAD_SHOWN = 20


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


def can_be_looked_at(source: Source | None) -> bool:
    """Return whether the platform connects to a source, so that some of its rows can be shown."""
    return isinstance(source, FilesSource | SqlSource | StreamedSource)


@dataclass(frozen=True)
class FirstDeadMessages:
    """The first dead messages of a source. `more`: there are more of them than these."""

    items: tuple[DeadMessage, ...]
    more: bool


def first_dead_messages(plant: SourcePorts, name: str) -> FirstDeadMessages:
    """Return the first messages of a source that could not be stored."""
    found = plant.dead_messages.dead(name, DEAD_SHOWN + 1)
    return FirstDeadMessages(tuple(found[:DEAD_SHOWN]), len(found) > DEAD_SHOWN)
